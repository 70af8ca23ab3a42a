"""Transitive invariance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Generator, Tensor

from selftaught.core.distributed import gather_rows
from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Input
from selftaught.encoders.base import Encoder, EncoderSpec
from selftaught.ops.clips.tracking import coarse_flow, moving_squares
from selftaught.ops.clips.windows import degraded_crop, inner_areas
from selftaught.ops.crop import crop_resize
from selftaught.tasks.base import Known, PretextTask, Recipe, Refreshed, Shown
from selftaught.tasks.parts.clips.ranking import found_among, own_group, ranking_loss
from selftaught.tasks.parts.clips.short_clips import encoder_of, for_encoder, shown
from selftaught.tasks.parts.clips.tracked_pairs import shown_track, tracked_pairs
from selftaught.tasks.parts.gradient_histograms import gradient_histograms
from selftaught.tasks.parts.graph import nearest_neighbours, same_class
from selftaught.tasks.parts.heads import projection_head
from selftaught.tasks.parts.losses import weighted_mean

DESCRIBED = 64
"""Side of the patches whose gradients are described, pixels."""
KINDS = ("track", "neighbour", "transitive")
"""The three kinds of positive pairs: A-A', A-B, and A'-B', which follows from both."""


@dataclass
class Example:
    """Patches A and A' as of `TrackedPairs`, and (N,) float, 1 where the other row of a pair is a neighbour, else 0."""

    views: Tensor
    squares: Tensor
    moves: Tensor
    linked: Tensor
    video: Tensor


