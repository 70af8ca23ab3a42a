from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from selftaught.core.config import RunConfig
from selftaught.core.randomness import generator
from selftaught.data.batch import Batch
from selftaught.encoders.build import build_encoder
from selftaught.encoders.spec import EncoderSpec
from selftaught.ops.colour import normalise
from selftaught.tasks.base import ParameterGroup
from selftaught.tasks.combined import Combined, Example
from selftaught.tasks.context.rotation import Rotation
from selftaught.tasks.resolve import resolve_task
from selftaught.training.checkpoint import load_checkpoint
from selftaught.training.optimizers import build_optimizer
from selftaught.training.train import train
from tests.training.stopping import assert_same_run, stopped_before
from tests.two_processes import in_two_processes, join_group

GREY = '''
"""Grey."""
from __future__ import annotations
from dataclasses import dataclass
import torch
from torch import Generator, Tensor, nn
from selftaught.data.batch import Batch
from selftaught.data.inputs import Image
from selftaught.encoders.base import Encoder, EncoderSpec
from selftaught.ops.colour import normalise
from selftaught.ops.crop import random_resized_crop
from selftaught.tasks.base import PretextTask, Recipe, Shown

@dataclass
class Example:
    """Images and the mean of their red channel."""
    images: Tensor
    red: Tensor

class Grey(PretextTask):
    """Predict how red a grey image is (Somebody, NOWHERE 2020)."""
    encoders = {"encoder": EncoderSpec("image", sees="grey")}
    recipe = Recipe(optimizer="sgd", lr=0.03)

    @dataclass(frozen=True, kw_only=True)
    class Config:
        factor: float = 1.0
        """Multiplies the loss."""

        def __post_init__(self) -> None:
            if self.factor <= 0:
                raise ValueError(f"--task.factor must be above 0, got {self.factor}")

    @classmethod
    def inputs(cls, config):
        return {"photo": Image()}

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder, self.config, self.size = encoder, config, size
        self.head = nn.Linear(encoder.num_features, 1)
        self.register_buffer("steps", torch.zeros(1))

    def metric_name(self) -> str:
        return "gain"

    def chance(self, batch_size: int) -> float:
        return 0.0

    def after_step(self, step: int, total: int) -> None:
        self.steps += 1

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        crops = random_resized_crop(batch["photo"], self.size, rng)
        return Example(normalise(crops), crops[:, 0].mean((1, 2)))

    def forward(self, example: Example) -> Tensor:
        return self.head(self.encoder(example.images))[:, 0]

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        error = (prediction.float() - example.red).square().mean()
        return {"loss": self.config.factor * error, "gain": 1 - error.detach()}

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        return [Shown(inputs=[x], pseudo_label=x, prediction="red") for x in example.images[:count]]
'''


@pytest.fixture
def grey(tmp_path: Path) -> str:
    """A user's task that must not see colour."""
    (tmp_path / "grey_red.py").write_text(GREY)
    return str(tmp_path / "grey_red.py")


def build(name: str, settings: dict[str, Any] | None = None, *, encoder: str = "resnet18", size: int = 32) -> Combined:
    torch.manual_seed(0)
    spec = resolve_task(name, settings or {})
    task = spec.build(build_encoder(spec.seen_as(encoder), size=size, stem="standard"), size)
    assert isinstance(task, Combined)
    return task


def batch(n: int = 8, side: int = 40) -> Batch:
    images = torch.randint(0, 256, (n, 3, side, side), generator=generator("images"), dtype=torch.uint8)
    return Batch(index=torch.arange(n), inputs={"image": images, "photo": images})


def test_statistics_are_shared_where_all_parts_share_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert build("rotation+simclr").shares_statistics
    monkeypatch.setattr(Rotation, "shares_statistics", False)
    assert not build("rotation+simclr").shares_statistics


def test_loss_is_the_weighted_sum_and_every_scalar_is_there() -> None:
    task = build("simclr+rotation", {"weights": (0.5, 2.0)}).eval()
    example = task.pseudo_label(batch(), generator(0))
    with torch.no_grad():
        prediction = task(example)
        scalars = task.loss(prediction, example)
    alone = {n: p.loss(prediction.of[n], example.of[n]) for n, p in task._parts().items()}
    expected = 0.5 * float(alone["simclr"]["loss"]) + 2 * float(alone["rotation"]["loss"])
    assert float(scalars["loss"]) == pytest.approx(expected, rel=1e-6)
    assert {"simclr_accuracy", "rotation_accuracy", "simclr_loss", "rotation_loss"} < set(scalars)
    found, turned = float(alone["simclr"]["accuracy"]), float(alone["rotation"]["accuracy"])
    above = ((found - 1 / 15) / (14 / 15) + (turned - 0.25) / 0.75) / 2
    assert float(scalars["above_chance"]) == pytest.approx(above, abs=1e-6)
    assert task.chance(8) == 0


