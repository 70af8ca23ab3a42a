"""Every optimiser has its own learning rate, or must come with one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from selftaught import pretrain
from selftaught.core.config import RunConfig
from selftaught.tasks.base import PACES, Recipe
from selftaught.tasks.catalogue import list_tasks, load_task
from selftaught.training.first_checks import check_asked
from selftaught.training.setup import is_partly_used, pace_of, recipe_of

TASKS = (*(task.name for task in list_tasks()), "supervised", "rotation+colorization")
ASKED = RunConfig(data="demo", out="run", task="simclr", batch_size=128)


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_a_pace_for_every_optimizer_but_games_of_two(name: str) -> None:
    recipe = recipe_of(name, {})
    own = recipe.pace(recipe.optimizer)
    assert own is not None
    assert (own.lr, own.weight_decay) == (recipe.lr, recipe.weight_decay)
    others = [optimizer for optimizer in PACES if optimizer != recipe.optimizer]
    is_game = name in ("gan", "bigan", "artifacts", "super_resolution")
    for optimizer in others:
        pace = recipe.pace(optimizer)
        assert (pace is None) == is_game, optimizer
        if pace is not None:
            assert (1e-4 <= pace.lr <= 5e-3) if optimizer == "adamw" else (0.01 <= pace.lr <= 5)


def test_players_only_play_where_they_are_asked_to() -> None:
    assert recipe_of("super_resolution", {"adversarial": 0.0}).pace("sgd") is not None
    assert recipe_of("inpainting", {}).pace("sgd") is not None
    assert recipe_of("inpainting", {"adversarial": 0.001}).pace("sgd") is None


@pytest.mark.parametrize(
    ("settings", "encoder", "expected"),
    [
        ({}, "resnet18", False),
        ({"adversarial": 0.001}, "resnet18", True),
        ({}, "timm:test_resnet", True),  # the task reads the map before the pooling
    ],
)
def test_a_step_leaves_parameters_out_only_where_players_or_poolings_wait(
    settings: dict[str, float], encoder: str, expected: bool
) -> None:
    asked = RunConfig(data="demo", out="run", task="inpainting", task_settings=settings, encoder=encoder, size=32)
    assert is_partly_used(check_asked(asked), encoder) is expected


def test_a_pace_is_scaled_with_the_batch_unless_it_is_given() -> None:
    recipe = Recipe(optimizer="sgd", lr=0.12, weight_decay=5e-4)
    found = pace_of(recipe, "adamw", ASKED)
    assert (found.lr, found.weight_decay) == (PACES["adamw"].lr / 2, PACES["adamw"].weight_decay)
    assert pace_of(recipe, "sgd", ASKED).lr == 0.06
    given = pace_of(recipe, "adamw", dataclasses.replace(ASKED, lr=0.3, weight_decay=0.0))
    assert (given.lr, given.weight_decay) == (0.3, 0.0)


def test_an_optimizer_without_a_rate_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    message = r"task 'gan' has no learning rate for --optimizer sgd, only for adamw; give --lr, or leave"
    with pytest.raises(ValueError, match=message):
        pretrain("nowhere", task="gan", optimizer="sgd", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    check_asked(RunConfig(data="demo", out="run", task="gan", optimizer="sgd", lr=0.01))


def test_a_combination_takes_the_least_rate_of_its_parts() -> None:
    mixed, first, second = (recipe_of(name, {}) for name in ("rotation+colorization", "rotation", "colorization"))
    for optimizer in PACES:
        paces = [recipe.pace(optimizer) for recipe in (mixed, first, second)]
        assert all(paces)
    assert mixed.lr == load_task("rotation").recipe.lr
    assert mixed.pace("adamw") == min((r.pace("adamw") for r in (first, second)), key=lambda p: p.lr if p else 0.0)
