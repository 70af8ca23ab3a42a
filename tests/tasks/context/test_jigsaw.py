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
from selftaught.ops.tiles import as_pictures, mosaic, random_tiles
from selftaught.tasks.context.jigsaw import Jigsaw, puzzle_grid
from selftaught.tasks.parts.permutations import hamming_distances
from tests.tasks.context.tile_statistics import centroid_accuracy, statistics
from tests.tasks.learning import scalar_of, train

Make = Callable[[], Encoder]


def task(encoder: Encoder, size: int = 32, **settings: Any) -> Jigsaw:
    torch.manual_seed(0)
    return Jigsaw(encoder, Jigsaw.Config(**settings), size)


def noise(n: int = 6, side: int = 64) -> Tensor:
    return torch.randint(0, 256, (n, 3, side, side), generator=generator("noise"), dtype=torch.uint8)


def as_batch(images: Tensor) -> Batch:
    return Batch(index=torch.arange(len(images)), inputs={"image": images})


def test_puzzles_are_the_tiles_in_the_order_of_their_permutation(tiny_encoder: Make) -> None:
    model = task(tiny_encoder(), puzzles=3)
    example = model.pseudo_label(as_batch(noise(40)), generator(0))
    assert example.permutation is not None
    assert example.tiles.shape == (360, 3, 16, 16)
    assert example.tiles.is_contiguous(memory_format=torch.channels_last)
    for n in range(40):
        for q in range(3):
            order = model.permutations[example.permutation[n, q]].tolist()
            assert example.places[n, q].tolist() == [9 * n + tile for tile in order]
    assert len(set(example.permutation.flatten().tolist())) > 50
    assert len(model.permutations) == 100


def test_loss_is_cross_entropy_of_tiles_encoded_one_by_one(tiny_encoder: Make) -> None:
    """Context-free: a tile's embedding is the same whatever lies beside it."""
    model = task(tiny_encoder(), puzzles=2, permutations=20).eval()
    example = model.pseudo_label(as_batch(noise(3)), generator(0))
    assert example.permutation is not None
    logits = model(example).detach()
    total, hits = 0.0, 0
    for n in range(3):
        for q in range(2):
            alone = [model.embedding(model.encoder(example.tiles[row][None])) for row in example.places[n, q]]
            scores = model.head(torch.cat(alone, 1))[0].tolist()
            right = int(example.permutation[n, q])
            total -= scores[right] - math.log(sum(math.exp(s) for s in scores))
            hits += scores.index(max(scores)) == right
    found = model.loss(logits, example)
    assert float(found["loss"]) == pytest.approx(total / 6, rel=1e-4)
    assert float(found["accuracy"]) == pytest.approx(hits / 6)
    assert model.chance(8) == 1 / 20


@pytest.mark.parametrize("occluded", [1, 3])
def test_occluded_tiles_are_of_one_other_image(tiny_encoder: Make, occluded: int) -> None:
    model = task(tiny_encoder(), puzzles=4, occluded=occluded)
    example = model.pseudo_label(as_batch(noise(60)), generator(0))
    assert example.permutation is not None
    picture = example.places // 9
    foreign = picture != torch.arange(60)[:, None, None]
    assert set(foreign.sum(2).flatten().tolist()) == set(range(occluded + 1))
    untouched = model.permutations[example.permutation] + 9 * torch.arange(60)[:, None, None]
    assert torch.equal(example.places[~foreign], untouched[~foreign])
    assert set(foreign.nonzero()[:, 2].tolist()) == set(range(9))
    for n, q in foreign.any(2).nonzero().tolist():
        assert len(set(picture[n, q][foreign[n, q]].tolist())) == 1
    # What is left still tells which permutation it is.
    distances = hamming_distances(model.permutations) + 10 * torch.eye(100, dtype=torch.int64)
    assert int(distances.min()) > occluded