def test_encoder_is_owned_once_and_every_parameter_learns() -> None:
    task = build("simclr+rotation")
    names = [name for name, _ in task.named_parameters(remove_duplicate=False)]
    assert all(name.startswith(("encoder.", "parts.rotation.head.", "parts.simclr.head.")) for name in names)
    assert set(task.state_dict()) == {n for n, _ in [*task.named_parameters(), *task.named_buffers()]} - {"weights"}
    example = task.pseudo_label(batch(), generator(0))
    task.loss(task(example), example)["loss"].backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in task.parameters())
    twin = copy.deepcopy(task)
    assert all(part.encoder is twin.encoder for part in twin._parts().values())


def test_parts_draw_independently() -> None:
    first, other = build("simclr+rotation"), build("simclr+rotation", {"simclr.blur": 0.0})
    made = first.pseudo_label(batch(), generator(0))
    again, changed = first.pseudo_label(batch(), generator(0)), other.pseudo_label(batch(), generator(0))
    assert torch.equal(made.of["simclr"].views, again.of["simclr"].views)
    assert not torch.equal(made.of["simclr"].views, changed.of["simclr"].views)
    assert torch.equal(made.of["rotation"].images, changed.of["rotation"].images)
    assert not torch.equal(made.of["rotation"].images, first.pseudo_label(batch(), generator(1)).of["rotation"].images)


def test_guard_a_part_that_must_not_see_colour_sees_grey_and_the_others_see_colour(grey: str) -> None:
    task = build(f"rotation+{grey}").eval()
    parts = task._parts()
    assert list(parts) == ["rotation", "grey_red"]
    pictures = torch.rand(4, 3, 32, 32, generator=generator(0))
    luma = pictures.mean(1, keepdim=True).expand(-1, 3, -1, -1).contiguous()
    x, without = normalise(pictures), normalise(luma)
    seen = {name: (part.encoder(x), part.encoder(without)) for name, part in parts.items()}
    assert torch.equal(seen["rotation"][0], task.encoder(x))
    from selftaught.encoders.inputs import see_grey

    assert torch.allclose(seen["grey_red"][0], task.encoder(see_grey(x)), atol=1e-6)
    assert not torch.allclose(seen["rotation"][0], seen["grey_red"][0], atol=1e-3)
    assert parts["grey_red"].encoder.net is task.encoder.net
    harmonised = build(f"rotation+{grey}", encoder="grey:resnet18")
    assert all(part.encoder is harmonised.encoder for part in harmonised._parts().values())


def test_recipe_is_the_first_parts_at_the_least_rate(grey: str) -> None:
    assert resolve_task(f"rotation+{grey}", {}).recipe.lr == 0.03
    assert resolve_task("simclr+rotation", {}).recipe.lr == 0.1
    mixed = resolve_task("rotation+colorization", {}).recipe
    assert (mixed.optimizer, mixed.lr) == ("sgd", 0.1)
    assert resolve_task("rotation+colorization", {}).encoders["encoder"] == EncoderSpec("image")
    assert Rotation.recipe.betas == mixed.betas


def test_hooks_reach_the_parts_and_images_are_of_all(grey: str) -> None:
    task = build(f"rotation+{grey}")
    task.after_step(0, 1)
    assert task._parts()["grey_red"].state_dict()["steps"].tolist() == [1]
    example = task.pseudo_label(batch(), generator(0))
    shown = task.show(example, task(example), 6)
    assert [str(s.prediction).split(":")[0] for s in shown] == ["rotation"] * 3 + ["grey_red"] * 3
    assert isinstance(shown[-1].pseudo_label, torch.Tensor)


