"""CVRL: pairs of clips, its loss against loops, its guards, the interval, and learning from moving squares."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from selftaught.data.batch import Batch
from selftaught.encoders.base import Encoder
from selftaught.tasks.base import sampling_of
from selftaught.tasks.joint_embedding.video_simclr import Example, VideoSimCLR
from selftaught.tasks.parts.clips import consistent_view
from tests.data.store.videos import counted, opened
from tests.tasks.clips import check_run, crossings, fit, judge, rng

Task = Callable[..., VideoSimCLR]


@pytest.fixture
def task(tiny_clip_encoder: Callable[[], Encoder]) -> Task:
    def make(**settings: Any) -> VideoSimCLR:
        torch.manual_seed(0)
        return VideoSimCLR(tiny_clip_encoder(), VideoSimCLR.Config(**{"frames": 4, **settings}), 16)

    return make


def pairs(first: int = 0, count: int = 16) -> Batch:
    """Two overlapping clips of 4 frames of each video, in neighbouring rows."""
    videos = crossings(range(first, first + count), frames=6)[0]
    both = torch.stack([videos[:, :4], videos[:, 2:]], 1).flatten(0, 1)
    return Batch(index=torch.arange(count).repeat_interleave(2), inputs={"video": both})


def test_loss_against_loops(task: Task) -> None:
    """Equation 1 of the paper: every clip against all others, its partner is the other row of the pair."""
    model = task(temperature=0.2).eval()
    example = model.pseudo_label(pairs(count=3), rng())
    with torch.no_grad():
        z = model(example)
    cosine = torch.nn.functional.cosine_similarity(z[:, None], z[None], dim=2).tolist()
    total, hits = 0.0, 0
    for i in range(6):
        partner = i + 1 if i % 2 == 0 else i - 1
        others = [k for k in range(6) if k != i]
        total -= cosine[i][partner] / 0.2 - math.log(sum(math.exp(cosine[i][k] / 0.2) for k in others))
        hits += max(others, key=cosine[i].__getitem__) == partner
    found = model.loss(z, example)
    assert float(found["loss"]) == pytest.approx(total / 6, rel=1e-4)
    assert float(found["accuracy"]) == pytest.approx(hits / 6)
    assert model.chance(6) == 1 / 5


def test_the_interval_of_two_clips_is_less_likely_the_longer_it_is(tmp_path: Path, write_video: Any) -> None:
    """Of 20 frames, the share of pairs that are less than x L apart is 1 - (1 - x)^2."""
    write_video(tmp_path / "a.mp4", counted())
    sampling = sampling_of(VideoSimCLR, VideoSimCLR.Config(frames=1))
    samples = opened(tmp_path, sampling)
    rows = np.zeros(800, np.int64)
    time = samples.read(rows, samples.spread(rows, np.random.default_rng(0).random((800, 3)), sampling)).time
    assert time is not None
    intervals = np.abs(np.diff(np.asarray(time).reshape(-1, 2))) / (19 / 25)
    for x in (0.2, 0.5, 0.8):
        assert (intervals < x).mean() == pytest.approx(1 - (1 - x) ** 2, abs=0.07)


def test_guard_black_bars_do_not_find_the_partner(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain colours between bars that are as high in both clips of a video: at chance; without the guard they are
    found. (Of noise, a crop shows how much it was enlarged, and so how much the bars left.)"""

    def barred(seed: int) -> Batch:
        colours = torch.randint(60, 256, (24, 1, 3, 1, 1), dtype=torch.uint8, generator=rng(seed))
        videos = colours.repeat(1, 2, 1, 24, 24)
        for i in range(12):
            bars = videos[2 * i : 2 * i + 2].transpose(-1, -2) if i % 2 else videos[2 * i : 2 * i + 2]
            bars[:, :, :, : 1 + i % 6] = bars[:, :, :, 24 - i // 2 % 5 :] = 0
        return Batch(index=torch.arange(24) // 2, inputs={"video": videos})

    settings: dict[str, Any] = {"frames": 2, "jitter": 0.0, "grey": 0.0, "blur": 0.0}
    rates = []
    for is_guarded in (True, False):
        if not is_guarded:
            monkeypatch.setattr(
                consistent_view,
                "inner_areas",
                lambda video, _: torch.tensor([[0.0, 0, 24, 24]]).repeat(len(video), 1),
            )
        model = task(**settings)
        fit(model, barred, steps=40, lr=5e-3)
        rates.append(judge(model, [barred(100 + k) for k in range(8)]))
    chance = 1 / 23
    assert rates[0] < chance + 3 * (chance / (24 * 8)) ** 0.5
    assert rates[1] > 2 * rates[0]


def test_it_learns_to_find_the_partner(task: Task) -> None:
    model = task(jitter=0.3, grey=0.0, blur=0.0, min_scale=0.6)
    losses: list[float] = []
    fit(model, lambda step: pairs(16 * (step % 8)), steps=40, lr=5e-3)
    with torch.no_grad():
        for k in range(3):
            example = model.pseudo_label(pairs(200 + 16 * k), rng(k))
            losses.append(float(model.loss(model(example), example)["loss"]))
    assert sum(losses) / 3 < 0.7 * math.log(31), losses
    assert judge(model, [pairs(200 + 16 * k) for k in range(3)]) > 4 / 31


def test_pairs_stay_together_in_two_processes(task: Task) -> None:
    """Rows of a process are whole pairs, so the gathered halves of all are those of one process."""
    model = task().eval()
    example = model.pseudo_label(pairs(count=4), rng())
    with torch.no_grad():
        z = model(example)
        halves = [model(Example(rows)) for rows in example.views.chunk(2)]
    first, second = torch.cat([half[::2] for half in halves]), torch.cat([half[1::2] for half in halves])
    assert torch.allclose(first, z[::2], atol=1e-5)
    assert torch.allclose(second, z[1::2], atol=1e-5)


def test_shown_clips_are_the_clip_its_partner_and_what_is_found(task: Task) -> None:
    model = task().eval()
    example = model.pseudo_label(pairs(count=4), rng())
    z = torch.eye(8)
    z[0], z[4] = torch.tensor([1.0, 0, 0, 0, 0.5, 0, 0, 0]), torch.tensor([0.5, 0, 0, 0, 1.0, 0, 0, 0])
    shown = model.show(example, z, 8)
    assert len(shown) == 4
    one = shown[0]
    assert isinstance(one.pseudo_label, Tensor)
    assert isinstance(one.prediction, Tensor)
    assert one.inputs[0].shape == (4, 3, 16, 16)
    assert torch.equal(one.pseudo_label, model.show(example, z, 1)[0].pseudo_label)  # type: ignore[arg-type]
    assert torch.equal(one.prediction, shown[2].inputs[0])


def test_a_run_is_resumed_exactly(tmp_path: Path, write_video: Any) -> None:
    own = {"frames": 2, "hidden": 16, "embedding": 8}
    check_run(tmp_path, write_video, "video_simclr", encoder="mean:timm:test_resnet", task_settings=own)
