"""GAN whose discriminator is kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from selftaught.core.randomness import uniform
from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Image, Input
from selftaught.encoders.base import Encoder
from selftaught.ops.colour import denormalise, normalise
from selftaught.ops.crop import random_resized_crop
from selftaught.ops.warp import all_rotations
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts import heads
from selftaught.tasks.parts.adversarial import (
    discriminator_loss,
    generator_loss,
    gradient_lengths,
    grids,
    own_statistics,
    running_statistics,
)


@dataclass
class Example:
    """What both players see.

    Attributes:
        images: (N, 3, S, S) real images, normalised.
        codes: (N, Z) in [-1, 1), from which the images of the discriminator's turn are generated.
        other_codes: (N, Z), from which those of the generator's turn are generated.
        mix: (N,) in [0, 1), position between a generated and a real image at which the gradient is taken.
    """

    images: Tensor
    codes: Tensor
    other_codes: Tensor
    mix: Tensor


class GAN(PretextTask):
    """Discriminate real from generated images, and predict by which angle real images were rotated (Chen, Zhai, Ritter,
    Lucic, Houlsby, CVPR 2019).

    Link: https://arxiv.org/abs/1811.11212 (rotation, SS-GAN), https://arxiv.org/abs/1511.06434 (DCGAN),
    https://arxiv.org/abs/1704.00028 (WGAN-GP), https://arxiv.org/abs/1802.05957 (hinge)

    Flow: image (N, 3, H, W) -> light random crop (N, 3, S, S); code z (N, Z) uniform in [-1, 1] -> linear to a
    4 x 4 map -> up-convolutions -> image (N, 3, S, S). Either -> encoder, which is the discriminator (N, D) ->
    linear: one score, real or generated, and four logits of the rotation. The players are optimised in turn:

    - `--task.objective dcgan`: cross entropy; the generator maximises log D of its images, which does not saturate
      (Goodfellow et al. 2014; Radford, Metz, Chintala, ICLR 2016).
    - `wgan_gp`: the critic maximises the difference of its scores, and the penalty 10 (|gradient| - 1)^2 at points
      between real and generated images limits its slope (Gulrajani et al., NIPS 2017). The generator is updated in
      every fifth step, always with new images, and Adam's betas are (0, 0.9). `--steps` counts the steps of the critic,
      which is the encoder that is kept; 400 steps include 80 updates of the generator, and fewer than 5 steps none.
    - `hinge`: hinge loss on both sides.
    - A quarter of the batch is rotated by all four multiples of 90 degrees. The discriminator learns the angle of real
      images (weight 1), the generator learns to generate images whose angle can be predicted (weight 0.2).
      `--task.rotation 0 --task.generator-rotation 0` is the plain GAN.

    To find what the generator still does wrong, the discriminator must know what real images look like. It forgets
    features that no longer separate real from generated images; the rotation task, on by default, prevents that.

    Held-out metrics: "accuracy" is that of the rotation or, without rotation, the fraction of pairs of a real and a
    generated image in which the real one scores higher (chance 1/2; this depends as much on the generator as on the
    discriminator). "real_above_made" is this fraction in either case, "frechet" the Frechet distance between the
    features of real and generated images.

    Shortcut: pixel values that no real image has, or batch statistics that differ between real and generated images,
    would give the generated images away regardless of their content; traces of resampling would give the rotation away.
    Guard: a hyperbolic tangent keeps generated images in the range of real ones; equally many real and generated
    images, all upright, pass through the encoder in one batch, in the turns of both players, so they share the
    statistics of batch normalisation; crops are as wide as high on average, and rotation is exact. Rotated copies pass
    in a separate batch: when they were in the batch of the real images, the score measured their presence (after 200
    steps on CIFAR-10, generated images alone were classified as real in 0 % of the cases, and in 100 % next to rotated
    copies of generated ones). With real and generated images in separate batches, normalisation removes the difference
    of their means: with a small encoder that ends with normalisation (timm:test_resnet, CIFAR-10), "real_above_made"
    was 0.49, 0.51 and 0.52 after each 50 steps in training, so the generator learned nothing; in one batch it was 0.72,
    0.94 and 0.82.

    Batch normalisation of the encoder: only real upright images update the running statistics, in a separate pass.
    Features and held-out scores use these statistics, so held-out losses differ from training losses. The gradient
    penalty uses them too, as with batch statistics the score of an image also depends on other images; encoders without
    batch normalisation (alexnet, vgg11, transformers) suit wgan_gp better.

    Differences from the papers: the discriminator is the encoder of `--encoder` (ReLU, pooled features, no spectral
    normalisation, which hinge and the rotation had); SS-GAN's code passes rotated images in the same batch; codes are
    uniform for all objectives; the generator has half of DCGAN's channels (all with `--task.width 1024`), one more 1 x
    1 convolution at the start and a 3 x 3 one at the end; crops instead of whole images; the learning rate of both
    players warms up and falls by a cosine.
    """

    recipe = Recipe(optimizer="adamw", lr=4e-4, weight_decay=0.0, betas=(0.5, 0.999), momentum=0.5, others={})

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        objective: Literal["dcgan", "wgan_gp", "hinge"] = "dcgan"
        """Objective: non-saturating cross entropy, Wasserstein with gradient penalty, or hinge."""
        rotation: Annotated[float, Range(least=0)] = 1.0
        """Weight of the rotation of real images in the discriminator's loss; 0 turns it off."""
        generator_rotation: Annotated[float, Range(least=0)] = 0.2
        """Weight of the rotation of generated images in the generator's loss; 0 turns it off."""
        rotated: Annotated[float, Range(above=0, most=1)] = 0.25
        """Share of the batch that is rotated by all four angles."""
        critic_steps: Annotated[int, Range(least=0)] = 0
        """Discriminator steps per generator step; 0 uses the paper's: 5 for wgan_gp, else 1."""
        penalty: Annotated[float, Range(least=0)] = 10.0
        """Weight of the gradient penalty of wgan_gp."""
        code: Annotated[int, Range(least=1)] = 100
        """Length Z of the generator's codes."""
        width: Annotated[int, Range(least=1)] = 512
        """Channels of the generator's first map; they halve with every doubling of the side."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.5
        """Smallest share of the image's area that a crop covers."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.generator_rotation and not self.rotation:
                raise ValueError(
                    "--task.generator-rotation needs a discriminator that knows rotations; set it to 0 or raise "
                    "--task.rotation"
                )

    @classmethod
    def recipe_for(cls, config: Config) -> Recipe:
        """WGAN-GP uses other betas, as momentum harms its critic."""
        if config.objective == "wgan_gp":
            return dataclasses.replace(cls.recipe, betas=(0.0, 0.9), momentum=0.0)
        return cls.recipe

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"image": Image()}

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        self.head = nn.Linear(encoder.num_features, 5 if config.rotation else 1)
        self.generator = heads.Generator(config.code, side=size, width=config.width)

    def players(self) -> Mapping[str, tuple[str, ...]]:
        return {
            "discriminator": ("encoder", "head"),
            "generator": ("generator",),
        }

    def chance(self, batch_size: int) -> float:
        return 0.25 if self.config.rotation else 0.5

    def turns(self, step: int) -> Sequence[str]:
        """The discriminator in every step, the generator after `critic_steps` of them."""
        every = self.config.critic_steps or (5 if self.config.objective == "wgan_gp" else 1)
        return ("discriminator",) if (step + 1) % every else ("discriminator", "generator")

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Image (N, 3, H, W) uint8 -> `Example` of N real images and 2 N codes."""
        images = normalise(random_resized_crop(batch["image"], self.size, rng, scale=(self.config.min_scale, 1.0)))
        codes, other_codes = uniform((2 * len(images), self.config.code), -1, 1, rng).chunk(2)
        return Example(images, codes, other_codes, uniform((len(images),), 0, 1, rng))

    def forward(self, example: Example, player: str = "discriminator") -> dict[str, Tensor]:
        """Scores (N,) of "real" and "made" images, logits "angles" (4 R, 4) of R of them, "lengths" of gradients.

        "angles" are of generated images in the generator's turn, else of real ones.
        """
        if player == "generator":
            made = self.generator(example.other_codes)
            return self._scores(example.images, made) | self._angles(made, self.config.generator_rotation)
        with torch.no_grad():
            made = self.generator(example.codes)
        prediction = self._scores(example.images, made) | self._angles(example.images, self.config.rotation)
        if self.training:
            with torch.no_grad():
                self.encoder(example.images)  # only for what its batch normalisation remembers
        if self.config.objective == "wgan_gp":
            # Last, as the other passes would change the running statistics under the gradient's graph.
            with running_statistics(self.encoder):
                prediction["lengths"] = gradient_lengths(self._score, example.images, made, example.mix)
        return prediction

    def loss(self, prediction: dict[str, Tensor], example: Example, player: str = "discriminator") -> dict[str, Tensor]:
        """The player's loss, and the metrics of the class's docstring."""
        c = self.config
        if player == "generator":
            loss = generator_loss(c.objective, prediction["made"])
            if "angles" not in prediction:
                return {"loss": loss}
            right, cross_entropy = _rotation(prediction["angles"])
            return {"loss": loss + c.generator_rotation * cross_entropy, "accuracy_of_made": right}
        real, made = prediction["real"].float(), prediction["made"].float()
        above = (real.detach()[:, None] > made.detach()).float().mean()
        scalars = {"loss": discriminator_loss(c.objective, real, made), "accuracy": above, "real_above_made": above}
        if "lengths" in prediction:
            lengths = prediction["lengths"]
            scalars["loss"] = scalars["loss"] + c.penalty * (lengths - 1).square().mean()
            scalars["gradient_length"] = lengths.detach().mean()
        if "angles" in prediction:
            scalars["accuracy"], cross_entropy = _rotation(prediction["angles"])
            scalars["loss"] = scalars["loss"] + c.rotation * cross_entropy
        return scalars

    @torch.no_grad()
    def generate(self, example: Example) -> Tensor:
        """Images (N, 3, S, S), normalised."""
        pictures: Tensor = self.generator(example.codes)
        return pictures

    def show(self, example: Example, prediction: dict[str, Tensor], count: int) -> list[Shown]:
        """A grid of real and one of generated images; then images with their scores, real and generated in turn."""
        real, made = denormalise(example.images.float()), denormalise(self.generate(example))
        shown = [grids(real, made)]
        scores = {kind: prediction[kind].detach().float() for kind in ("real", "made")}
        # A critic's scores have no zero: those above the middle count as real.
        middle = float(torch.cat(list(scores.values())).mean()) if self.config.objective == "wgan_gp" else 0.0
        for i in range(min(count, 2 * len(real)) - 1):
            kind, pictures = (("real", real), ("made", made))[i % 2]
            score = float(scores[kind][i // 2])
            guess = "real" if score > middle else "made"
            shown.append(Shown(inputs=[pictures[i // 2]], pseudo_label=kind, prediction=f"{guess} (score {score:.2f})"))
        return shown

    def _angles(self, pictures: Tensor, weight: float) -> dict[str, Tensor]:
        """Logits "angles" (4 R, 4), angle-major, of the first R images; nothing where the weight is 0.

        In a pass of their own: rotated images would change the batch statistics of the upright ones, and with them
        their scores.
        """
        if not weight:
            return {}
        turned = all_rotations(pictures[: max(1, round(self.config.rotated * len(pictures)))], [0, 1, 2, 3])
        with own_statistics(self.encoder):
            outputs = self.head(self.encoder(turned.contiguous(memory_format=torch.channels_last)))
        return {"angles": outputs[:, 1:]}

    def _scores(self, real: Tensor, made: Tensor) -> dict[str, Tensor]:
        """Scores (N,) of "real" and "made" images, computed in one batch."""
        with own_statistics(self.encoder):
            first, second = self._score(torch.cat([real.to(made.dtype), made])).chunk(2)
        return {"real": first, "made": second}

    def _score(self, pictures: Tensor) -> Tensor:
        scores: Tensor = self.head(self.encoder(pictures))[:, 0]
        return scores


def _rotation(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Accuracy and cross entropy of logits (4 R, 4), angle-major."""
    angle = torch.arange(4, device=logits.device).repeat_interleave(len(logits) // 4)
    return (logits.detach().argmax(1) == angle).float().mean(), F.cross_entropy(logits.float(), angle)
