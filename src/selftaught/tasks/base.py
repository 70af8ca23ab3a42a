"""The contract of a pretext task (see `docs/concepts.md`): pseudo-label, forward, loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Generator, Tensor, nn

from selftaught.core.ranges import Range, declared
from selftaught.core.settings.groups import OptimSettings
from selftaught.data.batch import Batch, Moments, Sampling
from selftaught.data.inputs import Clip, Input
from selftaught.encoders.base import Encoder
from selftaught.encoders.modality import pooled_features
from selftaught.encoders.spec import ONE, EncoderSpec
from selftaught.ops.crop import MapKind


def _check(of: Pace | Recipe) -> None:
    """Raise a `ValueError` for a value outside of the range that its flag has."""
    for name, allowed in declared(OptimSettings):
        if isinstance(allowed, Range):
            allowed.check(getattr(of, name, None), f"{name} of a {type(of).__name__}")


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Learning rate, weight decay and momentum of an optimiser that the paper does not use."""

    lr: float
    """Learning rate at a global batch of 256 samples; scaled linearly with the batch."""
    weight_decay: float
    final_weight_decay: float | None = None
    """Weight decay at the end of the run, reached by a cosine; None keeps it."""
    momentum: float | None = None
    """Of SGD and LARS; None takes the recipe's."""

    def __post_init__(self) -> None:
        _check(self)


PACES: Mapping[str, Pace] = {
    "sgd": Pace(lr=0.05, weight_decay=5e-4),
    "adamw": Pace(lr=2e-3, weight_decay=1e-2),
    "lars": Pace(lr=3.0, weight_decay=5e-4, momentum=0.9),
}
"""Defaults of all tasks.

Held-out metrics after 100 steps on CIFAR-10: rotation with AdamW 47.8 % (SGD, its recipe: 48.1 %); simclr with AdamW
10.9 %, LARS 13.7 % (SGD 9.8 %); autoencoder with SGD 1.5 dB, LARS 2.0 dB (AdamW 2.1 dB).
"""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The optimisation a task's paper recommends, scaled to a global batch of 256."""

    optimizer: Literal["sgd", "adamw", "lars"] = "sgd"
    lr: float = 0.05
    """Learning rate at a global batch of 256 samples; scaled linearly with the batch."""
    weight_decay: float = 5e-4
    final_weight_decay: float | None = None
    """Weight decay at the end of the run, reached by a cosine; None keeps it."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Of AdamW."""
    momentum: float = 0.9
    """Of SGD, where Nesterov's is taken, and of LARS."""
    warmup: float = 0.05
    """Part of the steps, in [0, 1), in which the learning rate rises linearly; then it falls by a cosine."""
    batch_size: int | None = None
    """Samples per step where none is given; None for 128, or 32 of tasks on clips, which take more memory."""
    clip: float | None = None
    """Largest norm of the gradient, above 0; None does not limit it."""
    others: Mapping[str, Pace] = field(default_factory=lambda: PACES)
    """The other optimisers it may be run with; one that is not here must come with `--lr`."""

    def __post_init__(self) -> None:
        _check(self)

    def pace(self, optimizer: str) -> Pace | None:
        """Rate, weight decay and momentum with `optimizer`; None where the recipe has none."""
        if optimizer == self.optimizer:
            return Pace(
                lr=self.lr,
                weight_decay=self.weight_decay,
                final_weight_decay=self.final_weight_decay,
                momentum=self.momentum,
            )
        return self.others.get(optimizer)


@dataclass(frozen=True, kw_only=True)
class ParameterGroup:
    """Parameters with a learning rate or weight decay of their own.

    Attributes:
        names: of modules or parameters, as in `get_submodule` and `named_parameters`.
        lr_factor: factor of the learning rate, at least 0.
        is_decayed: whether weight decay applies to its matrices and kernels; it never does to vectors.
    """

    names: tuple[str, ...]
    lr_factor: float = 1.0
    is_decayed: bool = True


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known of the training samples before an epoch.

    Attributes:
        index: (M,) int64, the samples' numbers, as in `Batch.index`.
        features: (M, D) float32 on the CPU, the result of the task's `embed`.
        labels: (M,) int64 class indices, -1 for samples without; None if the data have no labels. For metrics that
            are logged, never for learning.
    """

    index: Tensor
    features: Tensor
    labels: Tensor | None


@dataclass(frozen=True, kw_only=True)
class Refreshed:
    """Result of `before_epoch`.

    Attributes:
        order: (K,) int64, numbers of the samples that the epoch reads, in order, with K = `count`; None keeps
            the random order.
        scalars: to log, by name.
    """

    order: Tensor | None = None
    scalars: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Map:
    """A mask (H, W), depth (H, W) or flow (2, H, W), which `ops.draw_maps` colours; of a clip with T before them."""

    values: Tensor
    kind: MapKind


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One sample as people should see it: images (3 or 1, H, W) and clips (T, 3 or 1, H, W) in [0, 1], maps, or text.

    A clip becomes an animation. Frames side by side, such as shuffled ones with their numbers, or predicted ones to be
    compared with the true, are one image by `ops.sheet.lay_strip`. A map that is an input is drawn by the task
    (`ops.draw_maps`). The label and the prediction are drawn with one scale
    of colours where both are maps of a kind.
    """

    inputs: list[Tensor]
    pseudo_label: str | Tensor | Map
    prediction: str | Tensor | Map


