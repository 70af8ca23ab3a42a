"""A name and the settings that were given become one spec."""

from __future__ import annotations

import pytest

from selftaught.tasks.combined import Combined
from selftaught.tasks.context.rotation import Rotation
from selftaught.tasks.resolve import resolve_class, resolve_task, with_classes
from selftaught.tasks.supervised import Supervised


def test_settings_are_complete_and_typed() -> None:
    spec = resolve_task("rotation", {"angles": "2"})
    assert (spec.cls, spec.name, spec.family) == (Rotation, "rotation", "context")
    assert spec.settings == {"angles": 2, "min_scale": 0.3}
    assert spec.config == Rotation.Config(angles=2, min_scale=0.3)
    assert resolve_task("rotation", spec.settings) == spec
    with pytest.raises(ValueError, match=r"--task.angles must be one of 2, 4, got '3'"):
        resolve_task("rotation", {"angles": "3"})


def test_a_recipe_is_that_of_the_settings() -> None:
    assert resolve_task("gan", {"objective": "wgan_gp"}).recipe.betas == (0.0, 0.9)
    assert resolve_task("gan", {}).recipe.betas != (0.0, 0.9)


def test_a_combination_holds_its_parts() -> None:
    given = {"rotation.angles": "2", "weights": "1,0.5", "balance": "gradient"}
    spec = resolve_task("simclr+rotation", given)
    assert (spec.cls, spec.short, spec.kind, spec.is_own) == (Combined, "simclr+rotation", "image", False)
    assert list(spec.parts) == ["simclr", "rotation"]
    assert spec.parts["rotation"] == resolve_task("rotation", {"angles": 2})
    expected = {"rotation.angles": 2, "simclr.hidden": 512, "weights": (1.0, 0.5), "balance": "gradient"}
    assert expected.items() < spec.settings.items()
    assert (spec.config.weights, spec.config.balance, spec.config.parts) == ((1.0, 0.5), "gradient", spec.parts)
    assert resolve_task("simclr+rotation", spec.settings) == spec


def test_classes_are_those_of_the_data_for_tasks_that_learn_from_labels() -> None:
    spec = resolve_task("supervised", {})
    counted = with_classes(spec, 7)
    assert (counted.cls, counted.settings["classes"], counted.config.classes) == (Supervised, 7, 7)
    assert (counted.name, counted.short, counted.family) == (spec.name, spec.short, spec.family)
    unlabelled = resolve_task("rotation", {})
    assert with_classes(unlabelled, 7) is unlabelled
    both = with_classes(resolve_task("rotation+supervised", {"supervised.min_scale": 0.5}), 7)
    assert both.needs == {"image", "label"}
    assert (both.settings["supervised.classes"], both.config.parts["supervised"].config.classes) == (7, 7)
    assert both.parts["supervised"].config.min_scale == 0.5


def test_a_class_needs_no_file() -> None:
    spec = resolve_class(Rotation, {"angles": 2})
    assert (spec.name, spec.is_own, spec.config) == ("Rotation", True, Rotation.Config(angles=2))
