"""Pose from action: what is shown with two frames, the guard, and learning which motion leads from one to the other."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from selftaught.data.batch import Batch
from selftaught.encoders.base import Encoder
from selftaught.ops.clip_images import FLOW_BOUND, FLOW_UNIT
from selftaught.ops.colour import denormalise
from selftaught.tasks.crossmodal import pose_action
from selftaught.tasks.crossmodal.pose_action import Example, PoseAction
from tests.tasks.clip_guards import still_clips
from tests.tasks.clips import check_run, fit, rng
from tests.tasks.conftest import TinyEncoder

Config = PoseAction.Config
Task = Callable[..., PoseAction]
FRAMES = 2


class TinyFlowEncoder(TinyEncoder):
    """The same for stacks of flow."""

    channels = 2 * FRAMES

    def __init__(self) -> None:
        super().__init__()
        first = self.blocks[0]
        assert isinstance(first, nn.Sequential)
        first[0] = nn.Conv2d(self.channels, 16, 3, stride=2, padding=1)


@pytest.fixture
def task(tiny_encoder: Callable[[], Encoder]) -> Task:
    def make(**settings: Any) -> PoseAction:
        config = Config(**{"frames": FRAMES, "width": 32, "dropout": 0.0, **settings})
        return PoseAction(tiny_encoder(), config, 16, flow_encoder=TinyFlowEncoder())

    return make


def given(video: Tensor, flow: Tensor, index: Tensor | None = None) -> Batch:
    return Batch(index=torch.arange(len(video)) if index is None else index, inputs={"video": video, "flow": flow})


def jumps(n: int, seed: int) -> Batch:
    """A square that moves by 4 pixels a frame to the right or to the left."""
    video = torch.full((n, FRAMES + 1, 3, 24, 24), 30, dtype=torch.uint8)
    flow = torch.zeros(n, FRAMES + 1, 2, 24, 24)
    ways = torch.randint(2, (n,), generator=rng(seed)) * 2 - 1
    for k, way in enumerate(ways.tolist()):
        for t in range(FRAMES + 1):
            x = 8 + 4 * way * (t - 1)
            video[k, t, :, 8:16, x : x + 8] = 230
            flow[k, t, 0, 8:16, x : x + 8] = 4 * way
    return given(video, flow)


def accuracy(task: PoseAction, batches: list[Batch]) -> tuple[float, int]:
    hits = []
    with torch.no_grad():
        for k, batch in enumerate(batches):
            example = task.pseudo_label(batch, rng(1000 + k))
            hits += (task(example).argmax(1) == (example.kind == 2)).tolist()
    return sum(hits) / len(hits), len(hits)


def test_each_kind_of_flow_is_what_it_says(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames and fields of one value each, seen through one window: what is shown is read off the values."""
    box = torch.tensor([[2.0, 2.0, 16.0, 16.0]])
    monkeypatch.setattr(
        pose_action, "random_boxes", lambda n, *a, **k: (box - torch.tensor([0.0, 0, 0, 0])).repeat(n, 1)
    )
    monkeypatch.setattr(pose_action, "inner_areas", lambda video, size: torch.tensor([[0.0, 0, 24, 24]]).repeat(64, 1))
    n, index = 64, torch.arange(64) // 2
    video = torch.zeros(n, FRAMES + 1, 3, 24, 24, dtype=torch.uint8)
    video[:, 0], video[:, -1] = 50, 200
    flow = torch.zeros(n, FRAMES + 1, 2, 24, 24)
    flow[..., :10, :] = 0.01 * (1 + torch.arange(n)[:, None, None, None, None])  # its own number in the upper part
    flow[:, 1] *= 2
    flow[:, 2] = 99  # leads out of the clip
    example = task(degrade=0.0).pseudo_label(given(video, flow, index), rng(4))
    first, last = denormalise(example.images).mean((1, 2, 3)).chunk(2)
    for row in range(n):
        reverse = float(first[row]) > float(last[row])
        unit = FLOW_UNIT / (FLOW_BOUND * 16)
        upper = example.flows[row, :, 0, 0] - example.flows[row, :, -1, 0]  # without the mean
        fields = (upper / unit).view(FRAMES, 2)[:, 0].tolist()
        steps = [abs(value) for value in fields]
        backwards = fields[0] < 0
        assert steps == pytest.approx(sorted(steps, reverse=backwards), rel=1e-3)
        number = round(min(steps) / 0.01) - 1
        kind = int(example.kind[row])
        assert (int(index[number]) == int(index[row])) == (kind != 0)
        if kind:
            assert number == row
            assert (backwards == reverse) == (kind == 2)
    assert {0, 1, 2} == set(example.kind.tolist())


def test_shares_of_the_kinds(task: Task) -> None:
    kind, reverse = task(hard=0.25).draw(torch.arange(2000), rng())
    shares = (torch.bincount(kind) / 2000).tolist()
    assert shares == pytest.approx([0.375, 0.125, 0.5], abs=0.035)
    assert float(reverse.float().mean()) == pytest.approx(0.5, abs=0.035)
    alone, _ = task(hard=0.0).draw(torch.zeros(100, dtype=torch.int64), rng())
    assert 0 not in alone.tolist()  # there is no other video


def test_loss_against_loops(task: Task) -> None:
    logits, kind = torch.randn(6, 2, generator=rng()), torch.tensor([0, 2, 1, 0, 2, 2])
    found = task().loss(logits, Example(torch.zeros(12, 1), torch.zeros(6, 1), kind))
    total = 0.0
    hits: dict[int, list[bool]] = {0: [], 1: [], 2: []}
    for row in range(6):
        scores, label = logits[row].tolist(), int(kind[row] == 2)
        total -= scores[label] - math.log(sum(math.exp(score) for score in scores))
        hits[int(kind[row])].append((scores[1] > scores[0]) == bool(label))
    assert float(found["loss"]) == pytest.approx(total / 6, rel=1e-5)
    assert float(found["accuracy"]) == pytest.approx(sum(map(sum, hits.values())) / 6)
    assert float(found["accuracy_other"]) == pytest.approx(sum(hits[0]) / 2)
    assert float(found["accuracy_backwards"]) == pytest.approx(sum(hits[1]))


def test_it_learns_which_motion_leads_from_one_frame_to_the_other(task: Task) -> None:
    made = task(degrade=0.0, min_scale=0.9, hard=1.0)
    fit(made, lambda step: jumps(32, step), steps=40, lr=5e-3)
    assert accuracy(made, [jumps(32, 900 + k) for k in range(4)])[0] > 0.75


def test_flow_alone_says_nothing(task: Task) -> None:
    """Frames that do not change, of things that always move down: which way the flow goes must not tell."""
    made = task(hard=1.0)

    def still(seed: int) -> Batch:
        flow = torch.zeros(32, FRAMES + 1, 2, 24, 24)
        flow[:, :, 1, 6:18, 6:18] = 2
        return given(still_clips(32, frames=FRAMES + 1, side=24, seed=seed), flow)

    fit(made, still, steps=12)
    found, count = accuracy(made, [still(700 + k) for k in range(6)])
    assert abs(found - 0.5) < 3 * math.sqrt(0.25 / count)


def test_a_run_is_resumed_exactly(tmp_path: Path, write_video: Any) -> None:
    check_run(
        tmp_path,
        write_video,
        "pose_action",
        encoders={"flow_encoder": "timm:test_resnet"},
        task_settings={"frames": FRAMES, "width": 32},
    )
