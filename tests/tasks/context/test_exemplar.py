from __future__ import annotations

import colorsys
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from selftaught.core.randomness import generator
from selftaught.data.batch import Batch, Sampling
from selftaught.data.sources.open import open_source
from selftaught.data.store.open import open_samples
from selftaught.encoders.base import Encoder
from selftaught.ops.colour import denormalise
from selftaught.ops.colour_spaces import hsv_to_rgb, rgb_to_hsv
from selftaught.tasks.base import Known
from selftaught.tasks.context.exemplar import Exemplar, Prediction
from selftaught.tasks.parts.losses import nt_xent
from selftaught.training.optimizers import build_optimizer


def whole(pictures: torch.Tensor) -> Batch:
    """A batch of all images."""
    return Batch(index=torch.arange(len(pictures)), inputs={"image": pictures})


def task(encoder: Encoder, **settings: Any) -> Exemplar:
    return Exemplar(encoder, Exemplar.Config(**settings), 32)


def batch(n: int = 8, side: int = 48) -> Batch:
    images = torch.randint(0, 256, (n, 3, side, side), generator=generator("images"), dtype=torch.uint8)
    return Batch(index=torch.arange(n), inputs={"image": images})


def known(model: Exemplar, images: torch.Tensor, first: int = 0) -> Known:
    return Known(index=torch.arange(len(images)) * 3 + first, features=model.embed(whole(images)), labels=None)


def synthetic(n: int = 200) -> torch.Tensor:
    source = open_source(f"synthetic:N={n},side=48", split="train", needs=frozenset({"image"}), held_out=0.05)
    samples = open_samples(source, side=48, sampling=Sampling(), cache_limit_gb=1, workers=1)
    host = samples.read(np.arange(len(samples)), np.full((len(samples), 3), 0.5))
    return torch.from_numpy(host["image"]).permute(0, 3, 1, 2)


def test_hue_saturation_and_value_are_pythons() -> None:
    pixels = torch.rand(2, 3, 5, 5, generator=generator(0))
    pixels[0, :, 0, 0], pixels[0, :, 0, 1] = 0.0, 0.5
    found = rgb_to_hsv(pixels)
    for n in range(2):
        for i in range(5):
            for j in range(5):
                expected = colorsys.rgb_to_hsv(*pixels[n, :, i, j].tolist())
                assert found[n, :, i, j].tolist() == pytest.approx(expected, abs=1e-5)
    assert torch.allclose(hsv_to_rgb(found), pixels, atol=1e-5)


def test_every_exemplar_is_a_class_of_its_own(tiny_encoder: Callable[[], Encoder]) -> None:
    model = task(tiny_encoder(), exemplars=20)
    images = batch(50)["image"]
    assert images is not None
    refreshed = model.before_epoch(known(model, images, first=7), 10_000, generator("epoch"))
    chosen = model.index.tolist()
    assert len(set(chosen)) == 20
    assert set(chosen) <= {7 + 3 * i for i in range(50)}
    order = refreshed.order
    assert order is not None
    assert all(sorted(order[k : k + 20].tolist()) == chosen for k in range(0, 10_000, 20))
    assert order[:20].tolist() != order[20:40].tolist()
    index = torch.tensor([chosen[5], chosen[0], chosen[5], chosen[19], 1])
    example = model.pseudo_label(Batch(index=index, inputs={"image": images[:5]}), generator(0))
    assert example.target.tolist() == [5, 0, 5, 19, -1] * 2
    assert (
        model.eval().pseudo_label(Batch(index=index, inputs={"image": images[:5]}), generator(0)).target.tolist()
        == [-1] * 10
    )


def test_few_samples_are_all_exemplars_and_the_rest_of_the_classes_stays_empty(
    tiny_encoder: Callable[[], Encoder],
) -> None:
    model = task(tiny_encoder(), exemplars=64)
    images = batch(10)["image"]
    assert images is not None
    assert model.before_epoch(known(model, images), 100, generator("epoch")).order is None
    example = model.pseudo_label(Batch(index=torch.arange(10) * 3, inputs={"image": images}), generator(0))
    prediction = model(example)
    loss = model.loss(prediction, example)["loss"]
    total = 0.0
    for row, target in zip(prediction.logits.tolist(), example.target.tolist(), strict=True):
        total += math.log(sum(math.exp(score) for score in row[:10])) - row[target]
    assert float(loss.detach()) == pytest.approx(total / 20, rel=1e-4)
    loss.backward()
    head = model.head[1].weight.grad
    assert isinstance(head, torch.Tensor)
    assert float(head[10:].abs().max()) == 0
    assert float(head[:10].abs().min(0).values.max()) > 0


def test_patches_are_where_the_gradient_is(tiny_encoder: Callable[[], Encoder]) -> None:
    """An image with detail in one corner gets its patch there, and one with none is no exemplar."""
    images = torch.full((40, 3, 64, 64), 90, dtype=torch.uint8)
    images[:20, :, :20, 40:] = torch.randint(0, 256, (20, 3, 20, 24), generator=generator(0), dtype=torch.uint8)
    model = task(tiny_encoder(), exemplars=20)
    model.before_epoch(known(model, images), 100, generator("epoch"))
    assert model.index.tolist() == [3 * i for i in range(20)]
    assert float(model.place[:, 0].min()) >= 0 >= float(model.place[:, 1].max())
    assert float(model.place[:, 0].mean()) > 0.25 > -0.25 > float(model.place[:, 1].mean())
    assert bool((model.place[:, :2].abs() + model.place[:, 2:] <= 1 + 1e-6).all())
    assert 0.4 <= float(model.place[:, 2].min()) <= float(model.place[:, 2].max()) <= 0.7


