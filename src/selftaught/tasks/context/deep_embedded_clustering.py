"""Deep embedded clustering."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Image, Input
from selftaught.encoders.base import Encoder
from selftaught.encoders.modality import pooled_features
from selftaught.ops.colour import denormalise, normalise
from selftaught.ops.crop import centre_view, random_resized_crop
from selftaught.tasks.base import Known, PretextTask, Recipe, Refreshed, Shown
from selftaught.tasks.parts.heads import Decoder
from selftaught.tasks.parts.kmeans import kmeans, normalised_mutual_information


@dataclass
class Example:
    """What the encoder sees (N, 3, S, S), the whole image (N, 3, S, S), both normalised, and the target (N, K).

    The target is a distribution over clusters; zeros while there are none.
    """

    seen: Tensor
    picture: Tensor
    target: Tensor


@dataclass
class Prediction:
    """Logarithm of the soft assignment (N, K); the reconstruction (N, 3, S, S), or None; 0 for parameters at rest."""

    log_share: Tensor
    reconstruction: Tensor | None
    rest: Tensor


class DeepEmbeddedClustering(PretextTask):
    """Predict a sharpened version of the soft cluster assignment of an image (Xie, Girshick, Farhadi, ICML 2016).

    Link: https://arxiv.org/abs/1511.06335

    Flow, first phase: image (N, 3, H, W) -> central square (N, 3, S, S), a fifth of its values set to 0 -> encoder (N,
    D) -> linear (N, E) -> decoder (N, 3, S, S) -> mean squared error to the whole square. Then the embeddings z of all
    images are clustered by k-means, which gives the centroids mu (K, E). Second phase: square -> z (N, E) -> soft
    assignment q_ij = (1 + |z_i - mu_j|^2)^-1, normalised over j -> KL(p || q), which moves encoder and centroids. The
    target p_ij = q_ij^2 / f_j, normalised over j, with f_j = sum_i q_ij over all images, is updated every `every`
    epochs.

    Squaring strengthens confident assignments, and the division by f keeps large clusters from growing, so the network
    learns from its most confident assignments. The second phase starts after the autoencoder's share of the steps.

    On held-out data the target comes from the central square and the prediction from a random crop of at least half of
    the image. The metric is Cohen's kappa of the two clusters: their agreement above chance given the clusters' sizes,
    0 for chance and 1 at best; it is 0 while there are no clusters. refresh.csv has the share of images that changed
    their cluster (the paper stops at 0.1 %), the share of the largest cluster and the normalised mutual information
    with the labels, if the data have any; none of this is used for training.

    Shortcut: one cluster for all images makes q and p equal and the loss 0. Guard: p is divided by the clusters' sizes
    over all data, targets are fixed for an epoch, and the clusters start from k-means on a trained autoencoder. The
    metric does not reward a collapse: with one cluster kappa is 0.

    Differences from the paper: the encoder is a convolutional network, the decoder has up-convolutions, and both learn
    together from the start instead of layer by layer; the paper clusters MNIST's pixels and, for photographs, HOG
    features with a colour map. The divergence is a mean over images; the learning rate falls by a cosine. With
    `--task.reconstruction` above 0 the reconstruction loss is kept in the second phase, as in IDEC (Guo et al., IJCAI
    2017, with 10 times the weight of the clustering); the paper drops it. With `--task.min-scale` below 1 the views are
    random crops; the paper has no augmentation.
    """

    recipe = Recipe(optimizer="sgd", lr=0.1, weight_decay=0.0)

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        clusters: Annotated[int, Range(least=2)] = 10
        """Number of clusters K, about the expected number of classes."""
        embedding: Annotated[int, Range(least=1)] = 10
        """Length E of the embedding."""
        autoencoder: Annotated[float, Range(least=0, below=1)] = 0.5
        """Fraction of the steps, at the start, in which only the autoencoder is trained."""
        corruption: Annotated[float, Range(least=0, below=1)] = 0.2
        """Fraction of the input values set to 0 for the autoencoder."""
        reconstruction: Annotated[float, Range(least=0)] = 0.0
        """Weight of the reconstruction loss in the second phase; 0 drops the decoder, as in the paper."""
        every: Annotated[float, Range(above=0)] = 1.0
        """Epochs from one target distribution to the next."""
        restarts: Annotated[int, Range(least=1)] = 20
        """Number of k-means initialisations; the best result is used."""
        width: Annotated[int, Range(least=1)] = 256
        """Channels of the decoder at its lowest resolution."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 1.0
        """Smallest share of the image's area that a view covers; 1 takes the central square."""

    targets: Tensor
    """(largest sample number + 1, K); no rows while there are no clusters."""
    frequency: Tensor
    progress: Tensor

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"image": Image()}

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        self.head = nn.Linear(encoder.num_features, config.embedding)
        self.decoder = Decoder(config.embedding, 1, out=3, side=size, width=config.width)
        self.centroids = nn.Parameter(torch.zeros(config.clusters, config.embedding))
        self.register_buffer("targets", torch.zeros(0, config.clusters))
        self.register_buffer("frequency", torch.ones(config.clusters))
        self.register_buffer("progress", torch.zeros((), dtype=torch.float64))
        # They are the same in all processes: DistributedDataParallel need not send them at every step.
        self._ddp_params_and_buffers_to_ignore = ["targets"]

    @property
    def has_clusters(self) -> bool:
        """Whether the second part, the clustering, has begun."""
        return len(self.targets) > 0

    def metric_name(self) -> str:
        return "agreement"

    def chance(self, batch_size: int) -> float:
        return 0.0

    def refresh_epochs(self) -> float:
        return self.config.every

    def refresh_shares(self) -> Sequence[float]:
        """The clustering starts when the autoencoder has had its share, not at the end of the epoch."""
        return (self.config.autoencoder,)

    def after_step(self, step: int, total: int) -> None:
        self.progress.fill_((step + 1) / total)

    @torch.no_grad()
    def embed(self, batch: Batch) -> Tensor:
        """Embeddings (N, E) of the central squares; zeros while they are not needed."""
        if float(self.progress) < self.config.autoencoder:
            return torch.zeros(len(batch), self.config.embedding, device=batch.index.device)
        embedding: Tensor = self.head(pooled_features(self.encoder, batch.inputs, self.size))
        return embedding

    def before_epoch(self, known: Known, count: int, rng: Generator) -> Refreshed:
        """Once the autoencoder has had its share: centroids by k-means, then new targets from all assignments."""
        has_label = torch.zeros(0) if known.labels is None else known.labels >= 0
        names = ("changed", "largest_share", *(("nmi_labels",) if bool(has_label.any()) else ()))
        clusters = self.config.clusters
        if len(known.index) < clusters:
            raise ValueError(
                f"--task.clusters {clusters} is more than the {len(known.index)} training samples; lower it"
            )
        if float(self.progress) < self.config.autoencoder:
            return Refreshed(scalars=dict.fromkeys(names, 0.0))
        if not self.has_clusters:
            self.centroids.copy_(kmeans(known.features, clusters, rng, restarts=self.config.restarts)[0])
        share = log_soft_assignment(known.features, self.centroids.float().cpu()).exp()
        target = target_distribution(share, share.sum(0))
        before = self.targets.cpu()
        self.frequency = share.sum(0)
        self.targets = torch.zeros(int(known.index.max()) + 1, clusters).index_copy(0, known.index, target)
        labels = share.argmax(1)
        figures = {
            "changed": float((before[known.index].argmax(1) != labels).float().mean()) if len(before) else 1.0,
            "largest_share": float(torch.bincount(labels).max() / len(labels)),
        }
        if "nmi_labels" in names:
            assert known.labels is not None
            figures["nmi_labels"] = normalised_mutual_information(labels[has_label], known.labels[has_label])
        return Refreshed(scalars=figures)

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Image (N, 3, H, W) uint8 -> `Example`: a corrupted square first, later the square and its target."""
        scale = self.config.min_scale if self.training else min(0.5, self.config.min_scale)
        if scale < 1:
            picture = normalise(random_resized_crop(batch["image"], self.size, rng, scale=(scale, 1.0)))
        else:
            picture = centre_view(batch["image"], self.size)
        if not self.has_clusters:
            kept = torch.rand(picture.shape, generator=rng, device=picture.device) >= self.config.corruption
            seen = (picture * kept).contiguous(memory_format=torch.channels_last)
            return Example(seen, picture, picture.new_zeros(len(batch), self.config.clusters))
        if self.training:
            return Example(picture, picture, self.targets[batch.index])
        share = log_soft_assignment(self.embed(batch).float(), self.centroids.float()).exp()
        return Example(picture, picture, target_distribution(share, self.frequency))

    def forward(self, example: Example) -> Prediction:
        """The soft assignment; images by the decoder where it is used."""
        embedding = self.head(self.encoder(example.seen))
        log_share = log_soft_assignment(embedding.float(), self.centroids.float())
        # With DistributedDataParallel every parameter must be part of every loss, even with weight 0.
        if self.has_clusters and self.config.reconstruction == 0:
            rest = torch.stack([parameter.sum() for parameter in self.decoder.parameters()])
            return Prediction(log_share, None, 0 * rest.sum())
        return Prediction(log_share, self.decoder(embedding[:, :, None, None]), 0 * log_share.sum())

    def loss(self, prediction: Prediction, example: Example) -> dict[str, Tensor]:
        """The reconstruction's error first, the divergence from the targets later."""
        zero = torch.zeros((), device=example.picture.device)
        error = divergence = agreement = zero
        if prediction.reconstruction is not None:
            error = (prediction.reconstruction.float() - example.picture).square().mean()
        if self.has_clusters:
            divergence = F.kl_div(prediction.log_share, example.target, reduction="batchmean")
            agreement = kappa(prediction.log_share.argmax(1), example.target.argmax(1), self.config.clusters)
        loss = divergence + self.config.reconstruction * error if self.has_clusters else error
        return {
            "loss": loss + prediction.rest,
            "agreement": agreement,
            "divergence": divergence.detach(),
            "reconstruction": error.detach(),
        }

    def show(self, example: Example, prediction: Prediction, count: int) -> list[Shown]:
        """What the encoder saw; the image and its reconstruction, or the cluster and the predicted one."""
        pictures, seen = denormalise(example.picture), denormalise(example.seen)
        if not self.has_clusters:
            assert prediction.reconstruction is not None
            made = denormalise(prediction.reconstruction.float())
            rows = range(min(count, len(seen)))
            return [Shown(inputs=[seen[i]], pseudo_label=pictures[i], prediction=made[i]) for i in rows]
        words = [
            [f"cluster {int(j)} ({float(p):.2f})" for p, j in zip(*share.max(1), strict=True)]
            for share in (example.target, prediction.log_share.exp())
        ]
        return [Shown(inputs=[x], pseudo_label=a, prediction=b) for x, a, b in zip(seen, *words, strict=True)][:count]


def log_soft_assignment(embedding: Tensor, centroids: Tensor) -> Tensor:
    """Logarithm of Student's t with one degree of freedom, normalised over centroids (the paper's eq. 1).

    embedding (N, E), centroids (K, E) -> (N, K).
    """
    squared = (embedding[:, None] - centroids[None]).square().sum(2)
    return F.log_softmax(-torch.log1p(squared), dim=1)


def target_distribution(share: Tensor, frequency: Tensor) -> Tensor:
    """Soft assignments (N, K) squared, over the clusters' frequencies (K,), normalised again (the paper's eq. 3)."""
    weight = share.square() / frequency
    return weight / weight.sum(1, keepdim=True)


def kappa(first: Tensor, second: Tensor, classes: int) -> Tensor:
    """Cohen's kappa of two labellings (N,) int64: (observed - expected) / (1 - expected); 0 where both are constant."""
    shares = [torch.bincount(x, minlength=classes).float() / len(x) for x in (first, second)]
    expected = (shares[0] * shares[1]).sum()
    return ((first == second).float().mean() - expected) / (1 - expected).clamp(min=1e-6)
