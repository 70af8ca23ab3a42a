from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from selftaught.core.randomness import generator
from selftaught.data.batch import Batch
from selftaught.encoders.base import Encoder
from selftaught.ops.colour import denormalise
from selftaught.ops.downsample import halve_pictures
from selftaught.tasks.context.counting import Counting, Example, nearer_to_own, quarters
from tests.tasks.learning import train

Make = Callable[[], Encoder]


def task(encoder: Encoder, size: int = 32, **settings: Any) -> Counting:
    torch.manual_seed(0)
    return Counting(encoder, Counting.Config(**settings), size)


def noise(n: int = 6, side: int = 32) -> Tensor:
    return torch.randint(0, 256, (n, 3, side, side), generator=generator("noise"), dtype=torch.uint8)


def as_batch(images: Tensor) -> Batch:
    return Batch(index=torch.arange(len(images)), inputs={"image": images})


def test_tiles_make_up_the_image_and_the_whole_is_the_image_at_half_its_side(tiny_encoder: Make) -> None:
    images = noise(12)
    model = task(tiny_encoder(), grey=0.0, min_scale=1.0)
    example = model.pseudo_label(as_batch(images), generator(0))
    assert example.images.shape == (60, 3, 16, 16)
    assert example.images.is_contiguous(memory_format=torch.channels_last)
    whole, *tiles = denormalise(example.images).chunk(5)
    upper, lower = torch.cat([tiles[0], tiles[1]], 3), torch.cat([tiles[2], tiles[3]], 3)
    square = torch.cat([upper, lower], 2)
    given = images.float() / 255
    mirrored = given.flip(3)
    for n in range(12):  # half of them are mirrored
        assert min(float((square[n] - given[n]).abs().max()), float((square[n] - mirrored[n]).abs().max())) < 0.005
    assert torch.allclose(whole, halve_pictures(square, example.kind).clamp(0, 1), atol=0.01)


def test_quarters_come_row_by_row() -> None:
    squares = torch.arange(2 * 16.0).view(2, 1, 4, 4)
    found = quarters(squares)
    assert found.shape == (8, 1, 2, 2)
    assert found[::2, 0, 0, 0].tolist() == [0, 2, 8, 10]
    assert found[1::2, 0].flatten(1).tolist() == [
        [16, 17, 20, 21], [18, 19, 22, 23], [24, 25, 28, 29], [26, 27, 30, 31]
    ]  # fmt: skip


def test_loss_is_the_papers_equation(tiny_encoder: Make) -> None:
    model = task(tiny_encoder(), counts=7, margin=3.0)
    counts = torch.rand(5, 6, 7, generator=generator("counts"))
    example = model.pseudo_label(as_batch(noise()), generator(0))
    total, hits = 0.0, 0
    for n in range(6):
        summed = [sum(float(counts[1 + j, n, k]) for j in range(4)) for k in range(7)]
        own = sum((float(counts[0, n, k]) - summed[k]) ** 2 for k in range(7))
        other = sum((float(counts[0, (n + 1) % 6, k]) - summed[k]) ** 2 for k in range(7))
        total += own + max(0.0, 3.0 - other)
        for m in range(6):
            if m != n:
                hits += own < sum((float(counts[0, m, k]) - summed[k]) ** 2 for k in range(7))
    found = model.loss(counts, example)
    assert float(found["loss"]) == pytest.approx(total / 6, rel=1e-5)
    assert float(found["accuracy"]) == pytest.approx(hits / 30)
    assert float(found["loss_same"] + found["loss_other"]) == pytest.approx(total / 6, rel=1e-5)
    assert float(found["norm_whole"]) == pytest.approx(float(counts[0].norm(dim=1).mean()))


def test_guard_counting_nothing_costs_the_margin_and_shows(tiny_encoder: Make) -> None:
    model = task(tiny_encoder())
    example = model.pseudo_label(as_batch(noise()), generator(0))
    found = model.loss(torch.zeros(5, 6, 1000), example)
    assert float(found["loss"]) == 10
    assert float(found["accuracy"]) == model.chance(6) == 0.5
    assert float(found["norm_whole"]) == float(found["norm_tiles"]) == 0
    right = torch.eye(6)
    assert float(nearer_to_own(right, right, torch.arange(6))) == 1
    assert float(nearer_to_own(right, right.roll(-2, 0), torch.arange(6).roll(2))) == 1


