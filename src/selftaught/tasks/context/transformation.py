"""Geometric transformation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from selftaught.core.randomness import generator, uniform
from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Image, Input
from selftaught.encoders.base import Encoder
from selftaught.ops.colour import denormalise, normalise
from selftaught.ops.crop import blur_weights, resample
from selftaught.ops.warp import CORNERS, affine, homography, shrink, warp
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.losses import classification

CLASSES = (
    *("unchanged", "mirrored", "upside down", "turned 90°", "turned 180°", "turned 270°"),
    *("enlarged", "shrunk", "sheared across", "sheared down"),
)
_PAPERS_SCALE = {"projective": (0.8, 1.2), "affine": (0.7, 1.3), "classes": (0.7, 1.3)}
_DRAWN = 8192
"""Transformations from which mean and deviation of the parameters are estimated."""
_LENGTH = 8.0
"""Norm of a pair of features before the last layer."""


@dataclass
class Example:
    """Pairs of views (2 N, 3, S, S) normalised, the plain ones first, and what turns one into the other.

    Attributes:
        target: parameters (N, P), each with mean 0 and variance 1 over all transformations, or classes (N,) int64.
        matrix: (N, 3, 3) from places of the second view to places of the first (`ops.warp`).
    """

    images: Tensor
    target: Tensor
    matrix: Tensor


class Transformation(PretextTask):
    """Predict which geometric transformation turned one view into another (Zhang, Qi, Wang, Luo, CVPR 2019).

    Link: https://arxiv.org/abs/1901.04596

    Flow: image (N, 3, H, W) -> a view and the same view transformed by t (2 N, 3, S, S) -> one encoder (2 N, D) -> both
    features side by side (N, 2 D) -> linear (N, P) -> mean squared error with the P parameters of t (AET), or cross
    entropy with the class of t.

    The parameters, by --task.kind: `projective`: the square is scaled by a factor in [0.8, 1.2], rotated by a multiple
    of 90 degrees, and each of its corners is moved by up to 1/8 of the side in both directions; P = 8 coefficients of
    the matrix. `affine`: rotated by up to 180 degrees, shifted by up to 0.2 of the side, scaled by [0.7, 1.3], sheared
    by up to 30 degrees; P = 6: cosine and sine of the angle, both shifts, scale, shear. `classes`: one of 10 discrete
    transformations: none, two flips, three rotations, enlarging, shrinking, and shearing along either axis.

    To undo a transformation, the network must know where the parts of objects are before and after it.

    Shortcut: black corners show where the edges of the image went, and a warped image is smoother than one that was not
    resampled. Guard: a view is the middle half of the image, so a warp reads real pixels around it, and reflected
    pixels beyond the edge of the image (in 1 of 150 projective warps, 1 of 8 affine ones, none of the classes; in small
    images a view is a larger part, as the magnified middle would show too little, and reflected pixels are more
    frequent); the untransformed view is resampled with the same filter from a slightly rotated, shifted and zoomed
    frame, and both are blurred by random amounts, so sharpness hardly depends on the scale. For classes the second view
    is also slightly moved, or "unchanged" would be two equal images.

    Differences from the paper: parameters are relative to the centre, in halves of the side, and standardised
    separately, so the metric `explained` is the share of their variance that is predicted; the pair of features is
    standardised before the last layer; the paper fills pixels outside of the image with grey; the learning rate falls
    by a cosine. The classes are from other papers.
    """

    any_channels = True
    recipe = Recipe(optimizer="sgd", lr=0.1, weight_decay=5e-4)

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        kind: Literal["projective", "affine", "classes"] = "projective"
        """What is predicted: 8 parameters, 6 parameters, or one of 10 classes."""
        scale: tuple[float, float] | None = None
        """Smallest and largest scaling factor (default as in the paper: 0.8,1.2 for projective and 0.7,1.3
        otherwise)."""
        corner: Annotated[float, Range(least=0, most=0.2)] = 0.125
        """projective: largest shift of a corner, in sides."""
        rotation: Annotated[float, Range(least=0, most=180)] = 180.0
        """affine: largest angle, degrees."""
        shift: Annotated[float, Range(least=0, most=0.5)] = 0.2
        """affine: largest shift of the image, in sides."""
        shear: Annotated[float, Range(least=0, most=60)] = 30.0
        """affine and classes: largest shear, degrees."""
        view: Annotated[float | None, Range(least=0.2, most=1)] = None
        """Side of a view as a fraction of the image's; warps read the rest (default: 0.5, or more if the view would
        have to be enlarged, at most 0.9)."""
        blur: Annotated[float, Range(least=0, most=3)] = 0.7
        """Largest sigma of the blur of each view, in pixels."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.scale is not None and not (len(self.scale) == 2 and 0.5 <= self.scale[0] < 1 < self.scale[1] <= 2):
                got = ",".join(map(str, self.scale))
                raise ValueError(f"--task.scale must be two factors, one in [0.5, 1) and one in (1, 2], got {got}")

    mean: Tensor
    spread: Tensor

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"image": Image()}

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        self.scale = config.scale or _PAPERS_SCALE[config.kind]
        self.is_classes = config.kind == "classes"
        outputs = len(CLASSES)
        if not self.is_classes:
            drawn = self._draw(_DRAWN, generator("transformations"))[0]
            outputs = drawn.shape[1]
            self.register_buffer("mean", drawn.mean(0))
            self.register_buffer("spread", drawn.std(0).clamp(min=1e-2))
        self.head = nn.Linear(2 * encoder.num_features, outputs)

    def metric_name(self) -> str:
        return "accuracy" if self.is_classes else "explained"

    def chance(self, batch_size: int) -> float:
        return 1 / len(CLASSES) if self.is_classes else 0.0

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Image (N, 3, H, W) uint8 -> `Example` of N pairs."""
        n, config = len(batch), self.config
        view = config.view or min(0.9, max(0.5, self.size / min(batch["image"].shape[-2:])))
        wide = shrink(batch["image"], round(self.size / view))
        target, matrix = self._draw(n, rng)
        frame = self._frames(n, view, rng)
        read = matrix @ _slight(n, 0.05, rng) if self.is_classes else matrix
        views = torch.cat([warp(wide, frame, self.size), warp(wide, frame @ read, self.size)])
        if config.blur > 0:
            weights = blur_weights(uniform((2 * n,), 0, config.blur, rng), self.size)
            views = resample(views, weights, weights)
        if not self.is_classes:
            target = (target - self.mean) / self.spread
        return Example(normalise(views), target, matrix)

    def forward(self, example: Example) -> Tensor:
        """Parameters (N, P), or logits (N, 10)."""
        first, second = self.encoder(example.images).chunk(2)
        both = torch.cat([first, second], 1).float()
        # At one length whatever the encoder is, the squared error learns at the same rate behind each.
        prediction: Tensor = self.head(F.layer_norm(both, both.shape[1:]) * (_LENGTH / math.sqrt(both.shape[1])))
        return prediction

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """Mean squared error and the explained share of the parameters' variance, or cross entropy and accuracy."""
        if self.is_classes:
            return classification(prediction, example.target)
        error = F.mse_loss(prediction.float(), example.target)
        # Predicting the mean of all transformations, which is 0, has the error of the second line.
        explained = 1 - error.detach() / example.target.square().mean()
        return {"loss": error, "explained": explained}

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """Both views; then the first one, turned into the second by the true and by the predicted transformation."""
        pictures = denormalise(example.images)
        n = min(count, len(example.matrix))
        first, second = pictures[: len(example.matrix)][:n], pictures[len(example.matrix) :][:n]
        if self.is_classes:
            chosen = prediction[:n].argmax(1).tolist()
            return [
                Shown(inputs=[a, b], pseudo_label=CLASSES[int(t)], prediction=CLASSES[c])
                for a, b, t, c in zip(first, second, example.target[:n], chosen, strict=True)
            ]
        right = warp(first, example.matrix[:n], self.size)
        guess = warp(first, self._matrix(prediction[:n].float() * self.spread + self.mean), self.size)
        return [
            Shown(inputs=[a, b], pseudo_label=t, prediction=p)
            for a, b, t, p in zip(first, second, right, guess, strict=True)
        ]

    def _draw(self, n: int, rng: Generator) -> tuple[Tensor, Tensor]:
        """Random transformations: their parameters (n, P) or classes (n,), and their matrices (n, 3, 3)."""
        if self.is_classes:
            return self._draw_classes(n, rng)
        if self.config.kind == "affine":
            parameters = self._draw_affine(n, rng)
            return parameters, self._matrix(parameters)
        square = torch.tensor(CORNERS, device=rng.device)
        turns = torch.randint(4, (n, 1), generator=rng, device=rng.device)
        corners = square[(torch.arange(4, device=rng.device) + turns) % 4] * uniform((n, 1, 1), *self.scale, rng)
        reach = 2 * self.config.corner
        moved = corners + uniform((n, 4, 2), -reach, reach, rng)
        matrix = homography(moved, square.expand(n, 4, 2))
        return matrix.flatten(1)[:, :8], matrix

    def _draw_affine(self, n: int, rng: Generator) -> Tensor:
        """Cosine, sine, right, down, scale and shear (n, 6)."""
        config = self.config
        angle = uniform((n,), -1, 1, rng) * math.radians(config.rotation)
        shift = uniform((n, 2), -2 * config.shift, 2 * config.shift, rng)
        shear = uniform((n,), -1, 1, rng) * math.radians(config.shear)
        scale = uniform((n,), *self.scale, rng)
        return torch.cat([torch.stack([angle.cos(), angle.sin()], 1), shift, torch.stack([scale, shear], 1)], 1)

    def _draw_classes(self, n: int, rng: Generator) -> tuple[Tensor, Tensor]:
        """A class each (n,) and its matrix; sizes and shears are at least half of the largest."""
        chosen = torch.randint(len(CLASSES), (n,), generator=rng, device=rng.device)
        strength, sign = uniform((n,), 0.5, 1, rng), uniform((n,), -1, 1, rng).sign()
        zero, one, still = torch.zeros_like(sign), torch.ones_like(sign), sign.new_zeros(n, 2)
        smaller, larger = (1 + strength * (s - 1) for s in self.scale)
        sheared = affine(zero, one, sign * strength * math.radians(self.config.shear), still)
        made = [sign.new_tensor(d).diag().expand(n, 3, 3) for d in ([1.0, 1, 1], [-1.0, 1, 1], [1.0, -1, 1])]
        made += [affine(one * turns * math.pi / 2, one, zero, still) for turns in (1, 2, 3)]
        made += [affine(zero, larger, zero, still), affine(zero, smaller, zero, still)]
        swap = [1, 0, 2]
        made += [sheared, sheared[:, swap][:, :, swap]]
        every = torch.stack(made, 1)
        return chosen, torch.linalg.inv(every[torch.arange(n, device=rng.device), chosen])

    def _matrix(self, parameters: Tensor) -> Tensor:
        """Of parameters that are not standardised."""
        if self.config.kind == "projective":
            return torch.cat([parameters, torch.ones_like(parameters[:, :1])], 1).view(-1, 3, 3)
        cos, sin, right, down, scale, shear = parameters.unbind(1)
        content = affine(torch.atan2(sin, cos), scale.clamp(min=0.1), shear, torch.stack([right, down], 1))
        inverse: Tensor = torch.linalg.inv(content)
        return inverse

    def _frames(self, n: int, view: float, rng: Generator) -> Tensor:
        """Frames of the plain views: about the middle of an image, on a grid of their own, half of them mirrored."""
        zoom = view * uniform((n,), 0.85, 1.0, rng)
        mirrored = torch.where(uniform((n,), 0, 1, rng) < 0.5, -1.0, 1.0)
        size = torch.stack([zoom * mirrored, zoom, torch.ones_like(zoom)], 1)
        return _slight(n, 0.05, rng) @ torch.diag_embed(size)


def _slight(n: int, most: float, rng: Generator) -> Tensor:
    """Small random turns, zooms and shifts (n, 3, 3): radians, relative size, halves of the side."""
    angle, zoom = uniform((n,), -most, most, rng), 1 + uniform((n,), -most, most, rng)
    return affine(angle, zoom, torch.zeros_like(angle), uniform((n, 2), -most, most, rng))
