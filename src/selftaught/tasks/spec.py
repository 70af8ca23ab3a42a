"""A task with its settings, resolved once at the start of a run and handed on to all that need to know of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, is_dataclass, replace
from typing import Any

from selftaught.core.errors import own_code
from selftaught.data.batch import Sampling
from selftaught.data.inputs import Clip, Image, Input, needs_of
from selftaught.data.modality import kind_of_task
from selftaught.encoders.base import Encoder
from selftaught.encoders.names import kind_of, with_prefix
from selftaught.encoders.spec import EncoderSpec, check_names, kept_spec
from selftaught.tasks.base import PretextTask, Recipe, sampling_of


@dataclass(frozen=True, kw_only=True)
class TaskSpec:
    """A task and all that its settings decide.

    Attributes:
        name: as given to --task.
        short: a name that can be a folder, such as "rotation" or "jigsaw+rotation".
        family: folder of the task's file; "own" for a user's file or class, "" for supervised training.
        cls: the class of the task.
        settings: complete plain values, as config.json holds them.
        config: what the task is given, made of the settings: mostly a `cls.Config`.
        recipe: the optimisation under these settings.
        encoders: what it trains under these settings.
        sampling: its inputs, and how many moments of one sample a batch holds.
        clip: how clips are cut where the kept encoder is evaluated; None for the usual 16 frames.
        parts: of a combination, by name.
    """

    name: str
    short: str
    family: str
    cls: type[PretextTask]
    settings: Mapping[str, Any]
    config: Any
    recipe: Recipe
    encoders: Mapping[str, EncoderSpec]
    sampling: Sampling
    clip: Clip | None = None
    parts: Mapping[str, TaskSpec] = field(default_factory=dict)

    @property
    def inputs(self) -> Mapping[str, Input]:
        """What the task is given of each sample, by name."""
        return self.sampling.inputs

    @property
    def needs(self) -> frozenset[str]:
        """What a source must provide: of "image", "video", "audio", "label", ..."""
        return needs_of(self.inputs)

    @property
    def kind(self) -> str:
        """What it learns from: image, video or audio-visual."""
        return kind_of_task(self.needs)

    @property
    def unit(self) -> str:
        """What the samples of a step are called: "clips", "images", or "samples" of neither."""
        kinds = {type(one) for one in self.inputs.values()}
        return "clips" if Clip in kinds else "images" if Image in kinds else "samples"

    @property
    def batch_size(self) -> int:
        """Samples per step where none is given."""
        return self.recipe.batch_size or (32 if self.unit == "clips" else 128)

    @property
    def needs_moving_camera(self) -> bool:
        """Whether it, or a part of it, learns from how the camera moves."""
        return self.cls.needs_moving_camera or any(part.needs_moving_camera for part in self.parts.values())

    @property
    def is_own(self) -> bool:
        """Whether a user wrote it, or a part of it."""
        return self.family == "own" or any(part.is_own for part in self.parts.values())

    @property
    def labels_all_samples(self) -> bool:
        """Whether it may make pseudo-labels of all samples at once."""
        return self.cls.refresh_epochs is not PretextTask.refresh_epochs

    @property
    def kept(self) -> str:
        """Name of the encoder that is the result."""
        return self.cls.kept

    @property
    def kept_spec(self) -> EncoderSpec:
        """What that encoder is."""
        return kept_spec(self.encoders, self.kept)

    def check_encoders(self) -> None:
        """Refuse names of encoders that no flag or checkpoint could have, and a kept one that data cannot be fed to."""
        check_names(self.name, self.encoders, self.kept)

    def seen_as(self, architecture: str, encoder: str = "encoder") -> str:
        """An architecture with the prefix that the task asks for, unless it has one, for the encoder of that name.

        One of another kind than the task trains stays as it is, to be refused under the name that was given.
        """
        spec = self.encoders[encoder]
        is_other = kind_of(architecture) not in (spec.kind, None)
        return architecture if is_other else with_prefix(architecture, spec.prefix)

    def spaced(self, *, stride: int | None, fps: float | None) -> TaskSpec:
        """The spec with all clips cut at every `stride`-th frame, or at `fps` frames a second; itself for neither."""
        if stride is None and fps is None:
            return self

        def cut(clip: Clip) -> Clip:
            return replace(clip, stride=stride or 1, fps=fps)

        inputs = {name: cut(one) if isinstance(one, Clip) else one for name, one in self.inputs.items()}
        return replace(
            self, sampling=replace(self.sampling, inputs=inputs), clip=None if self.clip is None else cut(self.clip)
        )

    def build(self, encoder: Encoder, size: int, **further: Encoder) -> PretextTask:
        """The task with these encoders, which see images of `size` pixels."""
        return self.cls(encoder, self.config, size, **further)


def spec_of(
    cls: type[PretextTask],
    *,
    name: str,
    short: str,
    family: str,
    settings: Mapping[str, Any],
    config: Any = None,
    parts: Mapping[str, TaskSpec] | None = None,
) -> TaskSpec:
    """Ask the class what its settings decide; `config` is made of them unless given."""
    with own_code(f"task {name!r}: what the class says of its settings") if family == "own" else nullcontext():
        config = _config(cls, name, settings) if config is None else config
        return TaskSpec(
            name=name,
            short=short,
            family=family,
            cls=cls,
            settings=settings,
            config=config,
            recipe=cls.recipe_for(config),
            encoders=cls.encoders_for(config),
            sampling=sampling_of(cls, config),
            clip=cls.clip_for(config),
            parts=parts or {},
        )


def _config(cls: type[PretextTask], name: str, settings: Mapping[str, Any]) -> Any:
    """The settings as the class wants them; a sentence where it is none that could be made."""
    if absent := sorted(getattr(cls, "__abstractmethods__", ())):
        raise ValueError(f"task {name!r}: class {cls.__name__} must define {' and '.join(absent)}")
    if not is_dataclass(cls.Config):
        raise ValueError(
            f"task {name!r}: Config of class {cls.__name__} is no dataclass; write @dataclass(frozen=True, "
            "kw_only=True) above it"
        )
    try:
        return cls.Config(**settings)
    except TypeError as error:
        raise ValueError(
            f"task {name!r}: the Config of class {cls.__name__} cannot be made of {', '.join(settings) or 'nothing'}, "
            f"as {error}; give every setting a type and a default"
        ) from None
