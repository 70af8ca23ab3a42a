"""Moving objects: masks of crops, which frames and cells count, the guard, and learning what can move."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from selftaught.data.batch import Batch
from selftaught.data.computed.catalogue import make_program
from selftaught.data.inputs import Computed
from selftaught.encoders.base import Encoder
from selftaught.tasks.semantic import moving_object
from selftaught.tasks.semantic.moving_object import Example, MovingObject
from tests.data.computed.moving import shifting, with_square
from tests.tasks.clips import check_halves, check_run, crossings, fit, judge, rng

Config = MovingObject.Config
Task = Callable[..., MovingObject]


@pytest.fixture
def task(tiny_encoder: Callable[[], Encoder]) -> Task:
    def make(**settings: Any) -> MovingObject:
        return MovingObject(tiny_encoder(), Config(width=32, **settings), 32)

    return make


def batch(frames: Tensor, masks: Tensor) -> Batch:
    """Frames (N, 3, H, W) and masks (N, H, W), as clips of one frame."""
    return Batch(index=torch.arange(len(frames)), inputs={"frame": frames[:, None], "mask": masks[:, None, None]})


def whole_frames(n: int, height: int, width: int, rng: torch.Generator, **settings: Any) -> Tensor:
    return torch.tensor([0.0, 0.0, height, width]).expand(n, 4)


def test_labels_of_cells_against_loops(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving_object, "random_boxes", whole_frames)
    masks = torch.zeros(2, 32, 32, dtype=torch.uint8)
    masks[0, 3:17, 6:20] = 1
    masks[1, 20:, 1:10] = 1
    example = task(sure=0.7).pseudo_label(batch(torch.zeros(2, 3, 32, 32, dtype=torch.uint8), masks), rng())
    assert example.moving.shape == (2, 8, 8)
    weights = [1, 3, 5, 7, 7, 5, 3, 1]  # of the triangle that shrinks 4 pixels to 1, two beyond the cell on each side
    for n in range(2):
        for y in range(8):
            for x in range(8):
                total = moved = 0.0
                for i, wi in enumerate(weights):
                    for j, wj in enumerate(weights):
                        row, column = 4 * y - 2 + i, 4 * x - 2 + j
                        if 0 <= row < 32 and 0 <= column < 32:
                            total, moved = total + wi * wj, moved + wi * wj * int(masks[n, row, column])
                share = moved / total
                expected = 1 if share >= 0.7 else 0 if share <= 0.3 else 255
                assert int(example.moving[n, y, x]) == expected, (n, y, x, share)


def test_frames_in_which_nothing_or_nearly_all_moves_do_not_count(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving_object, "random_boxes", whole_frames)
    masks = torch.zeros(4, 32, 32, dtype=torch.uint8)
    masks[1, :, :12] = 1
    masks[2, :, :24] = 1
    masks[3] = 1
    example = task().pseudo_label(batch(torch.zeros(4, 3, 32, 32, dtype=torch.uint8), masks), rng())
    assert example.counts.tolist() == [False, True, False, False]


def test_the_mask_is_cut_as_its_frame_is(task: Task) -> None:
    """Frames that show their own mask: where a cell moves, its pixels are bright."""
    frames, masks = crossings(range(20), frames=3, side=32, square=14)
    shown = frames[:, 1] // 4 + 190 * masks[:, 1]
    example = task().pseudo_label(batch(shown, masks[:, 1, 0]), rng())
    bright = torch.nn.functional.avg_pool2d(example.images.mean(1), 4)
    assert float(bright[example.moving == 1].min()) > float(bright[example.moving == 0].max())


def drawn(n: int = 5) -> tuple[Tensor, Example]:
    moving = torch.tensor([0, 1, 255], dtype=torch.uint8)[torch.randint(3, (n, 8, 8), generator=rng(4))]
    counts = torch.arange(n) != 2
    return torch.randn(n, 8, 8, generator=rng(3)), Example(torch.zeros(n, 3, 32, 32), moving, counts)


@pytest.mark.parametrize("balanced", [True, False])
def test_loss_and_metrics_against_loops(task: Task, balanced: bool) -> None:
    logits, example = drawn()
    total, recalls, overlaps = 0.0, [], []
    for n in range(5):
        if not bool(example.counts[n]):
            continue
        errors: dict[int, list[float]] = {0: [], 1: []}
        hits: dict[int, list[bool]] = {0: [], 1: []}
        for logit, label in zip(logits[n].flatten().tolist(), example.moving[n].flatten().tolist(), strict=True):
            if label != 255:
                chance = 1 / (1 + math.exp(-logit))
                errors[label].append(-math.log(chance if label else 1 - chance))
                hits[label].append((chance > 0.5) == bool(label))
        both = float(np.mean(errors[0]) + np.mean(errors[1])) / 2
        total += both if balanced else float(np.mean(errors[0] + errors[1]))
        wrong, moving = len(hits[0]) - sum(hits[0]), len(hits[1])
        overlaps.append((sum(hits[1]) / (moving + wrong), moving / (moving + len(hits[0]))))
        recalls.append((np.mean(hits[1]), np.mean(hits[0])))
    found = task(balanced=balanced).loss(logits, example)
    assert float(found["loss"]) == pytest.approx(total / 5, rel=1e-5)
    assert float(found["iou"]) == pytest.approx(np.mean([one for one, _ in overlaps]))
    assert float(found["iou_all_moving"]) == pytest.approx(np.mean([every for _, every in overlaps]))
    assert float(found["accuracy_moving"]) == pytest.approx(np.mean([moving for moving, _ in recalls]))
    assert float(found["accuracy"]) == pytest.approx(np.mean(recalls))
    assert float(found["frames_used"]) == pytest.approx(0.8)


def test_pixels_that_a_program_leaves_open_are_of_no_cell(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving_object, "random_boxes", whole_frames)
    masks = torch.zeros(1, 32, 32, dtype=torch.uint8)
    masks[0, :, 12:20] = 1
    masks[0, :, 20:] = 255
    example = task().pseudo_label(batch(torch.zeros(1, 3, 32, 32, dtype=torch.uint8), masks), rng())
    assert example.moving[0, 4].tolist() == [0, 0, 0, 1, 1, 255, 255, 255]
    assert example.counts.tolist() == [True]


def test_annotated_masks_are_scored_and_never_learned_from(task: Task) -> None:
    """Two truths, one of them the opposite of the other: the same labels, loss and gradient, other scores."""
    frames, masks = crossings(range(4), frames=3, side=32, square=14)
    outcomes = []
    for truth in (masks[:, 1], 1 - masks[:, 1]):
        made = task(program="flow", truth="moving", min_scale=0.9)
        torch.manual_seed(0)
        for parameter in made.parameters():
            torch.nn.init.normal_(parameter, std=0.05)
        given = batch(frames[:, 1], masks[:, 1, 0])
        example = made.pseudo_label(replace(given, inputs={**given.inputs, "truth": truth}), rng())
        found = made.eval().loss(made(example), example)
        found["loss"].backward()
        gradient = torch.cat([p.grad.reshape(-1) for p in made.parameters() if p.grad is not None])
        outcomes.append((example.moving, found, gradient))
    (moving, first, gradient), (others, second, other_gradient) = outcomes
    assert torch.equal(moving, others)
    assert torch.equal(gradient, other_gradient)
    assert torch.equal(first["loss"], second["loss"])
    assert float(first["truth_iou_all_moving"]) == pytest.approx(float(first["iou_all_moving"]), abs=0.01)
    assert float(second["truth_iou_all_moving"]) == pytest.approx(1 - float(first["iou_all_moving"]), abs=0.05)
    assert set(task().inputs(Config())) == {"frame", "mask"}
    assert task().inputs(Config(truth="moving"))["mask"] == task().inputs(Config())["mask"]


@pytest.mark.parametrize(("setting", "program"), [("unlc", "unlc"), ("videopca", "video_pca"), ("flow", "moving_mask")])
def test_programs_are_there(setting: str, program: str) -> None:
    asked = MovingObject.inputs(Config(program=setting))["mask"]  # type: ignore[arg-type]
    assert isinstance(asked, Computed)
    assert make_program(asked).name == program


def test_a_batch_in_which_no_frame_counts_has_a_loss_of_0(task: Task) -> None:
    logits, example = drawn()
    example.counts[:] = False
    found = task().loss(logits.requires_grad_(), example)
    found["loss"].backward()
    assert (float(found["loss"].detach()), float(found["accuracy"])) == (0, 0.5)
    assert not logits.grad.any()  # type: ignore[union-attr]


def test_two_processes_are_one(task: Task) -> None:
    made = task()
    _, whole = drawn(6)
    whole.images = torch.randn(6, 3, 32, 32, generator=rng(5))
    parts = [Example(whole.images[rows], whole.moving[rows], whole.counts[rows]) for rows in (slice(0, 3), slice(3, 6))]
    check_halves(made, whole, parts)


def mean_mask_accuracy(example: Example) -> float:
    """Of the mean mask of half of the frames as the prediction for the other half."""
    known = (example.moving == 1).float().mean(0)
    found = (known > known.mean()).expand(len(example.moving), -1, -1)
    return float((found[example.moving == 1].float().mean() + (~found[example.moving == 0]).float().mean()) / 2)


def test_guard_the_place_of_motion_says_less(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects in the middle of every frame: the mean mask alone would be right in 97 % of the cells."""
    masks = torch.zeros(400, 32, 32, dtype=torch.uint8)
    for n, (y, x) in enumerate(torch.randint(10, 14, (400, 2), generator=rng(6)).tolist()):
        masks[n, y : y + 10, x : x + 10] = 1
    given = batch(torch.zeros(400, 3, 32, 32, dtype=torch.uint8), masks)
    guarded = mean_mask_accuracy(task().pseudo_label(given, rng()))
    monkeypatch.setattr(moving_object, "random_boxes", whole_frames)
    bare = mean_mask_accuracy(task().pseudo_label(given, rng()))
    assert bare > 0.9
    assert guarded < 0.8


