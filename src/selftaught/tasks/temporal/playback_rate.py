"""Playback rate of clips."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from torch import Generator, Tensor, nn

from selftaught.core.randomness import uniform
from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Input
from selftaught.encoders.base import Encoder, EncoderSpec
from selftaught.ops.clips.windows import degraded_crop, inner_areas
from selftaught.ops.colour import normalised_jitter
from selftaught.ops.frames import gather_frames, square_boxes
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.clips.short_clips import shown
from selftaught.tasks.parts.heads import projection_head
from selftaught.tasks.parts.losses import classification, nt_xent

NORMAL, SPED_UP = (1.0, 1.2), (1.7, 2.2)
"""Ranges of the rates of SpeedNet's two classes."""


@dataclass
class Example:
    """Clips (M, 3, L, S, S), normalised, their classes (M,) int64, and their rates (M,) in frames a frame.

    M is N, or 2 N of "sped_up": first all clips at the normal rate, then the same ones sped up. With a contrast it is
    2 N too: one clip of each video, then another one of each.
    """

    clips: Tensor
    label: Tensor
    rate: Tensor


class PlaybackRate(PretextTask):
    """Predict at which pace a clip is played (Wang, Jiao, Liu, ECCV 2020).

    Link: https://arxiv.org/abs/2008.05861. Also whether it is sped up: SpeedNet (Benaim et al., CVPR 2020,
    https://arxiv.org/abs/2004.06130).

    Flow: video (N, T, 3, H, W) -> L frames from a random one on, each p frames after the one before, p drawn from 1 ...
    P for each clip -> the same crop for all frames (N, 3, L, S, S) -> 3-D encoder (N, D) -> linear (N, P) -> cross
    entropy with the pace. With `--task.contrast`, two clips of each video at paces of their own, whose projections find
    each other among all of the batch (the paper's contrast of the same context). With `--task.form sped_up`, SpeedNet:
    each clip is played twice, at a rate of 1 to 1.2 and of 1.7 to 2.2 frames a frame, both in the same batch
    (2 N, 3, L, S, S) -> linear (2 N, 2).

    How much moves in a frame does not say how fast a clip is played, as some things are fast: the network must know
    what it sees and how that usually moves.

    Shortcut: how often the quality of frames changes shows at which rate key frames of the compressed stream pass, and
    so does how fast brightness flickers or bars grow; the size of what moves is a cue as well. Guard: each frame has
    its own change of colours, as in the pace paper, and its own blur and noise (`ops.clips.windows`); bars and the
    border are cut off; the window has a random size (SpeedNet's random resizing); SpeedNet's rates vary within a class,
    and skip frames from a random phase on. Accuracy is at chance on clips of one repeated frame, of noise, with borders
    that change, and compressed.

    Differences from the papers: clips have 8 frames (16 to 64 in the papers); a video is not looped where it is too
    short; blur and noise are additions; the contrast, of weight 0.1 in the paper, is off by default, as it encodes two
    clips, and its variant of clips of the same pace is left out; SpeedNet's features are pooled over space by the
    maximum in its paper, here as the encoder does; AdamW with a cosine instead of SGD with steps.
    """

    recipe = Recipe(optimizer="adamw", lr=2e-3, weight_decay=1e-2)
    encoders: ClassVar[Mapping[str, EncoderSpec]] = {"encoder": EncoderSpec("video")}

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        form: Literal["pace", "sped_up"] = "pace"
        """What is predicted: which pace, or whether the clip is sped up."""
        paces: Annotated[int, Range(least=2, most=8)] = 4
        """Paces P, 1 ... P frames a frame; of "pace" only."""
        frames: Annotated[int, Range(least=2)] = 8
        """Frames of a clip (L)."""
        least_side: Annotated[float, Range(above=0, most=1)] = 0.5
        """Smallest side of the window, as a share of the short side between black bars."""
        colour: Annotated[float, Range(least=0, most=1)] = 1.0
        """Strength of the change of colours of each frame: at 1 brightness, contrast and saturation by up to 0.8 and
        hue by up to 0.2 turns."""
        degrade: Annotated[float, Range(least=0, most=1)] = 1.0
        """Strength of the random blur and noise of each frame, which hide traces of a codec."""
        contrast: Annotated[float, Range(least=0)] = 0.0
        """Weight of the contrast of clips of one video, of "pace" only; 0.1 in the paper."""
        temperature: Annotated[float, Range(above=0)] = 0.1
        """Of the contrast."""
        projection: Annotated[int, Range(least=1)] = 128
        """Width of what the contrast compares."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.contrast and self.form != "pace":
                raise ValueError(
                    f"--task.contrast is of --task.form pace only, got {self.contrast:g} with {self.form}; set it to 0"
                )

        @property
        def needed(self) -> int:
            """Frames T of the video that the fastest clip passes."""
            return math.ceil((self.frames - 1) * (self.paces if self.form == "pace" else SPED_UP[1])) + 1

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        self.head = nn.Linear(encoder.num_features, self.classes)
        self.projection = (
            projection_head(encoder.num_features, encoder.num_features, config.projection) if config.contrast else None
        )

    @property
    def classes(self) -> int:
        """P, or 2."""
        return self.config.paces if self.config.form == "pace" else 2

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"video": Clip(frames=config.needed)}

    @classmethod
    def clip_for(cls, config: Config) -> Clip:
        """A clip at the normal rate."""
        return Clip(frames=config.frames)

    def chance(self, batch_size: int) -> float:
        return 1 / self.classes

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Video (N, T, 3, H, W) uint8 -> `Example` of N clips, or 2 N."""
        video, config = batch["video"], self.config
        n = len(video)
        label, rate = self.rates(n, rng)
        numbers = self.numbers(rate, rng)
        copies = len(rate) // n
        areas = inner_areas(video, self.size)
        # Both clips of a contrast have a window of their own; a sped-up clip shows what the normal one does.
        windows = copies if config.contrast else 1
        boxes = square_boxes(areas.repeat(windows, 1), rng, least_side=config.least_side).repeat(copies // windows, 1)
        frames = gather_frames(video.repeat(copies, 1, 1, 1, 1), numbers).flatten(0, 1)[:, None]
        each = boxes.repeat_interleave(config.frames, 0)
        cut = degraded_crop(frames, each, self.size, rng, strength=config.degrade)[:, 0]
        strength = 0.8 * config.colour
        rows = normalised_jitter(cut, rng, strength, strength, strength, 0.2 * config.colour, grey=0.0)
        clips = rows.unflatten(0, (len(rate), config.frames)).transpose(1, 2)
        return Example(clips.contiguous(memory_format=torch.channels_last_3d), label, rate)

    def rates(self, count: int, rng: Generator) -> tuple[Tensor, Tensor]:
        """Classes (M,) int64 and rates (M,) float32 of the clips."""
        if self.config.form == "pace":
            clips = 2 * count if self.config.contrast else count
            label = torch.randint(self.config.paces, (clips,), generator=rng, device=rng.device)
            return label, (label + 1).float()
        label = torch.arange(2, device=rng.device).repeat_interleave(count)
        return label, torch.cat([uniform((count,), *NORMAL, rng), uniform((count,), *SPED_UP, rng)])

    def numbers(self, rate: Tensor, rng: Generator) -> Tensor:
        """Numbers (M, L) of the frames of each clip, from a random one on."""
        config = self.config
        drawn = uniform((2, len(rate), 1), 0, 1, rng)
        passed = torch.arange(config.frames, device=rng.device) * rate[:, None]
        # Rounded from a phase of the clip's own.
        steps = (passed + drawn[0]).floor().long()
        free = config.needed - steps[:, -1:]
        return steps + (drawn[1] * free).long().clamp(max=free - 1)

    def forward(self, example: Example) -> tuple[Tensor, Tensor | None]:
        """Logits (M, P) or (M, 2), and the projections (M, E) of a contrast."""
        features = self.encoder(example.clips)
        return self.head(features), None if self.projection is None else self.projection(features)

    def loss(self, prediction: tuple[Tensor, Tensor | None], example: Example) -> dict[str, Tensor]:
        """Cross entropy over the paces, and `contrast` times that of finding the other clip of the video."""
        logits, projections = prediction
        scalars = classification(logits, example.label)
        if projections is None:
            return scalars
        first, second = projections.chunk(2)
        contrast, found = nt_xent(first, second, self.config.temperature)
        more = {"contrast": contrast.detach(), "accuracy_contrast": found}
        return scalars | {"loss": scalars["loss"] + self.config.contrast * contrast} | more

    def show(self, example: Example, prediction: tuple[Tensor, Tensor | None], count: int) -> list[Shown]:
        """Clips as they are played, of all classes where each is in the batch."""
        chance, chosen = prediction[0].detach().float().softmax(1).max(1)
        total = len(chosen)
        both = self.config.form == "sped_up"
        rows = [(i % 2) * (total // 2) + i // 2 if both else i for i in range(min(count, total))]
        return [
            Shown(
                inputs=[shown(example.clips[r])],
                pseudo_label=f"{self._words(int(example.label[r]))} ({float(example.rate[r]):.2g} times as fast)",
                prediction=f"{self._words(int(chosen[r]))} ({float(chance[r]):.2f})",
            )
            for r in rows
        ]

    def _words(self, label: int) -> str:
        return f"pace {label + 1}" if self.config.form == "pace" else ("normal", "sped up")[label]
