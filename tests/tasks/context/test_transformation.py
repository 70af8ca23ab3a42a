from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from selftaught.core.randomness import generator, uniform
from selftaught.data.batch import Batch
from selftaught.encoders.base import Encoder
from selftaught.ops.colour import denormalise
from selftaught.ops.warp import CORNERS, warp
from selftaught.tasks.context.transformation import CLASSES, Transformation
from tests.tasks.learning import scalar_of, synthetic_images, train

KINDS = ("projective", "affine", "classes")


def task(encoder: Encoder, **settings: Any) -> Transformation:
    return Transformation(encoder, Transformation.Config(**settings), 32)


def batch(n: int = 8, side: int = 64) -> Batch:
    """Smooth random images, so that a warp can be undone."""
    coarse = torch.rand(n, 3, 8, 8, generator=generator("images"))
    images = F.interpolate(coarse, (side, side), mode="bicubic", align_corners=False).clamp(0, 1)
    return Batch(index=torch.arange(n), inputs={"image": (images * 255).byte()})


@pytest.mark.parametrize("kind", ["projective", "affine"])
def test_parameters_are_the_papers(kind: str, tiny_encoder: Callable[[], Encoder]) -> None:
    """Each target, without the standardisation, gives back the matrix the second view was read by."""
    model = task(tiny_encoder(), kind=kind)
    example = model.pseudo_label(batch(64), generator(0))
    raw = (example.target * model.spread + model.mean).double()
    for n in range(64):
        if kind == "projective":
            expected = [*raw[n].tolist(), 1.0]
            square = [sum(row[c] * (*CORNERS[k], 1.0)[c] for c in range(3)) for k in range(4) for row in
                      torch.linalg.inv(torch.tensor(expected).view(3, 3)).tolist()]  # fmt: skip
            corners = [(square[3 * k] / square[3 * k + 2], square[3 * k + 1] / square[3 * k + 2]) for k in range(4)]
            assert all(0.8 - 0.26 <= abs(c) <= 1.2 + 0.26 for corner in corners for c in corner)
        else:
            cos, sin, right, down, scale, shear = raw[n].tolist()
            assert math.hypot(cos, sin) == pytest.approx(1, abs=1e-4)
            assert abs(right) <= 0.401
            assert abs(down) <= 0.401
            assert 0.699 <= scale <= 1.301
            assert abs(shear) <= math.radians(30.1)
            tilt = torch.tensor([[1, -math.sin(shear)], [0, math.cos(shear)]], dtype=torch.double)
            content = torch.eye(3, dtype=torch.double)
            content[:2, :2] = scale * torch.tensor([[cos, -sin], [sin, cos]], dtype=torch.double) @ tilt
            content[:2, 2] = torch.tensor([right, down])
            expected = torch.linalg.inv(content).flatten().tolist()
        assert example.matrix[n].flatten().tolist() == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("stored", "share"), [(32, 0.9), (40, 0.8), (64, 0.5), (128, 0.5)])
def test_a_small_image_is_not_magnified_more_than_warps_need(
    stored: int, share: float, tiny_encoder: Callable[[], Encoder]
) -> None:
    """Of an image that grows from left to right, a plain view grows by its share (less up to 15 %, its zoom)."""
    ramp = torch.linspace(0, 255, stored).round().to(torch.uint8).expand(64, 3, stored, stored).contiguous()
    for view, least, most in ((None, 0.8 * share, 1.08 * share), (0.3, 0.24, 0.33)):
        pictures = Batch(index=torch.arange(64), inputs={"image": ramp})
        example = task(tiny_encoder(), view=view, blur=0.0).pseudo_label(pictures, generator(0))
        plain = denormalise(example.images)[:64, 0].mean(1)
        seen = (plain[:, -3:].mean(1) - plain[:, :3].mean(1)).abs() * 32 / 29
        assert least < float(seen.min())
        assert float(seen.max()) < most


