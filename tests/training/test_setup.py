"""Every optimiser has its own learning rate, or must come with one."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selftaught import pretrain
from selftaught.core.config import RunConfig
from selftaught.core.devices import make_fabric
from selftaught.data.inputs import Clip, Given
from selftaught.tasks import catalogue, spec
from selftaught.tasks.base import PACES, Pace, PretextTask, Recipe
from selftaught.tasks.catalogue import list_tasks, load_task
from selftaught.tasks.context import rotation
from selftaught.tasks.resolve import resolve_task
from selftaught.tasks.spec import TaskSpec
from selftaught.training.data import open_data
from selftaught.training.first_checks import check_asked
from selftaught.training.setup import clip_seen, is_partly_used, pace_of, resolve, spec_for, with_batch

TASKS = (*(task.name for task in list_tasks()), "supervised", "rotation+colorization")
QUICK: Any = {"encoder": "timm:test_resnet", "accelerator": "cpu", "precision": "32-true"}
ASKED = RunConfig.of(data="demo", out="run", task="simclr", batch_size=128)


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_a_pace_for_every_optimizer_but_games_of_two(name: str) -> None:
    recipe = resolve_task(name, {}).recipe
    own = recipe.pace(recipe.optimizer)
    assert own is not None
    assert (own.lr, own.weight_decay) == (recipe.lr, recipe.weight_decay)
    others = [optimizer for optimizer in PACES if optimizer != recipe.optimizer]
    is_game = name in (
        "gan",
        "bigan",
        "artifacts",
        "super_resolution",
        "temporal_gan",
        "video_gan",
        "motion_content_gan",
    )
    for optimizer in others:
        pace = recipe.pace(optimizer)
        assert (pace is None) == is_game, optimizer
        if pace is not None:
            assert (1e-4 <= pace.lr <= 5e-3) if optimizer == "adamw" else (0.01 <= pace.lr <= 5)


def test_players_only_play_where_they_are_asked_to() -> None:
    assert resolve_task("super_resolution", {"adversarial": 0.0}).recipe.pace("sgd") is not None
    assert resolve_task("inpainting", {}).recipe.pace("sgd") is not None
    assert resolve_task("inpainting", {"adversarial": 0.001}).recipe.pace("sgd") is None


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
    asked = RunConfig.of(data="demo", out="run", task="inpainting", task_settings=settings, encoder=encoder, size=32)
    asked = asked.replace(batch_size=8)
    assert is_partly_used(check_asked(asked, spec_for(asked))) is expected


def test_a_pace_is_scaled_with_the_batch_unless_it_is_given() -> None:
    recipe = Recipe(optimizer="sgd", lr=0.12, weight_decay=5e-4)
    found = pace_of(recipe, "adamw", ASKED.optim, task="simclr")
    assert (found.lr, found.weight_decay) == (PACES["adamw"].lr / 2, PACES["adamw"].weight_decay)
    assert pace_of(recipe, "sgd", ASKED.optim, task="simclr").lr == 0.06
    given = pace_of(recipe, "adamw", ASKED.replace(lr=0.3, weight_decay=0.0).optim, task="simclr")
    assert (given.lr, given.weight_decay) == (0.3, 0.0)


COMPLETE = Recipe(
    optimizer="sgd", lr=0.1, weight_decay=0.04, final_weight_decay=0.4, momentum=0.8, warmup=0.2, clip=3.0,
    others={"lars": Pace(lr=1.0, weight_decay=0.1, momentum=0.7), "adamw": Pace(lr=1e-3, weight_decay=0.01)},
)  # fmt: skip


@pytest.mark.parametrize(
    ("optimizer", "flags", "expected"),
    [
        ("sgd", {}, (0.04, 0.4, 0.8)),
        ("sgd", {"weight_decay": 0.0, "momentum": 0.0}, (0.0, 0.4, 0.0)),
        ("sgd", {"final_weight_decay": 0.0}, (0.04, 0.0, 0.8)),
        ("lars", {}, (0.1, None, 0.7)),
        ("lars", {"momentum": 0.5, "final_weight_decay": 0.3}, (0.1, 0.3, 0.5)),
        ("adamw", {}, (0.01, None, None)),
    ],
)
def test_a_flag_comes_before_the_recipe_each_by_itself(
    optimizer: Any, flags: dict[str, float], expected: tuple[float, ...]
) -> None:
    found = pace_of(COMPLETE, optimizer, ASKED.replace(**flags).optim, task="simclr")  # type: ignore[arg-type]
    assert (found.weight_decay, found.final_weight_decay, found.momentum) == expected


@pytest.mark.parametrize(
    ("flags", "expected"), [({}, (0.2, 3.0)), ({"warmup": 0.0}, (0.0, 3.0)), ({"clip": 1.0}, (0.2, 1.0))]
)
def test_warm_up_and_clip_are_the_flags_else_the_recipes(
    flags: dict[str, float], expected: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_task("rotation"), "recipe", COMPLETE)
    asked = RunConfig.of(data="synthetic:N=20,side=32", out="run", task="rotation", size=32, batch_size=8, **flags)  # type: ignore[arg-type]
    data = open_data(asked, spec_for(asked), make_fabric(asked.machine, is_partly_used=False))
    resolved = resolve(asked, spec_for(asked), data)
    assert (resolved.optim.warmup, resolved.optim.clip, resolved.optim.momentum) == (*expected, 0.8)


def test_the_defaults_are_those_of_a_recipe_that_says_nothing() -> None:
    recipe = Recipe()
    assert (recipe.momentum, recipe.warmup, recipe.clip, recipe.final_weight_decay) == (0.9, 0.05, None, None)
    assert pace_of(recipe, "lars", ASKED.optim, task="simclr").momentum == 0.9


def test_momentum_without_an_optimizer_that_has_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^--momentum is for sgd and lars, the optimizer is adamw, got 0.5; leave it"):
        pace_of(COMPLETE, "adamw", ASKED.replace(momentum=0.5).optim, task="simclr")


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"momentum": 1.0}, r"momentum of a Recipe must be in \[0, 1\), got 1.0"),
        ({"clip": 0.0}, "clip of a Recipe must be above 0, got 0.0"),
        ({"final_weight_decay": -0.1}, "final_weight_decay of a Recipe must be at least 0, got -0.1"),
    ],
)
def test_a_recipe_out_of_range_is_one_sentence(value: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        Recipe(**value)


def test_an_optimizer_without_a_rate_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    message = r"task 'gan' has no learning rate for --optimizer sgd, only for adamw; give --lr, or leave"
    with pytest.raises(ValueError, match=message):
        pretrain("nowhere", task="gan", optimizer="sgd", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    asked = RunConfig.of(data="demo", out="run", task="gan", optimizer="sgd", lr=0.01)
    check_asked(asked, spec_for(asked))


def test_a_combination_takes_the_least_rate_of_its_parts() -> None:
    mixed, first, second = (
        resolve_task(name, {}).recipe for name in ("rotation+colorization", "rotation", "colorization")
    )
    for optimizer in PACES:
        paces = [recipe.pace(optimizer) for recipe in (mixed, first, second)]
        assert all(paces)
    assert mixed.lr == load_task("rotation").recipe.lr
    assert mixed.pace("adamw") == min((r.pace("adamw") for r in (first, second)), key=lambda p: p.lr if p else 0.0)


@pytest.mark.parametrize("task", ["rotation", "own", "rotation+simclr", "supervised"])
def test_settings_are_resolved_once_in_a_run(task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: Counter[str] = Counter()

    def counted(owner: Any, name: str) -> None:
        original: Callable[..., Any] = getattr(owner, name)

        def call(*args: Any, **named: Any) -> Any:
            calls[name] += 1
            return original(*args, **named)

        monkeypatch.setattr(owner, name, call)

    for name in ("read_task", "import_own"):
        counted(catalogue, name)
    counted(spec, "sampling_of")  # which calls `inputs`
    monkeypatch.setattr(
        PretextTask, "recipe_for", classmethod(lambda cls, _: calls.update(["recipe_for"]) or cls.recipe)
    )
    if task == "own":
        task = shutil.copy(str(rotation.__file__), str(tmp_path / "own_rotation.py"))
    catalogue._library_task.cache_clear()
    out = tmp_path / "run"
    pretrain("synthetic:N=24,side=32", out=out, task=task, size=32, batch_size=8, steps=1, **QUICK)
    parts = task.count("+") + 1
    assert calls["read_task"] == parts + (parts > 1)  # and the file of combinations
    assert calls["import_own"] == (".py" in task)
    assert calls["sampling_of"] == parts + (parts > 1)
    assert calls["recipe_for"] == parts


def test_clips_are_cut_as_the_flags_say() -> None:
    def spec_of(task: str, **asked: Any) -> TaskSpec:
        return spec_for(RunConfig.of(data="videos", out="run", task=task, **asked))

    plain = spec_of("clip_rotation")
    assert (plain.inputs["video"], clip_seen(plain)) == (Clip(frames=16), {"frames": 16, "stride": 1})
    shorter = spec_of("clip_rotation", frames=8, stride=2)
    assert (shorter.inputs["video"], clip_seen(shorter)) == (Clip(frames=8, stride=2), {"frames": 8, "stride": 2})
    assert (shorter.settings["frames"], shorter.settings["stride"]) == (8, 2)
    timed = spec_of("clip_rotation", fps=4, task_settings={"frames": 6})
    assert (timed.inputs["video"], clip_seen(timed)) == (Clip(frames=6, fps=4.0), {"frames": 6, "fps": 4.0})
    # What a run has recorded wins over the clip that its encoder sees.
    assert spec_of("clip_rotation", frames=8, task_settings=plain.settings).inputs == plain.inputs
    labelled = spec_of("supervised", frames=8, fps=4)
    assert labelled.inputs == {"clip": Clip(frames=8, fps=4.0), "label": Given("label")}
    assert (labelled.kept_spec.kind, spec_of("supervised").kept_spec.kind) == ("video", "image")
    assert clip_seen(spec_of("rotation")) == clip_seen(spec_of("frame_order_verification")) == {}


def test_clips_that_cannot_be_cut_so_are_refused() -> None:
    for flag in ({"frames": 8}, {"stride": 2}, {"fps": 5.0}):
        with pytest.raises(ValueError, match=r"^task 'rotation' learns from single frames, not from clips; leave out"):
            spec_for(RunConfig.of(data="images", out="run", task="rotation", **flag))
    with pytest.raises(ValueError, match=r"^--stride 2 and --fps 5 both space the frames of a clip; give one$"):
        RunConfig.of(data="videos", out="run", task="clip_rotation", stride=2, fps=5)
    with pytest.raises(ValueError, match=r"^task 'moving_object' has no setting for the frames of a clip; leave out"):
        spec_for(RunConfig.of(data="videos", out="run", task="moving_object", frames=8))


def test_the_batch_size_is_the_tasks_where_none_is_given() -> None:
    def batch_of(task: str, **asked: Any) -> int:
        config = RunConfig.of(data="data", out="run", task=task, **asked)
        return with_batch(config, spec_for(config)).optim.batch

    assert (batch_of("simclr"), batch_of("clip_rotation"), batch_of("clip_rotation", batch_size=8)) == (128, 32, 8)
    assert batch_of("clip_rotation", devices=3) == 96  # cut into equal parts
    assert Recipe(batch_size=64).batch_size == 64
    with pytest.raises(ValueError, match="batch_size of a Recipe"):
        Recipe(batch_size=1)
