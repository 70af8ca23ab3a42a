"""Contours: labels from ridges, the loss as loops, labels that the network guides, the guard, and runs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from selftaught.core.config import RunConfig
from selftaught.data.batch import Batch
from selftaught.data.computed.image_edges import ImageEdges
from selftaught.data.computed.motion_edges import MotionEdges
from selftaught.data.inputs import needs_of
from selftaught.encoders.base import Encoder
from selftaught.tasks.semantic.contour import Contour, Example, relative
from selftaught.training.train import train
from tests.data.computed.moving import shifting, texture, with_square
from tests.tasks.clips import check_halves, check_run, crossings, fit, judge, rng

Config = Contour.Config
Task = Callable[..., Contour]


@pytest.fixture
def task(tiny_encoder: Callable[[], Encoder]) -> Task:
    def make(**settings: Any) -> Contour:
        return Contour(tiny_encoder(), Config(**settings), 32)

    return make


def batch(frames: Tensor, edges: Tensor) -> Batch:
    """Frames (N, 3, H, W) and edges (N, H, W) of the task on videos."""
    inputs = {"frame": frames[:, None], "edges": edges[:, None, None]}
    return Batch(index=torch.arange(len(frames)), inputs=inputs)


def test_a_ridge_is_a_line_with_undecided_cells_around_it(task: Task) -> None:
    strength = torch.zeros(2, 16, 16)
    strength[0, 7:10] = torch.tensor([0.4, 0.8, 0.4])[:, None]
    strength[1, :, 5] = 0.3
    example = task(least=0.02).labelled(torch.zeros(2, 3, 32, 32), strength)
    rows = example.contours[0].tolist()
    assert rows[8] == [1] * 16
    for y in range(16):
        assert set(rows[y]) == ({1} if y == 8 else {255} if 5 <= y <= 11 else {0}), y
    assert 1 not in example.contours[1]  # above `weak` alone: undecided
    assert example.contours[1].tolist() == [[0] * 3 + [255] * 5 + [0] * 8] * 16
    assert example.counts.tolist() == [True, False]


def test_loss_and_accuracy_against_loops(task: Task) -> None:
    logits = torch.randn(4, 3, 5, 5, generator=rng(1))
    contours = torch.tensor([0, 1, 255], dtype=torch.uint8)[torch.randint(3, (4, 5, 5), generator=rng(2))]
    counts = torch.tensor([True, True, False, True])
    total, right = 0.0, {0: [], 1: []}  # type: ignore[var-annotated]
    for n in (0, 1, 3):
        for label in (0, 1):
            cells = [(y, x) for y in range(5) for x in range(5) if int(contours[n, y, x]) == label]
            chances = [[1 / (1 + math.exp(-float(logits[n, k, y, x]))) for y, x in cells] for k in range(3)]
            for own in chances:
                total += float(np.mean([-math.log(p if label else 1 - p) for p in own])) / 2
            right[label].append(np.mean([(p > 0.5) == bool(label) for p in chances[-1]]))
    found = task().loss(logits, Example(torch.zeros(4, 3, 10, 10), contours, counts))
    assert float(found["loss"]) == pytest.approx(total / 4, rel=1e-5)
    assert float(found["accuracy_contours"]) == pytest.approx(np.mean(right[1]))
    assert float(found["accuracy"]) == pytest.approx((np.mean(right[0]) + np.mean(right[1])) / 2)
    assert float(found["images_used"]) == 0.75


def test_two_processes_are_one(task: Task) -> None:
    contours = torch.tensor([0, 1, 255], dtype=torch.uint8)[torch.randint(3, (6, 16, 16), generator=rng(4))]
    images, counts = torch.randn(6, 3, 32, 32, generator=rng(5)), torch.arange(6) != 2
    parts = [Example(images[rows], contours[rows], counts[rows]) for rows in (slice(0, 3), slice(3, 6))]
    check_halves(task(), Example(images, contours, counts), parts)


def test_a_batch_in_which_no_image_counts_has_a_loss_of_0(task: Task) -> None:
    made = task()
    example = made.pseudo_label(batch(torch.zeros(2, 3, 32, 32, dtype=torch.uint8), torch.zeros(2, 32, 32)), rng())
    found = made.loss(made(example), example)
    found["loss"].backward()
    assert (float(found["loss"].detach()), float(found["accuracy"])) == (0, 0.5)


def squares(seeds: range) -> tuple[Tensor, Tensor]:
    """Frames with a moving square and a still one that looks otherwise, and ridges along the first one's border."""
    videos, masks = crossings(seeds, frames=6, side=32, square=10)
    _, others = crossings(range(seeds.start + 1000, seeds.stop + 1000), frames=6, side=32, square=10)
    frames = torch.where(others[:, 2].bool() & ~masks[:, 3].bool(), 200, videos[:, 3])
    mask = masks[:, 3].float()
    border = torch.nn.functional.max_pool2d(mask, 3, 1, 1) + torch.nn.functional.max_pool2d(-mask, 3, 1, 1)
    return frames, border[:, 0]


