"""Dense predictive coding: its recurrence and loss against loops, its guards, and learning where things move to."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from selftaught.data.inputs import Clip
from selftaught.encoders.base import Encoder
from selftaught.encoders.build import build_encoder
from selftaught.tasks.temporal import dense_prediction
from selftaught.tasks.temporal.dense_prediction import DensePrediction, Prediction
from tests.tasks.clip_guards import ForensicEncoder, assert_at_chance, border_clips, codec_clips, still_clips
from tests.tasks.clips import batch, check_run, crossings, fit, judge, rng

Config = DensePrediction.Config
Task = Callable[..., DensePrediction]


@pytest.fixture
def task(tiny_clip_encoder: Callable[[], Encoder]) -> Task:
    def make(**settings: Any) -> DensePrediction:
        own = {"frames": 2, "blocks": 4, "predicted": 2, "width": 8, "dropout": 0.0, **settings}
        return DensePrediction(tiny_clip_encoder(), Config(**own), 16)

    return make


def clips(n: int = 3, frames: int = 8) -> Tensor:
    return torch.randint(0, 256, (n, frames, 3, 24, 24), dtype=torch.uint8, generator=rng(1))


def test_blocks_are_stretches_of_the_clip_through_one_window(task: Task) -> None:
    made = task(degrade=0.0, grey=0.0)
    level = torch.arange(8).mul(20).add(40).to(torch.uint8)
    example = made.pseudo_label(batch(level[None, :, None, None, None].expand(2, 8, 3, 24, 24)), rng())
    assert example.blocks.shape == (2, 4, 3, 2, 16, 16)
    grey = torch.rand(1, 1, 1, 24, 24, generator=rng(2)).mul(60).add(90).to(torch.uint8)
    still = grey.expand(2, 8, 3, 24, 24)
    shape = made.pseudo_label(batch(still), rng()).blocks.mean(2)
    shape = shape - shape.mean((-1, -2), keepdim=True)
    unit = shape / shape.flatten(3).norm(dim=3)[..., None, None]
    first = unit[:, :1, :1]
    assert ((unit * first).sum((-1, -2)) > 0.9).all(), "frames differ in colour alone"
    assert DensePrediction.clip_for(Config(frames=3, stride=2)) == Clip(frames=3, stride=2)


def test_recurrence_against_loops(task: Task) -> None:
    made = task().eval()
    example = made.pseudo_label(batch(clips()), rng())
    gates, out = made.aggregate.gates, made.aggregate.out
    with torch.no_grad():
        found = made(example)
        for n in range(3):
            maps = [made.project(made.encoder.forward_features(block[None]).mean(2)) for block in example.blocks[n]]

            def go_on(x: Tensor, h: Tensor) -> Tensor:
                both = torch.cat([x, h], 1)
                u, r = torch.sigmoid(gates(both)).chunk(2, 1)
                o = torch.tanh(out(torch.cat([x, h * r], 1)))
                return (1 - u) * h + u * o

            state = torch.zeros_like(maps[0])
            for block in maps[:2]:
                state = go_on(block.clamp(min=0), state)
            first = made.predict(state)
            second = made.predict(go_on(first.clamp(min=0), state))
            for step, expected in enumerate((first, second)):
                assert torch.allclose(found.predicted[n, step], expected[0], atol=1e-5)
                assert torch.allclose(found.true[n, step], maps[2 + step][0], atol=1e-5)


def vectors(n: int = 2) -> Prediction:
    return Prediction(torch.randn(n, 2, 3, 2, 2, generator=rng(3)), torch.randn(n, 2, 3, 2, 2, generator=rng(4)))


def test_loss_against_loops(task: Task) -> None:
    """Equation 3 of the paper: each vector against all of the batch, of other clips, places and blocks."""
    given = vectors()
    places = [(n, p, y, x) for n in range(2) for p in range(2) for y in range(2) for x in range(2)]
    total, hits, in_time = 0.0, 0, 0
    for n, p, y, x in places:
        own = given.predicted[n, p, :, y, x]
        score = {other: float(own @ given.true[other[0], other[1], :, other[2], other[3]]) for other in places}
        total -= score[n, p, y, x] - math.log(sum(math.exp(value) for value in score.values()))
        hits += max(score, key=score.__getitem__) == (n, p, y, x)
        in_time += score[n, p, y, x] >= max(score[n, 0, y, x], score[n, 1, y, x])
    made = task()
    found = made.loss(given, made.pseudo_label(batch(clips()), rng()))
    assert float(found["loss"]) == pytest.approx(total / 16, rel=1e-5)
    assert float(found["accuracy"]) == pytest.approx(hits / 16)
    assert float(found["time_accuracy"]) == pytest.approx(in_time / 16)
    assert made.chance(8) == 1 / (8 * 2 * made.places)


def test_two_processes_see_the_negatives_of_one(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    made, given = task(), vectors(4)
    example = made.pseudo_label(batch(clips()), rng())
    whole = made.loss(given, example)
    everything = given.true.permute(0, 1, 3, 4, 2).flatten(0, 3)
    found = []
    for rank in range(2):
        monkeypatch.setattr(dense_prediction, "gather_rows", lambda rows: everything)
        monkeypatch.setattr(dense_prediction, "first_row", lambda rows, rank=rank: rank * len(rows))
        own = slice(2 * rank, 2 * rank + 2)
        found.append(made.loss(Prediction(given.predicted[own], given.true[own]), example))
    for name, value in whole.items():
        assert float(value) == pytest.approx(sum(float(one[name]) for one in found) / 2, rel=1e-5)


@pytest.mark.parametrize(
    "clips_of", [still_clips, partial(codec_clips, content="noise"), partial(border_clips, border="blink")]
)
def test_guard_where_nothing_moves_the_next_block_is_not_recognised(
    clips_of: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one repeated frame, also where the codec or the border changes: blocks at chance, by an encoder that sees
    brightness, sharpness, changes and borders."""
    made = DensePrediction(ForensicEncoder(3), Config(frames=3, blocks=4, width=16, dropout=0.0), 16)
    monkeypatch.setattr(made, "metric_name", lambda: "time_accuracy")
    monkeypatch.setattr(made, "chance", lambda rows: 1 / 2)
    assert_at_chance(made, clips_of)