def test_guard_brightness_and_contrast_do_not_give_away_the_place(tiny_encoder: Make) -> None:
    """Noise whose brightness and contrast differ from cell to cell: raw tiles betray theirs, ours do not.

    The right column is as the left one, as half of the images are mirrored.
    """
    model = task(tiny_encoder(), min_scale=1.0, grey=0.0)
    cell = ((torch.arange(64) - 2) * model.grid.side / 60 / model.grid.pitch).floor().clamp(0, 2)
    row, middle = cell[:, None], (cell[None] == 1).float()
    shade = torch.randn(200, 3, 64, 64, generator=generator("light")) * (8 + 20 * middle + 4 * row)
    images = (60 + 40 * row + 30 * middle + shade).clamp(0, 255).byte()
    cells = torch.arange(9).repeat(200)
    raw = random_tiles(images, model.grid, generator(1), min_scale=1.0).flatten(0, 1)
    assert centroid_accuracy(statistics(raw), cells) > 0.5
    ours = model.pseudo_label(as_batch(images), generator(1)).tiles
    assert centroid_accuracy(statistics(ours), cells) < 1 / 9 + 0.04


@pytest.mark.parametrize("tile", [7, 10, 16, 24, 32, 64, 112])
@pytest.mark.parametrize("gap", [0.05, 0.33])
def test_guard_tiles_never_touch_and_always_move(tile: int, gap: float) -> None:
    grid = puzzle_grid(tile, gap=gap, shift=2.0)
    assert grid.gap >= 2
    assert grid.play >= 1
    # 64-pixel tiles in an image of 255 pixels, colours shifted by up to 2: the authors' geometry.
    if (tile, gap) == (64, 0.33):
        assert (grid.pitch, grid.shift) == (85, 2)
        assert 245 <= grid.side <= 255


def test_guard_colour_channels_are_shifted(tiny_encoder: Make) -> None:
    """On grey noise all channels of a tile are alike, but for their shift; without it they are equal."""
    grey = noise(20)[:, :1].expand(-1, 3, -1, -1)
    still = task(tiny_encoder(), grey=0.0, shift=0.0).pseudo_label(as_batch(grey), generator(0)).tiles
    assert torch.allclose(still[:, 0], still[:, 1], atol=1e-5)
    moved = task(tiny_encoder(), grey=0.0).pseudo_label(as_batch(grey), generator(0)).tiles
    differ = (moved[:, 0] - moved[:, 1]).abs().amax((1, 2)) > 0.1
    assert 0.7 < float(differ.float().mean()) < 1


def test_guard_some_images_are_grey_and_then_wholly(tiny_encoder: Make) -> None:
    tiles = task(tiny_encoder()).pseudo_label(as_batch(noise(100)), generator(0)).tiles
    is_grey = ((tiles[:, 0] - tiles[:, 2]).abs().amax((1, 2)) < 1e-4).view(100, 9)
    assert torch.equal(is_grey.any(1), is_grey.all(1))
    assert 0.15 < float(is_grey[:, 0].float().mean()) < 0.45


def test_wrong_settings_are_refused(tiny_encoder: Make) -> None:
    for settings, message in (
        ({"permutations": 1001}, r"--task.permutations must be in \[2, 1000\], got 1001"),
        ({"occluded": 4}, r"--task.occluded must be in \[0, 3\], got 4"),
        ({"grey": 1.5}, r"--task.grey must be in \[0, 1\], got 1.5"),
        ({"gap": 0}, r"--task.gap must be in \(0, 1\], got 0"),
        ({"puzzles": 0}, "--task.puzzles must be at least 1, got 0"),
        ({"tile": -4}, "--task.tile must be at least 0, got -4"),
    ):
        with pytest.raises(ValueError, match=message):
            Jigsaw.Config(**settings)
    with pytest.raises(ValueError, match="task 'jigsaw' needs images of at least 40 x 40 pixels for 3 x 3 tiles of 40"):
        task(tiny_encoder(), tile=40)


def photographs(n: int) -> Tensor:
    """Images that have an order: a disc of its own colour and size on a ground that is brighter above and left."""
    rng = generator("pictures")
    where = torch.linspace(-1, 1, 64)
    radius = torch.rand(n, 1, 1, generator=rng) * 0.3 + 0.5
    disc = ((where[:, None].square() + where[None].square()).sqrt() < radius).float()[:, None]
    colour = torch.rand(n, 3, 1, 1, generator=rng)
    ground = 0.5 - 0.3 * where[:, None] - 0.15 * where[None]
    texture = 0.05 * torch.randn(n, 3, 64, 64, generator=rng)
    return ((ground * (1 - disc) + colour * disc + texture).clamp(0, 1) * 255).byte()


