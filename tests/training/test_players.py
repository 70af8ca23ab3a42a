"""Adversarial tasks in the loop: turns, resuming, several processes, a budget."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from torch.nn.parallel import DistributedDataParallel

from selftaught.core.config import RunConfig
from selftaught.core.randomness import generator
from selftaught.data.batch import Batch
from selftaught.encoders.build import build_encoder
from selftaught.tasks.base import PretextTask
from selftaught.tasks.generation.bigan import BiGAN
from selftaught.tasks.generation.bigan import Example as Pairs
from selftaught.tasks.generation.gan import GAN
from selftaught.tasks.generation.gan import Example as Pictures
from selftaught.tasks.resolve import resolve_task
from selftaught.training.budget.length import Length, length_within
from selftaught.training.budget.schedule import Schedule
from selftaught.training.checkpoint import load_checkpoint
from selftaught.training.data import open_data
from selftaught.training.encoder_of_run import read_config
from selftaught.training.optimizers import build_optimizer
from selftaught.training.players import only_parameters_of, scalars_of, scalars_of_turns
from selftaught.training.setup import resolve, spec_for
from selftaught.training.step import Training
from selftaught.training.train import train
from tests.training.small_run import rows
from tests.training.stopping import assert_same_run, stopped_before
from tests.two_processes import in_two_processes, join_group

SMALL = RunConfig.of(
    data="synthetic:N=60,side=32",
    out="",
    task="gan",
    task_settings={"width": 16, "code": 8, "critic_steps": 2},
    encoder="timm:test_resnet",
    stem="standard",
    size=32,
    batch_size=8,
    steps=4,
    lr=1e-3,
    warmup=0.05,
    log_every=1,
    checkpoint_every=1,
    precision="32-true",
)
GAMES = {
    "dcgan": {"objective": "dcgan"},
    "wgan_gp": {"objective": "wgan_gp", "critic_steps": 1},
    "bigan": {},
}


def config(out: Path, **changes: Any) -> RunConfig:
    return SMALL.replace(out=str(out), **changes)


def images(n: int = 8) -> Batch:
    pixels = torch.randint(0, 256, (n, 3, 40, 40), generator=generator("images"), dtype=torch.uint8)
    return Batch(index=torch.arange(n), inputs={"image": pixels})


def small_gan(**settings: Any) -> GAN:
    torch.manual_seed(0)
    encoder = build_encoder("resnet18", size=32, stem="standard")
    return GAN(encoder, GAN.Config(width=16, code=8, **settings), 32)


def length_of(settings: RunConfig) -> Length:
    assert settings.length.steps is not None
    return Length(config=settings, schedule=Schedule(parts=((0, settings.length.steps),), look_every=1))


def training_of(fabric: Fabric, settings: RunConfig, task: PretextTask, model: Any, optimizer: Any) -> Training:
    """Without data: steps are given their batches."""
    data: Any = None
    return Training(fabric, settings, spec_for(settings), task, model, optimizer, data, length_of(settings))


def one_step(task: PretextTask, step: int, **changes: Any) -> dict[str, torch.Tensor]:
    """A step of the loop on made-up images, on one process."""
    settings = config(Path(), **changes)
    optimizer = build_optimizer(task, "adamw", 1e-3, 0.0, (0.5, 0.999))
    fabric = Fabric(accelerator="cpu", devices=1)
    model, prepared = fabric.setup(task, optimizer)
    training = training_of(fabric, settings, task, model, prepared)
    return training.step(step, images())


@pytest.mark.parametrize(("step", "moving"), [(0, {"encoder", "head"}), (1, {"encoder", "head", "generator"})])
def test_in_a_turn_only_the_players_own_parameters_change(step: int, moving: set[str]) -> None:
    task = small_gan(critic_steps=2)
    before = {name: p.detach().clone() for name, p in task.named_parameters()}
    scalars = one_step(task, step)
    changed = {name.split(".")[0] for name, p in task.named_parameters() if not torch.equal(p, before[name])}
    assert changed == moving
    assert all(p.requires_grad and p.grad is None for p in task.parameters())
    assert ("loss_generator" in scalars) == ("generator" in moving)


def test_a_turn_gives_gradients_to_its_player_alone_and_what_is_frozen_stays_frozen() -> None:
    task = small_gan()
    task.head.bias.requires_grad_(False)
    example = task.pseudo_label(images(), generator(0))
    for player, names in task.players().items():
        with only_parameters_of(player, task):
            scalars_of(task, task, example, player)["loss"].backward()
        for name, parameter in task.named_parameters():
            is_own = name.split(".")[0] in names and name != "head.bias"
            assert (parameter.grad is not None) == is_own, (player, name)
        task.zero_grad()
    assert [name for name, p in task.named_parameters() if not p.requires_grad] == ["head.bias"]


def test_scalars_of_several_turns_are_means_and_losses_of_players_add_up() -> None:
    def turn(**values: float) -> dict[str, torch.Tensor]:
        return {name: torch.tensor(value) for name, value in values.items()}

    critic = [turn(loss=1.0, loss_critic=1.0, accuracy=0.2), turn(loss=2.0, loss_critic=2.0, accuracy=0.4)]
    maker = turn(loss=10.0, loss_maker=10.0, loss_of_colour=5.0)
    found = scalars_of_turns([*critic, maker], ["critic", "maker"])
    assert {name: pytest.approx(float(value)) for name, value in found.items()} == {
        "loss": 11.5, "loss_critic": 1.5, "accuracy": 0.3, "loss_maker": 10.0, "loss_of_colour": 5.0,
    }  # fmt: skip
    assert scalars_of_turns(critic[:1], ["critic", "maker"]) == critic[0]


def test_every_turn_sees_all_accumulated_parts() -> None:
    """The losses of a step are means over the halves of the batch, each computed alone."""
    task = small_gan(critic_steps=1).eval()  # else statistics of a half would be in the loss
    fabric = Fabric(accelerator="cpu", devices=1)
    model, optimizer = fabric.setup(task, build_optimizer(task, "sgd", 0.0, 0.0))
    settings = config(Path(), accumulate=2, lr=1e-12)  # the discriminator stays as it is before the generator's turn
    training = training_of(fabric, settings, task, model, optimizer)
    halves = list(training._examples(0, images()))
    expected = {
        p: sum(float(scalars_of(task, task, e, p)["loss"].detach()) for e in halves) / 2 for p in task.players()
    }
    scalars = training.step(0, images())
    assert len(halves) == 2
    for player, value in expected.items():
        assert float(scalars[f"loss_{player}"]) == pytest.approx(value, rel=1e-5)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(config(tmp_path_factory.mktemp("run") / "run"))


def test_the_run_folder_of_a_game(finished: Path) -> None:
    metrics = rows(finished / "metrics.csv")
    assert [row["step"] for row in metrics] == ["1", "2", "3", "4"]
    assert [bool(row["loss_generator"]) for row in metrics] == [False, True, False, True]
    for row in metrics:
        made = float(row["loss_generator"] or 0)
        assert float(row["loss"]) == pytest.approx(float(row["loss_discriminator"]) + made, rel=1e-5)
        assert 0 <= float(row["accuracy"]) <= 1
    looked = rows(finished / "heldout.csv")[-1]
    both = float(looked["loss_discriminator"]) + float(looked["loss_generator"])
    assert float(looked["loss"]) == pytest.approx(both, rel=1e-5)
    assert 0 <= float(looked["accuracy"]) <= 1
    assert float(looked["frechet"]) > 0
    assert (finished / "pictures" / "sample0_prediction.png").exists()


def test_resuming_a_game_gives_the_run_that_never_stopped(finished: Path, tmp_path: Path) -> None:
    with stopped_before(3):
        train(config(tmp_path / "run"))
    resumed = train(config(tmp_path / "run", resume=True))
    assert_same_run(finished, resumed, "metrics.csv", "heldout.csv")


def test_a_budget_sets_the_steps_of_a_game(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("selftaught.training.budget.trial.MOST_STEPS", 3)
    asked = config(tmp_path / "run", steps=None, budget="20s")
    fabric = Fabric(accelerator="cpu", devices=1)
    data = open_data(asked, spec_for(asked), fabric)
    resolved = resolve(asked, spec_for(asked), data)
    now, spec = time.monotonic(), spec_for(asked)
    found, late = (length_within(resolved, spec, data, fabric, begin=now - spent) for spent in (0.0, 20.0))
    data.loader.close()
    assert (found.config.length.steps or 0) > 1
    assert (found.config.length.budget, late.config.length.steps) == (None, 1)
    assert found.broken is None
    assert "--budget 20s cannot be kept" in str(late.broken)


def test_a_game_ends_after_the_steps_its_budget_gave(tmp_path: Path) -> None:
    run = train(config(tmp_path / "run", steps=None, budget="2s", log_every=1000, checkpoint_every=None))
    asked = read_config(run)
    assert asked.length.budget is None
    assert rows(run / "heldout.csv")[-1]["step"] == str(asked.length.steps)


def test_the_betas_of_the_settings_reach_the_optimiser(finished: Path) -> None:
    assert resolve_task("gan", {"objective": "wgan_gp"}).recipe.betas == (0.0, 0.9)
    meta = load_checkpoint(finished / "checkpoints" / "last.safetensors")[1]
    assert str(["betas", {"tuple": [0.5, 0.999]}]) in str(meta["optimizer"])


def make(name: str) -> tuple[PretextTask, Pictures | Pairs]:
    """A game without statistics of a batch, in double precision, and its example for a global batch of 8."""
    torch.manual_seed(0)
    encoder = build_encoder("timm:test_vit", size=32)
    task: PretextTask
    if name == "bigan":
        task = BiGAN(encoder, BiGAN.Config(code=8, width=16), 32)
    else:
        task = GAN(encoder, GAN.Config(code=8, width=16, **GAMES[name]), 32)  # type: ignore[arg-type]
    task = task.double()
    for module in task.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.eval()
    example = task.pseudo_label(images(), generator("example"))
    return task, type(example)(**{n: v.double() for n, v in vars(example).items()})


def share(example: Any, rank: int) -> Any:
    """The half of a process; the first quarter of either half is in the first quarter of the whole, which is turned.

    BiGAN's pairs that do not match follow the order of the whole batch.
    """
    is_gan = hasattr(example, "mix")
    mine = torch.tensor(([[0, 2, 3, 4], [1, 5, 6, 7]] if is_gan else [[0, 1, 2, 3], [4, 5, 6, 7]])[rank])
    return type(example)(**{name: value[mine] for name, value in vars(example).items()})


def gradients(task: PretextTask, model: Any, example: Any) -> dict[str, Any]:
    """Loss and gradients of every player's turn."""
    found = {}
    for player in task.players():
        with only_parameters_of(player, task):
            loss = scalars_of(task, model, example, player)["loss"]
            loss.backward()
        found[player] = {"loss": loss.detach(), "grads": {n: p.grad for n, p in task.named_parameters()}}
        task.zero_grad()
    return found


