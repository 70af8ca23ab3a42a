"""Frame order verification: tuples as the paper defines them, guards, and learning from tiny videos."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip
from selftaught.encoders.base import Encoder
from selftaught.ops.colour import denormalise
from selftaught.ops.sheet import lay_strip
from selftaught.tasks.temporal.frame_order_verification import Example, FrameOrderVerification
from tests.tasks.clip_guards import BORDER_AND_CODEC, ForensicEncoder, assert_at_chance
from tests.tasks.clips import check_halves, crossings, fit, judge, rng

Config = FrameOrderVerification.Config
Task = Callable[..., FrameOrderVerification]


@pytest.fixture
def task(tiny_encoder: Callable[[], Encoder]) -> Task:
    def make(**settings: Any) -> FrameOrderVerification:
        return FrameOrderVerification(tiny_encoder(), Config(**settings), 16)

    return make


def clips(n: int, frames: int = 30, side: int = 20) -> Batch:
    video = torch.randint(256, (n, frames, 3, side, side), dtype=torch.uint8, generator=rng(1))
    return Batch(index=torch.arange(n), inputs={"video": video})


def alike(n: int, frames: int) -> Tensor:
    """Pixels of clips all of whose frames look the same."""
    return torch.zeros(n, frames, 1)


def in_time(order: Tensor) -> Tensor:
    """a, b, c, d, e (N, 5) with reversed rows turned back."""
    forwards = order.clone()
    swapped = order[:, 1] > order[:, 3]
    forwards[swapped] = order[swapped][:, [0, 3, 2, 1, 4]]
    return forwards


def test_five_frames_keep_the_papers_distances(task: Task) -> None:
    config = Config(frames=40, tau_max=20, tau_min=6)
    order = task(frames=40, tau_max=20, tau_min=6).choose(torch.rand(4000, 39), alike(4000, 40), rng())
    spans = set()
    for a, b, c, d, e in in_time(order).tolist():
        assert 0 <= a <= b - config.tau_min
        assert b < c < d
        assert d + config.tau_min <= e <= 39
        assert config.tau_max // 2 <= d - b <= config.tau_max
        spans.add(d - b)
    assert spans == set(range(10, 21))


def test_half_of_the_tuples_run_backwards(task: Task) -> None:
    order = task().choose(torch.ones(4000, 29), alike(4000, 30), rng())
    assert 1850 < int((order[:, 1] > order[:, 3]).sum()) < 2150


def test_windows_are_drawn_in_proportion_to_motion(task: Task) -> None:
    """Against the plain loop: P(b | span) is the motion between b and d over that of all windows."""
    config = Config(frames=16, tau_max=4, tau_min=2)
    motion = torch.rand(15, generator=rng(3)).square()
    order = in_time(task(frames=16, tau_max=4, tau_min=2).choose(motion.expand(40000, -1), alike(40000, 16), rng()))
    starts = range(config.tau_min, 16 - 4 - config.tau_min)
    moved = [float(motion[b : b + 4].sum()) for b in starts]
    for b, expected in zip(starts, moved, strict=True):
        found = float((order[:, 1] == b).float().mean())
        assert found == pytest.approx(expected / sum(moved), abs=0.01)


def test_a_still_clip_has_windows_everywhere(task: Task) -> None:
    order = in_time(task().choose(torch.zeros(3000, 29), alike(3000, 30), rng()))
    assert len(order[:, 1].unique()) > 10


def test_frames_that_look_like_c_do_not_take_its_place(task: Task) -> None:
    """A movement that repeats itself every 10 frames, against the plain loop; without the guard many look like c."""
    phase = torch.arange(30) * 2 * math.pi / 10
    pixels = torch.stack([phase.sin(), phase.cos()], 1) + 0.01 * torch.arange(30)[:, None]
    share_alike = []
    for share in (0.0, 0.25):
        order = in_time(task(alike=share).choose(torch.ones(400, 29), pixels.expand(400, -1, -1), rng())).tolist()
        count = 0
        for a, b, c, d, e in order:
            difference = (pixels - pixels[c]).square().mean(1)
            for chosen, frames in ((a, range(b - 4)), (e, range(d + 5, 30))):
                unlike = [t for t in frames if difference[t] >= share * difference.mean()]
                assert chosen in (unlike or [max(frames, key=lambda t: float(difference[t]))])
                count += float(difference[chosen]) < 0.1
        share_alike.append(count / 800)
    assert share_alike[0] > 0.08
    assert share_alike[1] < 0.4 * share_alike[0], share_alike


def test_the_frames_are_those_of_the_order(task: Task) -> None:
    video = torch.arange(30, dtype=torch.uint8)[None, :, None, None, None].expand(6, 30, 3, 20, 20) * 8
    made = task(jitter=0.04)
    example = made.pseudo_label(Batch(index=torch.arange(6), inputs={"video": video}), rng())
    assert example.frames.shape == (30, 3, 16, 16)
    grey = denormalise(example.frames).mean((2, 3))
    assert torch.allclose(grey, (example.order.view(30, 1) * 8 / 255).expand(30, 3), atol=0.005)


def test_tuples_share_their_ends_and_differ_in_the_middle(task: Task) -> None:
    made = task().eval()
    example = made.pseudo_label(clips(3), rng())
    with torch.no_grad():
        features = torch.stack([made.encoder(example.frames[k::5]) for k in range(5)], 1)
        a, b, c, d, e = features.unbind(1)
        expected = [made.head(torch.cat([b, middle, d], 1)) for middle in (c, a, e)]
        assert torch.allclose(made(example), torch.stack(expected, 1), atol=1e-4)


@pytest.mark.parametrize("negatives", [0.5, 0.75])
def test_loss_and_balanced_accuracy_against_loops(task: Task, negatives: float) -> None:
    made = task(negatives=negatives)
    logits = torch.randn(7, 3, 2, generator=rng(2))
    example = Example(torch.zeros(35, 3, 16, 16), torch.zeros(7, 5, dtype=torch.long))
    losses: dict[int, list[float]] = {0: [], 1: []}
    hits: dict[int, list[bool]] = {0: [], 1: []}
    for n, kind in itertools.product(range(7), range(3)):
        label = int(kind == 0)
        shuffled, in_order = logits[n, kind].tolist()
        chance = math.exp(in_order) / (math.exp(in_order) + math.exp(shuffled))
        losses[label].append(-math.log(chance if label else 1 - chance))
        # Bayes' rule from the training shares (1 - negatives, negatives) to equal ones.
        equal = chance / (1 - negatives) / (chance / (1 - negatives) + (1 - chance) / negatives)
        hits[label].append((equal > 0.5) == bool(label))
    told = made.loss(logits, example)
    expected = (1 - negatives) * float(np.mean(losses[1])) + negatives * float(np.mean(losses[0]))
    assert float(told["loss"]) == pytest.approx(expected, rel=1e-5)
    assert float(told["accuracy"]) == pytest.approx((np.mean(hits[1]) + np.mean(hits[0])) / 2)
    assert made.chance(32) == 0.5


def test_two_processes_are_one(task: Task) -> None:
    made = task()
    whole = made.pseudo_label(clips(4), rng())
    halves = [Example(whole.frames[10 * k : 10 * k + 10], whole.order[2 * k : 2 * k + 2]) for k in range(2)]
    check_halves(made, whole, halves)


def test_the_outcome_is_a_function_of_the_generator(task: Task) -> None:
    made, batch = task(), clips(4)
    one, same, other = (made.pseudo_label(batch, rng(seed)) for seed in (0, 0, 1))
    assert torch.equal(one.frames, same.frames)
    assert torch.equal(one.order, same.order)
    assert not torch.equal(one.order, other.order)


def test_shown_samples_name_what_they_are(task: Task) -> None:
    made = task().eval()
    example = made.pseudo_label(clips(4), rng())
    shown = made.show(example, made(example), 3)
    frames, numbers = denormalise(example.frames[[6, 5, 8]]), example.order[1, [1, 0, 3]].tolist()
    assert torch.equal(shown[1].inputs[1], lay_strip(frames, numbers)), "b, a and d of the second clip"
    assert [str(sample.pseudo_label).split(" (")[0] for sample in shown] == ["in order", "shuffled", "shuffled"]
    assert all(float(picture.min()) >= 0 and float(picture.max()) <= 1 for s in shown for picture in s.inputs)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frames": 20}, r"--task\.frames must be at least tau_max \+ 2 tau_min \+ 3 clip - 2 = 29"),
        ({"clip": 10}, r"--task\.tau-max must be at least 2 clips = 20 frames, got 18"),
        ({"tau_max": 2}, r"--task\.tau-max must be at least 4"),
        ({"negatives": 1.0}, r"--task\.negatives must be in \(0, 1\)"),
        ({"jitter": 0.9}, r"--task\.jitter"),
        ({"alike": 1.5}, r"--task\.alike must be in \[0, 1\], got 1\.5"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Config(**settings)


def test_it_learns_the_order_of_a_moving_square(task: Task) -> None:
    videos = crossings(range(40), frames=24)[0]
    made = task(jitter=0.02, min_scale=0.9, hidden=64, frames=24, tau_max=13)
    fit(made, lambda step: Batch(index=torch.arange(20), inputs={"video": videos[:20]}), steps=30)
    assert judge(made, [Batch(index=torch.arange(20), inputs={"video": videos[20:]})] * 2) > 0.75


@pytest.mark.parametrize("clips_of", BORDER_AND_CODEC.values(), ids=BORDER_AND_CODEC)
def test_guard_what_is_no_motion_has_no_order(clips_of: Callable[..., Tensor]) -> None:
    settings: dict[str, Any] = {"frames": 16, "tau_max": 8, "tau_min": 3, "negatives": 0.5, "hidden": 64}
    made = FrameOrderVerification(ForensicEncoder(), Config(**settings), 16)
    assert_at_chance(made, clips_of, rows=12, batches=16)


@pytest.mark.parametrize(("settings", "frames"), [({}, 30), ({"clip": 8}, 50), ({"tau_max": 40}, 51)])
def test_the_clip_holds_the_frames_that_the_settings_need(settings: dict[str, int], frames: int) -> None:
    assert FrameOrderVerification.inputs(Config(**settings)) == {"video": Clip(frames=frames)}


def test_short_clips_stand_for_frames(tiny_clip_encoder: Callable[[], Encoder]) -> None:
    """Each is three frames one after the other, and shares none with the next."""
    config = Config(clip=3, frames=20, tau_max=9, tau_min=1)
    made = FrameOrderVerification(tiny_clip_encoder(), config, 16)
    video = (torch.arange(20, dtype=torch.uint8) * 8 + 40)[None, :, None, None, None].expand(40, 20, 3, 20, 20)
    example = made.pseudo_label(Batch(index=torch.arange(40), inputs={"video": video}), rng())
    assert example.frames.shape == (200, 3, 3, 16, 16)
    assert int(in_time(example.order).diff(dim=1).min()) == 3
    assert int(example.order.max()) == 17
    value = torch.stack([denormalise(row.transpose(0, 1)).mean((1, 2, 3)) for row in example.frames]) * 255
    assert torch.allclose(value, ((example.order.flatten()[:, None] + torch.arange(3)) * 8 + 40).float(), atol=0.6)
    assert made(example).shape == (40, 3, 2)
    assert made.show(example, made(example), 1)[0].inputs[0].shape == (3, 3, 64, 64)
    assert FrameOrderVerification.encoders_for(config)["encoder"].kind == "video"