@pytest.mark.parametrize("kind", ["projective", "affine"])
def test_the_second_view_is_the_first_one_transformed(kind: str, tiny_encoder: Callable[[], Encoder]) -> None:
    model = task(tiny_encoder(), kind=kind, blur=0.0)
    example = model.pseudo_label(batch(), generator(0))
    first, second = denormalise(example.images).chunk(2)
    grid = torch.stack(torch.meshgrid(*[(torch.arange(32) + 0.5) / 16 - 1] * 2, indexing="xy")).flatten(1)
    read = example.matrix @ torch.cat([grid, torch.ones(1, grid.shape[1])])
    inside = ((read[:, :2] / read[:, 2:]).abs() < 0.9).all(1).view(-1, 1, 32, 32)
    error = ((warp(first, example.matrix, 32) - second).abs() * inside).sum((1, 2, 3)) / (3 * inside.sum((1, 2, 3)))
    unrelated = ((first - second).abs() * inside).sum((1, 2, 3)) / (3 * inside.sum((1, 2, 3)))
    assert float(error.max()) < 0.02
    assert float(unrelated.mean()) > 5 * float(error.mean())


def test_classes_are_what_their_names_say(tiny_encoder: Callable[[], Encoder]) -> None:
    model = task(tiny_encoder(), kind="classes")
    right, down = torch.tensor([0.5, 0.0, 1.0]), torch.tensor([0.0, 0.5, 1.0])
    example = model.pseudo_label(batch(400), generator(0))
    seen = set()
    for target, matrix in zip(example.target.tolist(), torch.linalg.inv(example.matrix), strict=True):
        seen.add(CLASSES[target])
        to_right, to_down = (matrix @ right)[:2] * 2, (matrix @ down)[:2] * 2
        x, y = to_right.tolist(), to_down.tolist()
        match CLASSES[target]:
            case "unchanged":
                assert (x, y) == ([1, 0], [0, 1])
            case "mirrored":
                assert (x, y) == ([-1, 0], [0, 1])
            case "upside down":
                assert (x, y) == ([1, 0], [0, -1])
            case "turned 90°":
                assert [*x, *y] == pytest.approx([0, 1, -1, 0], abs=1e-6)
            case "turned 180°":
                assert [*x, *y] == pytest.approx([-1, 0, 0, -1], abs=1e-6)
            case "turned 270°":
                assert [*x, *y] == pytest.approx([0, -1, 1, 0], abs=1e-6)
            case "enlarged":
                assert 1.149 < x[0] < 1.301
                assert x == [x[0], 0]
                assert y == [0, x[0]]
            case "shrunk":
                assert 0.699 < x[0] < 0.851
                assert y == [0, x[0]]
            case "sheared across":
                assert x == pytest.approx([1, 0], abs=1e-6)
                assert math.radians(14.9) < abs(math.asin(y[0])) < math.radians(30.1)
            case "sheared down":
                assert y == pytest.approx([0, 1], abs=1e-6)
                assert math.radians(14.9) < abs(math.asin(x[1])) < math.radians(30.1)
    assert seen == set(CLASSES)


