from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch

from selftaught.core.randomness import generator
from selftaught.data.batch import Batch
from selftaught.encoders.base import Encoder
from selftaught.ops.colour import denormalise
from selftaught.tasks.base import Known
from selftaught.tasks.context.noise_as_targets import Example, NoiseAsTargets, best_assignment
from selftaught.training.optimizers import build_optimizer

Make = Callable[[], Encoder]


def images(n: int, side: int = 40, seed: int = 0) -> torch.Tensor:
    """Images of smooth random colours, easy to tell apart."""
    small = torch.rand(n, 3, 4, 4, generator=generator("pictures", seed))
    large = torch.nn.functional.interpolate(small, (side, side), mode="bilinear")
    return (large * 255).byte()


def task(make: Make, samples: int = 12, **settings: Any) -> NoiseAsTargets:
    """Samples have the numbers 0, 2, 4, ..."""
    model = NoiseAsTargets(make(), NoiseAsTargets.Config(**{"embedding": 8, **settings}), 32)
    index = torch.arange(samples) * 2
    known = Known(index=index, features=torch.zeros(samples, 1), labels=None)
    with torch.no_grad():
        assert model.before_epoch(known, 0, generator("epoch")).order is None
    return model


def outputs(n: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 8, generator=generator("outputs", seed))


def test_targets_are_spread_over_the_unit_sphere_and_each_sample_has_its_own(tiny_encoder: Make) -> None:
    model = task(tiny_encoder, samples=500)
    assert torch.allclose(model.targets.norm(dim=1), torch.ones(500), atol=1e-5)
    assert float(model.targets.mean(0).abs().max()) < 0.1
    assert sorted(model.target_of[::2].tolist()) == list(range(500))
    assert set(model.target_of[1::2].tolist()) == {-1}
    assert torch.equal(model.targets, task(tiny_encoder, samples=500).targets)


def test_colours_change_where_they_shall(tiny_encoder: Make) -> None:
    """Of images of one colour, crops have that colour; with jitter each has another, and some are grey."""
    colour = torch.tensor([200, 100, 50], dtype=torch.uint8).view(1, 3, 1, 1).expand(64, 3, 40, 40)
    seen = {}
    for jitter in (0.0, 1.0):
        batch = Batch(index=torch.zeros(64, dtype=torch.int64), inputs={"image": colour})
        views = denormalise(task(tiny_encoder, jitter=jitter).pseudo_label(batch, generator(0)).images)
        seen[jitter] = views[:64].mean((2, 3))
    assert torch.allclose(seen[0.0], torch.tensor([200, 100, 50]) / 255, atol=5e-3)
    assert float(seen[1.0].std(0).min()) > 0.1
    assert 4 <= int((seen[1.0].std(1) < 1e-3).sum()) <= 24


def test_loss_is_the_papers_under_the_best_of_all_permutations(tiny_encoder: Make) -> None:
    model = task(tiny_encoder)
    index = torch.tensor([2, 8, 0, 16])
    targets = model.targets[model.target_of[index]].clone()
    raw = outputs(4)
    unit = [row / row.norm() for row in raw]
    sums = {
        chosen: sum(float((unit[i] - targets[j]).square().sum()) / 2 for i, j in enumerate(chosen))
        for chosen in itertools.permutations(range(4))
    }
    best = min(sums, key=lambda chosen: sums[chosen])
    assert best != (0, 1, 2, 3)
    loss = model.loss(raw, Example(torch.zeros(0), index))["loss"]
    assert float(loss) == pytest.approx(sums[best] / 4, rel=1e-5)
    assert torch.equal(model.targets[model.target_of[index]], targets[list(best)])


def test_guard_an_exchange_loses_no_target_even_where_a_sample_comes_twice(tiny_encoder: Make) -> None:
    model = task(tiny_encoder)
    others = model.target_of[::2][6:].clone()
    for step in range(10):
        index = torch.tensor([0, 2, 4, 6, 8, 10, 4, 0])
        model.loss(outputs(8, step), Example(torch.zeros(0), index))
        assert sorted(model.target_of[::2].tolist()) == list(range(12))
    assert torch.equal(model.target_of[::2][6:], others)


def test_guard_targets_stand_still(tiny_encoder: Make) -> None:
    """Outputs at one point are half a squared distance of 1 or so away from targets all around, whoever has which."""
    model = task(tiny_encoder, samples=200)
    before = model.targets.clone()
    same = outputs(1).expand(100, 8)
    losses = [float(model.loss(same, Example(torch.zeros(0), torch.arange(100) * 2))["loss"]) for _ in range(3)]
    assert min(losses) > 0.8
    assert torch.equal(model.targets, before)
    assert not any(name == "targets" for name, _ in model.named_parameters())


