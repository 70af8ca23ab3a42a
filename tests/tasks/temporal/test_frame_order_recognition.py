"""Frame order recognition: where and when it looks, its orders, guards, and learning from tiny clips."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip
from selftaught.encoders.base import Encoder
from selftaught.ops.colour import denormalise
from selftaught.ops.sheet import flip_book, lay_strip
from selftaught.tasks.temporal.frame_order_recognition import ORDERS, Example, FrameOrderRecognition
from tests.tasks.clip_guards import BORDER_AND_CODEC, ForensicEncoder, assert_at_chance
from tests.tasks.clips import check_halves, check_run, crossings, fit, judge, rng

Config = FrameOrderRecognition.Config
Task = Callable[..., FrameOrderRecognition]


@pytest.fixture
def task(tiny_encoder: Callable[[], Encoder]) -> Task:
    def make(**settings: Any) -> FrameOrderRecognition:
        return FrameOrderRecognition(tiny_encoder(), Config(**settings), 16)

    return make


def clips(n: int, frames: int = 16, side: int = 32) -> Batch:
    video = torch.randint(256, (n, frames, 3, side, side), dtype=torch.uint8, generator=rng(1))
    flow = torch.rand(n, frames, 2, side, side, generator=rng(2))
    return Batch(index=torch.arange(n), inputs={"video": video, "flow": flow})


def test_there_are_twelve_orders_none_the_reverse_of_another() -> None:
    assert len(ORDERS) == 12
    assert {frozenset((order, order[::-1])) for order in ORDERS} == {
        frozenset((order, order[::-1])) for order in itertools.permutations(range(4))
    }


def test_frames_are_drawn_in_proportion_to_the_least_motion_between_neighbours(task: Task) -> None:
    """Against plain loops over all tuples."""
    motion = torch.rand(8, generator=rng(3)).square()
    chosen = task(frames=9, gap=2).choose_frames(motion.expand(60000, -1), rng())
    moved = {}
    for numbers in itertools.product(range(9), repeat=4):
        if all(later - earlier >= 2 for earlier, later in itertools.pairwise(numbers)):
            moved[numbers] = min(float(motion[a:b].sum()) for a, b in itertools.pairwise(numbers))
    found = Counter(tuple(numbers) for numbers in chosen.tolist())
    assert found.keys() <= moved.keys()
    for numbers, weight in moved.items():
        assert found[numbers] / 60000 == pytest.approx(weight / sum(moved.values()), abs=0.01)


def test_windows_are_drawn_in_proportion_to_what_moves_in_them(task: Task) -> None:
    motion = torch.rand(16, 16, generator=rng(3)) ** 4
    chosen = task(window=0.75).choose_windows(motion.expand(60000, -1, -1), rng())
    assert set(chosen[:, 2].tolist()) == {12}
    moved = {(y, x): float(motion[y : y + 12, x : x + 12].sum()) for y in range(5) for x in range(5)}
    found = Counter((y, x) for y, x, _ in chosen.tolist())
    for place, weight in moved.items():
        assert found[place] / 60000 == pytest.approx(weight / sum(moved.values()), abs=0.01)


def test_it_looks_where_and_when_something_moves(task: Task) -> None:
    """Only the lower right quarter moves, and only in the second half of the clip."""
    column = torch.arange(64, dtype=torch.uint8).expand(64, 64)
    video = torch.stack([column * 2, column.T * 2, column * 2]).expand(200, 16, 3, 64, 64)
    flow = torch.zeros(200, 16, 2, 64, 64)
    flow[:, 8:, :, 32:, 32:] = 3
    batch = Batch(index=torch.arange(200), inputs={"video": video, "flow": flow})
    example = task(window=0.5, jitter=0).pseudo_label(batch, rng())
    # The middle of what was cut is its mean value: a half of the window's side from the middle of what moves at most.
    red, green, _ = denormalise(example.frames).mean((2, 3)).unbind(1)
    middle = torch.stack([red, green]) * 255 / 2
    assert float(middle.median()) > 36
    assert int((example.numbers[:, 1:] <= 8).sum()) == 0, "no two frames between which nothing moves"


def test_a_clip_without_motion_has_windows_and_frames_everywhere(task: Task) -> None:
    made = task()
    windows = made.choose_windows(torch.zeros(500, 16, 16), rng())
    numbers = made.choose_frames(torch.zeros(500, 15), rng())
    assert len(windows.unique(dim=0)) > 40
    assert sorted(numbers.unique().tolist()) == list(range(16))


def test_every_order_is_shown_as_often_and_half_are_reversed(task: Task) -> None:
    places, order = task().shuffle(12000, rng())
    assert places.shape == (12000, 1, 4)
    reversed_of = 0
    for shown, number in zip(places[:, 0].tolist(), order[:, 0].tolist(), strict=True):
        assert tuple(shown) in (ORDERS[number], ORDERS[number][::-1])
        reversed_of += tuple(shown) != ORDERS[number]
    assert 5700 < reversed_of < 6300
    assert max(Counter(order[:, 0].tolist()).values()) < 1.15 * 1000
    assert task(orders=12).shuffle(5, rng())[1].sort(1).values.tolist() == [list(range(12))] * 5


def test_guard_every_frame_is_one_channel_cut_at_its_own_place(task: Task) -> None:
    """Colour that drifts from red to blue, and a window that is shifted for each frame."""
    made = task(window=1.0)
    column = torch.arange(64, dtype=torch.uint8).expand(64, 64)
    frames = torch.stack([column, column + 64, column + 128])
    batch = clips(40, side=64).using(video=frames.expand(40, 16, 3, 64, 64))
    shown = denormalise(made.pseudo_label(batch, rng()).frames).view(40, 4, 3, 16, 16)
    assert torch.allclose(shown, shown[:, :, :1].expand_as(shown), atol=1e-5)
    channel = (shown.mean((2, 3, 4)) * 255 - 31.5).div(64).round()
    assert all(0.2 < float((channel == c).float().mean()) < 0.46 for c in range(3))
    shift = (shown.mean((2, 3, 4)) * 255 - 31.5 - channel * 64) / (0.8 * 64)
    apart = shift.amax(1) - shift.amin(1)
    assert 0.02 < float(apart.mean()) < 2 * 0.0625
    assert float(apart.max()) < 2 * 0.0625 + 0.01


def test_logits_against_loops_over_pairs(task: Task) -> None:
    made = task(features=8, pair=6, orders=3).eval()
    example = made.pseudo_label(clips(3), rng())
    with torch.no_grad():
        logits = made(example)
        for n, r in itertools.product(range(3), range(3)):
            shown = [
                made.frame_head(made.encoder(example.frames[4 * n + place][None]))
                for place in example.places[n, r].tolist()
            ]
            pairs = [made.pair_head(torch.cat([shown[i], shown[j]], 1)) for i in range(4) for j in range(i + 1, 4)]
            assert torch.allclose(logits[n, r], made.order_head(torch.cat(pairs, 1))[0], atol=1e-5)


def test_loss_and_accuracy_against_loops(task: Task) -> None:
    logits = torch.randn(5, 2, 12, generator=rng(2))
    order = torch.randint(12, (5, 2), generator=rng(3))
    example = Example(torch.zeros(20, 3, 16, 16), torch.zeros(5, 2, 4, dtype=torch.long), order, order[:, :1])
    total, hits = 0.0, 0
    for n, r in itertools.product(range(5), range(2)):
        scores = logits[n, r].tolist()
        total -= scores[int(order[n, r])] - math.log(sum(math.exp(score) for score in scores))
        hits += max(range(12), key=scores.__getitem__) == int(order[n, r])
    found = task().loss(logits, example)
    assert float(found["loss"]) == pytest.approx(total / 10, rel=1e-5)
    assert float(found["accuracy"]) == pytest.approx(hits / 10)
    assert task().chance(8) == pytest.approx(1 / 12)


def test_two_processes_are_one(task: Task) -> None:
    made = task(orders=2)
    whole = made.pseudo_label(clips(6), rng())
    fields = (whole.frames, whole.places, whole.order, whole.numbers)
    check_halves(made, whole, [Example(*parts) for parts in zip(*(f.chunk(2) for f in fields), strict=True)])


def test_shown_frames_are_in_the_order_that_is_named(task: Task) -> None:
    made = task().eval()
    example = made.pseudo_label(clips(4), rng())
    shown = made.show(example, made(example), 3)
    assert len(shown) == 3
    for n, sample in enumerate(shown):
        order = " ".join(str(place + 1) for place in ORDERS[int(example.order[n, 0])])
        places = example.places[n, 0]
        is_order = places.tolist() == list(ORDERS[int(example.order[n, 0])])
        words = f"order {order} (frames " if is_order else f"order {order}, reversed (frames "
        assert str(sample.pseudo_label).startswith(words)
        frames, numbers = denormalise(example.frames[4 * n + places]), (places + 1).tolist()
        book, strip = sample.inputs
        assert torch.equal(book, flip_book(frames, numbers))
        assert torch.equal(strip, lay_strip(frames, numbers))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frames": 6}, r"--task\.frames must be at least 3 gap \+ 4 clip - 3 = 7 to hold four frames, got 6"),
        ({"frames": 64}, r"--task\.frames must be in \[0, 40\], got 64"),
        ({"clip": 10}, r"--task\.clip 10 and --task\.gap 2 need a clip of 43 frames, which is more than 40; lower one"),
        ({"orders": 13}, r"--task\.orders must be in \[1, 12\]"),
        ({"dropout": 1.0}, r"--task\.dropout must be in \[0, 1\)"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Config(**settings)


LEARNABLE = {"window": 1.0, "orders": 12, "features": 64, "pair": 64, "dropout": 0.0, "gap": 3}


def batch_of(videos: Tensor, masks: Tensor) -> Batch:
    """Clips with the flow of a square that moves by a pixel, and of nothing else."""
    flow = masks.float().expand(-1, -1, 2, -1, -1)
    return Batch(index=torch.arange(len(videos)), inputs={"video": videos, "flow": flow})


def test_it_learns_the_order_of_a_moving_square(task: Task) -> None:
    videos, masks = crossings(range(40))
    made = task(**LEARNABLE)
    fit(made, lambda step: batch_of(videos[:32], masks[:32]), steps=40)
    assert judge(made, [batch_of(videos[32:], masks[32:])] * 4) > 0.4


@pytest.mark.parametrize("clips_of", BORDER_AND_CODEC.values(), ids=BORDER_AND_CODEC)
def test_guard_what_is_no_motion_has_no_order(clips_of: Callable[..., Tensor]) -> None:
    settings: dict[str, Any] = {"frames": 8, "orders": 4, "features": 32, "pair": 32, "dropout": 0.0}
    made = FrameOrderRecognition(ForensicEncoder(), Config(**settings), 16)
    assert_at_chance(made, clips_of, rows=8, batches=16)


@pytest.mark.parametrize(("settings", "frames"), [({}, 16), ({"clip": 8}, 35), ({"clip": 4, "frames": 22}, 22)])
def test_the_clip_holds_the_frames_that_short_clips_need(settings: dict[str, int], frames: int) -> None:
    video = FrameOrderRecognition.inputs(Config(**settings))["video"]
    assert isinstance(video, Clip)
    assert video.frames == frames


def test_short_clips_stand_for_frames(tiny_clip_encoder: Callable[[], Encoder]) -> None:
    """Each is four frames one after the other, of one channel, and shares none with the next."""
    config = Config(clip=4, frames=22, gap=1)
    made = FrameOrderRecognition(tiny_clip_encoder(), config, 16)
    grey = torch.arange(22, dtype=torch.uint8) * 8 + 40
    batch = clips(20, frames=22).using(video=grey[:, None, None, None].expand(20, 22, 3, 32, 32))
    example = made.pseudo_label(batch, rng())
    assert example.frames.shape == (80, 3, 4, 16, 16)
    assert int(example.numbers.diff(dim=1).min()) == 4
    assert int(example.numbers.max()) == 18
    value = torch.stack([denormalise(row.transpose(0, 1)).mean((1, 2, 3)) for row in example.frames]) * 255
    expected = (example.numbers.flatten()[:, None] + torch.arange(4)) * 8 + 40
    assert torch.allclose(value, expected.float(), atol=0.6)
    assert made(example).shape == (20, 1, 12)
    assert made.show(example, made(example), 1)[0].inputs[0].shape == (4, 3, 64, 64)
    assert FrameOrderRecognition.encoders_for(config)["encoder"].kind == "video"
    with pytest.raises(ValueError, match=r"3 gap \+ 4 clip - 3 = 35 to hold four frames, got 16"):
        Config(clip=8, frames=16)


def test_a_run_on_videos_is_resumed_exactly(tmp_path: Path, write_video: Any) -> None:
    run = check_run(tmp_path, write_video, "frame_order_recognition")
    assert (run / "pictures" / "pictures.json").exists()