def test_learns_to_solve_puzzles_in_seconds(tiny_encoder: Make) -> None:
    images = photographs(200)
    model = task(tiny_encoder(), permutations=10, embedding=32, hidden=64, min_scale=0.8)
    train(model, images[:150], optimizer="adamw", lr=3e-3, steps=60, batch_size=16)
    accuracy = scalar_of(model, images[150:], "accuracy")
    assert accuracy > 0.4, accuracy


def test_show_gives_puzzles_solved_and_as_guessed(tiny_encoder: Make) -> None:
    model = task(tiny_encoder()).eval()
    example = model.pseudo_label(as_batch(noise(4)), generator(0))
    assert example.permutation is not None
    logits = torch.nn.functional.one_hot(example.permutation, 100).float()
    shown = model.show(example, logits, 6)
    assert len(shown) == 6
    upright = mosaic(as_pictures(example.tiles[:9]))
    for one in (shown[0], shown[4]):  # two puzzles of the first image
        assert torch.equal(torch.as_tensor(one.pseudo_label), upright)
        assert torch.equal(torch.as_tensor(one.prediction), upright)
        assert not torch.equal(one.inputs[0], upright)
    wrong = model.show(example, logits.roll(1, 2), 1)[0]
    assert not torch.equal(torch.as_tensor(wrong.prediction), upright)


def test_matrix_says_which_cell_each_tile_came_from(tiny_encoder: Make) -> None:
    """DeepPermNet: softmax over 81 outputs, then over rows and columns, and -log of the entries of the true matrix."""
    model = task(tiny_encoder(), puzzles=2, target="matrix", sinkhorn=2).eval()
    example = model.pseudo_label(as_batch(noise(3)), generator(0))
    assert example.permutation is None
    assert torch.equal(example.places - 9 * torch.arange(3)[:, None, None], example.order)
    found = model.loss(model(example).detach(), example)
    total, hits, solved = 0.0, 0, 0
    for n in range(3):
        for q in range(2):
            embedded = model.embedding(model.encoder(example.tiles[example.places[n, q]]))
            matrix = model.head(embedded.flatten()[None])[0].softmax(0).view(9, 9).detach()
            for _ in range(2):
                matrix = matrix / matrix.sum(1, keepdim=True)
                matrix = matrix / matrix.sum(0, keepdim=True)
            right = 0
            for place, cell in enumerate(example.order[n, q].tolist()):
                total -= math.log(float(matrix[place, cell]))
                right += int(matrix[place].argmax()) == cell
            hits += right
            solved += right == 9
    assert float(found["loss"]) == pytest.approx(total / 6, rel=1e-4)
    assert float(found["accuracy"]) == pytest.approx(hits / 54)
    assert float(found["solved"]) == solved / 6
    assert model.chance(8) == 1 / 9


def test_matrix_shuffles_by_any_permutation_and_shows_a_whole_one(tiny_encoder: Make) -> None:
    model = task(tiny_encoder(), puzzles=8, target="matrix").eval()
    example = model.pseudo_label(as_batch(noise(40)), generator(0))
    orders = {tuple(order) for order in example.order.flatten(0, 1).tolist()}
    assert len(orders) > 315
    assert all(sorted(order) == list(range(9)) for order in orders)
    exact = torch.full((40, 8, 9, 9), -9.0).scatter(3, example.order[..., None], 0.0)
    assert float(model.loss(exact, example)["solved"]) == 1
    shown = model.show(example, exact, 3)
    for one in shown:
        assert isinstance(one.pseudo_label, Tensor)
        assert isinstance(one.prediction, Tensor)
        assert torch.equal(one.pseudo_label, one.prediction)


def test_matrix_takes_no_tiles_of_other_images() -> None:
    with pytest.raises(ValueError, match=r"--task.occluded must be 0 with --task.target matrix, got 2"):
        Jigsaw.Config(target="matrix", occluded=2)
