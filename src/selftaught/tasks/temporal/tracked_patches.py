"""Tracked patches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Generator, Tensor

from selftaught.core.distributed import gather_rows
from selftaught.core.randomness import uniform
from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Input
from selftaught.encoders.base import Encoder, EncoderSpec
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.clips.ranking import found_among, own_group, ranking_loss
from selftaught.tasks.parts.clips.short_clips import encoder_of, shown
from selftaught.tasks.parts.clips.tracked_pairs import shown_track, tracked_pairs
from selftaught.tasks.parts.heads import projection_head
from selftaught.tasks.parts.losses import weighted_mean


@dataclass
class Example:
    """Pairs of patches as of `TrackedPairs`, and which negatives are taken at random, (N, K) in [0, 1)."""

    views: Tensor
    squares: Tensor
    moves: Tensor
    drawn: Tensor
    video: Tensor


class TrackedPatches(PretextTask):
    """Learn that two patches connected by a track are alike, and others are not (Wang, Gupta, ICCV 2015).

    Link: https://arxiv.org/abs/1505.00687

    Flow: clip (N, T, 3, H, W) -> the square that moves most in its first frames, tracked to the last -> patches X and
    X+ at both ends of the track (2 N, 3, S, S) -> 2-D encoder, shared (2 N, D) -> linear, ReLU, linear (2 N, E) ->
    ranking loss over K negatives X- from other clips, D = 1 - cosine:

        max(0, D(X, X+) - D(X, X-) + margin)

    What a track connects is the same thing in another pose, light or view, so the network learns what things keep when
    they move. Negatives are random patches of the batch at first; after `hard_after` of the steps they are the K
    nearest to X, those that break the margin most (hard negative mining).

    Motion is coarse optical flow against its median over the frame, so a moving camera moves nothing; the track follows
    the mean flow within the square (`ops.clips.tracking`, with its accuracy on persons). Clips in which hardly anything
    moves are not used. The metric is how often X+ is the nearest of all second patches of the batch.

    Shortcut: the two patches of a track could be recognised by their pixels where nothing moves, by their colours, by
    the border of the frame, or by how well a codec kept the video. Guard: clips without motion have no part in the
    loss; each patch has colours, blur and noise of its own and is mirrored by itself; squares keep off bars and borders
    (`ops.clips.windows`). On clips of one repeated frame the loss has no gradient; on clips of noise, also with a
    border or a codec, accuracy is at chance.

    Differences from the paper: it finds moving squares by SURF points with improved dense trajectories and tracks with
    a correlation filter (KCF) over 30 frames; here both use coarse flow, over T frames; negatives are drawn from all
    patches of other clips in the batch; a head of two layers in place of fc6 and fc7; patches change colour, and have
    blur and noise; no ensemble; short clips with an encoder of video (`clip`) are an addition; AdamW with a cosine
    instead of SGD with steps.
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
        patch: Annotated[float, Range(above=0, below=1)] = 0.5
        """Side of a patch, as a share of the frame's short side; 227 of 448 pixels in the paper."""
        least_motion: Annotated[float, Range(least=0)] = 0.01
        """Mean motion within the patch from which on a clip is used, in sides of the patch a frame."""
        negatives: Annotated[int, Range(least=1)] = 4
        """Number of negatives K for each pair."""
        hard_after: Annotated[float, Range(least=0, most=1)] = 0.3
        """Share of the steps after which negatives are the hardest ones; 1 keeps random ones."""
        margin: Annotated[float, Range(least=0)] = 0.5
        """Difference of the distances that is asked for."""
        hidden: Annotated[int, Range(least=1)] = 512
        """Hidden units of the head."""
        embedding: Annotated[int, Range(least=1)] = 128
        """Length E of the embeddings; 1024 in the paper."""
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

    is_hard: Tensor
    """Whether negatives are the hardest ones by now."""

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
        self.register_buffer("is_hard", torch.tensor(config.hard_after == 0))

    def chance(self, batch_size: int) -> float:
        return 1 / batch_size

    def after_step(self, step: int, total: int) -> None:
        """Hard negatives from a share of the steps on."""
        self.is_hard.fill_(step + 1 >= self.config.hard_after * total and self.config.hard_after < 1)

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Clip (N, T, 3, H, W) uint8 -> `Example` of N pairs."""
        config = self.config
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
        return Example(**vars(pairs), drawn=uniform((len(batch), config.negatives), 0, 1, rng))

    def forward(self, example: Example) -> Tensor:
        """Embeddings (N, 2, E) of both patches."""
        embeddings: Tensor = self.head(self.encoder(example.views))
        return embeddings.view(-1, 2, self.config.embedding)

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """The ranking loss of clips that move, and how often the other end of a track is the nearest patch."""
        first, last = prediction.float().unbind(1)
        everything = gather_rows(prediction.float()).flatten(0, 1)
        losses = ranking_loss(
            first,
            last,
            everything,
            own_group(first, 1).repeat_interleave(2, 1),
            count=self.config.negatives,
            margin=self.config.margin,
            drawn=None if self.is_hard else example.drawn,
        )
        return {
            "loss": weighted_mean(losses, example.moves),
            "accuracy": found_among(first, last, torch.ones_like(example.moves)),
            "moving": example.moves.mean(),
        }

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """The clip with the square that is tracked, the patches at both ends, and how far apart they are."""
        z = prediction.detach().float()
        cosine = torch.cosine_similarity(z[:, 0], z[:, 1], dim=1)
        last = example.squares.shape[1] - self.config.clip
        gone = (example.squares[:, last, :2] - example.squares[:, 0, :2]).norm(dim=1)
        return [
            Shown(
                inputs=[
                    shown_track(example.video[n], example.squares[n]),
                    shown(example.views[2 * n]),
                    shown(example.views[2 * n + 1]),
                ],
                pseudo_label=f"tracked over {float(gone[n]):.0%} of the frame" if example.moves[n] else "hardly moves",
                prediction=f"distance {1 - float(cosine[n]):.2f}",
            )
            for n in range(min(count, len(z)))
        ]
