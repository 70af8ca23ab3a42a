from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from selftaught.core.randomness import generator
from selftaught.data.batch import Batch
from selftaught.encoders.base import Encoder
from selftaught.encoders.build import build_encoder
from selftaught.ops.colour import IMAGENET_MEAN, IMAGENET_STD, denormalise
from selftaught.tasks.generation.gan import GAN
from selftaught.tasks.parts.heads import Generator
from selftaught.training.optimizers import build_optimizer, learning_rate
from selftaught.training.players import only_parameters_of, scalars_of


def task(encoder: Encoder, size: int = 16, **settings: Any) -> GAN:
    torch.manual_seed(0)
    return GAN(encoder, GAN.Config(**{"width": 16, "code": 4, **settings}), size)


def batch(n: int = 8, side: int = 24, name: str = "images") -> Batch:
    """Images with a bright sky of some colour above a dark ground, and noise."""
    rng = generator(name)
    sky = torch.randint(150, 220, (n, 3, 1, 1), generator=rng)
    ground = torch.randint(20, 90, (n, 3, 1, 1), generator=rng)
    below = (torch.arange(side) >= side // 2).view(1, 1, side, 1)
    noise = torch.randint(-20, 21, (n, 3, side, side), generator=rng)
    return Batch(index=torch.arange(n), inputs={"image": (torch.where(below, ground, sky) + noise).to(torch.uint8)})


@pytest.mark.parametrize("objective", ["dcgan", "wgan_gp"])
def test_loss_is_the_papers_with_rotation_and_penalty(objective: str, tiny_encoder: Callable[[], Encoder]) -> None:
    model = task(tiny_encoder(), objective=objective, rotated=0.5).eval()
    example = model.pseudo_label(batch(), generator(0))

    def outputs(pictures: Tensor) -> list[list[float]]:
        rows: list[list[float]] = model.head(model.encoder(pictures)).tolist()
        return rows

    def rotation(pictures: Tensor) -> float:
        """Mean cross entropy over the first half of the images, each at every angle."""
        total = 0.0
        for k in range(4):
            for row in outputs(torch.rot90(pictures[:4], k, (2, 3))):
                total += math.log(sum(math.exp(v) for v in row[1:])) - row[1 + k]
        return total / 16

    made, other = model.generator(example.codes).detach(), model.generator(example.other_codes).detach()
    expected, passed = rotation(example.images), 0.2 * rotation(other)
    for i in range(8):
        real_score, made_score = outputs(example.images)[i][0], outputs(made)[i][0]
        other_score = outputs(other)[i][0]
        if objective == "dcgan":
            expected += (math.log(1 + math.exp(-real_score)) + math.log(1 + math.exp(made_score))) / 8
            passed += math.log(1 + math.exp(-other_score)) / 8
        else:
            point = (made[i] + example.mix[i] * (example.images[i] - made[i]))[None].requires_grad_()
            model.head(model.encoder(point))[0, 0].backward()
            assert point.grad is not None
            expected += (made_score - real_score + 10 * (float(point.grad.norm()) - 1) ** 2) / 8
            passed += -other_score / 8
    assert float(model.loss(model(example), example)["loss"].detach()) == pytest.approx(expected, rel=1e-4)
    found = model.loss(model(example, "generator"), example, "generator")
    assert float(found["loss"].detach()) == pytest.approx(passed, rel=1e-4)


def test_pseudo_label_is_a_function_of_the_generator(tiny_encoder: Callable[[], Encoder]) -> None:
    model = task(tiny_encoder())
    first, again, other = (model.pseudo_label(batch(), generator(seed)) for seed in (0, 0, 1))
    for name, value in vars(first).items():
        assert torch.equal(value, vars(again)[name])
        assert not torch.equal(value, vars(other)[name])
    assert not torch.equal(first.codes, first.other_codes)
    assert first.codes.abs().max() <= 1


def test_guard_generated_images_have_no_colour_that_real_ones_lack() -> None:
    torch.manual_seed(0)
    for side in (16, 48, 50):
        maker = Generator(4, side=side, width=16)
        for parameter in maker.parameters():
            parameter.data *= 20
        made = maker(torch.rand(4, 4, generator=generator(side)) * 2 - 1).detach()
        assert made.shape == (4, 3, side, side)
        pixels = made * torch.tensor(IMAGENET_STD).view(3, 1, 1) + torch.tensor(IMAGENET_MEAN).view(3, 1, 1)
        assert -1e-5 <= float(pixels.min()) < 0.1
        assert 0.9 < float(pixels.max()) <= 1 + 1e-5


def test_guard_batch_normalisation_remembers_real_images_alone(tiny_encoder: Callable[[], Encoder]) -> None:
    """What is kept, and judges held-out images, does not depend on the made ones, nor on the generator's turns."""
    example = task(tiny_encoder()).pseudo_label(batch(), generator(0))
    found = []
    for shift in (0.0, 3.0):
        model = task(tiny_encoder(), objective="wgan_gp")
        example.codes, example.other_codes = example.codes + shift, example.other_codes + shift
        model(example)
        with only_parameters_of("generator", model):
            model(example, "generator")
        found.append(torch.cat([b.flatten().float() for b in model.encoder.buffers()]))
    real_only = task(tiny_encoder())
    real_only.encoder(example.images)
    found.append(torch.cat([b.flatten().float() for b in real_only.encoder.buffers()]))
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_guard_real_and_generated_images_are_scored_in_one_batch(tiny_encoder: Callable[[], Encoder]) -> None:
    """In the turns of both players, and scored as that batch is: no statistics belong to one kind alone."""
    for player in ("discriminator", "generator"):
        model = task(tiny_encoder())
        example = model.pseudo_label(batch(), generator(0))
        found = model(example, player)
        made = model.generator(example.codes if player == "discriminator" else example.other_codes)
        both = model.head(model.encoder(torch.cat([example.images, made])))[:, 0]
        assert torch.allclose(torch.cat([found["real"], found["made"]]), both, atol=1e-5), player


def test_guard_rotated_images_are_the_same_pixels(
    tiny_encoder: Callable[[], Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = task(tiny_encoder())
    example = model.pseudo_label(batch(), generator(0))
    seen: list[Tensor] = []

    def look(x: Tensor) -> Tensor:
        seen.append(x)
        return torch.zeros(len(x), 64)

    monkeypatch.setattr(model.encoder, "forward", look)
    model._angles(example.images, 1.0)
    for k in range(4):
        for i in range(2):
            assert torch.equal(seen[0][2 * k + i], torch.rot90(example.images[i], k, (1, 2)))


@pytest.mark.parametrize("settings", [{}, {"rotation": 0.0, "generator_rotation": 0.0, "objective": "wgan_gp"}])
def test_every_parameter_learns_in_its_players_turn(
    settings: dict[str, Any], tiny_encoder: Callable[[], Encoder]
) -> None:
    model = task(tiny_encoder(), **settings)
    example = model.pseudo_label(batch(), generator(0))
    for player in model.players():
        with only_parameters_of(player, model):
            scalars_of(model, model, example, player)["loss"].backward()
    # A critic's difference and its gradient do not depend on the offset of the score.
    still = {"head.bias"} if settings else set()
    assert {n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0} <= still
    assert model.chance(8) == (0.5 if settings else 0.25)


def test_the_penalty_is_differentiable_with_a_transformer_and_with_resnet() -> None:
    for name in ("timm:test_vit", "resnet18"):
        model = task(build_encoder(name, size=32), 32, objective="wgan_gp")
        example = model.pseudo_label(batch(4, 40), generator(0))
        prediction = model(example)
        (prediction["lengths"] - 1).square().mean().backward()
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.encoder.parameters())
        with torch.no_grad():
            assert float(model.loss(model.eval()(example), example)["gradient_length"]) > 0


def test_wgan_gp_moves_its_generator_every_fifth_step_with_its_own_betas(tiny_encoder: Callable[[], Encoder]) -> None:
    moves = [len(task(tiny_encoder(), objective="wgan_gp").turns(step)) for step in range(10)]
    assert moves == [1, 1, 1, 1, 2, 1, 1, 1, 1, 2]
    assert task(tiny_encoder()).turns(0) == ("discriminator", "generator")
    assert GAN.recipe_for(GAN.Config(objective="wgan_gp")).betas == (0.0, 0.9)
    assert GAN.recipe_for(GAN.Config()).betas == (0.5, 0.999)


@pytest.mark.parametrize("rotated", [0.25, 1.0])
def test_guard_scores_do_not_depend_on_rotated_copies(rotated: float, tiny_encoder: Callable[[], Encoder]) -> None:
    """In training, to the bit: those of real and made images, in the turns of both players."""
    with_copies, without = task(tiny_encoder(), rotated=rotated), task(tiny_encoder(), generator_rotation=0.0)
    without.config = GAN.Config(width=16, code=4, rotation=0.0, generator_rotation=0.0)
    example = with_copies.pseudo_label(batch(), generator(0))
    for player in with_copies.players():
        found, plain = (model(example, player) for model in (with_copies, without))
        assert "angles" in found
        assert "angles" not in plain
        for name, scores in plain.items():
            assert torch.equal(scores, found[name]), (player, name)


def test_both_players_learn_in_seconds(tiny_encoder: Callable[[], Encoder]) -> None:
    """The discriminator finds the sky; the generator, whose images were flat, puts brightness on top."""
    model = task(tiny_encoder(), width=32)
    steps = 150
    optimizer = build_optimizer(model, "adamw", 0.0, 0.0, (0.5, 0.999))
    test = model.pseudo_label(batch(32, name="test"), generator("test"))

    def brighter_above() -> float:
        pixels = denormalise(model.generate(test)).mean(1)
        return float((pixels[:, :8] - pixels[:, 8:]).mean())

    assert abs(brighter_above()) < 0.1
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, 2e-3, 0.05)
        example = model.pseudo_label(batch(16, name=f"batch {step}"), generator("train", step))
        for player in model.turns(step):
            with only_parameters_of(player, model):
                scalars_of(model, model, example, player)["loss"].backward()
                optimizer.step()
                optimizer.zero_grad()
    model.eval()
    found = model.loss(model(test), test)
    assert float(found["accuracy"]) > 0.8, found
    assert brighter_above() > 0.2


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match=r"--task.objective must be dcgan, wgan_gp or hinge, got 'lsgan'"):
        GAN.Config(objective="lsgan")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"--task.generator-rotation needs a discriminator that knows rotations"):
        GAN.Config(rotation=0)
    with pytest.raises(ValueError, match=r"--task.rotated must be in \(0, 1\], got 0"):
        GAN.Config(rotated=0)
    with pytest.raises(ValueError, match=r"--task.penalty must be at least 0, got -1"):
        GAN.Config(penalty=-1)


@pytest.mark.parametrize("objective", ["dcgan", "wgan_gp"])
def test_show_gives_grids_and_scores(objective: str, tiny_encoder: Callable[[], Encoder]) -> None:
    model = task(tiny_encoder(), objective=objective).eval()
    example = model.pseudo_label(batch(), generator(0))
    shown = model.show(example, model(example), 8)
    assert len(shown) == 8
    assert isinstance(shown[0].prediction, Tensor)
    assert shown[0].prediction.shape == shown[0].inputs[0].shape == (3, 2 * 18 + 2, 4 * 18 + 2)
    assert [s.pseudo_label for s in shown[1:5]] == ["real", "made", "real", "made"]
    for s in shown:
        assert 0 <= float(s.inputs[0].min()) <= float(s.inputs[0].max()) <= 1
    assert torch.equal(shown[1].inputs[0], denormalise(example.images)[0])
