"""Clips on which a task of order or motion can learn nothing but a shortcut, and the test that it does not.

Each function gives N clips (N, T, 3, side, side) uint8, other ones for each seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import cache, partial
from typing import Any, Literal

import av
import numpy as np
import torch
from torch import Tensor, nn

from selftaught.core.randomness import generator
from selftaught.data.batch import Batch
from selftaught.data.computed.optical_flow import OpticalFlow
from selftaught.data.inputs import Clip, Computed
from selftaught.encoders.base import Encoder
from selftaught.encoders.names import Kind
from selftaught.tasks.base import PretextTask
from selftaught.training.optimizers import build_optimizer

Content = Literal["still", "noise"]
MACROBLOCK = 16
"""Side of the blocks of H.264, in pixels."""
QP: dict[Content, int] = {"still": 32, "noise": 40}
"""At which the kinds of frames differ clearly."""


def still_clips(n: int, *, frames: int = 16, side: int = 32, seed: int = 0) -> Tensor:
    """One frame repeated: coloured noise with the spectrum 1/f of natural images, other in each clip."""
    drawn = torch.randn(n, 3, side, side, generator=generator("still", seed))
    y, x = torch.fft.fftfreq(side)[:, None], torch.fft.rfftfreq(side)[None]
    spectrum = torch.fft.rfft2(drawn) / (y.square() + x.square()).sqrt().clamp(min=1 / side)
    pattern = torch.fft.irfft2(spectrum, s=(side, side))
    grey = pattern + 1.5 * pattern.roll(1, 1)  # neighbouring colours belong together
    image: Tensor = (110 + 45 * grey / grey.std((1, 2, 3), keepdim=True)).clamp(20, 235).byte()
    return image[:, None].expand(n, frames, 3, side, side).contiguous()


def noise_clips(n: int, *, frames: int = 16, side: int = 32, seed: int = 0) -> Tensor:
    """Every frame is noise of its own."""
    return torch.randint(20, 236, (n, frames, 3, side, side), dtype=torch.uint8, generator=generator("noise", seed))


def border_clips(
    n: int,
    *,
    frames: int = 16,
    side: int = 32,
    seed: int = 0,
    content: Content = "still",
    border: Literal["still", "grow", "blink", "edge"] = "grow",
) -> Tensor:
    """What changes in time with an order is the border alone.

    Args:
        n: clips; frames: T; side: pixels; seed: of the content.
        content: of `still_clips` or `noise_clips`.
        border: black bars above and below that keep their height of an eighth ("still"), grow up to that ("grow"), or
            are there in the second half of the clip alone ("blink"); or an edge of one pixel that becomes bright
            ("edge").
    """
    clips = _CONTENT[content](n, frames=frames, side=side, seed=seed)
    most = max(1, side // 8)
    for t in range(frames):
        height = {"still": most, "grow": round(most * t / max(1, frames - 1)), "blink": most * (2 * t >= frames)}
        if border == "edge":
            clips[:, t, :, [0, -1]] = clips[:, t, :, :, [0, -1]] = round(255 * t / max(1, frames - 1))
        else:
            clips[:, t, :, : height[border]] = clips[:, t, :, side - height[border] :] = 0
    return clips


@cache
def codec_clips(
    n: int,
    *,
    frames: int = 16,
    side: int = 32,
    seed: int = 0,
    content: Content = "still",
    qp: int | None = None,
    gop: int = 6,
) -> Tensor:
    """Compressed by H.264, so that I, P and B frames differ in quality; frames 0, `gop`, 2 `gop`, ... are I frames.

    Still content has noise on every frame, as that of a sensor. The clips are the tiles of one video, each in
    macroblocks of its own; they are kept and must not be changed. `qp` is the quantiser of P frames, that of I frames
    is lower and of B frames higher.
    """
    clips = _CONTENT[content](n, frames=frames, side=side, seed=seed)
    if content == "still":
        noise = torch.randint(-24, 25, clips.shape, generator=generator("sensor", seed))
        clips = (clips + noise).clamp(0, 255).byte()
    tile = MACROBLOCK * math.ceil(side / MACROBLOCK)
    across = math.ceil(math.sqrt(n))
    sheet = torch.zeros(across * across, frames, 3, tile, tile, dtype=torch.uint8)
    sheet[:n, :, :, :side, :side] = clips
    rows = sheet.view(across, across, frames, 3, tile, tile).permute(2, 0, 4, 1, 5, 3)
    coded = torch.from_numpy(
        _coded(rows.reshape(frames, across * tile, across * tile, 3).numpy(), qp=qp or QP[content], gop=gop)
    )
    tiles = coded.view(frames, across, tile, across, tile, 3).permute(1, 3, 0, 5, 2, 4)
    return tiles.reshape(across * across, frames, 3, tile, tile)[:n, :, :, :side, :side].contiguous()


class ForensicEncoder(Encoder):
    """Sees of each frame how bright and sharp it and its borders are, and how much it differs from the one before.

    It finds shortcuts of time in 20 steps, which small convolutions do not find in 60. It takes images (N, 3, H, W), or
    clips (N, 3, T, H, W) of `frames` frames.
    """

    name = "forensic"
    num_features = 64
    stages = ("statistics",)

    def __init__(self, frames: int = 0) -> None:
        super().__init__()
        self.kind: Kind = "video" if frames else "image"
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.BatchNorm1d(STATISTICS * max(1, frames)), nn.Linear(STATISTICS * max(1, frames), 64), nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        frames = x.transpose(1, 2) if self.kind == "video" else x[:, None]
        features: Tensor = self.layers(_statistics(frames.contiguous()).flatten(1))
        return features

    def forward_features(self, x: Tensor) -> Tensor:
        features = self.forward(x)
        return features[:, :, None, None, None] if self.kind == "video" else features[:, :, None, None]

    def forward_stages(self, x: Tensor) -> dict[str, Tensor]:
        return {"statistics": self.forward_features(x)}


BORDER_AND_CODEC: dict[str, Callable[..., Tensor]] = {
    "growing bars": partial(border_clips, content="noise"),
    "edge": partial(border_clips, border="edge"),
    "codec": codec_clips,
    "codec on noise": partial(codec_clips, content="noise"),
}
"""Clips in which nothing moves, by the cue that they leave."""

STATISTICS = 11
"""Of each frame: brightness, differences of neighbours along x and y, also of colour, sharpness, change, borders."""


def _statistics(clips: Tensor) -> Tensor:
    """Clips (N, T, 3, H, W) -> (N, T, STATISTICS)."""
    across, down = clips.diff(dim=4).abs(), clips.diff(dim=3).abs()
    change = torch.zeros(clips.shape[:2])
    change[:, 1:] = clips.diff(dim=1).abs().mean((2, 3, 4))
    fine = clips.diff(n=2, dim=4).abs().mean((2, 3, 4))
    colour = clips[:, :, 0] - clips[:, :, 1]
    tint = [colour.diff(dim=axis).abs().mean((2, 3)) for axis in (2, 3)]
    borders = [clips[..., 0, :], clips[..., -1, :], clips[..., 0], clips[..., -1]]
    whole = [clips.mean((2, 3, 4)), across.mean((2, 3, 4)), down.mean((2, 3, 4)), fine, change]
    return torch.stack([*whole, *tint, *(border.mean((2, 3)) for border in borders)], 2)


def _coded(frames: np.ndarray, *, qp: int, gop: int) -> np.ndarray:
    """Frames (T, H, W, 3) uint8 as they come back from H.264 with two B frames between others."""
    encoder: Any = av.CodecContext.create("libx264", "w")
    encoder.height, encoder.width, encoder.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
    encoder.time_base, encoder.gop_size = Fraction(1, 25), gop
    encoder.options = {
        "qp": str(qp),
        "ipratio": "1.6",
        "pbratio": "1.5",
        "bf": "2",
        "sc_threshold": "0",
        "preset": "veryfast",
        "threads": "1",
    }
    decoder: Any = av.CodecContext.create("h264", "r")
    packets = []
    for number, pixels in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame.pts = number
        packets += encoder.encode(frame)
    found = [frame for packet in [*packets, *encoder.encode(None), None] for frame in decoder.decode(packet)]
    return np.stack([frame.to_ndarray(format="rgb24") for frame in found])


TRAINED = 8
"""Batches of other clips that are trained on."""


def assert_at_chance(
    task: PretextTask,
    clips_of: Callable[..., Tensor],
    *,
    steps: int = 20,
    rows: int = 16,
    batches: int = 20,
    side: int = 32,
    lr: float = 5e-3,
) -> None:
    """Train `task` on such clips; on fresh ones its metric is within 3 standard errors of chance, or it fails.

    Args:
        task: with a small encoder, such as `ForensicEncoder`, which sees most; it is trained.
        clips_of: one of the functions above, or a `functools.partial` of one.
        steps: of AdamW on `TRAINED` batches in turn; enough that a task without the guard learns the shortcut.
        rows: clips of a batch.
        batches: fresh ones, over whose spread the standard error is taken.
        side: of the clips in pixels.
        lr: learning rate.
    """
    found = scores_on(task, clips_of, steps=steps, rows=rows, batches=batches, side=side, lr=lr)
    error = float(found.std()) / math.sqrt(batches)
    mean, chance = float(found.mean()), task.chance(rows)
    assert abs(mean - chance) <= 3 * error + 1e-6, f"{mean:.3f}, at chance it is {chance:.3f} +- {error:.3f}"


def scores_on(
    task: PretextTask, clips_of: Callable[..., Tensor], *, steps: int, rows: int, batches: int, side: int, lr: float
) -> Tensor:
    """The metric on each fresh batch (batches,) after training; arguments as of `assert_at_chance`."""
    torch.manual_seed(0)  # of dropout
    update = build_optimizer(task.train(), "adamw", lr, 1e-2)
    trained = [batch_of(task, clips_of, rows, side=side, seed=seed) for seed in range(min(steps, TRAINED))]
    for step in range(steps):
        example = task.pseudo_label(trained[step % TRAINED], generator("train", step))
        update.zero_grad()
        task.loss(task(example), example)["loss"].backward()
        update.step()
    task.eval()
    found = []
    with torch.no_grad():
        for seed in range(TRAINED, TRAINED + batches):
            example = task.pseudo_label(batch_of(task, clips_of, rows, side=side, seed=seed), generator("test", seed))
            found.append(float(task.loss(task(example), example)[task.metric_name()]))
    return torch.tensor(found)


def batch_of(task: PretextTask, clips_of: Callable[..., Tensor], rows: int, *, side: int, seed: int) -> Batch:
    """The task's inputs from clips of `clips_of`: those after another clip follow it, flow is that of OpenCV's DIS."""
    inputs = type(task).inputs(task.config)
    lengths = {name: one.frames for name, one in inputs.items() if isinstance(one, Clip)}
    clips = clips_of(rows, frames=sum(lengths.values()), side=side, seed=seed)
    found = dict(zip(lengths, clips.split(list(lengths.values()), 1), strict=True))
    for name, one in inputs.items():
        if isinstance(one, Computed) and one.program == "optical_flow":
            found[name] = _flow(found[one.like])
    return Batch(index=torch.arange(rows), inputs=found)


def _flow(clips: Tensor) -> Tensor:
    """Flow after each frame (N, T, 2, H / 2, W / 2); that after the last is the one before it."""
    program = OpticalFlow()
    found = [program.run(clip.permute(0, 2, 3, 1).contiguous().numpy()) for clip in clips]
    flow = torch.from_numpy(np.stack(found)).permute(0, 1, 4, 2, 3)
    return torch.cat([flow, flow[:, -1:]], 1)


_CONTENT: dict[Content, Callable[..., Tensor]] = {"still": still_clips, "noise": noise_clips}