def work(rank: int, port: int, out: str) -> None:
    join_group(rank, port)
    found = {}
    for name in GAMES:
        task, example = make(name)
        model = DistributedDataParallel(task, find_unused_parameters=True)
        found[name] = gradients(task, model, share(example, rank))
        for turn in found[name].values():
            dist.all_reduce(turn["loss"])
            turn["loss"] /= 2
    if rank == 0:
        torch.save(found, out)
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def of_two(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What two processes found, for every game and player."""
    out = tmp_path_factory.mktemp("two") / "two.pt"
    in_two_processes(work, str(out))
    found: dict[str, dict[str, Any]] = torch.load(out, weights_only=True)
    return found


@pytest.mark.parametrize("name", GAMES)
def test_two_processes_give_the_loss_and_gradient_of_one(name: str, of_two: dict[str, dict[str, Any]]) -> None:
    task, example = make(name)
    for player, alone in gradients(task, task, example).items():
        together = of_two[name][player]
        assert torch.allclose(together["loss"], alone["loss"], rtol=1e-5), player
        for key, gradient in alone["grads"].items():
            found = together["grads"][key]
            is_own = key.split(".")[0] in task.players()[player]
            assert (found is not None) == (gradient is not None) == is_own, (player, key)
            assert not is_own or torch.allclose(found, gradient, rtol=1e-4, atol=1e-8), (player, key)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["gan", "bigan"])
def test_two_processes_train_a_game(task: str, tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "selftaught", "pretrain", SMALL.data.path, "--task", task, "--encoder", "resnet18",
        "--stem", "standard", "--size", "32", "--batch-size", "8", "--steps", "4", "--log-every", "1",
        "--task.width", "16", "--task.code", "8", "--accelerator", "cpu", "--devices", "2",
        "--out", str(tmp_path / "run"),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    metrics = rows(tmp_path / "run" / "metrics.csv")
    assert [row["step"] for row in metrics] == ["1", "2", "3", "4"]
    assert (tmp_path / "run" / "summary.json").exists()