def test_exchanges_happen_in_every_third_epoch_only(tiny_encoder: Make) -> None:
    model = task(tiny_encoder)
    exchanged = []
    for step in range(21):  # 4 of 12 samples a step: 3 steps an epoch
        index = (torch.arange(4) + 4 * (step % 3)) * 2
        before = model.target_of.clone()
        model.loss(outputs(4, step), Example(torch.zeros(0), index))
        exchanged.append(not torch.equal(before, model.target_of))
    assert [any(exchanged[3 * e : 3 * e + 3]) for e in range(7)] == [True, False, False, True, False, False, True]


def test_a_copy_goes_on_the_same_from_the_state_dict(tiny_encoder: Make) -> None:
    model, other = task(tiny_encoder), task(tiny_encoder)
    for step in range(4):
        model.loss(outputs(4, step), Example(torch.zeros(0), torch.arange(4) * 2))
    other.load_state_dict(model.state_dict())
    for step in range(4, 8):
        example = Example(torch.zeros(0), torch.arange(3, 7) * 2)
        losses = [m.loss(outputs(4, step), example)["loss"] for m in (model, other)]
        assert torch.equal(*losses)
    assert torch.equal(model.target_of, other.target_of)


def test_best_assignment_undoes_a_permutation() -> None:
    targets = torch.nn.functional.normalize(outputs(9), dim=1)
    order = torch.randperm(9, generator=generator(3))
    assert torch.equal(best_assignment(targets[order], targets), order)


def test_held_out_views_are_evaluated_by_the_targets_of_their_first_views(tiny_encoder: Make) -> None:
    model = task(tiny_encoder).eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    first = outputs(6)
    example = Example(torch.zeros(0), torch.full((6,), 999))
    right = model.loss(torch.cat([first, first + 0.01]), example)
    assigned = best_assignment(torch.nn.functional.normalize(first, dim=1), model.targets[:6])
    exactly = model.targets[:6][assigned]
    assert float(model.loss(torch.cat([first, exactly]), example)["accuracy"]) == 1
    assert float(model.loss(torch.cat([first, exactly.roll(1, 0)]), example)["accuracy"]) == 0
    assert float(right["loss"]) > 0
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_the_same_generator_gives_the_same_views(tiny_encoder: Make) -> None:
    model = task(tiny_encoder)
    batch = Batch(index=torch.arange(4) * 2, inputs={"image": images(4)})
    one, same, other = (model.pseudo_label(batch, generator(seed)).images for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert one.shape == (4, 3, 32, 32)
    assert model.eval().pseudo_label(batch, generator(0)).images.shape == (8, 3, 32, 32)


def test_learns_to_keep_new_images_apart_in_seconds(tiny_encoder: Make) -> None:
    pictures = images(96)
    model = task(tiny_encoder, samples=64, embedding=16, min_scale=0.6)

    @torch.no_grad()
    def accuracy() -> float:
        model.eval()
        example = model.pseudo_label(Batch(index=torch.arange(32), inputs={"image": pictures[64:]}), generator("test"))
        found = float(model.loss(model(example), example)["accuracy"])
        model.train()
        return found

    before = accuracy()
    optimizer = build_optimizer(model, "sgd", 0.2, 0.0)
    for step in range(240):
        rows = torch.randperm(64, generator=generator("rows", step))[:32]
        example = model.pseudo_label(Batch(index=rows * 2, inputs={"image": pictures[rows]}), generator("train", step))
        loss = model.loss(model(example), example)["loss"]
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            assert all(p.grad is not None and bool(p.grad.any()) for p in model.parameters())
        optimizer.step()
    assert accuracy() > max(8 * model.chance(32), before + 0.15), (before, accuracy())


def test_show_gives_images(tiny_encoder: Make) -> None:
    model = task(tiny_encoder).eval()
    example = model.pseudo_label(Batch(index=torch.arange(5), inputs={"image": images(5)}), generator(0))
    shown = model.show(example, model(example).detach(), 8)
    assert len(shown) == 5
    assert isinstance(shown[2].pseudo_label, torch.Tensor)
    assert torch.equal(shown[2].pseudo_label, denormalise(example.images)[2])
    assert isinstance(shown[2].prediction, torch.Tensor)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"embedding": 1}, "--task.embedding must be at least 2, got 1"),
        ({"every": 0}, "--task.every must be at least 1, got 0"),
        ({"min_scale": 0.0}, "--task.min-scale must be in"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NoiseAsTargets.Config(**settings)