def test_wrong_settings_name_the_parts_flag(grey: str) -> None:
    with pytest.raises(ValueError, match=r"^--task.grey_red.factor must be above 0, got -1"):
        build(f"rotation+{grey}", {"grey_red.factor": -1})
    with pytest.raises(ValueError, match=r"--task.weights must be 2 numbers from 0 on, for simclr, rotation, got 1\.0"):
        build("simclr+rotation", {"weights": (1.0,)})
    with pytest.raises(ValueError, match=r"--task.jigsaw.tile"):
        build("rotation+jigsaw", {"jigsaw.tile": 64})
    with pytest.raises(ValueError, match="--encoder split:resnet18 cannot show task 'grey_red' its grey: images"):
        build(f"rotation+{grey}", encoder="split:resnet18")
    holder = Path(grey).with_name("holder.py")
    text = GREY.replace("self.encoder, self.config", "self.net, self.config").replace(
        "= encoder, config", "= nn.Sequential(encoder), config"
    )
    holder.write_text(text.replace(', sees="grey"', ""))
    with pytest.raises(ValueError, match="task 'holder' cannot be combined: it keeps its encoder in a Sequential"):
        build(f"rotation+{holder}")


@pytest.mark.parametrize("name", ["inpainting", "super_resolution"])
def test_a_task_that_takes_no_turns_under_its_settings_is_a_part(name: str) -> None:
    task = build(f"{name}+rotation", {f"{name}.width": 32, f"{name}.adversarial": 0})
    example = task.pseudo_label(batch(4), generator(0))
    scalars = task.loss(task(example), example)
    assert f"{name}_psnr_gain" in scalars
    scalars["loss"].backward()
    assert all(p.grad is not None for p in task._parts()[name].parameters())
    with pytest.raises(
        ValueError, match=f"^{name} cannot be combined .* its players take turns; .*{name}.adversarial 0 does$"
    ):
        build(f"{name}+rotation", {f"{name}.adversarial": 0.001})
    build("inpainting+rotation")


def norms(task: Combined, example: Example) -> list[float]:
    """Gradient norm of each part at the encoder's last convolution, by a backward pass of its own."""
    found = []
    for name, part in task._parts().items():
        task.zero_grad()
        part.loss(part(example.of[name]), example.of[name])["loss"].backward()
        last = task.encoder.get_parameter("net.layer4.1.conv2.weight")
        assert last.grad is not None
        found.append(float(last.grad.double().norm()))
    return found


def test_balanced_parts_pull_at_the_last_layer_with_equal_strength(grey: str) -> None:
    task = build(f"rotation+{grey}", {"balance": "gradient", "grey_red.factor": 1000.0})
    example = task.pseudo_label(batch(), generator(0))
    scalars = task.loss(task(example), example)
    measured = norms(task, example)
    assert task.norms.tolist() == pytest.approx(measured, rel=1e-4)
    weights = [float(scalars["rotation_weight"]), float(scalars["grey_red_weight"])]
    assert weights[0] * measured[0] == pytest.approx(weights[1] * measured[1], rel=1e-4)
    assert sum(weights) == pytest.approx(2)
    total = weights[0] * float(scalars["rotation_loss"]) + weights[1] * float(scalars["grey_red_loss"])
    assert float(scalars["loss"].detach()) == pytest.approx(total, rel=1e-5)
    later = task.pseudo_label(batch(), generator(1))
    task(later)
    expected = [0.9 * a + 0.1 * b for a, b in zip(measured, norms(task, later), strict=True)]
    assert task.norms.tolist() == pytest.approx(expected, rel=1e-3)
    kept = task.norms.clone()
    task.eval()(example)
    assert torch.equal(task.norms, kept)


def test_a_run_resumes_exactly(tmp_path: Path, grey: str) -> None:
    """Through the loop, whose precision lets no gradient pass but in its own backward pass."""
    asked = RunConfig.of(
        data="synthetic:N=40,side=32",
        out=str(tmp_path / "whole"),
        task=f"rotation+{grey}",
        task_settings={"balance": "gradient", "rotation.angles": 2, "weights": (1.0, 0.5)},
        encoder="timm:test_resnet",
        stem="standard",
        size=32,
        batch_size=4,
        steps=3,
        log_every=1,
        checkpoint_every=2,
        evaluate_every=100.0,
        precision="bf16-mixed",
    )
    whole = train(asked)
    lines = (whole / "metrics.csv").read_text().splitlines()
    assert {"above_chance", "rotation_accuracy", "grey_red_gain", "grey_red_weight"} < set(lines[0].split(","))
    other = asked.replace(out=str(tmp_path / "other"))
    with stopped_before(2):
        train(other)
    assert_same_run(whole, train(other.replace(resume=True)))
    assert "task.norms" in load_checkpoint(whole / "checkpoints" / "last.safetensors")[0]


