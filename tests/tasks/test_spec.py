"""A task with its settings, as a run hands it on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from selftaught.data.inputs import Image
from selftaught.encoders.build import build_encoder
from selftaught.tasks.base import NoSettings, PretextTask
from selftaught.tasks.catalogue import list_tasks
from selftaught.tasks.context.rotation import Rotation
from selftaught.tasks.resolve import resolve_task
from selftaught.tasks.spec import spec_of


def test_a_spec_holds_what_the_class_says_of_its_settings() -> None:
    spec = spec_of(Rotation, name="mine", short="mine", family="own", settings={"angles": 2, "min_scale": 0.5})
    assert spec.config == Rotation.Config(angles=2, min_scale=0.5)
    assert (spec.recipe, spec.encoders) == (Rotation.recipe, Rotation.encoders)
    assert spec.inputs == {"image": Image()}
    assert spec.needs == {"image"}
    assert (spec.kind, spec.is_own, spec.labels_all_samples) == ("image", True, False)
    task = spec.build(build_encoder("timm:test_resnet", size=32), 32)
    assert isinstance(task, Rotation)
    assert (task.config, task.size) == (spec.config, 32)


@pytest.mark.parametrize("name", [info.name for info in list_tasks()])
def test_what_is_read_from_the_text_of_a_task_is_what_its_class_says(name: str) -> None:
    spec = resolve_task(name, {})
    info = next(info for info in list_tasks() if info.name == name)
    assert spec.needs == set(info.needs)
    assert (spec.kind, spec.short, spec.family) == (info.kind, info.short, info.family)
    assert not spec.is_own


def test_an_encoder_is_seen_as_the_task_asks_unless_its_name_says_otherwise() -> None:
    colour, grey = resolve_task("rotation", {}), resolve_task("colorization", {})
    assert (colour.seen_as("resnet18"), grey.seen_as("resnet18")) == ("resnet18", "grey:resnet18")
    assert grey.seen_as("sobel:resnet18") == "sobel:resnet18"


def test_samples_are_called_what_they_are() -> None:
    units = {name: resolve_task(name, {}).unit for name in ("rotation", "clip_rotation", "audio_visual")}
    assert units == {"rotation": "images", "clip_rotation": "clips", "audio_visual": "images"}


def test_tasks_that_label_all_samples_at_once_are_known() -> None:
    assert resolve_task("clustering", {}).labels_all_samples
    assert not resolve_task("rotation+simclr", {}).labels_all_samples


class Bare(PretextTask):
    """A task without settings and without most of what it needs."""

    @classmethod
    def inputs(cls, config: Any) -> dict[str, Image]:
        return {"image": Image(), **cls.further()}

    @classmethod
    def further(cls) -> dict[str, Image]:
        return {}


class Whole(Bare):
    chance = forward = loss = pseudo_label = show = None  # type: ignore[assignment]


class Failing(Whole):
    @classmethod
    def further(cls) -> dict[str, Image]:
        raise KeyError("nothing")


class Plain(Whole):
    class Config:
        parts = 2


class Open(Whole):
    @dataclass(frozen=True, kw_only=True)
    class Config:
        parts: int


def test_a_task_without_settings_needs_no_config() -> None:
    spec = spec_of(Whole, name="mine", short="mine", family="own", settings={})
    assert spec.config == NoSettings()
    assert spec.inputs == {"image": Image()}


@pytest.mark.parametrize(
    ("cls", "sentence"),
    [
        (Bare, "task 'mine': class Bare must define chance and forward and loss and pseudo_label and show"),
        (Plain, "task 'mine': Config of class Plain is no dataclass; write @dataclass.frozen=True, kw_only=True"),
        (Open, "task 'mine': the Config of class Open cannot be made of nothing, as .*'parts'; give every setting"),
        (Failing, rf"task 'mine': what the class says of its settings fails at {__file__}:\d+: KeyError: 'nothing'"),
    ],
)
def test_what_a_class_of_ones_own_lacks_is_one_sentence(cls: type[PretextTask], sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{sentence}"):
        spec_of(cls, name="mine", short="mine", family="own", settings={})
