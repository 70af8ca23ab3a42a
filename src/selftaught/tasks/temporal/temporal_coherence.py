"""Temporal coherence: slow and steady features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from selftaught.core.distributed import first_row, gather_rows
from selftaught.core.randomness import uniform
from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Input
from selftaught.encoders.base import Encoder, EncoderSpec
from selftaught.ops.clips.windows import degraded_crop, inner_areas, shifted_squares
from selftaught.ops.frames import square_boxes
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.clips.short_clips import encoder_of, for_encoder, short_clips, shown_in_order

FRAMES = 4
"""a, b, c and f."""


@dataclass
class Example:
    """Four frames of each clip (4 N, 3, S, S), or short clips (4 N, 3, L, S, S), normalised; their numbers (N, 4).

    Of each clip these are a, b and c, equally far apart in time, and f, which is farther from all of them.
    """

    views: Tensor
    numbers: Tensor


class TemporalCoherence(PretextTask):
    """Learn features that change slowly and steadily from frame to frame (Jayaraman, Grauman, CVPR 2016).

    Link: https://arxiv.org/abs/1506.04714

    Flow: clip (N, T, 3, H, W) -> frames a, b, c equally far apart and a far one f (4 N, 3, S, S) -> 2-D encoder, shared
    by all frames (4 N, D) -> linear, embeddings z (4 N, E) -> contrastive losses, where d is the Euclidean distance:

        slow:   d(z_a, z_b), d(z_b, z_c) of neighbours; max(0, margin - d) of b and f, and of b and a frame of another
                video
        steady: d(z_b - z_a, z_c - z_b) of the triplet; max(0, margin - d) of (a, b, f), whose frames are not equally
                far apart

    Neighbouring frames mostly show the same things, so features that stay the same ignore noise, small motion and
    light. Slow features alone may change in any direction; steady ones go on changing as they did in the last frames,
    so motion becomes a nearly straight path of features. A path that went to one point for all frames would be slow and
    steady; the contrast with frames far away prevents it.

    The metric is how often the neighbour of b is nearer to it than f, and how often the triplet is steadier with c than
    with f: both compare frames of one video.

    Shortcut: frames of a video share background, camera and light, so frames of two videos can be told apart without
    knowing what changes in time; and the border of the frame or the traces of a codec may change in time by themselves.
    Guard: half of the contrast, and all of the metric, is with f, a frame of the same video with the same background;
    bars and the border are cut off; each frame of a clip has a small random shift, blur and noise of its own
    (`ops.clips.windows`); half of the triplets are reversed. Accuracy on clips of one repeated frame, of noise, and on
    those whose only cue is the border or the codec, is at chance.

    Differences from the paper: this is its unsupervised regulariser alone, without the supervised loss it is added to;
    with it, the linear layer takes the place of the classifier's last layer; every clip gives as many positive as
    negative pairs and triplets, with the mean of each; the steady loss has weight `steady`; embeddings of `embedding`
    numbers; short clips with an encoder of video (`clip`) are an addition; AdamW with a cosine instead of SGD.
    """

    recipe = Recipe(optimizer="adamw", lr=2e-3, weight_decay=1e-2)

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        frames: Annotated[int, Range(least=5)] = 15
        """Frames of the clip (T), from which the four are chosen."""
        stride: Annotated[int, Range(least=1)] = 1
        """Distance between frames of the clip, in frames of the video."""
        reach: Annotated[int, Range(least=1)] = 3
        """Largest distance of two neighbours, in frames of the clip; f is farther away from all of the triplet."""
        clip: Annotated[int, Range(least=1, most=64)] = 1
        """Frames of the short clip that stands for each frame; above 1, the encoder is one of video."""
        margin: Annotated[float, Range(above=0)] = 1.0
        """Distance from which on two embeddings are far enough apart."""
        steady: Annotated[float, Range(least=0)] = 1.0
        """Weight of the steady loss; 0 for slow features alone."""
        embedding: Annotated[int, Range(least=1)] = 128
        """Length E of the embeddings."""
        jitter: Annotated[float, Range(least=0, most=0.5)] = 0.05
        """Largest shift of a single frame's window, as a fraction of its side."""
        least_side: Annotated[float, Range(above=0, most=1)] = 0.7
        """Smallest side of the window that all frames share, as a share of the short side between black bars."""
        degrade: Annotated[float, Range(least=0, most=1)] = 1.0
        """Strength of the random blur and noise of a frame, which hide the traces of a codec; 0, the paper's, for
        none."""

        def __post_init__(self) -> None:
            super().__post_init__()
            least = 3 * self.reach + 2
            if self.frames < least:
                raise ValueError(
                    f"--task.frames must be at least 3 reach + 2 = {least} to hold a triplet and a frame far from it, "
                    f"got {self.frames}; raise it or lower --task.reach"
                )

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        self.head = nn.Linear(encoder.num_features, config.embedding)

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"video": Clip(frames=config.frames + config.clip - 1, stride=config.stride)}

    @classmethod
    def encoders_for(cls, config: Config) -> Mapping[str, EncoderSpec]:
        """An encoder of video where frames are short clips."""
        return encoder_of(config.clip)

    @classmethod
    def clip_for(cls, config: Config) -> Clip:
        """The short clip that stands for a frame."""
        return Clip(frames=config.clip, stride=config.stride)

    def chance(self, batch_size: int) -> float:
        return 0.5

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Clip (N, T, 3, H, W) uint8 -> `Example` of four frames each."""
        video = batch["video"]
        numbers = self.choose(len(video), rng)
        squares = square_boxes(inner_areas(video, self.size), rng, least_side=self.config.least_side)
        boxes = shifted_squares(squares, FRAMES, rng, jitter=self.config.jitter).flatten(0, 1)
        clips = short_clips(video, numbers, self.config.clip).flatten(0, 1)
        cut = degraded_crop(clips, boxes, self.size, rng, strength=self.config.degrade)
        return Example(for_encoder(cut.unflatten(0, numbers.shape)), numbers)

    def choose(self, count: int, rng: Generator) -> Tensor:
        """Numbers (N, 4) int64 of a, b, c and f in the clip.

        The distance from a to b and from b to c is uniform in 1 ... reach, and the triplet anywhere; f is uniform over
        the frames that are more than `reach` from all three. Half of the triplets are reversed.
        """
        reach, frames = self.config.reach, self.config.frames
        step = torch.randint(1, reach + 1, (count,), generator=rng, device=rng.device)
        number = torch.arange(frames, device=rng.device)
        # Somewhere before or after the triplet there must be a place for f.
        begin = number[None].expand(count, -1)
        end = begin + 2 * step[:, None]
        possible = (end < frames) & ((begin > reach) | (end + reach + 1 < frames))
        a = torch.multinomial(possible.float(), 1, generator=rng)
        c = a + 2 * step[:, None]
        far = (number < a - reach) | (number > c + reach)
        f = torch.multinomial(far.float(), 1, generator=rng)
        backwards = uniform((count, 1), 0, 1, rng) < 0.5
        return torch.cat([torch.where(backwards, c, a), a + step[:, None], torch.where(backwards, a, c), f], 1)

    def forward(self, example: Example) -> Tensor:
        """Embeddings (N, 4, E)."""
        embeddings: Tensor = self.head(self.encoder(example.views))
        return embeddings.view(-1, FRAMES, self.config.embedding)

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """Both contrastive losses, and how often what belongs together is nearer; the mean of both is the accuracy."""
        a, b, c, f = prediction.float().unbind(1)
        before, after, far = distance(a, b), distance(b, c), distance(b, f)
        other = distance(b, _of_the_video_before(f))
        straight, bent = distance(b - a, c - b), distance(b - a, f - b)
        margin = self.config.margin
        slow = (before + after).mean() / 2 + (F.relu(margin - far) + F.relu(margin - other)).mean() / 2
        steady = straight.mean() + F.relu(margin - bent).mean()
        slow_accuracy = (_is_nearer(before, far) + _is_nearer(after, far)) / 2
        steady_accuracy = _is_nearer(straight, bent)
        return {
            "loss": slow + self.config.steady * steady,
            "slow": slow,
            "steady": steady,
            "accuracy": (slow_accuracy + steady_accuracy) / 2,
            "accuracy_slow": slow_accuracy,
            "accuracy_steady": steady_accuracy,
        }

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """The four frames of a clip; how far the neighbours and the far frame are from b."""
        found = []
        z = prediction.detach().float()
        for n in range(min(count, len(z))):
            a, b, c, f = z[n, :, None].unbind(0)
            near, far = (float(distance(b, c)) + float(distance(b, a))) / 2, float(distance(b, f))
            numbers = example.numbers[n].tolist()
            found.append(
                Shown(
                    inputs=shown_in_order(example.views[FRAMES * n : FRAMES * n + FRAMES], numbers),
                    pseudo_label="near {}, {}, {}; far {}".format(*numbers),
                    prediction=f"distances: near {near:.2f}, far {far:.2f}",
                )
            )
        return found


def distance(one: Tensor, other: Tensor) -> Tensor:
    """Euclidean distance of rows: (N, E) twice -> (N,); its gradient is finite where they are the same."""
    return ((one - other).square().sum(1) + 1e-12).sqrt()


def _is_nearer(near: Tensor, far: Tensor) -> Tensor:
    """Share of rows (N,) where the first distance is smaller; where both are equal it counts half."""
    near, far = near.detach(), far.detach()
    return ((near < far).float() + 0.5 * (near == far).float()).mean()


def _of_the_video_before(rows: Tensor) -> Tensor:
    """Of each of the rows (N, E) the one before it among those of all processes; of the first the last."""
    everything = gather_rows(rows)
    own = torch.arange(len(rows), device=rows.device) + first_row(rows)
    return everything[(own - 1) % len(everything)]