def work(rank: int, port: int, out: str) -> None:
    join_group(rank, port)
    task, example = double_task()
    model = DistributedDataParallel(task)
    part = share(example, rank)
    loss = task.loss(model(part), part)["loss"]
    loss.backward()
    mean = loss.detach().clone()
    dist.all_reduce(mean)
    found = {"loss": mean / 2, "norms": task.norms, "grads": {n: p.grad for n, p in task.named_parameters()}}
    torch.save(found, f"{out}{rank}")
    dist.destroy_process_group()


def double_task() -> tuple[Combined, Example]:
    """Without batch normalisation, and in double precision."""
    task = build("simclr+rotation", {"balance": "gradient", "simclr.hidden": 16}, encoder="alexnet").double()
    torch.nn.Module.eval(task.encoder)  # no dropout
    example = task.pseudo_label(batch(), generator(0))
    example.of["simclr"].views = example.of["simclr"].views.double()
    example.of["rotation"].images = example.of["rotation"].images.double()
    return task, example


def share(example: Example, rank: int) -> Example:
    """The half of a process."""
    rows = slice(4 * rank, 4 * rank + 4)
    half = copy.deepcopy(example)
    half.samples = 4
    half.of["simclr"].views = torch.cat([v[rows] for v in example.of["simclr"].views.chunk(2)])
    half.of["rotation"].images = torch.cat([v[rows] for v in example.of["rotation"].images.chunk(4)])
    half.of["rotation"].angle = torch.arange(4).repeat_interleave(4)
    return half


@pytest.mark.slow
def test_two_processes_give_the_loss_the_balance_and_the_gradient_of_one(tmp_path: Path) -> None:
    in_two_processes(work, str(tmp_path / "two"))
    first, second = (torch.load(tmp_path / f"two{rank}", weights_only=True) for rank in (0, 1))
    task, example = double_task()
    loss = task.loss(task(example), example)["loss"]
    loss.backward()
    assert torch.equal(first["norms"], second["norms"])
    assert torch.allclose(first["norms"], task.norms, rtol=1e-5)
    assert torch.allclose(first["loss"], loss.detach(), rtol=1e-5)
    for key, parameter in task.named_parameters():
        assert parameter.grad is not None
        assert torch.allclose(first["grads"][key], parameter.grad, rtol=1e-4, atol=1e-8), key


def test_jigsaw_rotation_and_colorization_learn_together() -> None:
    names = ("jigsaw", "rotation", "colorization")
    task = build("+".join(names), {"jigsaw.permutations": 10}, encoder="timm:test_resnet", size=48)
    optimizer = build_optimizer(task, "sgd", 0.01, 0.0)
    example = task.pseudo_label(batch(4, 96), generator(0))
    losses: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(5):
        scalars = task.loss(task(example), example)
        for name in names:
            losses[name].append(float(scalars[f"{name}_loss"]))
        optimizer.zero_grad()
        scalars["loss"].backward()
        optimizer.step()
    assert all(seen[-1] < 0.95 * seen[0] for seen in losses.values()), losses
    assert {"jigsaw_accuracy", "rotation_accuracy", "colorization_information"} < set(scalars)


def test_groups_and_updates_of_a_part_reach_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    group = ParameterGroup(names=("head", "encoder.net.conv1"), lr_factor=0.5)
    updates: list[tuple[int, int]] = []
    monkeypatch.setattr(Rotation, "parameter_groups", lambda self: (group,))
    monkeypatch.setattr(Rotation, "before_update", lambda self, step, total: updates.append((step, total)))
    task = build("rotation+colorization")
    (found,) = task.parameter_groups()
    assert (found.names, found.lr_factor) == (("parts.rotation.head", "encoder.net.conv1"), 0.5)
    half = [g for g in build_optimizer(task, "sgd", 0.1, 0.0, own=[found]).param_groups if g["lr"] == 0.05]
    shapes = [[tuple(p.shape) for p in g["params"]] for g in half]
    assert shapes == [[(4, 512), (64, 3, 7, 7)], [(4,)]]
    task.before_update(2, 5)
    assert updates == [(2, 5)]