def sampling_of(task: type[PretextTask], config: Any) -> Sampling:
    """How samples are cut for a task under these settings."""
    return Sampling(inputs=task.inputs(config), **vars(task.moments(config)))


@dataclass(frozen=True, kw_only=True)
class NoSettings:
    """The `Config` of a task that declares none."""


class PretextTask(nn.Module, ABC):
    """A pretext task: derives labels from the data and trains its encoders to predict them.

    A task is one final class in one file: `__init__(self, encoder, config, size)`, with a keyword argument for each
    further encoder of `encoders`. All randomness comes from the generator passed to its methods. `Config` is a frozen,
    keyword-only dataclass of plain values; each field is followed by a docstring, which becomes the help of its
    `--task.<field>` flag. A task without settings needs none.
    """

    recipe: ClassVar[Recipe] = Recipe()
    encoders: ClassVar[Mapping[str, EncoderSpec]] = ONE
    """The encoders that the task trains, by name: "encoder", set by `--encoder`, and others with names ending in
    _encoder.

    Each is an attribute of the same name. The command line reads this dict from the source text.
    """
    kept: ClassVar[str] = "encoder"
    """The encoder that is the result of a run: one of `encoders`, or a copy of "encoder", such as "teacher"."""
    any_channels: ClassVar[bool] = False
    """Whether it learns from images of any number of channels (`--channels`), and not from colours alone."""
    needs_moving_camera: ClassVar[bool] = False
    """Whether it learns from how the camera moves, and so nothing from data in which it stands still."""
    shares_statistics: bool = True
    """Whether batch normalisation in training computes its statistics over all processes (on GPUs only)."""
    Config: ClassVar[type[Any]] = NoSettings

    encoder: Encoder
    size: int

    @classmethod
    @abstractmethod
    def inputs(cls, config: Any) -> Mapping[str, Input]:
        """Inputs of each sample, by name: `{"image": Image()}`, or clips, audio, labels (`data.inputs`).

        Features are those of the first input that the encoder takes. The command line reads the kinds of inputs
        from the source text of this method; of `{...} if config.frames else {...}` it reads the second.
        """

    @classmethod
    def moments(cls, config: Any) -> Moments:
        """Number of moments of one video in a batch; one unless overridden."""
        return Moments()

    @classmethod
    def clip_for(cls, config: Any) -> Clip | None:
        """How clips are cut where the kept encoder is evaluated; None for the usual 16 frames.

        By default the first clip among the inputs. A task whose encoder sees only a part of that clip at once says so.
        """
        return next((one for one in cls.inputs(config).values() if isinstance(one, Clip)), None)

    @classmethod
    def recipe_for(cls, config: Any) -> Recipe:
        """The recipe under these settings; the task's own unless overridden."""
        return cls.recipe

    @classmethod
    def encoders_for(cls, config: Any) -> Mapping[str, EncoderSpec]:
        """What it trains under these settings, by the names of `encoders`, which it is unless overridden."""
        return cls.encoders

    def kept_encoder(self) -> Encoder:
        """The encoder that is the result."""
        found = self.get_submodule(self.kept)
        assert isinstance(found, Encoder)
        return found

    def metric_name(self) -> str:
        """Name of the scalar of `loss` that is the held-out metric; higher is better."""
        return "accuracy"

    def players(self) -> Mapping[str, tuple[str, ...]]:
        """Adversarial tasks: player -> names of the modules it optimises, in the order of their turns; else {}.

        `forward` and `loss` of such a task have a last argument `player: str`, whose default is the player that `show`
        shows. Where the settings do not matter, return a dict literal: it is read from the file without running it.
        """
        return {}

    def turns(self, step: int) -> Sequence[str]:
        """The players that are optimised in this step, in order; all of them once, unless overridden."""
        return tuple(self.players())

    def needs_whole(self) -> str:
        """Why it cannot be trained with its parameters split over devices, as a clause; "", the default, where it can.

        Split parameters are whole in `forward`, `pseudo_label` and `loss`, as they are read; in `before_update` and
        `after_step` each is a `DTensor`, for which arithmetic element by element is right.
        """
        return "its players take turns" if self.players() else ""

    def refresh_epochs(self) -> float:
        """Epochs between two calls of `before_epoch`; 0, the default: never; infinity: once, before the first step."""
        return 0

    def refresh_shares(self) -> Sequence[float]:
        """Shares of the run's steps, in [0, 1), after which `before_epoch` is called too, however short the run is.

        A phase of the task that waits for `before_epoch` begins there; none, the default, where it has no phases.
        """
        return ()

    @torch.no_grad()
    def embed(self, batch: Batch) -> Tensor:
        """Features of each sample for `before_epoch`: pooled features (N, D) of the first input the encoder takes."""
        return pooled_features(self.encoder, batch.inputs, self.size)

    def before_epoch(self, known: Known, count: int, rng: Generator) -> Refreshed:
        """Make new pseudo-labels for all training samples from their features.

        Only the first process calls this; the others receive the task's state and the order. Parameters that it
        changes start without momentum. Buffers may change their shape: `fit_buffers` of `refresh` gives those
        of a resumed run the shapes they had. It runs without gradient; all random numbers come from `rng`.

        Args:
            known: of every training sample.
            count: how many samples are read until the next call, or the end of the run.
            rng: on the CPU.
        """
        raise NotImplementedError

    def matches(self, seen: Tensor, heard: Tensor) -> Tensor | None:
        """How well what is seen goes with what is heard, for search: higher is better.

        Args:
            seen: (N, D) pooled features of the kept encoder.
            heard: (M, E) pooled features of the audio encoder.

        Returns:
            (N, M); None, the default, where the task cannot tell from pooled features.
        """
        return None

    def generate(self, example: Any) -> Tensor | None:
        """Images or clips generated from random codes, as the encoder takes them; None, the default, without generator.

        Held-out evaluation compares their features with those of real ones.
        """
        return None

    def predict_maps(self, images: Tensor) -> Mapping[str, Tensor]:
        """Maps that it predicts of images as the kept encoder takes them, by their kind of `Given`; none by default.

        {"depth": (N, h, w)}, above 0 and the larger the farther, of any scale; it is in evaluation mode, without
        gradient. Probes of such maps measure them as they are, beside a readout of features.
        """
        return {}

    def parameter_groups(self) -> Sequence[ParameterGroup]:
        """Parameters with a learning rate or weight decay of their own; none by default."""
        return ()

    def before_update(self, step: int, total: int) -> None:
        """Before each update of step `step` of `total` (counted from 0), with gradients in `.grad`, clipped already.

        With players, it is called in each turn. To freeze a layer for this step, set its `.grad` to None. With
        --precision 16-mixed the gradients are still multiplied by the loss scale.
        """
        return

    def after_step(self, step: int, total: int) -> None:
        """After the update of step `step` of `total` (counted from 0): momentum encoders, queues, centres."""
        return

    @abstractmethod
    def chance(self, batch_size: int) -> float:
        """Value of `metric_name()` for a random guess, for a batch of `batch_size` samples."""

    @abstractmethod
    def pseudo_label(self, batch: Batch, rng: Generator) -> Any:
        """Make inputs and labels for the whole batch on its device, without gradient.

        The example is a plain dataclass of tensors, not a frozen one: Lightning Fabric rebuilds it for the precision.
        """

    @abstractmethod
    def forward(self, example: Any, *player: Any, **named: Any) -> Any:
        """Encoder, then head: `forward(example)`, or `forward(example, player="...")` of a task with players."""

    @abstractmethod
    def loss(self, prediction: Any, example: Any, *player: Any, **named: Any) -> dict[str, Tensor]:
        """ "loss" (scalar, with gradient) and further scalars under the names they are logged by.

        `loss(prediction, example)`, or `loss(prediction, example, player="...")` of a task with players.
        """

    @abstractmethod
    def show(self, example: Any, prediction: Any, count: int) -> list[Shown]:
        """The first `count` samples as images and text, for the report."""