class Transitive(PretextTask):
    """Learn what a track and a neighbour connect, and what follows from both (Wang, He, Gupta, ICCV 2017).

    Link: https://arxiv.org/abs/1708.02901

    Flow: every `every` epochs, a descriptor of the moving patch A of each of M clips -> its k nearest neighbours B,
    inter-instance edges of a graph. Every step, two neighbours are neighbouring rows of a batch: clips (N, T, 3, H, W)
    -> A and, tracked to the last frame, A' (intra-instance edge); B and B' likewise -> patches (2 N, 3, S, S) -> 2-D
    encoder, shared (2 N, D) -> linear, ReLU, linear (2 N, E) -> ranking losses of the pairs A-A', A-B and A'-B', D = 1
    - cosine, X- one of K negatives from other pairs:

        max(0, D(X, X+) - D(X, X-) + margin)

    A track knows one thing in several views, a neighbour other things that look the same in one view. By transitivity,
    A' and B' are alike too, though they share neither the video nor the view: the network learns invariance to both at
    once.

    Held-out clips have no graph: the metric is how often A' is the nearest of all second patches of the batch to A.
    refresh.csv has the share of edges that connect clips of one label, which is not used for training.

    Shortcut: as in `tracked_patches`, patches that do not move, colours, borders and codecs; and neighbours that are
    found by the features that are being learned would only confirm them. Guard: clips without motion have no part in
    the loss; patches have colours, blur and noise of their own and keep off borders (`ops.clips.windows`); neighbours
    are found by histograms of gradients, which do not depend on colour. On clips of one repeated frame the loss has no
    gradient; on clips of noise, also with a border or a codec, accuracy is at chance.

    Differences from the paper: neighbours are found by histograms of gradients, or with `--task.descriptor features` by
    the encoder's own features, instead of features of a network trained on context prediction, and without clusters of
    millions of objects; patches move by coarse flow (`ops.clips.tracking`); all three kinds of pairs have the same
    weight; a clip's partner is one of its k neighbours at random; negatives are the hardest of the batch from the
    start; a head of two layers; AdamW with a cosine instead of SGD.
    """

    recipe = Recipe(optimizer="adamw", lr=2e-3, weight_decay=1e-2)

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        frames: Annotated[int, Range(least=2)] = 15
        """Frames of the clip (T), over which a patch is tracked; 30 in the paper."""
        stride: Annotated[int, Range(least=1)] = 1
        """Distance between frames of the clip, in frames of the video."""
        clip: Annotated[int, Range(least=1, most=64)] = 1
        """Frames of the short clips that stand for the first and last frame; above 1, the encoder is one of video."""
        descriptor: Literal["gradients", "features"] = "gradients"
        """Descriptor used to find neighbours: histograms of gradients, or the encoder's current features."""
        neighbours: Annotated[int, Range(least=1)] = 5
        """Number of neighbours k of a patch."""
        every: Annotated[float, Range(above=0)] = 5.0
        """Epochs from one graph to the next."""
        patch: Annotated[float, Range(above=0, below=1)] = 0.5
        """Side of a patch, as a share of the frame's short side."""
        least_motion: Annotated[float, Range(least=0)] = 0.01
        """Mean motion within the patch from which on a clip is used, in sides of the patch a frame."""
        negatives: Annotated[int, Range(least=1)] = 4
        """Number of negatives K for each pair."""
        margin: Annotated[float, Range(least=0)] = 0.5
        """Difference of the distances that is asked for."""
        hidden: Annotated[int, Range(least=1)] = 512
        """Hidden units of the head."""
        embedding: Annotated[int, Range(least=1)] = 128
        """Length E of the embeddings."""
        colour: Annotated[float, Range(least=0, most=1)] = 0.5
        """Strength of the random change of a patch's colours; 0, the paper's, for none."""
        degrade: Annotated[float, Range(least=0, most=1)] = 1.0
        """Strength of the random blur and noise of a patch; 0, the paper's, for none."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.frames < 2 * self.clip:
                raise ValueError(
                    f"--task.frames must be at least twice --task.clip = {2 * self.clip} to hold two short clips, got "
                    f"{self.frames}; raise it"
                )

    edges: Tensor
    """Codes (P,) int64 of the clips that are neighbours, ascending; see `_codes`."""

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"video": Clip(frames=config.frames, stride=config.stride)}

    @classmethod
    def encoders_for(cls, config: Config) -> Mapping[str, EncoderSpec]:
        """An encoder of video where frames are short clips."""
        return encoder_of(config.clip)

    @classmethod
    def clip_for(cls, config: Config) -> Clip:
        """The short clip that stands for a frame."""
        return Clip(frames=config.clip, stride=config.stride)

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        self.head = projection_head(encoder.num_features, config.hidden, config.embedding)
        self.register_buffer("edges", torch.zeros(0, dtype=torch.int64))

    def chance(self, batch_size: int) -> float:
        return 1 / batch_size

    def refresh_epochs(self) -> float:
        return self.config.every

    @torch.no_grad()
    def embed(self, batch: Batch) -> Tensor:
        """Descriptor of the patch that moves, of each clip (N, T, 3, H, W) uint8; the same at each call."""
        video = batch["video"]
        size = DESCRIBED if self.config.descriptor == "gradients" else self.size
        fixed = Generator(device=video.device).manual_seed(0)
        squares, _ = moving_squares(coarse_flow(video), inner_areas(video, size), self.config.patch, fixed)
        if self.config.descriptor == "gradients":
            return gradient_histograms(crop_resize(video[:, 0], squares, size))
        patches = degraded_crop(video[:, : self.config.clip], squares, size, fixed, strength=0.0)
        found: Tensor = self.encoder(for_encoder(patches[:, None])).float()
        return found

    def before_epoch(self, known: Known, count: int, rng: Generator) -> Refreshed:
        """Find the neighbours of all patches, and read pairs of them: two neighbours one after the other."""
        total = len(known.index)
        if total < 4:
            raise ValueError(
                f"task 'transitive' needs at least 4 videos to find neighbours, got {total}; give more data"
            )
        found, _ = nearest_neighbours(known.features, min(self.config.neighbours, total // 2))
        neighbours = torch.from_numpy(found)
        first = torch.arange(total)[:, None].expand_as(neighbours)
        self.edges = _codes(known.index[first], known.index[neighbours]).flatten().unique()
        rounds = -(-count // (2 * total))
        one = torch.cat([torch.randperm(total, generator=rng) for _ in range(rounds)])[: count // 2]
        other = neighbours[one, torch.randint(neighbours.shape[1], (len(one),), generator=rng)]
        order = known.index[torch.stack([one, other], 1).flatten()]
        scalars = {"edges_per_clip": len(self.edges) / total}
        if known.labels is not None:
            pairs = torch.stack([first.flatten(), neighbours.flatten()], 1)
            scalars["edges_of_one_class"] = same_class(pairs, known.labels)
        return Refreshed(order=order, scalars=scalars)

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Clip (N, T, 3, H, W) uint8 -> `Example`: in training, rows 2 i and 2 i + 1 are neighbours A and B."""
        n, config = len(batch), self.config
        if self.training and n % 2:
            raise ValueError(
                f"task 'transitive' reads pairs, but a device got {n} samples of a batch; "
                "give a --batch-size that is a multiple of 2 x devices x --accumulate"
            )
        pairs = tracked_pairs(
            batch["video"],
            self.size,
            rng,
            share=config.patch,
            least_motion=config.least_motion,
            clip=config.clip,
            colour=config.colour,
            degrade=config.degrade,
        )
        partner = batch.index[_partners(n, batch.index.device)]
        # Numbers of held-out clips are not those of the graph.
        linked = (torch.isin(_codes(batch.index, partner), self.edges) & self.training).float()
        return Example(**vars(pairs), linked=linked)

    def forward(self, example: Example) -> Tensor:
        """Embeddings (N, 2, E) of A and A'."""
        embeddings: Tensor = self.head(self.encoder(example.views))
        return embeddings.view(-1, 2, self.config.embedding)

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """The mean ranking loss of the three kinds of pairs; of clips that move, and along edges where they exist."""
        z = prediction.float()
        first, last = z.unbind(1)
        partner = _partners(len(z), z.device)
        # A clip is no negative of its neighbour.
        is_own = own_group(first, 2 if self.training else 1).repeat_interleave(2, 1)
        everything = gather_rows(z).flatten(0, 1)
        moves = example.moves
        both = moves * moves[partner] * example.linked
        pairs = ((first, last, moves), (first, first[partner], both), (last, last[partner], both))
        scalars = {}
        for name, (query, positive, weight) in zip(KINDS, pairs, strict=True):
            losses = ranking_loss(
                query, positive, everything, is_own, count=self.config.negatives, margin=self.config.margin, drawn=None
            )
            scalars[f"loss_{name}"] = weighted_mean(losses, weight)
        return {
            "loss": torch.stack(list(scalars.values())).mean(),
            **scalars,
            "accuracy": found_among(first, last, torch.ones_like(moves)),
            "moving": moves.mean(),
        }

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """A, tracked, and A' of a clip, and B and B' of its neighbour; and how far they are from A.

        Clips that have no neighbour in the graph, such as held-out ones, are beside the most similar clip of the batch.
        """
        z = prediction.detach().float()
        partner = _partners(len(z), z.device)
        unit = torch.nn.functional.normalize(z[:, 0], dim=1)
        alike = (unit @ unit.T).fill_diagonal_(-2.0).argmax(1)
        found = []
        for n in range(min(count, len(z))):
            is_linked = bool(example.linked[n])
            other = int(partner[n] if is_linked else alike[n])
            rows = [2 * n, 2 * n + 1, 2 * other, 2 * other + 1]
            away = [
                f"{1 - float(torch.cosine_similarity(z[n, 0], z.flatten(0, 1)[row], dim=0)):.2f}" for row in rows[1:]
            ]
            found.append(
                Shown(
                    inputs=[
                        picture
                        for clip in (n, other)
                        for picture in (
                            shown_track(example.video[clip], example.squares[clip]),
                            shown(example.views[2 * clip]),
                            shown(example.views[2 * clip + 1]),
                        )
                    ],
                    pseudo_label="A and A' of a track, B and B' of "
                    + ("a neighbour" if is_linked else "the most similar clip"),
                    prediction="distances from A: " + ", ".join(away),
                )
            )
        return found


def _partners(count: int, device: torch.device) -> Tensor:
    """The other row (N,) of each pair of neighbouring rows; the last of an odd number is its own."""
    return (torch.arange(count, device=device) ^ 1).clamp(max=count - 1)


def _codes(first: Tensor, second: Tensor) -> Tensor:
    """One number for two sample numbers below 2^31, whatever their order."""
    return torch.minimum(first, second) * 2**31 + torch.maximum(first, second)