def test_it_learns_where_things_move_to(task: Task) -> None:
    videos = crossings(range(120), frames=8)[0]
    made = task(grey=0.0, degrade=0.0, min_scale=0.9)
    fit(made, lambda step: batch(videos[24 * (step % 4) : 24 * (step % 4) + 24]), steps=30, lr=1e-2)
    fresh = [batch(videos[96:])] * 3
    assert judge(made, fresh) > 4 * made.chance(24)
    made.metric_name = lambda: "time_accuracy"  # type: ignore[method-assign]
    assert judge(made, fresh) > 0.55


def test_any_encoder_of_clips_is_taken(task: Task) -> None:
    """A sequence has one place."""
    made = DensePrediction(build_encoder("lstm:timm:test_resnet", size=32), Config(frames=2, width=8), 32)
    assert made.places == 1
    example = made.pseudo_label(batch(clips(2, 10)), rng())
    scalars = made.loss(made(example), example)
    scalars["loss"].backward()
    assert all(p.grad is not None for p in made.parameters())


def test_seen_and_next_blocks_are_shown(task: Task) -> None:
    made = task().eval()
    example = made.pseudo_label(batch(clips()), rng())
    with torch.no_grad():
        prediction = made(example)
    shown = made.show(example, Prediction(prediction.true, prediction.true), 2)
    assert len(shown) == 2
    assert isinstance(shown[0].pseudo_label, Tensor)
    assert shown[0].inputs[0].shape == shown[0].pseudo_label.shape == (4, 3, 16, 16)
    assert str(shown[0].prediction).endswith(f"of {2 * made.places} places found")


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match=r"--task\.predicted must be below --task\.blocks, .* got 5 of 5"):
        Config(predicted=5)


def test_a_run_is_resumed_exactly(tmp_path: Path, write_video: Any) -> None:
    own = {"frames": 2, "blocks": 3, "predicted": 1, "width": 8}
    check_run(tmp_path, write_video, "dense_prediction", encoder="mean:timm:test_resnet", task_settings=own)
