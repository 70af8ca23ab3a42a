"""Images with boxes as batches: resized, mirrored, padded, in a seeded order."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from selftaught.data.annotations.dense_sample import DenseSample
from selftaught.encoders.build import build_encoder
from selftaught.evaluation.dense.box_batches import Canvas, canvas_for, read_batch, training_batches
from selftaught.evaluation.dense.stage_maps import (
    read_stages,
)
from tests.evaluation.drawn_boxes import COLOURS, Squares


def test_images_and_boxes_are_resized_and_mirrored_together() -> None:
    samples = Squares(4, 0)
    canvas = Canvas(size=120, multiple=32, least=1)
    batch = read_batch(samples, [0, 1, 2], canvas, [False, True, True])
    assert batch.sizes == [(120, 160)] * 3
    assert batch.images.shape == (3, 3, 128, 160)
    assert batch.scales[0] == (2.0, 2.0)
    assert bool((batch.images[:, :, 120:] == 0).all())
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    for image, target in zip(batch.images, batch.targets, strict=True):
        rows: list[list[int]] = target["boxes"].long().tolist()
        for (left, top, right, bottom), label in zip(rows, target["labels"], strict=True):
            colour = (COLOURS[label - 1] / 255 - mean) / deviation
            inside = image[:, top + 3 : bottom - 3, left + 3 : right - 3]
            around = image[:, top - 4 : top - 2, left:right]
            torch.testing.assert_close(inside, colour[:, None, None].expand_as(inside))
            assert around.numel() == 0 or bool((around - colour[:, None, None]).abs().amax(0).min() > 0.3)


def test_boxes_to_ignore_are_apart() -> None:
    class One(Squares):
        def read(self, i: int) -> DenseSample:
            return DenseSample(
                image=torch.zeros(3, 60, 80, dtype=torch.uint8),
                boxes=torch.tensor([[0.0, 0, 10, 10], [20, 20, 40, 40]]),
                labels=torch.tensor([1, 0]),
                ignore=torch.tensor([True, False]),
            )

    (target,) = read_batch(One(1, 0), [0], Canvas(size=60, multiple=1, least=1), [True]).targets
    assert target["boxes"].tolist() == [[40, 20, 60, 40]]
    assert target["labels"].tolist() == [1]
    assert target["ignore"].tolist() == [[70, 0, 80, 10]]


def test_long_images_are_reduced_and_one_sided_encoders_get_a_square() -> None:
    canvas = Canvas(size=120, multiple=32, least=1)
    assert canvas.scale(100, 100) == 1.2
    assert 100 * 10 * canvas.scale(100, 1000) == pytest.approx(120 * 1333 / 800)
    square = Canvas(size=96, multiple=1, least=96, side=96)
    assert square.scale(48, 192) == 0.5
    assert square.shape([(24, 96), (96, 50)]) == (96, 96)


def test_every_image_comes_once_before_any_comes_twice() -> None:
    canvas = Canvas(size=60, multiple=1, least=1)
    samples = Squares(6, 0)

    def shown(seed: int) -> list[Tensor]:
        return [batch.images for batch in training_batches(samples, canvas, steps=5, batch_size=2, seed=seed)]

    plain = [read_batch(samples, [i], canvas, [False]).images[0] for i in range(6)]

    def which(images: Tensor) -> list[int]:
        same = [[torch.equal(image, p) or torch.equal(image.flip(2), p) for p in plain] for image in images]
        assert all(sum(row) == 1 for row in same)
        return [row.index(True) for row in same]

    first = shown(0)
    assert sorted(i for images in first[:3] for i in which(images)) == list(range(6))
    assert all(torch.equal(a, b) for a, b in zip(first, shown(0), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, shown(1), strict=True))
    mirrored = [not any(torch.equal(image, p) for p in plain) for images in first for image in images]
    assert len(set(mirrored)) == 2


def test_canvas_has_whole_positions() -> None:
    resnet, vit = (build_encoder(name, size=64).eval() for name in ("resnet18", "timm:vit_tiny_patch16_224"))
    for encoder in (resnet, vit):
        assert canvas_for(encoder, read_stages(encoder), 64).multiple == 32
    alexnet = build_encoder("alexnet", size=64).eval()
    reading = read_stages(alexnet)
    with pytest.raises(ValueError, match=r"encoder 'alexnet' needs images of at least 31 pixels, got --probe.size"):
        canvas_for(alexnet, reading, 20)
