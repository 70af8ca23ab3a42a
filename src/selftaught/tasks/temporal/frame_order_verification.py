"""Frame order verification."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from selftaught.core.randomness import uniform
from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Input
from selftaught.encoders.base import Encoder, EncoderSpec
from selftaught.ops.flow import motion_magnitude
from selftaught.ops.frames import boxes_within, without_bars
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.clips.short_clips import (
    encoder_of,
    for_encoder,
    shifted_clips,
    short_clips,
    shown_in_order,
)


@dataclass
class Example:
    """Five frames of each clip, normalised, and their numbers in the clip (N, 5) int64.

    Frames are images (5 N, 3, S, S), or short clips (5 N, 3, L, S, S) that begin at them. In time they are
    a < b < c < d < e; where the clip runs backwards, b and d are swapped.
    """

    frames: Tensor
    order: Tensor


MIDDLES = (2, 0, 4)
"""Places of c, a and e: the middle frame of the tuple in order, and of the two that are not."""


class FrameOrderVerification(PretextTask):
    """Predict whether three frames of a video are in temporal order (Misra, Zitnick, Hebert, ECCV 2016).

    Link: https://arxiv.org/abs/1603.08561

    Flow: clip (N, T, 3, H, W) -> frames a < b < c < d < e (N, 5, 3, S, S) from a moment with motion -> 2-D encoder,
    shared by all frames (5 N, D) -> tuples (b, c, d) in order, (b, a, d) and (b, e, d) not (N, 3, 3 D) -> 2 -> cross
    entropy.

    As b and d are the same in all three tuples, only the middle frame decides: the network must see pose and motion. A
    window of the clip is drawn with probability proportional to its coarse optical flow, as frames without motion have
    no order. tau_max is the largest |b - d| (larger values make the order harder to recognise), tau_min the smallest
    distance from a to b and from d to e (smaller values make a and e harder to distinguish from c), both in frames. a
    and e are never frames that look like c, measured by the squared difference of pixels: in repetitive motion, such a
    tuple would be both right and wrong.

    Shortcut: the way a frame was cropped, stored or numbered could give away the order. Guard: all five frames have the
    same window, but each with its own small random shift, which also breaks the block grid of a codec; half of the
    clips are reversed (an order and its reverse are both right), so the direction of time, camera drift and the
    position of key frames carry no information; clips are flipped at random; the frame number is not an input; bars and
    the edge of the frame, which may change in time, are cut off (`ops.frames.without_bars`).

    Differences from the paper: all three tuples of every window are used, so that the five frames are encoded once, and
    the fraction `negatives` of the loss is on tuples out of order (the paper samples 75 % negatives); accuracy is the
    mean over both classes, so chance is 0.5 for any such fraction; one hidden layer, as a linear classifier on
    concatenated features (`hidden` 0, the paper's) only adds up the evidence of single frames and cannot compare them;
    the encoder's pooled features replace fc7 of the paper's network; the distance of b and d is drawn between tau_max /
    2 and tau_max; clips and both taus are shorter; flow is computed coarsely on small frames; the threshold of
    similarity is relative to the clip (`alike`), as the paper gives none; the small shift of every frame is an
    addition, and so are short clips instead of frames (`clip`), which play forwards and share no frame; AdamW with a
    cosine instead of SGD with one step.
    """

    recipe = Recipe(optimizer="adamw", lr=2e-3, weight_decay=1e-2)

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        frames: Annotated[int, Range(least=0)] = 0
        """Frames of the clip (T), from which the five are chosen, at the frame rate of the video; 0 for 30, or for more
        where the distances or short clips need them."""
        tau_max: Annotated[int, Range(least=4)] = 18
        """Largest distance between the first and last frame of a tuple; 60 in the paper, which needs clips of about 90
        frames."""
        tau_min: Annotated[int, Range(least=1)] = 5
        """Smallest distance from a tuple to the outside frame that replaces its middle; 15 in the paper."""
        alike: Annotated[float, Range(least=0, most=1)] = 0.25
        """Exclude replacement frames whose squared difference from c is below this fraction of the clip's mean; 0
        allows all."""
        negatives: Annotated[float, Range(above=0, below=1)] = 0.75
        """Fraction of the loss on tuples out of order."""
        hidden: Annotated[int, Range(least=0)] = 512
        """Width of the classifier's hidden layer; 0 for the linear classifier of the paper."""
        jitter: Annotated[float, Range(least=0, most=0.5)] = 0.04
        """Largest shift of a single frame's window, as a fraction of its side."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.5
        """Smallest share of the frame's area that the common window covers."""
        clip: Annotated[int, Range(least=1)] = 1
        """Frames of the short clip that stands for each frame (L); above 1, the encoder is one of video."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.tau_max < 2 * self.clip:
                raise ValueError(
                    f"--task.tau-max must be at least 2 clips = {2 * self.clip} frames, got {self.tau_max}; raise it "
                    "or lower --task.clip"
                )
            if self.frames and self.frames < self.needed:
                raise ValueError(
                    f"--task.frames must be at least tau_max + 2 tau_min + 3 clip - 2 = {self.needed} to hold five "
                    f"frames, got {self.frames}; raise it or lower --task.tau-max"
                )

        @property
        def length(self) -> int:
            """Frames of the clip."""
            return self.frames or max(30, self.needed)

        @property
        def needed(self) -> int:
            """Frames that hold the five and the distances between them."""
            return self.tau_max + 2 * self.outside + self.clip

        @property
        def outside(self) -> int:
            """Smallest distance from b to a and from d to e: tau_min where frames are images."""
            return self.tau_min + self.clip - 1

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        width = 3 * encoder.num_features
        hidden = [nn.Linear(width, config.hidden), nn.ReLU()] if config.hidden else []
        self.head = nn.Sequential(*hidden, nn.Linear(config.hidden or width, 2))

    @classmethod
    def encoders_for(cls, config: Config) -> Mapping[str, EncoderSpec]:
        return encoder_of(config.clip)

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        """Consecutive frames: tau_max and tau_min count frames, as in the paper."""
        return {"video": Clip(frames=config.length)}

    @classmethod
    def clip_for(cls, config: Config) -> Clip:
        """The short clip that stands for a frame."""
        return Clip(frames=config.clip)

    def chance(self, batch_size: int) -> float:
        return 0.5

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Clip (N, T, 3, H, W) uint8 -> `Example` of five frames each."""
        video = batch["video"]
        clip = self.config.clip
        # A frame that is the first of a short clip must not be among the last of the video.
        order = self.choose(motion_magnitude(video)[:, : video.shape[1] - clip], _some_pixels(video), rng)
        areas = without_bars(video)
        boxes = boxes_within(areas, rng, scale=(self.config.min_scale, 1.0))
        clips = short_clips(video, order, clip)
        cut = shifted_clips(clips, boxes, self.size, rng, jitter=self.config.jitter, areas=areas)
        return Example(for_encoder(cut), order)

    def choose(self, motion: Tensor, pixels: Tensor, rng: Generator) -> Tensor:
        """Numbers (N, 5) of a, b, c, d, e from how much moves between frames (N, T - 1) and pixels of each (N, T, P).

        The distance d - b is uniform in [tau_max / 2, tau_max]; b is drawn with probability proportional to the motion
        from b to d; c is uniform between them, a and e over the frames outside that do not look like c. Short clips
        that begin at them share no frame.
        """
        n, steps = motion.shape
        tau_max, tau_min, clip = self.config.tau_max, self.config.outside, self.config.clip
        pixels = pixels[:, : steps + 1]
        frames = torch.arange(steps + 1, device=motion.device)[None].expand(n, -1)
        shortest = torch.full((n,), max(4, 2 * clip, tau_max // 2), device=motion.device)
        span = _integer(shortest, torch.full_like(shortest, tau_max), rng)
        total = F.pad(motion.cumsum(1), (1, 0))
        ends = (frames + span[:, None]).clamp(max=steps)
        moved = total.gather(1, ends) - total.gather(1, frames)
        possible = (frames >= tau_min) & (frames + span[:, None] <= steps - tau_min)
        # A clip in which nothing moves at all has all windows alike.
        weight = (moved.clamp(min=0) + 1e-6) * possible
        b = torch.multinomial(weight, 1, generator=rng)[:, 0]
        d = b + span
        c = _integer(b + clip, d - clip, rng)
        difference = (pixels - pixels[torch.arange(n), c][:, None]).square().mean(2)
        unlike = difference >= self.config.alike * difference.mean(1, keepdim=True)
        a = _one_of(frames <= (b - tau_min)[:, None], unlike, difference, rng)
        e = _one_of(frames >= (d + tau_min)[:, None], unlike, difference, rng)
        backwards = uniform((n,), 0, 1, rng) < 0.5
        return torch.stack([a, torch.where(backwards, d, b), c, torch.where(backwards, b, d), e], 1)

    def forward(self, example: Example) -> Tensor:
        """Logits (N, 3, 2) of the tuples with c, a and e in their middle; class 1 is in order."""
        features = self.encoder(example.frames).view(*example.order.shape, -1)
        tuples = [torch.cat([features[:, 1], features[:, m], features[:, 3]], 1) for m in MIDDLES]
        logits: Tensor = self.head(torch.stack(tuples, 1))
        return logits

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """Cross entropy with `negatives` of its weight on the tuples out of order; accuracies of both classes."""
        logits = prediction.float()
        in_order = -F.log_softmax(logits[:, 0], 1)[:, 1].mean()
        shuffled = -F.log_softmax(logits[:, 1:], 2)[:, :, 0].mean()
        share = self.config.negatives
        evidence = self._evidence(logits.detach())
        found, rejected = (evidence[:, 0] > 0).float().mean(), (evidence[:, 1:] <= 0).float().mean()
        return {
            "loss": (1 - share) * in_order + share * shuffled,
            "accuracy": (found + rejected) / 2,
            "accuracy_in_order": found,
            "accuracy_shuffled": rejected,
        }

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """A tuple of three frames of each clip; whether it is in order, and how probable that is."""
        shown = []
        chance = self._evidence(prediction.detach().float()).sigmoid()
        for n in range(min(count, len(prediction))):
            # All three kinds of tuples come in turn.
            kind = n % 3
            places = (1, MIDDLES[kind], 3)
            numbers = [int(example.order[n, place]) for place in places]
            words = ", ".join(map(str, numbers))
            shown.append(
                Shown(
                    inputs=shown_in_order(example.frames[[5 * n + place for place in places]], numbers),
                    pseudo_label=f"{'shuffled' if kind else 'in order'} (frames {words})",
                    prediction=f"in order: {float(chance[n, kind]):.2f}",
                )
            )
        return shown

    def _evidence(self, logits: Tensor) -> Tensor:
        """Log odds (N, 3) of "in order" where both classes are as frequent: the share of negatives is taken back."""
        share = self.config.negatives
        return logits[..., 1] - logits[..., 0] - math.log((1 - share) / share)


def _integer(low: Tensor, high: Tensor, rng: Generator) -> Tensor:
    """A whole number in [low, high] for each row: (N,) int64 bounds -> (N,) int64."""
    drawn = uniform((len(low),), 0, 1, rng) * (high - low + 1)
    return torch.minimum(low + drawn.long(), high)


def _one_of(possible: Tensor, unlike: Tensor, difference: Tensor, rng: Generator) -> Tensor:
    """One possible frame of each clip (N,) that is unlike c, all (N, T); the most different one where there is none."""
    good = possible & unlike
    most = F.one_hot(difference.masked_fill(~possible, -1).argmax(1), difference.shape[1]).bool()
    return torch.multinomial(torch.where(good.any(1, keepdim=True), good, most).float(), 1, generator=rng)[:, 0]


def _some_pixels(video: Tensor, side: int = 32) -> Tensor:
    """Pixels of every frame, from a grid of about `side` x `side`: (N, T, 3, H, W) uint8 -> (N, T, P) in [0, 1]."""
    every = max(1, min(video.shape[-2:]) // side)
    return video[..., ::every, ::every].flatten(2).float() / 255