def test_components_are_those_of_all_pixels(tiny_encoder: Callable[[], Encoder]) -> None:
    images = synthetic()[:30]
    model = task(tiny_encoder())
    with torch.autocast("cpu", torch.bfloat16):
        model.before_epoch(known(model, images), 100, generator("epoch"))
    pixels = (images.double() / 255).transpose(0, 1).flatten(1)
    spread = torch.cov(pixels, correction=0)
    assert torch.allclose(model.mean_colour.double(), pixels.mean(1), atol=1e-4)
    along = model.components.double().T @ spread @ model.components.double()
    assert torch.allclose(along, along.diag().diag(), atol=1e-5)


def test_an_exemplar_keeps_its_patch_and_transformations_are_within_the_papers_limits(
    tiny_encoder: Callable[[], Encoder],
) -> None:
    model = task(tiny_encoder())
    place = torch.tensor([[0.2, -0.1, 0.5]]).expand(500, 3)
    matrix = model._transformations(place, generator(0))
    centre = (matrix[:, :2, 2] - place[:, :2]) / (2 * place[:, 2:])
    assert 0.19 < float(centre.abs().max()) <= 0.2
    zoom = place[:, 2] / torch.linalg.det(matrix[:, :2, :2]).sqrt()
    assert 0.7 <= float(zoom.min()) < 0.72
    assert 1.37 < float(zoom.max()) <= 1.4001
    angle = torch.rad2deg(torch.atan2(matrix[:, 1, 0], matrix[:, 0, 0]))
    assert 19 < float(angle.abs().max()) <= 20.001


def test_the_two_views_of_a_patch_differ(tiny_encoder: Callable[[], Encoder]) -> None:
    model = task(tiny_encoder())
    first = model.pseudo_label(batch(), generator(0))
    assert first.views.shape == (16, 3, 32, 32)
    one, two = first.views.chunk(2)
    assert not any(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_guard_colour_does_not_find_the_partner(tiny_encoder: Callable[[], Encoder]) -> None:
    images = synthetic()[:128]

    def found_by_colour(colour: float) -> float:
        model = task(tiny_encoder(), colour=colour)
        model.before_epoch(known(model, images), 100, generator("epoch"))
        views = model.pseudo_label(Batch(index=torch.arange(128) * 3, inputs={"image": images}), generator(1)).views
        first, second = denormalise(views).mean((2, 3)).chunk(2)
        return float((torch.cdist(first, second).argmin(1) == torch.arange(128)).float().mean())

    assert found_by_colour(1.0) < found_by_colour(0.0) / 3


def test_guard_no_border_enters(tiny_encoder: Callable[[], Encoder]) -> None:
    flat = Batch(index=torch.arange(32), inputs={"image": torch.full((32, 3, 48, 48), 77, dtype=torch.uint8)})
    model = task(tiny_encoder(), colour=0.0, patch=(1.0, 1.0))
    assert float((denormalise(model.pseudo_label(flat, generator(0)).views) - 77 / 255).abs().max()) < 0.01


def test_held_out_images_are_evaluated_by_their_partners(tiny_encoder: Callable[[], Encoder]) -> None:
    model = task(tiny_encoder()).eval()
    example = model.pseudo_label(batch(), generator(0))
    prediction = model(example)
    first, second = prediction.embeddings.chunk(2)
    loss, accuracy = nt_xent(first, second, 0.1)
    scalars = model.loss(prediction, example)
    assert torch.equal(scalars["loss"], loss)
    assert torch.equal(scalars["accuracy"], accuracy)
    partners = torch.eye(8).repeat(2, 1)
    found = model.loss(Prediction(partners, prediction.logits), example)["accuracy"]
    assert float(found) == 1
    assert model.chance(8) == 1 / 15
    shown = model.show(example, prediction, 4)
    assert torch.equal(shown[2].pseudo_label, denormalise(example.views)[10])  # type: ignore[arg-type]


def test_wrong_settings_are_refused() -> None:
    for settings, sentence in (
        ({"exemplars": 1}, "--task.exemplars must be at least 2, got 1"),
        ({"patch": (0.7, 0.4)}, "--task.patch must be two rising numbers, got 0.7,0.4"),
        ({"patch": (0.05, 0.4)}, r"--task.patch must be one or more numbers in \[0.1, 1\], got 0.05,0.4"),
        ({"rotation": 200.0}, r"--task.rotation must be in \[0, 180\], got 200.0"),
    ):
        with pytest.raises(ValueError, match=sentence):
            Exemplar.Config(**settings)


def test_learns_the_synthetic_world_in_seconds(tiny_encoder: Callable[[], Encoder]) -> None:
    images = synthetic(300)
    model = task(tiny_encoder(), exemplars=64, colour=0.3, dropout=0.2, hidden=128)
    known_images = Known(index=torch.arange(200), features=model.embed(whole(images[:200])), labels=None)
    order = model.before_epoch(known_images, 5000, generator("epoch")).order
    assert order is not None
    optimizer = build_optimizer(model, "sgd", 0.1, 0.0)
    torch.manual_seed(0)
    for step in range(100):
        rows = order[step * 32 : (step + 1) * 32]
        example = model.pseudo_label(Batch(index=rows, inputs={"image": images[rows]}), generator("train", step))
        scalars = model.loss(model(example), example)
        optimizer.zero_grad()
        scalars["loss"].backward()
        optimizer.step()
    assert float(scalars["exemplar_accuracy"]) > 10 / 64
    model.eval()
    example = model.pseudo_label(Batch(index=torch.arange(32), inputs={"image": images[200:232]}), generator("test"))
    accuracy = float(model.loss(model(example), example)["accuracy"])
    assert accuracy > 5 * model.chance(32), accuracy
