"""What the page on which data are explored needs: a map of the samples, their neighbours, clusters and thumbnails."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from selftaught.core.devices import compute_device
from selftaught.core.names import printable
from selftaught.core.progress import late_bar, say_once, working
from selftaught.core.randomness import numpy_generator, seed_from
from selftaught.core.settings.groups import DataSettings
from selftaught.data.files.file_tree import lost_files, told_lost
from selftaught.data.store.samples import Samples
from selftaught.data.store.subset import Subset
from selftaught.evaluation.embed import all_samples, label_names, seen_by
from selftaught.evaluation.query import CLIPS
from selftaught.evaluation.subject import Subject
from selftaught.evaluation.visualise.data_map import data_map, neighbours_kept
from selftaught.evaluation.visualise.thumbnails import drawn
from selftaught.features.encode import all_features
from selftaught.features.neighbours import Neighbours

Method = Literal["tsne", "umap", "pca"]
MOST = 20_000
"""Samples on a page at most: with these it takes about 25 MB."""
LEAST = 8
TILE, COLUMNS = 48, 32
"""Side of a thumbnail in pixels, and how many a sheet of thumbnails has in a row and in a column."""
NEIGHBOURS = 12
SCALE = 10_000
"""Places on the map are whole numbers up to this."""

Json = dict[str, Any]


def explore_data(
    subject: Subject, reading: DataSettings, *, count: int, method: Method, clusters: int, seed: int, accelerator: str
) -> Json:
    """Facts of at most `count` samples for `report.explore_page`; a sample of the data where there are more."""
    if not LEAST <= count <= MOST:
        raise ValueError(f"--count must be in [{LEAST}, {MOST}], got {count}; a page with more cannot be used")
    if clusters < 1:
        raise ValueError(f"--clusters must be at least 1, got {clusters}")
    parts = [part for part, _ in all_samples(subject.encoder, reading, "all", subject.network.size)]
    skipped = {key: why for part in parts for key, why in part.skipped if lost_files([(key, why)])}
    if skipped:
        say_once(told_lost(sorted(skipped.items()), reading.path))
    total = sum(len(part) for part in parts)
    parts = _some(parts, count, seed)
    device = compute_device(accelerator)
    with working("computing features"):
        vectors = torch.cat([all_features(subject.encoder, part, device=device, clips=CLIPS, **seen_by(subject))
                             for part in parts])  # fmt: skip
    if not torch.isfinite(vectors).all():
        raise ValueError(f"features of {subject.name} are not finite; its training diverged, lower its --lr")
    with working("making the map"):
        points = _map(vectors, method, seed)
    names = [name for part in parts for name in label_names(part)]
    classes = sorted({name for name in names if name is not None})
    numbers = {name: i for i, name in enumerate(classes)}
    places = (points * SCALE).round().int()
    return {
        "data": reading.path,
        "run": subject.name,
        "encoder": subject.encoder.name,
        "samples": total,
        "skipped": len(skipped),
        "method": method,
        "kept": round(neighbours_kept(vectors[:5000], points[:5000]), 1),
        "keys": [printable(key) for part in parts for key in part.keys],
        "x": places[:, 0].tolist(),
        "y": places[:, 1].tolist(),
        "classes": [printable(name) for name in classes],
        "class": [-1 if name is None else numbers[name] for name in names],
        "cluster": _clusters(vectors, clusters, seed).tolist(),
        "neighbours": _nearest(vectors).tolist(),
        "tile": TILE,
        "columns": COLUMNS,
        "sheets": _sheets(parts),
    }


def _some(parts: Sequence[Samples], count: int, seed: int) -> list[Samples]:
    """At most `count` of all samples, drawn by the seed, in their order."""
    total = sum(len(part) for part in parts)
    if total <= count:
        return list(parts)
    drawn = np.sort(numpy_generator(seed, "explore").permutation(total)[:count])
    found: list[Samples] = []
    start = 0
    for part in parts:
        rows = drawn[(drawn >= start) & (drawn < start + len(part))] - start
        start += len(part)
        if len(rows):
            found.append(Subset(part, rows))
    return found


def _map(vectors: Tensor, method: Method, seed: int) -> Tensor:
    """Points (N, 2) in [0, 1]."""
    if method != "pca":
        try:
            return data_map(vectors, method=method, seed=seed)
        except ValueError as error:  # which names the flag of a probe
            raise ValueError(str(error).replace("--probe.method", "--method")) from None
    if len(vectors) < LEAST:
        raise ValueError(f"a map of the data needs at least {LEAST} samples, got {len(vectors)}; give more data")
    unit = F.normalize(vectors.double(), dim=1)
    left, values, _ = torch.linalg.svd(unit - unit.mean(0), full_matrices=False)
    points = (left * values)[:, :2].float()
    low, high = points.amin(0), points.amax(0)
    places: Tensor = 0.5 + (points - (low + high) / 2) / (high - low).max().clamp(min=1e-12)
    return places


def _clusters(vectors: Tensor, count: int, seed: int) -> NDArray[np.int64]:
    """(N,) the number of each sample's cluster by k-means on directions, the largest cluster first."""
    from sklearn.cluster import MiniBatchKMeans

    unit = F.normalize(vectors.float(), dim=1).numpy()
    count = min(count, len(np.unique(unit.round(6), axis=0)))
    state = seed_from(seed, "clusters") % 2**32
    found = MiniBatchKMeans(count, n_init=3, random_state=state, batch_size=2048).fit_predict(unit)
    order = np.argsort(-np.bincount(found, minlength=count), kind="stable")
    rank = np.empty(count, np.int64)
    rank[order] = np.arange(count)
    numbers: NDArray[np.int64] = rank[found]
    return numbers


