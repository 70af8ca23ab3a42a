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
from selftaught.ops.tiles import random_tiles
from selftaught.tasks.context.context_prediction import (
    NAMES,
    OFFSETS,
    ContextPrediction,
    Example,
    drop_colour,
    project_colour,
)
from tests.tasks.context.tile_statistics import centroid_accuracy, statistics
from tests.tasks.learning import scalar_of, train

Make = Callable[[], Encoder]


def task(encoder: Encoder, size: int = 32, **settings: Any) -> ContextPrediction:
    torch.manual_seed(0)
    return ContextPrediction(encoder, ContextPrediction.Config(**settings), size)


def noise(n: int = 6, side: int = 66) -> Tensor:
    return torch.randint(0, 256, (n, 3, side, side), generator=generator("noise"), dtype=torch.uint8)


def as_batch(images: Tensor) -> Batch:
    return Batch(index=torch.arange(len(images)), inputs={"image": images})


def test_pairs_are_placed_as_their_label_says_and_all_positions_are_equally_frequent(tiny_encoder: Make) -> None:
    example = task(tiny_encoder()).pseudo_label(as_batch(noise(60)), generator(0))
    assert example.patches.shape == (540, 3, 16, 16)
    assert example.patches.is_contiguous(memory_format=torch.channels_last)
    for n in range(60):
        assert sorted(example.position[n].tolist()) == list(range(8))
        for k in range(8):
            first, second = (int(t[n, k]) - 9 * n for t in (example.first, example.second))
            assert 0 <= first < 9
            assert 0 <= second < 9
            down, right = OFFSETS[int(example.position[n, k])]
            assert (second // 3 - first // 3, second % 3 - first % 3) == (down, right)
    # 6 cells have a neighbour to their right, 4 have one below right; each is chosen.
    starts = {p: set((example.first[example.position == p] % 9).tolist()) for p in range(8)}
    assert [len(starts[p]) for p in range(8)] == [4, 6, 4, 6, 6, 4, 6, 4]


def test_loss_is_cross_entropy_of_joined_embeddings(tiny_encoder: Make) -> None:
    model = task(tiny_encoder(), pairs=3).eval()
    example = model.pseudo_label(as_batch(noise(4)), generator(0))
    logits = model(example).detach()
    embeddings = model.embedding(model.encoder(example.patches))
    total, hits = 0.0, 0
    for n in range(4):
        for k in range(3):
            joined = torch.cat([embeddings[example.first[n, k]], embeddings[example.second[n, k]]])
            scores = model.head(joined[None])[0].tolist()
            right = int(example.position[n, k])
            total -= scores[right] - math.log(sum(math.exp(s) for s in scores))
            hits += scores.index(max(scores)) == right
    found = model.loss(logits, example)
    assert float(found["loss"]) == pytest.approx(total / 12, rel=1e-4)
    assert float(found["accuracy"]) == pytest.approx(hits / 12)


def test_guard_brightness_and_contrast_do_not_give_away_the_place(tiny_encoder: Make) -> None:
    """Noise whose brightness and contrast differ from third to third: raw patches betray their cell, ours do not.

    The right third is as the left one, as half of the images are mirrored.
    """
    model = task(tiny_encoder(), min_scale=1.0, resample=0.0, colour="keep")
    row = torch.arange(66)[:, None] * 3 // 66
    middle = (torch.arange(66)[None] * 3 // 66 == 1).float()
    shade = torch.randn(200, 3, 66, 66, generator=generator("light")) * (8 + 20 * middle + 4 * row)
    images = (60 + 40 * row + 30 * middle + shade).clamp(0, 255).byte()
    cells = torch.arange(9).repeat(200)
    raw = random_tiles(images, model.grid, generator(1), min_scale=1.0).flatten(0, 1)
    assert centroid_accuracy(statistics(raw), cells) > 0.5
    ours = model.pseudo_label(as_batch(images), generator(1)).patches
    assert centroid_accuracy(statistics(ours), cells) < 1 / 9 + 0.04


def test_guard_gap_and_jitter(tiny_encoder: Make) -> None:
    """Patches are more than a third of their side apart, and move by 2 of 32 pixels up, down, left and right."""
    grid = task(tiny_encoder(), size=64).grid
    assert (grid.tile, grid.pitch, grid.play, grid.side) == (32, 48, 4, 132)
    assert grid.gap == 12
    still = task(tiny_encoder(), jitter=0.0).grid
    assert (still.play, still.gap) == (0, 8)


def test_guard_colour_dropping_leaves_one_channel(tiny_encoder: Make) -> None:
    patches = task(tiny_encoder(), resample=0.0).pseudo_label(as_batch(noise(20)), generator(0)).patches
    spread, order = patches.std((2, 3)).sort(1)
    assert torch.allclose(spread[:, 2], torch.full((180,), 3.0), atol=0.02)
    assert float(spread[:, :2].max()) < 0.05
    assert set(order[:, 2].tolist()) == {0, 1, 2}
    # What fills the others knows nothing of the image, even of a grey one, whose channels are all alike.
    grey = torch.randn(180, 1, 16, 16, generator=generator("grey")).expand(-1, 3, -1, -1)
    dropped = drop_colour(grey, generator(0))
    noise_channel = dropped.gather(1, dropped.std((2, 3)).argmin(1)[:, None, None, None].expand(-1, 1, 16, 16))
    correlation = torch.corrcoef(torch.stack([noise_channel.flatten(), grey[:, 0].flatten()]))[0, 1]
    assert abs(float(correlation)) < 0.02


def test_guard_projection_takes_green_against_magenta_out() -> None:
    images = torch.rand(4, 3, 8, 8, generator=generator("colour"))
    found = project_colour(images)
    assert float((found * torch.tensor([-1.0, 2.0, -1.0])[:, None, None]).sum(1).abs().max()) < 1e-6
    grey = images[:, :1].expand(-1, 3, -1, -1)
    assert torch.allclose(project_colour(grey), grey, atol=1e-6)
    assert torch.allclose((found[:, 0] - found[:, 2]), images[:, 0] - images[:, 2], atol=1e-6)


def test_guard_a_third_of_the_patches_are_resampled(tiny_encoder: Make) -> None:
    """White noise: a resampled patch has weaker gradients than one that is as it was."""
    images = as_batch(noise(60))
    found = []
    for share in (0.0, 0.33):
        model = task(tiny_encoder(), min_scale=1.0, colour="keep", resample=share)
        patches = model.pseudo_label(images, generator(0)).patches
        found.append(patches.diff(dim=3).abs().mean((1, 2, 3)))
    weakened = float((found[1] < 0.95 * found[0].min()).float().mean())
    assert 0.2 < weakened < 0.36
    sides = task(tiny_encoder(), size=64)._sides(2000, generator(0))
    assert (int(sides.min()), int(sides.max())) == (10, 32)


def test_wrong_settings_are_refused(tiny_encoder: Make) -> None:
    for settings, message in (
        ({"pairs": 0}, r"--task.pairs must be in \[1, 40\], got 0"),
        ({"colour": "sepia"}, "--task.colour must be drop, project or keep, got 'sepia'"),
        ({"jitter": 0.25}, "--task.jitter must be less than half of --task.gap 0.5, got 0.25"),
        ({"min_scale": 0}, r"--task.min-scale must be in \(0, 1\], got 0"),
        ({"patch": -1}, "--task.patch must be at least 0, got -1"),
    ):
        with pytest.raises(ValueError, match=message):
            ContextPrediction.Config(**settings)
    with pytest.raises(ValueError, match=r"task 'context_prediction' needs images of at least 52 x 52 .* --task.patch"):
        task(tiny_encoder(), patch=50)


def test_patches_suit_the_encoder() -> None:
    """AlexNet's first layers need 31 pixels, more than a quarter of what is stored for 48-pixel images."""
    encoder = build_encoder("alexnet", size=48)
    assert task(encoder, size=48).grid.tile == 31
    with pytest.raises(ValueError, match=r"got 30 x 30 pixels; raise --task.patch to 31"):
        task(encoder, size=48, patch=30)


def photographs(n: int) -> Tensor:
    """Images that have an order: a disc of its own colour and size on a ground that is brighter above and left."""
    rng = generator("pictures")
    where = torch.linspace(-1, 1, 66)
    radius = torch.rand(n, 1, 1, generator=rng) * 0.3 + 0.5
    disc = ((where[:, None].square() + where[None].square()).sqrt() < radius).float()[:, None]
    colour = torch.rand(n, 3, 1, 1, generator=rng)
    ground = 0.5 - 0.3 * where[:, None] - 0.15 * where[None]
    texture = 0.05 * torch.randn(n, 3, 66, 66, generator=rng)
    return ((ground * (1 - disc) + colour * disc + texture).clamp(0, 1) * 255).byte()


def test_learns_the_positions_of_patches_in_seconds(tiny_encoder: Make) -> None:
    images = photographs(200)
    model = task(tiny_encoder(), embedding=64, hidden=64, min_scale=0.8)
    train(model, images[:150], optimizer="adamw", lr=3e-3, steps=120, batch_size=16)
    accuracy = scalar_of(model, images[150:], "accuracy")
    assert accuracy > 0.35, accuracy


def test_show_gives_images_and_words(tiny_encoder: Make) -> None:
    model = task(tiny_encoder()).eval()
    example: Example = model.pseudo_label(as_batch(noise(4)), generator(0))
    shown = model.show(example, model(example), 8)
    assert len(shown) == 8
    assert all(s.pseudo_label in NAMES and str(s.prediction).split(" (")[0] in NAMES for s in shown)
    assert len({s.pseudo_label for s in shown}) > 3
    assert [tuple(p.shape) for p in shown[0].inputs] == [(3, 16, 16)] * 2
    assert 0 <= float(shown[0].inputs[0].min()) <= float(shown[0].inputs[0].max()) <= 1