def test_it_learns_which_of_two_squares_can_move(task: Task) -> None:
    """White squares move and grey ones, of the same size, do not."""
    videos, masks = crossings(range(120), frames=6, side=32, square=10)
    _, others = crossings(range(1000, 1120), frames=6, side=32, square=10)
    frames = torch.where(others[:, 2].bool() & ~masks[:, 3].bool(), 200, videos[:, 3])
    made = task(min_scale=0.6)
    fit(made, lambda step: batch(frames[:100], masks[:100, 3, 0]), steps=40, lr=5e-3)
    assert judge(made, [batch(frames[100:], masks[100:, 3, 0])] * 4) > 0.85


def test_a_run_computes_its_masks_shows_them_and_is_resumed_exactly(tmp_path: Path, write_video: Any) -> None:
    def video(seed: int) -> np.ndarray:
        ground = shifting(6, 1, 0, height=96, width=96)
        return with_square(ground, 3, 0, side=36, top=20 + seed, left=15 + seed)[0]

    run = check_run(
        tmp_path, write_video, "moving_object", video=video, task_settings={"min_scale": 1.0, "program": "flow"}
    )
    rows = list(csv.DictReader((run / "heldout.csv").read_text().splitlines()))
    assert rows[-1]["frames_used"] == "1.0"
    samples = json.loads((run / "pictures" / "pictures.json").read_text())["samples"]
    colours = set()
    for sample in samples:
        drawn_mask = Image.open(run / "pictures" / sample["pseudo_label"]).convert("RGB")
        colours |= {tuple(colour) for colour in np.asarray(drawn_mask).reshape(-1, 3).tolist()}
    assert {(0, 0, 0), (128, 0, 0)} <= colours <= {(0, 0, 0), (128, 0, 0), (255, 255, 255)}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sure": 0.5}, r"--task\.sure must be in \(0\.5, 1\]"),
        ({"least": 0.6}, r"--task\.least must be below --task\.most, got 0\.6 and 0\.5"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Config(**settings)