def _nearest(vectors: Tensor) -> NDArray[np.int64]:
    """(N, k) the most similar other samples by cosine, the most similar first."""
    rows, k = vectors.float().numpy(), min(NEIGHBOURS, len(vectors) - 1)
    _, found = Neighbours(rows).search(rows, k + 1)
    own = found == np.arange(len(rows))[:, None]
    own[~own.any(1), -1] = True  # of more equal vectors than are asked for, its own may be missing
    others: NDArray[np.int64] = found[~own].reshape(len(rows), k)
    return others


def _sheets(parts: Sequence[Samples]) -> list[bytes]:
    """JPEG sheets of COLUMNS x COLUMNS thumbnails, in the order of the samples; none where there is nothing to see."""
    sheets: list[Image.Image] = []
    number, total = 0, sum(len(part) for part in parts)
    with late_bar("thumbnails") as progress:
        for part in parts:
            views = part.eval_draws(len(part), 1)[0]
            for start in range(0, len(part), 64):
                rows = np.arange(start, min(start + 64, len(part)))
                seen = next((x for x in part.read(rows, views[rows]).inputs.values() if x.ndim >= 4), None)
                if seen is None:
                    return []
                for one in seen if seen.ndim == 4 else seen[:, seen.shape[1] // 2]:
                    sheet, at = divmod(number, COLUMNS * COLUMNS)
                    if sheet == len(sheets):
                        sheets.append(Image.new("RGB", (TILE * COLUMNS, TILE * COLUMNS)))
                    tile = drawn(one).resize((TILE, TILE), Image.Resampling.LANCZOS)
                    sheets[sheet].paste(tile, (at % COLUMNS * TILE, at // COLUMNS * TILE))
                    number += 1
                progress(number, total)
    if sheets:
        left = number - (len(sheets) - 1) * COLUMNS * COLUMNS
        sheets[-1] = sheets[-1].crop((0, 0, TILE * COLUMNS, -(-left // COLUMNS) * TILE))
    return [_jpeg(sheet) for sheet in sheets]


def _jpeg(image: Image.Image) -> bytes:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=80)
    return data.getvalue()
