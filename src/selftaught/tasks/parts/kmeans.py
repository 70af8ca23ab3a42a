"""k-means, the whitening that DeepCluster does before it, and how well two clusterings agree."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

_NEGLIGIBLE = 1e-6
"""Principal components with less than this share of the largest variance are treated as rounding errors."""


def fit_whitening(features: Tensor, components: int) -> tuple[Tensor, Tensor]:
    """Principal components scaled to variance 1, for `whiten`; by faiss, as in DeepCluster's own code.

    Args:
        features: (M, D) on the CPU.
        components: P, at most; fewer where the data have fewer directions.

    Returns:
        The mean (D,) and a matrix (D, P) whose columns are eigenvectors of the covariance over the root of their
        eigenvalue, the largest first; both float32.
    """
    import faiss

    count, width = features.shape
    directions = faiss.PCAMatrix(width, min(components, width, count))
    directions.max_points_per_d = count  # all samples, where faiss would take 1000 for each dimension
    directions.train(features.float().contiguous().numpy())
    vectors = torch.from_numpy(faiss.vector_to_array(directions.A)).view(-1, width)
    # faiss gives sums of squares, and nothing for directions beyond the number of samples.
    variance = torch.from_numpy(faiss.vector_to_array(directions.eigenvalues))[: len(vectors)] / max(1, count - 1)
    kept = variance > _NEGLIGIBLE * variance[0].clamp(min=1e-30)
    mean = torch.from_numpy(faiss.vector_to_array(directions.mean))
    return mean, (vectors[kept] / variance[kept, None].sqrt()).T.contiguous()


def whiten(features: Tensor, mean: Tensor, matrix: Tensor) -> Tensor:
    """Features (M, D) -> whitened principal components of unit length (M, P)."""
    return F.normalize((features.float() - mean) @ matrix, dim=1)


def kmeans(
    points: Tensor, clusters: int, rng: Generator, *, iterations: int = 20, restarts: int = 1
) -> tuple[Tensor, Tensor]:
    """Lloyd's k-means by faiss, the best of `restarts`; no cluster stays empty while another can be split.

    Args:
        points: (M, P) on the CPU, at least as many as clusters.

    Returns:
        Centroids (K, P) float32 and the cluster of each point (M,) int64.
    """
    import faiss

    seed = int(torch.randint(2**31 - 1, (1,), generator=rng))
    search = faiss.Kmeans(
        points.shape[1],
        clusters,
        niter=iterations,
        nredo=restarts,
        seed=seed,
        min_points_per_centroid=1,
        max_points_per_centroid=10_000_000,
    )
    search.train(points.float().contiguous().numpy())
    assert search.centroids is not None
    centroids = torch.from_numpy(search.centroids.copy())
    return split_for_empty(points.float(), centroids, nearest(points, centroids), rng)


def split_for_empty(points: Tensor, centroids: Tensor, labels: Tensor, rng: Generator) -> tuple[Tensor, Tensor]:
    """Every empty cluster takes over a part of the largest one (Caron et al., ECCV 2018, section 3.4).

    Its centroid is the large cluster's mean moved by a little noise, the other's is moved the other way, and the
    large cluster's points go to the nearer of the two. Points that are all the same cannot be split.
    """
    centroids, labels = centroids.clone(), labels.clone()
    for empty in (torch.bincount(labels, minlength=len(centroids)) == 0).nonzero().flatten().tolist():
        largest = int(torch.bincount(labels, minlength=len(centroids)).argmax())
        members = (labels == largest).nonzero().flatten()
        inside = points[members]
        noise = torch.randn(points.shape[1], generator=rng) * 1e-2 * inside.std(0, correction=0)
        halves = torch.stack([inside.mean(0) + noise, inside.mean(0) - noise])
        moved = members[nearest(inside, halves) == 1]
        if len(moved) in (0, len(members)):
            break
        labels[moved] = empty
        centroids[largest], centroids[empty] = halves
    return centroids, labels


def nearest(points: Tensor, centroids: Tensor) -> Tensor:
    """Index (M,) int64 of the centroid (K, P) with the least Euclidean distance to each point (M, P)."""
    half = centroids.float().square().sum(1) / 2
    return torch.cat([(half - rows.float() @ centroids.float().T).argmin(1) for rows in points.split(65_536)])


def normalised_mutual_information(first: Tensor, second: Tensor) -> float:
    """I(A; B) / sqrt(H(A) H(B)) of two labellings (M,) int64 of the same samples: 0 unrelated, 1 the same partition.

    0 if a labelling has only one class.
    """
    from sklearn.metrics import normalized_mutual_info_score

    if (first == first[0]).all() or (second == second[0]).all():
        return 0.0  # two constant labellings are "the same partition" for scikit-learn: 1
    return float(normalized_mutual_info_score(first.numpy(), second.numpy(), average_method="geometric"))
