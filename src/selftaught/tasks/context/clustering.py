"""DeepCluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Generator, Tensor, nn

from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Image, Input
from selftaught.encoders.base import Encoder, EncoderSpec
from selftaught.encoders.modality import modality_of
from selftaught.ops.colour import denormalise
from selftaught.tasks.base import Known, PretextTask, Recipe, Refreshed, Shown
from selftaught.tasks.parts.kmeans import fit_whitening, kmeans, nearest, normalised_mutual_information, whiten
from selftaught.tasks.parts.losses import classification

LEAST_MEMBERS = 20
"""Fewer clusters than asked for are computed where they would have fewer samples than this on average."""


@dataclass
class Example:
    """Views (N, 3, S, S) normalised, of clips (N, 3, T, S, S), and the cluster of the sample of each (N,) int64."""

    images: Tensor
    cluster: Tensor


class Clustering(PretextTask):
    """Predict the cluster of an image in a clustering of the features of all images (Caron et al., ECCV 2018).

    Link: https://arxiv.org/abs/1807.05520

    Flow: every `every` epochs, central squares of all M images -> encoder (M, D) -> PCA, whitening, unit length (M, P)
    -> k-means -> cluster of each image (M,). Every step, image (N, 3, H, W) -> random crop, mirrored half of the time
    (N, 3, S, S) -> encoder (N, D) -> linear (N, K) -> cross entropy with the image's cluster.

    Even random convolutions group similar images better than chance. Learning to predict the groups from other crops
    improves the features, and with them the next groups.

    `--encoder sobel:resnet18` shows the encoder the gradients of the grey image, as in the paper: without colour there
    can be no clusters of equal colour, which are easy to predict and carry little information.

    With `--task.frames 16` and `--encoder r3d_18`, for example, the task uses clips of 16 frames instead of images. The
    clustering reads the middle clip of each video, and a training step reads one from a random position, with the same
    crop for all its frames.

    Held-out images are assigned to the centroid nearest to the features of their central square under the current
    encoder; the metric is how often the head predicts this cluster from a random crop. refresh.csv has, for every
    clustering, the number of clusters with members, the share of the largest, and the normalised mutual information
    with the previous clustering (0 for the first) and with the labels, if the data have any; none of this is used for
    training.

    Shortcut: if most images are in few clusters, a head that always predicts these has a low loss whatever the features
    are, and k-means may leave clusters empty. Guard: every cluster is sampled equally often in an epoch, and an empty
    cluster takes over a part of a large one. Clusters are numbered differently each time, so the head is reset to N(0,
    0.01).

    Differences from the paper: one linear layer follows global pooling; the pooled features are clustered; the learning
    rate falls by a cosine (the paper's is constant); weight decay is 5e-4 (1e-5). The paper has 10,000 clusters for 1.3
    million images of 1,000 classes: ten per class, with 128 images each. The default is ten per class for ten classes,
    with at least 20 images per cluster on average.
    """

    any_channels = True
    recipe = Recipe(optimizer="sgd", lr=0.05, weight_decay=5e-4)

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        clusters: Annotated[int, Range(least=2)] = 100
        """Number of clusters, about ten times the expected number of classes; reduced to keep at least 20 images per
        cluster."""
        pca: Annotated[int, Range(least=1)] = 256
        """Largest number of principal components of the features to keep."""
        every: Annotated[float, Range(above=0)] = 1.0
        """Epochs from one clustering to the next."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.08
        """Smallest share of the image's area that a crop covers."""
        frames: Annotated[int, Range(least=0)] = 0
        """Frames per clip, for encoders of clips; 0 clusters images."""

    cluster_of: Tensor
    """(largest sample number + 1,) int64; -1 where the run does not read the sample."""
    mean: Tensor
    whitening: Tensor
    centroids: Tensor

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"clip": Clip(frames=config.frames)} if config.frames else {"image": Image()}

    @classmethod
    def encoders_for(cls, config: Config) -> Mapping[str, EncoderSpec]:
        """An encoder of clips where clips are clustered."""
        return {"encoder": EncoderSpec("video")} if config.frames else cls.encoders

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        self.head = nn.Linear(encoder.num_features, config.clusters)
        # Their shapes follow the data; see `before_epoch`.
        self.register_buffer("cluster_of", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("mean", torch.zeros(encoder.num_features))
        self.register_buffer("whitening", torch.zeros(encoder.num_features, 0))
        self.register_buffer("centroids", torch.zeros(0, 0))

    def chance(self, batch_size: int) -> float:
        return 1 / (len(self.centroids) or self.config.clusters)

    def refresh_epochs(self) -> float:
        return self.config.every

    def before_epoch(self, known: Known, count: int, rng: Generator) -> Refreshed:
        """Cluster all samples, reset the head, and read the clusters equally often."""
        clusters = max(2, min(self.config.clusters, len(known.index) // LEAST_MEMBERS))
        if len(known.index) < clusters:
            raise ValueError(f"task 'clustering' needs at least {clusters} training samples, got {len(known.index)}")
        self.mean, self.whitening = fit_whitening(known.features, self.config.pca)
        self.centroids, labels = kmeans(whiten(known.features, self.mean, self.whitening), clusters, rng)
        before = self.cluster_of.cpu()
        self.cluster_of = torch.full((int(known.index.max()) + 1,), -1).scatter(0, known.index, labels)
        self.head.weight.copy_(torch.randn(self.head.weight.shape, generator=rng) * 0.01)
        self.head.bias.zero_()
        sizes = torch.bincount(labels, minlength=clusters)
        scalars = {
            "clusters": float((sizes > 0).sum()),
            "largest_share": float(sizes.max() / len(labels)),
            "nmi_before": normalised_mutual_information(before[known.index], labels) if len(before) else 0.0,
        }
        if known.labels is not None and bool((has_label := known.labels >= 0).any()):
            scalars["nmi_labels"] = normalised_mutual_information(labels[has_label], known.labels[has_label])
        return Refreshed(order=known.index[balanced_order(labels, count, rng)], scalars=scalars)

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Image (N, 3, H, W) or clip (N, T, 3, H, W), uint8 -> `Example` of N crops with their samples' clusters."""
        given = batch["clip" if self.config.frames else "image"]
        images = modality_of(given).training_view(given, self.size, rng, min_scale=self.config.min_scale)
        if self.training:
            return Example(images, self.cluster_of[batch.index])
        features = whiten(self.embed(batch), self.mean, self.whitening)
        return Example(images, nearest(features, self.centroids))

    def forward(self, example: Example) -> Tensor:
        """Logits (N, K) of the clusters there are."""
        logits: Tensor = self.head(self.encoder(example.images))
        return logits[:, : len(self.centroids)]

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """Cross entropy with the clusters."""
        return classification(prediction, example.cluster)

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """A crop, the cluster of its image and the predicted one."""
        chosen = prediction.detach().float().softmax(1)
        return [
            Shown(
                inputs=[_pixels(example.images[i])],
                pseudo_label=f"cluster {int(example.cluster[i])}",
                prediction=f"cluster {int(chosen[i].argmax())} ({float(chosen[i].max()):.2f})",
            )
            for i in range(min(count, len(chosen)))
        ]


def _pixels(view: Tensor) -> Tensor:
    """An image (3, S, S) or clip (T, 3, S, S) in [0, 1] from what the encoder takes."""
    return denormalise(view.transpose(0, 1)) if view.ndim == 4 else denormalise(view[None])[0]


def balanced_order(labels: Tensor, count: int, rng: Generator) -> Tensor:
    """`count` rows of `labels` (M,) in random order, every cluster equally often and its members in turn, (count,)."""
    shuffled = torch.randperm(len(labels), generator=rng)
    by_cluster = shuffled[labels[shuffled].argsort(stable=True)]
    sizes = torch.bincount(labels)
    sizes = sizes[sizes > 0]
    starts = sizes.cumsum(0) - sizes
    slot = torch.arange(count)
    cluster, turn = slot % len(sizes), slot // len(sizes)
    rows = by_cluster[starts[cluster] + turn % sizes[cluster]]
    return rows[torch.randperm(count, generator=rng)]
