"""Masked autoencoder: most patches are hidden, a transformer that sees the rest gives them back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from timm.models.vision_transformer import Block
from torch import Generator, Tensor, nn

from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Image, Input
from selftaught.encoders.base import Encoder, EncoderSpec, TokenEncoder
from selftaught.ops.colour import denormalise, normalise
from selftaught.ops.crop import random_resized_crop
from selftaught.ops.positions import grid_positions, sine_cosine
from selftaught.tasks.base import PretextTask, Recipe, Shown

HEAD = 32
"""Features of one attention head of the decoder, as in the paper: 512 in 16 heads."""
SMALLEST = 1e-6
"""Added to the variance of a patch, as in the authors' code."""


@dataclass
class Example:
    """What is seen and what is to be given back.

    Attributes:
        images: (N, 3, S, S) normalised crops.
        seen: (N, K) int64, the patches that the encoder sees, in the order of a random shuffle.
        hidden: (N, L) bool, the others.
        targets: (N, L, 3 p^2) pixels of every patch, row by row, the three colours of a pixel side by side.
    """

    images: Tensor
    seen: Tensor
    hidden: Tensor
    targets: Tensor


class Mae(PretextTask):
    """Reconstruct the 75 % of an image's patches that are hidden (He, Chen, Xie, Li, Dollár, Girshick, CVPR 2022).

    Link: https://arxiv.org/abs/2111.06377

    Flow: image (N, 3, H, W) -> random crop (N, 3, S, S), flipped half of the time -> L patches of p x p pixels, of
    which a random K = L / 4 are visible -> encoder on the visible patches and the class token (N, 1 + K, D) -> linear
    to the decoder's width W, a learned mask token for every hidden patch, fixed sine-cosine positions -> transformer
    blocks (N, 1 + L, W) -> linear (N, L, 3 p^2) -> mean squared error on the hidden patches.

    The encoder is a ViT or DeiT of timm, such as `--encoder timm:vit_tiny_patch16_224`. As in the paper, its position
    embeddings are fixed sines and cosines, and all of its linear layers, including the patch projection, are
    initialised from Xavier's uniform distribution. By default the decoder has two thirds of the encoder's width and
    depth, with heads of 32 features. For ViT-B this is the paper's decoder, with width 512, depth 8 and 16 heads; for
    smaller encoders it is smaller, whereas the paper uses one decoder for all.

    Shortcut: the mean colour of a hidden patch can be predicted from its neighbours without any understanding. Guard:
    each target patch is standardised by its own mean and standard deviation, so colour and contrast of the surroundings
    do not help; and no pixel of a hidden patch reaches the encoder, as each token is computed from one patch (encoders
    with overlapping convolutions in front are refused) and crops have no borders.

    Differences from the paper: crops are bilinear instead of bicubic. As in the paper, weight decay skips only vectors,
    so the class and mask tokens are decayed. The recipe's learning rate is the paper's, 1.5e-4 at a batch size of 256;
    the paper trains for 800 epochs with batches of 4,096, that is, with 2.4e-3. Short runs with small batches need such
    a rate too: set it with `--lr`. Previews use the true mean and standard deviation of each patch, as the figures of
    the paper do.

    The metric is the signal-to-noise ratio on the hidden patches in dB, compared with a trivial prediction: a constant
    patch if patches are standardised; with `--task.norm-pix false`, the mean colour of the visible patches.
    """

    any_channels = True
    recipe = Recipe(optimizer="adamw", lr=1.5e-4, weight_decay=0.05, betas=(0.9, 0.95), warmup=0.05)
    encoders: ClassVar[Mapping[str, EncoderSpec]] = {"encoder": EncoderSpec("image", tokens=True)}

    positions: Tensor

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        mask: Annotated[float, Range(above=0, below=1)] = 0.75
        """Share of the patches that are hidden."""
        width: Annotated[int, Range(least=0)] = 0
        """Width of the decoder, a multiple of 4; 0 uses two thirds of the encoder's."""
        depth: Annotated[int, Range(least=0)] = 0
        """Number of decoder blocks; 0 uses two thirds of the encoder's."""
        heads: Annotated[int, Range(least=0)] = 0
        """Attention heads of the decoder, a divisor of its width; 0 uses one per 32 features."""
        norm_pix: bool = True
        """Predict pixels standardised within each patch."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.2
        """Smallest share of the image's area that a crop covers."""

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"image": Image()}

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        assert isinstance(encoder, TokenEncoder)  # `encoders` asks for it
        self.encoder: TokenEncoder = encoder
        self.config = config
        self.size = size
        self.rows, self.columns = encoder.token_grid(encoder.stages[-1], size, size)
        self.count = self.rows * self.columns
        self.visible = round(self.count * (1 - config.mask))
        if not 0 < self.visible < self.count:
            raise ValueError(
                f"task 'mae' would show {self.visible} of {self.count} patches with --task.mask {config.mask:g}; "
                "change it, or choose a smaller patch or a larger --size"
            )
        width, depth, heads = decoder_shape(config, encoder.token_features, len(encoder.stages))
        self.enter = nn.Linear(encoder.token_features, width)
        self.mask_token = nn.Parameter(torch.empty(1, 1, width))
        self.blocks = nn.Sequential(*(Block(width, heads, qkv_bias=True) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.channels = encoder.channels
        self.pixels = nn.Linear(width, self.channels * (size // self.rows) * (size // self.columns))
        places = grid_positions(self.rows, self.columns)
        self.register_buffer("positions", sine_cosine(places, width), persistent=False)
        self._start()

    def metric_name(self) -> str:
        return "psnr_gain"

    def chance(self, batch_size: int) -> float:
        return 0.0

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Image (N, 3, H, W) uint8 -> `Example`: crops, which patches are seen, and the pixels of all."""
        c = self.config
        images = normalise(random_resized_crop(batch["image"], self.size, rng, scale=(c.min_scale, 1.0)))
        noise = torch.rand(len(images), self.count, generator=rng, device=images.device)
        seen = noise.argsort(1)[:, : self.visible]
        hidden = torch.ones_like(noise, dtype=torch.bool).scatter(1, seen, False)
        patches = self.patchify(images)
        return Example(images, seen, hidden, standardise(patches) if c.norm_pix else patches)

    def forward(self, example: Example) -> Tensor:
        """Pixels of all patches as in `Example.targets`, (N, L, 3 p^2)."""
        tokens, _ = self.encoder.embed_patches(example.images)
        found = self.encoder.forward_tokens(tokens.gather(1, _every(example.seen, tokens.shape[2])))
        entered = self.enter(found)
        prefix, seen = entered[:, : self.encoder.num_prefix_tokens], entered[:, self.encoder.num_prefix_tokens :]
        masks = self.mask_token.to(seen.dtype).expand(len(seen), self.count, -1)
        every = masks.scatter(1, _every(example.seen, seen.shape[2]), seen) + self.positions
        decoded = self.norm(self.blocks(torch.cat([prefix, every], 1)))
        pixels: Tensor = self.pixels(decoded[:, prefix.shape[1] :])
        return pixels

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """Mean squared error on the hidden patches, and the dB gained over a guess without knowledge."""
        hidden = example.hidden
        error = (prediction.float() - example.targets).square().mean(2)[hidden].mean()
        trivial = (example.targets - self._guess(example)).square().mean(2)[hidden].mean()
        gain = 10 * (trivial.clamp(min=1e-8) / error.detach().clamp(min=1e-8)).log10()
        return {"loss": error, "psnr_gain": gain}

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """The image with hidden patches in grey, the image, and the image with its hidden patches reconstructed."""
        patches = self.patchify(example.images)
        pixels = prediction.float()
        if self.config.norm_pix:
            mean, deviation = _moments(patches)
            pixels = pixels * deviation + mean
        hidden = example.hidden[:, :, None]
        grey = normalise(torch.full_like(example.images[:1], 0.5))
        shown = [torch.where(hidden, self.patchify(grey), patches), patches, torch.where(hidden, pixels, patches)]
        seen, whole, made = (denormalise(self.unpatchify(each)).clamp(0, 1) for each in shown)
        return [
            Shown(inputs=[seen[i]], pseudo_label=whole[i], prediction=made[i]) for i in range(min(count, len(seen)))
        ]

    def patchify(self, images: Tensor) -> Tensor:
        """(N, 3, S, S) -> (N, L, 3 p^2)."""
        n = len(images)
        cells = images.reshape(n, self.channels, self.rows, -1, self.columns, self.size // self.columns)
        return cells.permute(0, 2, 4, 3, 5, 1).reshape(n, self.count, -1)

    def unpatchify(self, patches: Tensor) -> Tensor:
        """(N, L, 3 p^2) -> (N, 3, S, S)."""
        n = len(patches)
        cells = patches.reshape(n, self.rows, self.columns, self.size // self.rows, self.size // self.columns, -1)
        images: Tensor = cells.permute(0, 5, 1, 3, 2, 4).reshape(n, self.channels, self.size, self.size)
        return images

    def _guess(self, example: Example) -> Tensor:
        """(N, 1, 3 p^2): 0 for standardised patches, else the mean colour of those seen."""
        if self.config.norm_pix:
            return torch.zeros_like(example.targets[:, :1])
        seen = example.targets.gather(1, _every(example.seen, example.targets.shape[2]))
        colour: Tensor = seen.unflatten(2, (-1, self.channels)).mean((1, 2))
        return colour.repeat(1, example.targets.shape[2] // self.channels)[:, None]

    @torch.no_grad()
    def _start(self) -> None:
        """Weights as in the authors' code, in the encoder and the decoder."""
        self.encoder.fix_positions()
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                # The projection of patches is a convolution; it starts as the linear layer that it is.
                nn.init.xavier_uniform_(module.weight.view(len(module.weight), -1))
                if isinstance(module, nn.Linear) and module.bias is not None:
                    nn.init.zeros_(module.bias)
        for name, parameter in self.named_parameters():
            if name.endswith(("_token", "mask_token")):
                nn.init.normal_(parameter, std=0.02)


def decoder_shape(config: Mae.Config, features: int, stages: int) -> tuple[int, int, int]:
    """Width, depth and heads of the decoder behind an encoder of so many features and blocks."""
    width = config.width or max(1, round(features * 2 / 3 / HEAD)) * HEAD
    heads = config.heads or max(1, width // HEAD)
    if width % 4 or width % heads:
        raise ValueError(
            f"--task.width of task 'mae' must be a multiple of 4 and of its {heads} heads, got {width}; change it or "
            "--task.heads"
        )
    return width, config.depth or max(1, round(stages * 2 / 3)), heads


def standardise(patches: Tensor) -> Tensor:
    """Patches (N, L, P) less their own mean, divided by their own standard deviation; of one colour, 0."""
    mean, deviation = _moments(patches)
    return (patches - mean) / deviation


def _moments(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (N, L, 1), the variance unbiased and `SMALLEST` more, as in the authors' code."""
    return patches.mean(2, keepdim=True), (patches.var(2, keepdim=True) + SMALLEST).sqrt()


def _every(index: Tensor, features: int) -> Tensor:
    """(N, K) -> (N, K, features), to gather or scatter whole tokens."""
    return index[:, :, None].expand(-1, -1, features)
