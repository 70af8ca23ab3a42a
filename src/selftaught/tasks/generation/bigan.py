"""BiGAN."""

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
from selftaught.data.inputs import Image, Input
from selftaught.encoders.base import Encoder
from selftaught.ops.colour import denormalise, normalise
from selftaught.ops.crop import random_resized_crop
from selftaught.ops.fidelity import psnr
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts import heads
from selftaught.tasks.parts.adversarial import grids
from selftaught.tasks.parts.discriminators import strided_convolutions

CODE_STD = 3**-0.5
"""Of uniform numbers in [-1, 1)."""
FROM_PICTURE, FROM_CODE, MISMATCHED = range(3)
"""What a pair can be: an image and its code, a code and the image generated from it, or an image and a code of two
pairs."""


@dataclass
class Example:
    """Real images (N, 3, S, S), normalised, and codes (N, Z) in [-1, 1), drawn independently."""

    images: Tensor
    codes: Tensor


class PairDiscriminator(nn.Module):
    """Images (N, 3, S, S) with codes (N, Z) -> logits (N, K): image came first, code came first, they do not match.

    `strided_convolutions` with layer normalisation reduce the image to a 4 x 4 map. Map and code (scaled to variance 1)
    become `hidden` numbers each; two layers see both and their products, by which one can be compared with the other.
    The logits of a pair do not depend on other pairs.
    """

    def __init__(self, code: int, *, side: int, width: int, hidden: int, kinds: int) -> None:
        super().__init__()
        # Layer normalisation: batch statistics would give away a batch of generated images only.
        layers, last = strided_convolutions(side, width=width, norm=lambda channels: nn.GroupNorm(1, channels))
        self.pictures = nn.Sequential(
            *layers, nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * last, hidden), nn.LeakyReLU(0.2)
        )
        self.codes = nn.Sequential(nn.Linear(code, hidden), nn.LeakyReLU(0.2))
        self.pairs = nn.Sequential(nn.Linear(3 * hidden, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, kinds))

    def forward(self, pictures: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of each image with its code, and with the code before it in the batch of all processes."""
        every, own = gather_rows(codes.detach()), torch.arange(len(codes), device=codes.device) + first_row(codes)
        picture = self.pictures(pictures)
        others = every[(own - 1) % len(every)]
        matched, mismatched = (self.judge(picture, self.codes(c / CODE_STD)) for c in (codes, others))
        return matched, mismatched

    def judge(self, picture: Tensor, code: Tensor) -> Tensor:
        """Hidden numbers (N, hidden) of both -> logits (N, K)."""
        logits: Tensor = self.pairs(torch.cat([picture, code, picture * code], 1))
        return logits


class BiGAN(PretextTask):
    """Encode images so that a discriminator cannot tell (image, its code) from (image generated from a code, that code)
    (Donahue, Krähenbühl, Darrell, ICLR 2017).

    Link: https://arxiv.org/abs/1605.09782

    Flow: image (N, 3, H, W) -> light random crop x (N, 3, S, S) -> encoder (N, D) -> batch normalisation -> linear: its
    code E(x) (N, Z). Code z (N, Z) uniform in [-1, 1] -> generator: its image G(z) (N, 3, S, S). A discriminator sees
    both halves of a pair, (x, E(x)) or (G(z), z), and learns to tell which it is, by cross entropy; then encoder and
    generator learn the opposite together (the form that does not saturate: the same cross entropy with both labels
    swapped).

    The image alone lets the discriminator tell real from generated while the generator is bad, so it can ignore the
    code: after 400 steps on CIFAR-10 it classified 93 % of the pairs (x, E(x)) as encoded, and also 93 % of images with
    the code of another image and 93 % of images with a random code. The encoder learned nothing. The discriminator
    therefore has a third class (`--task.mismatched`, weight 1): images, real or generated, with the code of another
    sample of the batch, as in Reed et al., ICML 2016. Encoder and generator do not produce such pairs; they are
    rewarded if their own, matched pairs are taken for the other player's. With this class the same discriminator (at
    that time with batch normalisation) gave 71 % for (x, E(x)), 47 % for the code of another image and 48 % for a
    random code. Noise on the images, the authors' latent regression, codes of variance 1 or products of both halves
    were not enough on their own.

    At the equilibrium E inverts G (the paper's theorem 2): the encoder has to recover the code that the generator was
    given, and a generator that can produce every image must be given a description of it. No loss compares pixels.

    Held-out metrics: "accuracy" is how often E(G(z)) is nearest to its own z among the batch's codes, by correlation
    (chance 1 / N): pairs cannot be matched without knowledge of what images show. "code_correlation" is the correlation
    of all numbers of E(G(z)) and z (chance 0). "psnr_gain" is the PSNR of G(E(x)) for a held-out x over that of x's
    mean colour; it may stay below 0, as no loss asks for the same pixels. "found" is how often G(E(x)) is nearest to
    its x. Training also logs "matched_score", the probability at which the discriminator takes (x, E(x)) for an encoded
    image, and "mismatched_score", the same for x with the code of another image. If both are equal, the discriminator
    ignores the code.

    Shortcut: pixel values that no real image has, or statistics of a batch of generated images only, would separate the
    pairs by the image alone, and the codes would not matter. Guard: a hyperbolic tangent keeps generated images in the
    range of real ones, and the discriminator has layer normalisation, so it sees each pair separately. With DCGAN's
    batch normalisation it relied on the batch: for held-out pairs its accuracy was 99 % after 100 steps on CIFAR-10
    (ResNet-18) with each kind in a separate batch, but 55 % with both in one batch; 98 and 79 % after 400 steps. With a
    smaller encoder and generator it was 100 and 50 % after 200 steps, and 99 and 99 % with layer normalisation. The
    code is then used at least as much: "matched_score" minus "mismatched_score" was 0.11, 0.27, 0.32 and 0.34 after
    each 100 steps, and 0.09 and 0.25 after the first two with batch normalisation. Instance normalisation (ResNet-18:
    0.06 and 0.07, against 0.07 and 0.09 with batch normalisation) and none (0.18 and 0.08) keep the guard as well. The
    encoder sees only real images in training.

    Differences from the paper: encoder, generator and discriminator see images of one size (the paper's AlexNet saw
    larger ones); features are normalised over the batch before the last layer, whatever the encoder: without it (the
    paper's encoder has batch normalisation) the codes of all images grow along one direction faster than the
    discriminator can follow; the code joins the image after its convolutions, as hidden units, and by their products;
    layer instead of batch normalisation in the discriminator; mismatched pairs (0 is the paper's objective); no latent
    regression; no weight decay (2.5e-5 in the paper); crops cover at least half of an image instead of nearly all; the
    generator has half the channels; the learning rate falls by a cosine from the first step, not exponentially in the
    second half.
    """

    recipe = Recipe(optimizer="adamw", lr=4e-4, weight_decay=0.0, betas=(0.5, 0.999), momentum=0.5, others={})

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        code: Annotated[int, Range(least=1)] = 200
        """Length Z of a code."""
        width: Annotated[int, Range(least=1)] = 512
        """Channels of the generator's first map; they halve with every doubling of the side."""
        discriminator_width: Annotated[int, Range(least=1)] = 64
        """Channels of the discriminator's first map; they double up to eight times this number."""
        hidden: Annotated[int, Range(least=1)] = 512
        """Hidden units of the discriminator for the image, for the code, and for both together."""
        mismatched: Annotated[float, Range(least=0)] = 1.0
        """Weight of mismatched pairs in the discriminator's loss, which make it use the code; 0 leaves them out, as in
        the paper."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.5
        """Smallest share of the image's area that a crop covers."""

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"image": Image()}

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        # Of features with variance 1 the linear layer's initial weights make codes with the variance of z, 1/3.
        self.to_code = nn.Sequential(
            nn.BatchNorm1d(encoder.num_features, affine=False), nn.Linear(encoder.num_features, config.code)
        )
        self.generator = heads.Generator(config.code, side=size, width=config.width)
        self.discriminator = PairDiscriminator(
            config.code,
            side=size,
            width=config.discriminator_width,
            hidden=config.hidden,
            kinds=3 if config.mismatched else 2,
        )

    def players(self) -> Mapping[str, tuple[str, ...]]:
        return {
            "discriminator": ("discriminator",),
            "generator": ("generator", "encoder", "to_code"),
        }

    def chance(self, batch_size: int) -> float:
        return 1 / batch_size

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Image (N, 3, H, W) uint8 -> `Example` of N images and N codes; the pseudo-label is which came first."""
        images = normalise(random_resized_crop(batch["image"], self.size, rng, scale=(self.config.min_scale, 1.0)))
        return Example(images, uniform((len(images), self.config.code), -1, 1, rng))

    def forward(self, example: Example, player: str = "generator") -> dict[str, Tensor]:
        """Logits (N, K) of pairs that began with a "real" image or were "made" from a code.

        For the discriminator also of both kinds of images with the codes of others: "real_mismatched" and
        "made_mismatched". In evaluation also the images "rebuilt" G(E(x)) (N, 3, S, S) and the codes "recoded"
        E(G(z)) (N, Z).
        """
        with torch.set_grad_enabled(player == "generator" and torch.is_grad_enabled()):
            codes, made = self._encode(example.images), self.generator(example.codes)
        real, real_mismatched = self.discriminator(example.images, codes)
        made_pairs, made_mismatched = self.discriminator(made, example.codes)
        logits = {"real": real, "made": made_pairs}
        if player == "discriminator":
            return logits | {"real_mismatched": real_mismatched, "made_mismatched": made_mismatched}
        if self.training:
            return logits
        return logits | {"rebuilt": self.generator(codes), "recoded": self._encode(made)}

    def loss(self, prediction: dict[str, Tensor], example: Example, player: str = "generator") -> dict[str, Tensor]:
        """The player's loss; in evaluation the generator's with the metrics of the class's docstring."""
        real, made = prediction["real"].float(), prediction["made"].float()
        if player == "discriminator":
            return self._discriminator_loss({name: logits.float() for name, logits in prediction.items()})
        scalars = {"loss": _named(real, FROM_CODE) + _named(made, FROM_PICTURE)}
        if "rebuilt" in prediction:
            scalars |= _matches(prediction["recoded"], example.codes)
            pictures, rebuilt = denormalise(example.images), denormalise(prediction["rebuilt"])
            colour = pictures.mean((2, 3), keepdim=True).expand_as(pictures)
            scalars["psnr_gain"] = (psnr(rebuilt, pictures) - psnr(colour, pictures)).mean()
            scalars["found"] = _matches(rebuilt.flatten(1), pictures.flatten(1))["accuracy"]
        return scalars

    @torch.no_grad()
    def generate(self, example: Example) -> Tensor:
        """Images (N, 3, S, S), normalised."""
        pictures: Tensor = self.generator(example.codes)
        return pictures

    def show(self, example: Example, prediction: dict[str, Tensor], count: int) -> list[Shown]:
        """A grid of real and one of generated images; then images and what is generated from their codes."""
        real, made = denormalise(example.images.float()), denormalise(self.generate(example))
        shown = [grids(real, made)]
        rebuilt = denormalise(prediction["rebuilt"].float())
        for picture, again in zip(real[: count - 1], rebuilt, strict=False):
            shown.append(Shown(inputs=[picture], pseudo_label="the same image, from its code", prediction=again))
        return shown

    def _discriminator_loss(self, logits: dict[str, Tensor]) -> dict[str, Tensor]:
        """Cross entropy of the kinds of pairs; accuracy on matched pairs; the scores of the class's docstring."""
        real, made, mismatched = logits["real"], logits["made"], logits["real_mismatched"]
        loss = _named(real, FROM_PICTURE) + _named(made, FROM_CODE)
        if self.config.mismatched:
            unlike = _named(mismatched, MISMATCHED) + _named(logits["made_mismatched"], MISMATCHED)
            loss = loss + self.config.mismatched / 2 * unlike
        right = [real[:, FROM_PICTURE] > real[:, FROM_CODE], made[:, FROM_PICTURE] <= made[:, FROM_CODE]]
        return {
            "loss": loss,
            "told_apart": torch.cat(right).float().mean(),
            "matched_score": real.detach().softmax(1)[:, FROM_PICTURE].mean(),
            "mismatched_score": mismatched.detach().softmax(1)[:, FROM_PICTURE].mean(),
        }

    def _encode(self, pictures: Tensor) -> Tensor:
        codes: Tensor = self.to_code(self.encoder(pictures))
        return codes


def _named(logits: Tensor, kind: int) -> Tensor:
    """Cross entropy of logits (N, K) with one kind for all."""
    return F.cross_entropy(logits, torch.full((len(logits),), kind, device=logits.device))


def _matches(found: Tensor, true: Tensor) -> dict[str, Tensor]:
    """How often a row of `found` (N, K) is nearest to its own row of `true`, and the correlation of all their numbers.

    Both are centred over the batch, and near is a large cosine, so neither scale nor offset matters.
    """
    found, true = (x.float() - x.float().mean(0) for x in (found, true))
    cosine = F.normalize(found, dim=1) @ F.normalize(true, dim=1).T
    own = torch.arange(len(true), device=true.device)
    return {
        "accuracy": (cosine.argmax(1) == own).float().mean(),
        "code_correlation": F.cosine_similarity(found.flatten(), true.flatten(), dim=0),
    }
