"""The vector of every sample with the right preprocessing, and the samples most like one picture."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import torch.nn.functional as F

from selftaught.batch import Batch
from selftaught.config import RunConfig
from selftaught.decode import Unreadable, decode_image
from selftaught.encode import NEEDS, all_features, encode, probe_sampling
from selftaught.encoders.base import Encoder
from selftaught.ops.crop import crop_resize
from selftaught.prepare import pack
from selftaught.run import load_encoder, read_config
from selftaught.sources import open_source
from selftaught.store import NothingReadable, Samples
from selftaught.value_range import decoding_of, with_range

SPLITS = ("train", "held_out", "test")


def embed_data(
    run: str | Path,
    data: str,
    out: str | Path,
    *,
    split: str = "all",
    part: str = "encoder",
    checkpoint: str = "last",
    download: bool = False,
) -> Path:
    """Write a Parquet file with columns id, path, label (where there are labels) and vector (D float32)."""
    config = read_config(run)
    encoder = load_encoder(run, part=part, checkpoint=checkpoint)
    keys, labels, vectors = _features(encoder, config, data, split=split, download=download)
    columns: dict[str, Any] = {"id": pa.array(np.arange(len(keys))), "path": pa.array(keys)}
    if any(label is not None for label in labels):
        columns["label"] = pa.array(labels)
    flat = pa.array(vectors.flatten().numpy())
    columns["vector"] = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    pq.write_table(pa.table(columns), temporary)
    temporary.replace(out)
    return out


def search_data(
    run: str | Path, data: str, query: str | Path, top: int = 10, *, split: str = "all", download: bool = False
) -> list[dict[str, Any]]:
    """The `top` samples whose vectors have the largest cosine with the picture's: rank, path, similarity, label."""
    if top < 1:
        raise ValueError(f"--top must be at least 1, got {top}")
    config = read_config(run)
    encoder = load_encoder(run)
    first = SPLITS[0] if split == "all" else split
    source = open_source(data, split=first, needs=NEEDS[encoder.kind], download=download, seed=0, held_out=0.1)
    config = with_range(config, source)
    asked = encode(encoder, _query(Path(query), config), config.size, config.precision)
    keys, labels, vectors = _features(encoder, config, data, split=split, download=download)
    similarity = (F.normalize(asked, dim=1) @ F.normalize(vectors, dim=1).T)[0]
    values, found = similarity.topk(min(top, len(keys)))
    return [
        {"rank": rank, "path": keys[i], "similarity": round(value, 6)} | ({"label": labels[i]} if labels[i] else {})
        for rank, (i, value) in enumerate(zip(found.tolist(), values.tolist(), strict=True), 1)
    ]


def _query(path: Path, config: RunConfig) -> Batch:
    try:
        picture = decode_image(path.read_bytes(), decoding=decoding_of(config))
    except (OSError, Unreadable) as error:
        raise ValueError(f"--query {path} cannot be read: {error}") from None
    pixels = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None]
    height, width = pixels.shape[-2:]
    side = min(height, width)
    box = torch.tensor([[(height - side) / 2, (width - side) / 2, side, side]], dtype=torch.float32)
    # Large photographs go through the same two-step reduction as stored ones.
    square = crop_resize(pixels, box, min(side, 512)).mul(255).round().byte()
    return Batch(index=torch.zeros(1, dtype=torch.int64), image=square)


def _features(
    encoder: Encoder, config: RunConfig, data: str, *, split: str, download: bool
) -> tuple[list[str], list[str | None], torch.Tensor]:
    keys: list[str] = []
    labels: list[str | None] = []
    vectors = []
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for samples in _samples(encoder, config, data, split, download):
        keys += samples.keys
        labels += _label_names(samples)
        vectors.append(
            all_features(encoder, samples, size=config.size, device=device, precision=config.precision, clips=3)
        )
    return keys, labels, torch.cat(vectors)


def _samples(encoder: Encoder, config: RunConfig, data: str, split: str, download: bool) -> list[Samples]:
    """The split asked for, or every sample of the data once."""
    if split not in (*SPLITS, "all"):
        raise ValueError(f"--split must be one of {', '.join(SPLITS)} or all, got {split!r}")
    opened: list[Samples] = []
    empty: NothingReadable | None = None
    seen: set[str] = set()
    for name in SPLITS if split == "all" else (split,):
        source = open_source(data, split=name, needs=NEEDS[encoder.kind], download=download, seed=0, held_out=0.1)
        if source.fingerprint in seen:
            continue
        seen.add(source.fingerprint)
        config = with_range(config, source)
        try:
            opened.append(pack(source, config, probe_sampling(encoder), title=f"packing {name}"))
        except NothingReadable as nothing:
            empty = nothing
    if empty is not None and not opened:
        raise empty
    return opened


def _label_names(samples: Samples) -> list[str | None]:
    if samples.labels is None or samples.classes is None:
        return [None] * len(samples)
    return [samples.classes[i] if i >= 0 else None for i in samples.labels]
