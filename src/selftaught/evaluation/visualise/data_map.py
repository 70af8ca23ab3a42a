"""A map of the data: images with similar features are close together."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from selftaught.core.randomness import seed_from
from selftaught.evaluation.visualise.gallery import Gallery
from selftaught.ops.colour import denormalise
from selftaught.ops.false_colours import in_colours
from selftaught.ops.sheet import fit

Method = Literal["tsne", "umap"]
NAMES = {"tsne": "t-SNE", "umap": "UMAP"}
TILE = 24
"""Side of a thumbnail, pixels."""
DIMENSIONS = 50
"""Principal components the map is made from."""
LEAST = 8
"""Images a map is made of."""
NEIGHBOURS = 10
"""k of the share of neighbours that a map keeps."""


def data_map(features: Tensor, *, method: Method = "tsne", neighbours: float = 30.0, seed: int = 0) -> Tensor:
    """Features (M, D) -> points (M, 2) in [0, 1], near each other where the cosine of the features is large.

    t-SNE (van der Maaten & Hinton, JMLR 2008) by scikit-learn, from 50 principal components as in the paper, starting
    at the first two; or UMAP (McInnes et al. 2018) where umap-learn is installed.

    Args:
        neighbours: that an image is drawn to: t-SNE's perplexity, UMAP's n_neighbors; fewer where data are few.
    """
    if len(features) < LEAST:
        raise ValueError(f"a map of the data needs at least {LEAST} images, got {len(features)}; give more data")
    reduced = _principal(features)
    if np.ptp(reduced) < 1e-6:  # a collapsed encoder: all images are one point
        return torch.full((len(features), 2), 0.5)
    found = _tsne(reduced, neighbours, seed) if method == "tsne" else _umap(reduced, neighbours, seed)
    points = torch.from_numpy(np.ascontiguousarray(found, dtype=np.float32))
    low, high = points.amin(0), points.amax(0)
    # One scale for both axes, so that distances stay comparable.
    return 0.5 + (points - (low + high) / 2) / (high - low).max().clamp(min=1e-12)


def neighbours_kept(features: Tensor, points: Tensor, k: int = NEIGHBOURS) -> float:
    """Mean share, in percent, of each sample's k nearest by cosine of features that are among its k nearest points."""
    k = min(k, len(features) - 1)
    unit = F.normalize(features.float(), dim=1)
    by_features = _nearest(-(unit @ unit.T), k)
    by_points = _nearest(torch.cdist(points.double(), points.double()), k)
    same = (by_features[:, :, None] == by_points[:, None, :]).any(2)
    return 100 * float(same.float().mean())


def _nearest(distances: Tensor, k: int) -> Tensor:
    own = torch.eye(len(distances), dtype=torch.bool)
    return distances.masked_fill(own, torch.inf).topk(k, largest=False).indices


def _principal(features: Tensor) -> NDArray[np.float32]:
    unit = F.normalize(features.double(), dim=1)
    centred = unit - unit.mean(0)
    left, values, _ = torch.linalg.svd(centred, full_matrices=False)
    reduced: NDArray[np.float32] = (left * values)[:, :DIMENSIONS].float().numpy()
    return reduced


def _tsne(rows: NDArray[np.float32], perplexity: float, seed: int) -> NDArray[np.float32]:
    from sklearn.manifold import TSNE

    # scikit-learn wants a perplexity below the number of samples; a third is what its neighbour search can fill.
    perplexity = min(perplexity, (len(rows) - 1) / 3)
    random_state = seed_from(seed, "map") % 2**32
    found: NDArray[np.float32] = TSNE(perplexity=perplexity, init="pca", random_state=random_state).fit_transform(rows)
    return found


def _umap(rows: NDArray[np.float32], neighbours: float, seed: int) -> NDArray[np.float32]:
    try:
        from umap import UMAP
    except ImportError:
        raise ValueError(
            "--probe.method umap needs the package umap-learn; install it with pip install 'selftaught[umap]', "
            "or use --probe.method tsne"
        ) from None
    near = max(2, min(round(neighbours), len(rows) - 1))
    random_state = seed_from(seed, "map") % 2**32
    found: NDArray[np.float32] = UMAP(n_neighbors=near, random_state=random_state, n_jobs=1).fit_transform(rows)
    return found


def draw_map(gallery: Gallery, features: Tensor, *, method: Method, neighbours: float, seed: int) -> dict[str, Any]:
    """The part "map" of the index, from the features (M, D) of all images of the gallery."""
    points = data_map(features, method=method, neighbours=neighbours, seed=seed)
    k = min(NEIGHBOURS, len(features) - 1)
    kept = round(neighbours_kept(features, points, k), 2)
    caption = (
        f"{len(points)} images by {NAMES[method]}: similar features are close together; how far apart groups are "
        "means little."
    )
    tiles = torch.cat([fit(in_colours(denormalise(views)), TILE).cpu() for views in gallery.views()])
    sheet = gallery.add("thumbnails.jpg", tiles, columns=math.isqrt(len(tiles) - 1) + 1, gap=0, caption=caption)
    x, y = ([round(value, 4) for value in points[:, axis].tolist()] for axis in (0, 1))
    rows = range(len(points))
    return sheet | {
        "method": method,
        "neighbours": k,
        "kept": kept,
        "x": x,
        "y": y,
        "keys": [gallery.key(row) for row in rows],
        "labels": [gallery.label(row) for row in rows],
    }
