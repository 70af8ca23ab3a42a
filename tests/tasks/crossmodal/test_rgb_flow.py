"""Cross and Learn: stacks of flow, the loss, its guard, and learning which flow belongs to a frame."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from selftaught.data.batch import Batch
from selftaught.encoders.base import Encoder
from selftaught.ops.clip_images import FLOW_BOUND, FLOW_UNIT
from selftaught.tasks.crossmodal import rgb_flow
from selftaught.tasks.crossmodal.rgb_flow import Example, RgbFlow
from tests.tasks.clip_guards import ForensicEncoder, assert_at_chance, border_clips
from tests.tasks.clips import check_run, fit, judge, rng
from tests.tasks.conftest import TinyEncoder

Config = RgbFlow.Config
Task = Callable[..., RgbFlow]
FIELDS = 4


class TinyFlowEncoder(TinyEncoder):
    """The same for stacks of flow."""

    channels = 2 * FIELDS

    def __init__(self) -> None:
        super().__init__()
        first = self.blocks[0]
        assert isinstance(first, nn.Sequential)
        first[0] = nn.Conv2d(self.channels, 16, 3, stride=2, padding=1)


@pytest.fixture
def task(tiny_encoder: Callable[[], Encoder]) -> Task:
    def make(encoder: Encoder | None = None, **settings: Any) -> RgbFlow:
        config = Config(**{"frames": FIELDS, "width": 32, **settings})
        made = RgbFlow(encoder or tiny_encoder(), config, 32, flow_encoder=TinyFlowEncoder())
        return made

    return make


def moving(n: int, seed: int) -> Batch:
    """Squares of three sizes, which all move down."""
    video, flow = torch.full((n, FIELDS, 3, 32, 32), 60, dtype=torch.uint8), torch.zeros(n, FIELDS, 2, 32, 32)
    for k, (y, x) in enumerate(torch.randint(8, 14, (n, 2), generator=rng(seed)).tolist()):
        side = (4, 8, 14)[k % 3]
        video[k, :, :, y : y + side, x : x + side] = 240
        flow[k, :, 1, y : y + side, x : x + side] = 2
    return Batch(index=torch.arange(n), inputs={"video": video, "flow": flow})


def test_stacks_of_flow_against_loops(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    box = torch.tensor([[8.0, 24.0, 16.0, -16.0]])
    monkeypatch.setattr(RgbFlow, "_windows", lambda self, areas, rng: box)
    flow = 0.5 * torch.randn(1, FIELDS, 2, 1, 1, generator=rng(1)).expand(1, FIELDS, 2, 32, 32).clone()
    flow[..., :16, :] = 0
    video = torch.zeros(1, FIELDS, 3, 32, 32, dtype=torch.uint8)
    backwards = set()
    for seed in range(8):
        made = task().pseudo_label(Batch(index=torch.arange(1), inputs={"video": video, "flow": flow}), rng(seed))
        is_reversed = bool(made.flows[0, 1, -1, 0] * flow[0, 0, 1, -1, 0] < 0)
        backwards.add(is_reversed)
        order = range(FIELDS - 1, -1, -1) if is_reversed else range(FIELDS)
        for place, t in enumerate(order):
            for c in (0, 1):
                lower = float(flow[0, t, c, -1, 0]) * (-1 if is_reversed else 1) * (-2 if c == 0 else 2)
                lower = max(-1.0, min(1.0, lower / (FLOW_BOUND * 32)))
                # Half of the window stands still: the mean is half of the lower half's value.
                assert float(made.flows[0, 2 * place + c, -1, 0]) == pytest.approx(FLOW_UNIT * lower / 2, abs=0.02)
    assert backwards == {True, False}


def drawn(n: int = 5) -> tuple[tuple[Tensor, Tensor], Example]:
    features = tuple(torch.nn.functional.normalize(torch.randn(n, 6, generator=rng(k)).relu(), dim=1) for k in (1, 2))
    empty = torch.zeros(n, 1)
    return (features[0], features[1]), Example(empty, empty, torch.tensor([0, 1, 1, 2, 3]))


@pytest.mark.parametrize("weight", [0.5, 0.8])
def test_loss_against_loops(task: Task, weight: float) -> None:
    (seen, moved), example = drawn()
    similarity, diversity, right = 0.0, 0.0, 0
    for i in range(5):
        similarity += float(seen[i] @ moved[i]) / 5
        others = [j for j in range(5) if example.video[j] != example.video[i]]
        for j in others:
            diversity += (float(seen[i] @ seen[j]) + float(moved[i] @ moved[j])) / 2 / len(others) / 5
        right += max(range(5), key=lambda j: float(seen[i] @ moved[j])) == i
    found = task(positive=weight).loss((seen, moved), example)
    assert float(found["loss"]) == pytest.approx(2 * ((1 - weight) * diversity - weight * similarity), abs=1e-6)
    assert float(found["accuracy"]) == pytest.approx(right / 5)


def test_a_batch_of_one_video_has_no_diversity(task: Task) -> None:
    (seen, moved), example = drawn()
    example.video = torch.zeros(5, dtype=torch.int64)
    assert float(task().loss((seen, moved), example)["similarity_of_others"]) == 0


def test_frame_and_flow_are_cut_independently(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    cut: dict[str, Tensor] = {}
    for name in ("degraded_crop", "flow_stacks"):
        original = getattr(rgb_flow, name)

        def keep(values: Tensor, boxes: Tensor, *args: Any, name: str, original: Any, **settings: Any) -> Any:
            cut[name] = boxes
            return original(values, boxes, *args, **settings)

        monkeypatch.setattr(rgb_flow, name, partial(keep, name=name, original=original))
    task().pseudo_label(moving(200, 1), rng())
    frames, flows = cut["degraded_crop"], cut["flow_stacks"]
    assert abs(float((frames[:, 3].sign() * flows[:, 3].sign()).mean())) < 3 / math.sqrt(200)
    for column in (0, 2):
        assert abs(float(torch.corrcoef(torch.stack([frames[:, column], flows[:, column]]))[0, 1])) < 0.2


def test_guard_bars_are_not_seen(task: Task) -> None:
    """Bars that stand still around noise, in half of the clips."""

    def clips(n: int, *, frames: int, side: int, seed: int) -> Tensor:
        found = border_clips(n, frames=frames, side=side, seed=seed, content="still", border="still")
        bare = border_clips(n, frames=frames, side=side, seed=seed, content="still", border="edge")
        return torch.where((torch.arange(n) % 2 == 0)[:, None, None, None, None], found, bare)

    assert_at_chance(task(ForensicEncoder()), clips, steps=12, rows=8, batches=12)


def test_it_learns_which_flow_a_frame_has(task: Task) -> None:
    """Three sizes of squares: 1 of 24 by chance, 1 of 8 where the size is known."""
    made = task(degrade=0.1, min_scale=0.9)
    fit(made, lambda step: moving(24, step), steps=50, lr=5e-3)
    assert judge(made, [moving(24, 900 + k) for k in range(8)]) > 1.8 / 24


def test_a_run_is_resumed_exactly(tmp_path: Path, write_video: Any) -> None:
    check_run(
        tmp_path,
        write_video,
        "rgb_flow",
        encoders={"flow_encoder": "timm:test_resnet"},
        task_settings={"frames": FIELDS, "width": 32},
    )


def test_a_longer_clip_than_its_frames_is_refused() -> None:
    with pytest.raises(ValueError, match=r"--task\.clip must be at most --task\.frames, got 12 and 10; lower"):
        Config(clip=12)
