"""Masked autoencoder of clips: most tubes are hidden, a transformer that sees the rest gives them back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from timm.models.vision_transformer import Block
from torch import Generator, Tensor, nn

from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Input
from selftaught.encoders.base import Encoder, EncoderSpec, TokenEncoder
from selftaught.encoders.video.videovit import TUBE, numbered_sines
from selftaught.ops.frames import square_crops
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.clips.short_clips import for_encoder

HEAD = 64
"""Features of one attention head of the decoder, as published: 192 in 3 heads for the small encoder."""
SMALLEST = 1e-6
"""Added to the standard deviation of a cube, as in the authors' code."""
BEGIN = 0.02
"""Standard deviation of the mask token at the start."""


@dataclass
class Example:
    """Clips, and what is hidden of them.

    Attributes:
        clips: (N, T, 3, S, S) in [0, 1].
        seen: (N, K) int64, the cubes that the encoder sees: all those of a tube.
        hidden: (N, L - K) int64, the others.
        targets: (N, L - K, P, 3), the P pixels of each hidden cube, each channel standardised in it.
    """

    clips: Tensor
    seen: Tensor
    hidden: Tensor
    targets: Tensor


class VideoMae(PretextTask):
    """Reconstruct the 90 % of a clip's tubes that are hidden (Tong, Song, Wang, Wang, NeurIPS 2022).

    Link: https://arxiv.org/abs/2203.12602

    Flow: clip (N, T, 3, H, W) -> one square crop for all frames -> L cubes of 2 x 16 x 16 pixels, of which 10 % are
    seen: the same places in all frames -> encoder on the visible cubes alone, with attention between all of them, over
    space and time (N, K, D) -> linear to the decoder's width W; a mask token for each hidden cube; fixed positions ->
    4 transformer blocks (N, L, W) -> linear, for the hidden cubes (N, L - K, 3 x 2 x 16 x 16) -> mean squared error.

    Little is seen, so the network must know what things look like and how they move. The encoder sees a tenth of the
    cubes, and the decoder is half as wide and a third as deep, so steps are cheap. It is `videovit_tiny` or
    `videovit_small`, the latter with the shape and the names of weights published.

    Shortcut: in a video, a cube that is hidden in one frame can be copied from the frames before and after, where
    little moves. Guard: tubes are hidden: the same places in all frames, so that no frame shows what another one hides;
    nothing is gained on one repeated frame of noise, while masks drawn for each frame would be. Targets are
    standardised in each cube, so colour and contrast of the surroundings do not help; no pixel of a hidden cube reaches
    the encoder.

    Differences from the paper: one square of at least `least_side` of the short side, mirrored half of the time,
    where the paper's crops have one of four fixed sides and are not mirrored; the stride of frames is 2, as for
    Something-Something (4 for Kinetics); the decoder of `videovit_tiny` has 1 head. The recipe's learning rate is the
    paper's, 1.5e-4 for 256 clips; short runs with small batches need a larger one: set it with `--lr`.

    The metric is the signal-to-noise ratio on the hidden cubes in dB, compared with a constant cube.
    """

    recipe = Recipe(optimizer="adamw", lr=1.5e-4, weight_decay=0.05, betas=(0.9, 0.95), warmup=0.05)
    encoders: ClassVar[Mapping[str, EncoderSpec]] = {"encoder": EncoderSpec("video", tokens=True)}

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        frames: Annotated[int, Range(least=2)] = 16
        """Frames of a clip (T), an even number."""
        stride: Annotated[int, Range(least=1)] = 2
        """Distance between frames of the clip, in frames of the video."""
        mask: Annotated[float, Range(above=0, below=1)] = 0.9
        """Share of the tubes that are hidden."""
        width: Annotated[int, Range(least=0)] = 0
        """Width of the decoder; 0 uses half of the encoder's."""
        depth: Annotated[int, Range(least=1)] = 4
        """Number of decoder blocks."""
        heads: Annotated[int, Range(least=0)] = 0
        """Attention heads of the decoder, a divisor of its width; 0 uses one per 64 features."""
        least_side: Annotated[float, Range(above=0, most=1)] = 0.66
        """Smallest side of the crop, as a share of the short side between black bars."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.frames % TUBE:
                raise ValueError(f"--task.frames must be a multiple of {TUBE}, the frames of a cube, got {self.frames}")

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        assert isinstance(encoder, TokenEncoder)  # `encoders` asks for it
        self.encoder: TokenEncoder = encoder
        self.config = config
        self.size = size
        with torch.no_grad():
            last = encoder.embed_patches(torch.zeros(1, 3, config.frames, size, size))[1][-1] + 1
        self.times, self.rows, self.columns = last.tolist()
        self.places = self.rows * self.columns
        self.hidden = int(config.mask * self.places)
        if not 0 < self.hidden < self.places:
            raise ValueError(
                f"task 'video_mae' would hide {self.hidden} of {self.places} tubes with --task.mask {config.mask:g}; "
                "change it, or choose --stem small or a larger --size"
            )
        width = config.width or encoder.token_features // 2
        heads = config.heads or max(1, width // HEAD)
        if width % (2 * heads):
            raise ValueError(
                f"--task.width of task 'video_mae' must be even and a multiple of its {heads} heads, got {width}; "
                "change it or --task.heads"
            )
        self.enter = nn.Linear(encoder.token_features, width, bias=False)
        self.mask_token = nn.Parameter(torch.empty(1, 1, width))
        self.blocks = nn.Sequential(*(Block(width, heads, qkv_bias=True) for _ in range(config.depth)))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.pixels = nn.Linear(width, 3 * TUBE * (size // self.rows) * (size // self.columns))
        self._start()

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"video": Clip(frames=config.frames, stride=config.stride)}

    def metric_name(self) -> str:
        return "psnr_gain"

    def chance(self, batch_size: int) -> float:
        return 0.0

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Clip (N, T, 3, H, W) uint8 -> `Example`."""
        clips = square_crops(batch["video"], self.size, rng, least_side=self.config.least_side)
        order = torch.rand(len(clips), self.places, generator=rng, device=clips.device).argsort(1)
        seen, hidden = (self._tubes(places) for places in (order[:, self.hidden :], order[:, : self.hidden]))
        cubes = self.cut(clips).take_along_dim(hidden[:, :, None, None], 1)
        return Example(clips, seen, hidden, standardise(cubes))

    def forward(self, example: Example) -> Tensor:
        """Pixels of the hidden cubes as in `Example.targets`, (N, L - K, P, 3)."""
        tokens, _ = self.encoder.embed_patches(for_encoder(example.clips[:, None]))
        visible = self.enter(self.encoder.forward_tokens(tokens.take_along_dim(example.seen[:, :, None], 1)))
        positions = numbered_sines(tokens.shape[1], visible.shape[2], tokens.device)
        asked = self.mask_token.to(visible.dtype) + positions[example.hidden].to(visible.dtype)
        every = torch.cat([visible + positions[example.seen].to(visible.dtype), asked], 1)
        decoded = self.norm(self.blocks(every)[:, visible.shape[1] :])
        pixels: Tensor = self.pixels(decoded).unflatten(2, (-1, 3))
        return pixels

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """Mean squared error on the hidden cubes, and the dB gained over a constant cube."""
        error = (prediction.float() - example.targets).square().mean()
        trivial = example.targets.square().mean()
        gain = 10 * (trivial.clamp(min=1e-8) / error.detach().clamp(min=1e-8)).log10()
        return {"loss": error, "psnr_gain": gain}

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """The clip with its hidden tubes in grey, the clip, and the clip with its hidden tubes reconstructed."""
        clips, hidden = example.clips[:count].float(), example.hidden[:count, :, None, None]
        cubes = self.cut(clips)
        # As in the paper's figures, with the true mean and standard deviation of each cube.
        mean, deviation = _moments(cubes.take_along_dim(hidden, 1))
        made = (prediction[:count].float() * deviation + mean).clamp(0, 1)
        where = hidden.expand_as(made)
        grey, filled = (self.join(cubes.scatter(1, where, x)) for x in (torch.full_like(made, 0.5), made))
        return [Shown(inputs=[grey[i]], pseudo_label=clips[i], prediction=filled[i]) for i in range(len(clips))]

    def cut(self, clips: Tensor) -> Tensor:
        """Clips (N, T, 3, S, S) -> cubes (N, L, P, 3), pixels frame by frame and row by row."""
        cells = clips.reshape(len(clips), self.times, TUBE, 3, self.rows, -1, self.columns, self.size // self.columns)
        return cells.permute(0, 1, 4, 6, 2, 5, 7, 3).flatten(4, 6).flatten(1, 3)

    def join(self, cubes: Tensor) -> Tensor:
        """The inverse of `cut`."""
        down, across = self.size // self.rows, self.size // self.columns
        cells = cubes.reshape(len(cubes), self.times, self.rows, self.columns, TUBE, down, across, 3)
        clips: Tensor = cells.permute(0, 1, 4, 7, 2, 5, 3, 6).flatten(5, 6).flatten(3, 4).flatten(1, 2)
        return clips.reshape(len(cubes), -1, 3, self.size, self.size)

    def _tubes(self, places: Tensor) -> Tensor:
        """Places (N, M) of a frame -> the cubes at them, at all times (N, T' M)."""
        times = torch.arange(self.times, device=places.device)[None, :, None] * self.places
        cubes: Tensor = (times + places[:, None]).flatten(1)
        return cubes

    @torch.no_grad()
    def _start(self) -> None:
        """Weights as in the authors' code; those of the encoder start so by themselves."""
        for module in (self.enter, self.blocks, self.pixels):
            for layer in module.modules():
                if isinstance(layer, nn.Linear):
                    nn.init.xavier_uniform_(layer.weight)
                    if layer.bias is not None:
                        nn.init.zeros_(layer.bias)
        nn.init.trunc_normal_(self.mask_token, std=BEGIN, a=-BEGIN, b=BEGIN)


def standardise(cubes: Tensor) -> Tensor:
    """Cubes (N, L, P, 3), each channel less its mean in the cube, divided by its standard deviation there."""
    mean, deviation = _moments(cubes)
    return (cubes - mean) / deviation


def _moments(cubes: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (N, L, 1, 3), the latter unbiased and `SMALLEST` more."""
    return cubes.mean(2, keepdim=True), cubes.std(2, keepdim=True) + SMALLEST