def test_it_learns_whose_contours_count(task: Task) -> None:
    """White squares move and grey ones, of the same size, do not; each has edges."""
    frames, edges = squares(range(90))
    made = task(min_scale=0.6, iterations=1)
    fit(made, lambda step: batch(frames[:64], edges[:64]), steps=30, lr=5e-3)
    assert judge(made, [batch(frames[64:], edges[64:])] * 3) > 0.85


def test_the_copy_takes_over_between_the_parts_of_the_run_alone(task: Task) -> None:
    made = task(iterations=3)
    assert made.guide is not None
    first = next(iter(made.guide.parameters())).clone()
    taken = []
    for step in range(9):
        with torch.no_grad():
            next(iter(made.encoder.parameters())).add_(1)
        made.after_step(step, 9)
        taken.append(not torch.equal(first, next(iter(made.guide.parameters()))))
        first = next(iter(made.guide.parameters())).clone()
    assert [step for step, is_new in enumerate(taken) if is_new] == [2, 5, 8]
    assert bool(made.guided)
    assert not any(p.requires_grad for p in made.guide.parameters())
    assert task(iterations=1).guide is None
    assert task(program="canny").guide is None


def test_held_out_frames_keep_the_labels_of_the_program(task: Task) -> None:
    frames, edges = squares(range(6))
    made, alone = task(), task(iterations=1)
    made.after_step(0, 2)
    assert bool(made.guided)
    given = batch(frames, edges)
    held_out, plain = (one.eval().pseudo_label(given, rng()).contours for one in (made, alone))
    assert torch.equal(held_out, plain)
    guided, plain = (one.train().pseudo_label(given, rng()).contours for one in (made, alone))
    assert not torch.equal(guided, plain)


def test_guided_edges_are_edges_of_the_flow_and_of_the_network(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two motion edges as strong, the one that the copy finds stays; what it finds where nothing moves does not."""
    made = task()
    found = torch.full((1, 16, 16), 0.3)
    found[:, :, 4] = found[:, :, 8] = 0.7
    monkeypatch.setattr(made, "_found_by_guide", lambda images: found)
    strength = torch.zeros(1, 16, 16)
    strength[:, :, 4] = strength[:, :, 12] = 0.5
    guided = made.guided_edges(torch.zeros(1, 3, 32, 32), strength)[0]
    assert bool((guided[:, 4] == 1).all())
    assert not guided[:, [8, 12]].any()


def test_relative_strength_does_not_depend_on_scale() -> None:
    edges = torch.rand(2, 8, 8, generator=rng(3))
    assert torch.allclose(relative(edges), relative(0.1 + 0.2 * edges), atol=1e-5)
    assert float(relative(edges).amax()) == 1
    assert not relative(torch.full((1, 4, 4), 0.3)).any()


def test_guard_contrast_alone_does_not_tell_motion_edges() -> None:
    """A texture in which a square of the same texture moves: where motion edges are, contrast is hardly higher."""
    frames, _ = with_square(shifting(2, 1, 0), 4, 0)
    motion = MotionEdges().run(frames)[0, ..., 0]
    contrast = ImageEdges().run(frames[:1])[0, ..., 0]
    edged = contrast > np.percentile(contrast, 95)
    assert (motion[edged] > 0.4).mean() < 0.35  # most of the strongest edges of the image are background


@pytest.mark.parametrize("program", ["canny", "gradient"])
def test_photos_are_enough_for_the_plain_programs(program: str) -> None:
    inputs = Contour.inputs(Config(program=program))  # type: ignore[arg-type]
    assert needs_of(inputs) == {"image"}
    assert needs_of(Contour.inputs(Config())) == {"video"}


def test_a_run_on_videos_shows_contours_and_is_resumed_exactly(tmp_path: Path, write_video: Any) -> None:
    def video(seed: int) -> np.ndarray:
        return with_square(shifting(6, 1, 0, height=96, width=96), 3, 0, side=36, top=20 + seed, left=15 + seed)[0]

    run = check_run(tmp_path, write_video, "contour", video=video, task_settings={"iterations": 3})
    samples = json.loads((run / "pictures" / "pictures.json").read_text())["samples"]
    assert all((run / "pictures" / one[part]).is_file() for one in samples for part in ("pseudo_label", "prediction"))


def test_a_run_on_photos(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for seed in range(8):
        Image.fromarray(texture(40, 48, seed).astype(np.uint8)).save(tmp_path / "photos" / f"{seed}.png")
    train(
        RunConfig.of(
            data=str(tmp_path / "photos"),
            out=str(tmp_path / "run"),
            task="contour",
            task_settings={"program": "canny"},
            encoder="timm:test_resnet",
            size=32,
            batch_size=4,
            steps=2,
        )
    )
    assert (tmp_path / "run" / "summary.json").is_file()


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match=r"--task\.weak must be at most --task\.strong, got 0\.5 and 0\.4"):
        Config(weak=0.5)