def test_counts_are_at_least_0_and_the_network_shared(tiny_encoder: Make) -> None:
    model = task(tiny_encoder()).eval()
    example = model.pseudo_label(as_batch(noise()), generator(0))
    counts = model(example).detach()
    assert counts.shape == (5, 6, 1000)
    assert float(counts.min()) == 0
    swapped = Example(example.images.flip(0), example.kind)
    assert torch.allclose(model(swapped).flatten(0, 1), counts.flatten(0, 1).flip(0), atol=1e-5)


def test_guard_every_down_sampler_is_used_and_leaves_its_own_trace(tiny_encoder: Make) -> None:
    images = noise(1).expand(200, -1, -1, -1)
    example = task(tiny_encoder(), grey=0.0, min_scale=1.0).pseudo_label(as_batch(images), generator(0))
    kinds = torch.bincount(example.kind, minlength=4)
    assert int(kinds.min()) > 30
    sharpness = example.images[:200].diff(dim=3).abs().mean((1, 2, 3))
    means = [float(sharpness[example.kind == kind].mean()) for kind in range(4)]
    assert all(abs(a - b) > 0.005 for i, a in enumerate(means) for b in means[:i])


def test_guard_most_images_are_grey_in_whole_and_tiles(tiny_encoder: Make) -> None:
    example = task(tiny_encoder()).pseudo_label(as_batch(noise(200)), generator(0))
    pictures = denormalise(example.images).unflatten(0, (5, 200))
    is_grey = (pictures[:, :, 0] - pictures[:, :, 2]).abs().amax((2, 3)) < 1e-4
    assert all(torch.equal(part, is_grey[0]) for part in is_grey)
    assert 0.55 < float(is_grey[0].float().mean()) < 0.79


def test_wrong_settings_are_refused(tiny_encoder: Make) -> None:
    for settings, message in (
        ({"counts": 0}, "--task.counts must be at least 1, got 0"),
        ({"margin": 0}, "--task.margin must be above 0, got 0"),
        ({"grey": 2}, r"--task.grey must be in \[0, 1\]"),
        ({"tile": -1}, "--task.tile must be at least 0, got -1"),
    ):
        with pytest.raises(ValueError, match=message):
            Counting.Config(**settings)
    with pytest.raises(ValueError, match="task 'counting' needs images of at least 50 x 50 pixels for tiles of 100"):
        task(tiny_encoder(), tile=100)
    assert task(tiny_encoder(), size=48).side == 24


def things(n: int) -> Tensor:
    """Images with a number of things of one colour each, strewn over them."""
    rng = generator("things")
    images = torch.full((n, 3, 32, 32), 0.5) + 0.02 * torch.randn(n, 3, 32, 32, generator=rng)
    number = torch.randint(0, 12, (n, 3), generator=rng)
    for i in range(n):
        for c in range(3):
            for y, x in torch.randint(0, 29, (int(number[i, c]), 2), generator=rng).tolist():
                images[i, c, y : y + 3, x : x + 3] = 1.0
    return (images.clamp(0, 1) * 255).byte()


def test_learns_to_count_things_in_seconds(tiny_encoder: Make) -> None:
    images = things(300)
    model = task(tiny_encoder(), grey=0.0, counts=64, hidden=64)
    train(model, images[:250], optimizer="adamw", lr=1e-3, steps=250, batch_size=16)
    example = model.eval().pseudo_label(as_batch(images[250:]), generator("test"))
    found = {name: float(value.detach()) for name, value in model.loss(model(example), example).items()}
    assert found["loss"] < 7, found
    assert found["accuracy"] > 0.8, found
    assert found["norm_whole"] > 1, found


def test_show_gives_the_whole_its_tiles_and_counts(tiny_encoder: Make) -> None:
    model = task(tiny_encoder()).eval()
    example = model.pseudo_label(as_batch(noise(4)), generator(0))
    shown = model.show(example, model(example), 8)
    assert len(shown) == 4
    assert [tuple(p.shape) for p in shown[0].inputs] == [(3, 16, 16), (3, 34, 34)]
    assert str(shown[0].pseudo_label).startswith("the tiles' counts add up to ")
    assert "in another image" in str(shown[0].prediction)
    assert 0 <= float(shown[0].inputs[1].min()) <= float(shown[0].inputs[1].max()) <= 1