@pytest.mark.parametrize("kind", KINDS)
def test_same_generator_same_example(kind: str, tiny_encoder: Callable[[], Encoder]) -> None:
    model = task(tiny_encoder(), kind=kind)
    first, again, other = (model.pseudo_label(batch(), generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.target, again.target)
    assert not torch.equal(first.target, other.target)
    assert first.images.shape == (16, 3, 32, 32)


def test_loss_is_the_mean_squared_error_and_the_mean_explains_nothing(tiny_encoder: Callable[[], Encoder]) -> None:
    model = task(tiny_encoder())
    example = model.pseudo_label(batch(), generator(0))
    guess = uniform((8, 8), -1, 1, generator("guess"))
    total = sum((float(guess[n, p]) - float(example.target[n, p])) ** 2 for n in range(8) for p in range(8))
    assert float(model.loss(guess, example)["loss"]) == pytest.approx(total / 64, rel=1e-4)
    assert float(model.loss(torch.zeros(8, 8), example)["explained"]) == model.chance(8) == 0
    assert float(model.loss(example.target, example)["explained"]) == 1
    assert model.metric_name() == "explained"
    many = model.pseudo_label(batch(512), generator(1)).target
    assert float(many.mean(0).abs().max()) < 0.2
    assert torch.allclose(many.std(0), torch.ones(8), atol=0.25)


@pytest.mark.parametrize("kind", KINDS)
def test_guard_no_border_enters(kind: str, tiny_encoder: Callable[[], Encoder]) -> None:
    """An image of one grey level stays that level to its last pixel; nearly all of what is read is really there."""
    model = task(tiny_encoder(), kind=kind)
    flat = Batch(index=torch.arange(32), inputs={"image": torch.full((32, 3, 64, 64), 77, dtype=torch.uint8)})
    example = model.pseudo_label(flat, generator(0))
    assert float((denormalise(example.images) - 77 / 255).abs().max()) < 0.01
    framed = torch.full((256, 3, 64, 64), 200, dtype=torch.uint8)
    framed[:, :, 1:-1, 1:-1] = 0
    seen = denormalise(
        model.pseudo_label(Batch(index=torch.arange(256), inputs={"image": framed}), generator(0)).images
    )
    untouched = (seen.amax((1, 2, 3)) < 0.05).float().chunk(2)
    assert float(untouched[0].mean()) == 1
    assert float(untouched[1].mean()) > {"projective": 0.9, "affine": 0.4, "classes": 0.9}[kind]


def test_guard_sharpness_hardly_separates_plain_and_transformed_views(tiny_encoder: Callable[[], Encoder]) -> None:
    """Noise, the worst case: detail of a view without the guard gives its part in the pair away, with it hardly."""
    noise = torch.randint(0, 256, (256, 3, 64, 64), generator=generator("noise"), dtype=torch.uint8)

    def told(blur: float) -> float:
        model = task(tiny_encoder(), kind="classes", blur=blur)
        example = model.pseudo_label(Batch(index=torch.arange(256), inputs={"image": noise}), generator(0))
        first, second = example.images.diff(dim=3).abs().mean((1, 2, 3)).chunk(2)
        ratio = second / first
        larger, smaller = ratio[example.target == 6], ratio[example.target == 7]
        return float((larger[:, None] < smaller).float().mean())

    assert told(0.0) > 0.95
    assert told(0.7) < 0.9


def test_guard_unchanged_is_no_equal_pair(tiny_encoder: Callable[[], Encoder]) -> None:
    model = task(tiny_encoder(), kind="classes", blur=0.0)
    assert model.metric_name() == "accuracy"
    example = model.pseudo_label(batch(64), generator(0))
    first, second = denormalise(example.images).chunk(2)
    difference = (first - second).abs().mean((1, 2, 3))
    assert float(difference[example.target == 0].min()) > 0.002


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_learns_and_images_are_shown(kind: str, tiny_encoder: Callable[[], Encoder]) -> None:
    model = task(tiny_encoder(), kind=kind)
    example = model.pseudo_label(batch(), generator(0))
    prediction = model(example)
    model.loss(prediction, example)["loss"].backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
    shown = model.show(example, prediction.detach(), 4)
    assert len(shown) == 4
    assert len(shown[0].inputs) == 2
    assert isinstance(shown[0].pseudo_label, str if kind == "classes" else torch.Tensor)
    if kind != "classes":
        right = model.show(example, example.target, 4)
        assert all(torch.allclose(s.prediction, s.pseudo_label, atol=1e-2) for s in right)  # type: ignore[arg-type]


def test_wrong_settings_are_refused() -> None:
    for settings, sentence in (
        ({"kind": "spline"}, "--task.kind must be projective, affine or classes, got 'spline'"),
        ({"scale": (1.2, 0.8)}, "--task.scale must be two factors, one in .* got 1.2,0.8"),
        ({"corner": 0.4}, r"--task.corner must be in \[0, 0.2\], got 0.4"),
        ({"view": 0.0}, r"--task.view must be in \[0.2, 1\], got 0.0"),
    ):
        with pytest.raises(ValueError, match=sentence):
            Transformation.Config(**settings)


def test_learns_the_synthetic_world_in_seconds(tiny_encoder: Callable[[], Encoder]) -> None:
    images = synthetic_images(400, 64)
    model = task(tiny_encoder(), kind="projective")
    train(model, images[:300], optimizer="sgd", lr=0.05, steps=100, batch_size=32)
    explained = scalar_of(model, images[300:357], "explained")
    assert explained > 0.15, explained
