"""Video jigsaw puzzles: which frames and tiles, how they are shuffled, guards, and learning."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from selftaught.encoders.base import Encoder
from selftaught.ops.sheet import flip_book, numbered
from selftaught.ops.tiles import as_pictures, mosaic
from selftaught.tasks.temporal.video_jigsaw import CELLS, TILE, TILES, Example, VideoJigsaw, place_tiles
from tests.tasks.clip_guards import (
    ForensicEncoder,
    assert_at_chance,
    border_clips,
    codec_clips,
    noise_clips,
    scores_on,
    still_clips,
)
from tests.tasks.clips import batch, check_halves, crossings, fit, judge, rng

Config = VideoJigsaw.Config
Task = Callable[..., VideoJigsaw]
SMALL: dict[str, Any] = {"permutations": 12, "frames": 9, "embedding": 16, "hidden": 64}


@pytest.fixture
def task(tiny_encoder: Callable[[], Encoder]) -> Task:
    def make(**settings: Any) -> VideoJigsaw:
        return VideoJigsaw(tiny_encoder(), Config(**{**SMALL, **settings}), 12)

    return make


def test_three_frames_are_evenly_spaced_anywhere(task: Task) -> None:
    numbers = task(frames=11, gap=2).choose_frames(3000, rng())
    step = numbers[:, 1] - numbers[:, 0]
    assert torch.equal(numbers[:, 2] - numbers[:, 1], step)
    assert step.unique().tolist() == [2, 3, 4, 5]
    for own in range(2, 6):
        assert numbers[step == own, 0].unique().tolist() == list(range(11 - 2 * own))


@pytest.mark.parametrize("mirrored", [1, -1])
def test_tiles_are_anywhere_in_their_cells(mirrored: int) -> None:
    square = torch.tensor([[5.0, 10 if mirrored == 1 else 50, 40, 40 * mirrored]]).repeat(400, 1)
    top, left, height, width = place_tiles(square, rng()).unbind(2)
    assert torch.allclose(height, torch.tensor(20 * TILE))
    assert torch.equal(width, mirrored * height)
    for tile in range(TILES):
        row, column = tile % CELLS // 2, tile % 2
        across = left[:, tile] - 10 if mirrored == 1 else 50 - left[:, tile]
        for start, cell in ((top[:, tile] - 5, row), (across, column)):
            assert 20 * cell <= float(start.min()) < 20 * cell + 0.3
            assert 20 * cell + 4.7 < float(start.max()) <= 20 * cell + 5


def test_tiles_are_standardised_and_of_one_channel(task: Task) -> None:
    example = task().pseudo_label(batch(noise_clips(3, frames=9)), rng())
    assert example.tiles.shape == (36, 3, 12, 12)
    assert torch.equal(example.tiles[:, :1].expand_as(example.tiles), example.tiles)
    assert torch.allclose(example.tiles.mean((2, 3)), torch.zeros(36, 3), atol=1e-5)
    assert torch.allclose(example.tiles.std((2, 3)), torch.ones(36, 3), atol=1e-4)


def test_loss_against_loops(task: Task) -> None:
    made = task(puzzles=2).eval()
    example = made.pseudo_label(batch(noise_clips(3, frames=9)), rng())
    total, hits, ordered = 0.0, 0, 0
    with torch.no_grad():
        embeddings = made.embedding(made.encoder(example.tiles))
        found = made.loss(made(example), example)
        for n in range(3):
            for q in range(2):
                label = int(example.permutation[n, q])
                shuffled = [embeddings[12 * n + tile] for tile in made.permutations[label].tolist()]
                scores = made.head(torch.cat(shuffled)[None])[0].tolist()
                total -= scores[label] - math.log(sum(math.exp(score) for score in scores))
                best = max(range(12), key=scores.__getitem__)
                hits += best == label
                one, other = (made.permutations[k].tolist() for k in (best, label))
                ordered += [tile // 4 for tile in one] == [tile // 4 for tile in other]
    assert float(found["loss"]) == pytest.approx(total / 6, rel=1e-5)
    assert float(found["accuracy"]) == pytest.approx(hits / 6)
    assert float(found["accuracy_frames"]) == pytest.approx(ordered / 6)
    assert made.chance(4) == pytest.approx(1 / 12)


def test_two_processes_are_one(task: Task) -> None:
    made = task(puzzles=2)
    whole = made.pseudo_label(batch(noise_clips(4, frames=9)), rng())
    halves = [
        Example(
            whole.tiles[24 * k : 24 * k + 24],
            whole.places[2 * k : 2 * k + 2] - 24 * k,
            whole.permutation[2 * k : 2 * k + 2],
        )
        for k in range(2)
    ]
    check_halves(made, whole, halves)


def test_short_clips_ask_for_an_encoder_of_video(tiny_clip_encoder: Callable[[], Encoder]) -> None:
    config = Config(**{**SMALL, "clip": 3})
    assert VideoJigsaw.encoders_for(config)["encoder"].kind == "video"
    made = VideoJigsaw(tiny_clip_encoder(), config, 12)
    example = made.pseudo_label(batch(noise_clips(2, frames=11)), rng())
    assert example.tiles.shape == (24, 3, 3, 12, 12)
    assert made(example).shape == (2, 4, 12)
    shown = made.show(example, made(example), 2)[1]
    assert isinstance(shown.pseudo_label, Tensor)
    tiles = as_pictures(example.tiles[12:, :, 0])
    first = [mosaic(numbered(tiles, range(1, 13))[4 * frame : 4 * frame + 4]) for frame in range(3)]
    assert torch.equal(shown.pseudo_label, flip_book(torch.stack(first))), "all tiles in order, by their numbers"
    assert isinstance(shown.prediction, Tensor)
    assert shown.prediction.shape == shown.inputs[0].shape == shown.pseudo_label.shape


def test_it_learns_where_tiles_of_a_scene_belong(task: Task) -> None:
    """What crosses the frame shows the order of frames; the ground of each video shows nothing."""
    videos = crossings(range(0, 120, 2), frames=9)[0]
    made = task(degrade=0.3, gap=4)
    fit(made, lambda step: batch(videos[:48]), steps=25, lr=5e-3)
    assert judge(made, [batch(videos[48:])] * 3) > 0.3


@pytest.mark.parametrize("clips_of", [noise_clips, partial(border_clips, content="noise")], ids=["noise", "border"])
def test_guard_puzzles_of_noise_stay_at_chance(clips_of: Callable[..., Tensor]) -> None:
    assert_at_chance(VideoJigsaw(ForensicEncoder(), Config(**SMALL), 12), clips_of, batches=12)


@pytest.mark.parametrize("clips_of", [still_clips, border_clips, codec_clips], ids=["still", "border", "codec"])
def test_guard_frames_that_are_alike_have_no_order(
    clips_of: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where tiles belong in a frame can be seen in one frame; which of them was first cannot: at most 1/6."""
    monkeypatch.setattr(VideoJigsaw, "metric_name", lambda self: "accuracy_frames")
    made = VideoJigsaw(ForensicEncoder(), Config(**SMALL), 12)
    found = scores_on(made, clips_of, steps=20, rows=16, batches=12, side=32, lr=5e-3)
    assert float(found.mean()) - 3 * float(found.std()) / math.sqrt(12) <= 1 / 6


def test_frames_that_do_not_fit_in_the_clip_are_refused() -> None:
    with pytest.raises(ValueError, match=r"--task\.frames must be at least 2 gaps \+ 1 = 9.*got 8; raise it or"):
        Config(frames=8, gap=4)
