"""Permutation of sequences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Input
from selftaught.encoders.base import Encoder, EncoderSpec
from selftaught.ops.clips.windows import degraded_crop, inner_areas, shifted_squares
from selftaught.ops.frames import square_boxes
from selftaught.ops.sheet import lay_strip
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.clips.short_clips import for_encoder, shown


@dataclass
class Example:
    """Sequences (2 N, 3, T, S, S), normalised: N as they are, then the same ones permuted.

    `order` (N, T) int64 is the order in which the frames of the permuted ones are shown.
    """

    clips: Tensor
    order: Tensor


class SequencePermutation(PretextTask):
    """Predict whether a sequence of postures is real or permuted (Brattoli, Büchler, Wahl, Schwab, Ommer, CVPR 2017).

    Link: https://openaccess.thecvf.com/content_cvpr_2017/html/Brattoli_LSTM_Self-Supervision_for_CVPR_2017_paper.html

    Flow: clip (N, T, 3, H, W) -> the sequence of frames, once as it is and once permuted (2 N, 3, T, S, S) -> 2-D
    network for each frame and an LSTM over them (`lstm:resnet18`), whose state after the last frame has seen all of
    them (2 N, D) -> dropout, linear (2 N, 2) -> cross entropy.

    Permuting keeps the frames, so the network for frames must describe the posture so finely that the LSTM can tell
    whether postures follow each other as in real behaviour. Encoders without a sequence stage, such as `r3d_18`, give
    their pooled features instead of the last state.

    Shortcut: real sequences could be known by the quality of their frames, which follows the rhythm of key frames of
    the compressed stream, by bars that grow, or by a window that stays still while the camera moves. Guard: each frame
    has its own small shift, blur and noise (`ops.clips.windows`); bars and the border are cut off; the real and the
    permuted sequence of a clip have the very same frames, after all of that. Accuracy is at chance on clips of one
    repeated frame, of noise, with borders that change, and compressed.

    Differences from the paper: frames are windows of the scene, not detected persons or animals; an order is never the
    reverse of the real one, as many motions look the same backwards; the network for frames is a ResNet by default,
    trained from random weights together with the LSTM, which has 256 units; shift, blur and noise are additions; AdamW
    with a cosine instead of SGD.
    """

    recipe = Recipe(optimizer="adamw", lr=2e-3, weight_decay=1e-2, clip=1.0)
    encoders: ClassVar[Mapping[str, EncoderSpec]] = {"encoder": EncoderSpec("video", default="lstm:resnet18")}

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        frames: Annotated[int, Range(least=3)] = 8
        """Frames of a sequence (T)."""
        stride: Annotated[int, Range(least=1)] = 2
        """Distance between frames of the sequence, in frames of the video."""
        least_side: Annotated[float, Range(above=0, most=1)] = 0.8
        """Smallest side of the window, as a share of the short side between black bars."""
        jitter: Annotated[float, Range(least=0, most=0.5)] = 0.03
        """Largest shift of a frame's window from the middle, as a share of its side."""
        degrade: Annotated[float, Range(least=0, most=1)] = 1.0
        """Strength of the random blur and noise of each frame, which hide traces of a codec; 0, the paper's, for
        none."""
        dropout: Annotated[float, Range(least=0, below=1)] = 0.5
        """Dropout rate before the last layer."""

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        self.has_states = encoder.stage_kind(encoder.stages[-1]) == "sequence"
        self.head = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(encoder.num_features, 2))

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"video": Clip(frames=config.frames, stride=config.stride)}

    def chance(self, batch_size: int) -> float:
        return 0.5

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Clip (N, T, 3, H, W) uint8 -> `Example` of 2 N sequences."""
        video, config = batch["video"], self.config
        n, t = video.shape[:2]
        squares = square_boxes(inner_areas(video, self.size), rng, least_side=config.least_side)
        boxes = shifted_squares(squares, t, rng, jitter=config.jitter).flatten(0, 1)
        cut = degraded_crop(video.flatten(0, 1)[:, None], boxes, self.size, rng, strength=config.degrade)
        frames = cut.view(n, t, 3, self.size, self.size)
        order = permuted(n, t, rng)
        shuffled = frames[torch.arange(n, device=frames.device)[:, None], order]
        return Example(for_encoder(torch.cat([frames, shuffled])[:, None]), order)

    def forward(self, example: Example) -> Tensor:
        """Logits (2 N, 2); class 1 is real."""
        states = self.encoder.forward_features(example.clips)[:, -1] if self.has_states else self.encoder(example.clips)
        logits: Tensor = self.head(states)
        return logits

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """Cross entropy; also the accuracy of each class."""
        is_real = torch.arange(2, device=prediction.device).flip(0).repeat_interleave(len(example.order))
        right = (prediction.detach().argmax(1) == is_real).float()
        real, shuffled = right.chunk(2)
        return {
            "loss": F.cross_entropy(prediction.float(), is_real),
            "accuracy": right.mean(),
            "accuracy_real": real.mean(),
            "accuracy_permuted": shuffled.mean(),
        }

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """Real and permuted sequences of different clips in turn."""
        chance = prediction.detach().float().softmax(1)[:, 1]
        found = []
        for i in range(min(count, len(chance))):
            row = (i % 2) * len(example.order) + i // 2
            clip = shown(example.clips[row])
            numbers = [place + 1 for place in (example.order[i // 2].tolist() if i % 2 else range(len(clip)))]
            found.append(
                Shown(
                    inputs=[clip, lay_strip(clip, numbers)],
                    pseudo_label=f"permuted: {' '.join(map(str, numbers))}" if i % 2 else "real",
                    prediction=f"real: {float(chance[row]):.2f}",
                )
            )
        return found


def permuted(count: int, frames: int, rng: Generator) -> Tensor:
    """Orders (N, T) int64, drawn among all; the real one and its reverse are then changed by one swap."""
    order = torch.rand(count, frames, generator=rng, device=rng.device).argsort(1)
    place = torch.arange(frames, device=rng.device)
    is_plain = (order == place).all(1) | (order == place.flip(0)).all(1)
    swapped = order[:, torch.cat([place[[1, 0]], place[2:]])]
    return torch.where(is_plain[:, None], swapped, order)
