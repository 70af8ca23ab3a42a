from __future__ import annotations

import contextlib
import io
from typing import Any, Literal

import numpy as np
import pytest
import torch

from selftaught.core.randomness import numpy_generator
from selftaught.evaluation.metrics.box_matches import Found, Matches, Truth, overlaps

K = 3


def scene(seed: int) -> list[tuple[Found, Truth]]:
    """Twelve images: boxes found near true ones, twice, of a wrong class or nowhere; some true ones to be ignored."""
    rng = numpy_generator("scene", seed)
    pictures = []
    for _ in range(12):
        count = int(rng.integers(0, 5))
        corners = rng.uniform(0, 60, (count, 2))
        boxes = np.concatenate([corners, corners + rng.uniform(8, 40, (count, 2))], 1)
        labels = rng.integers(0, K, count)
        truth = Truth(boxes=boxes, labels=labels, ignore=rng.random(count) < 0.3)
        near = np.repeat(boxes, 3, axis=0) + rng.normal(0, 3, (3 * count, 4))
        kinds = np.where(rng.random(3 * count) < 0.8, np.repeat(labels, 3), rng.integers(0, K, 3 * count))
        far = rng.uniform(0, 50, (3, 2))
        boxes = np.concatenate([near, np.concatenate([far, far + 20], 1)])
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
        kinds = np.concatenate([kinds, rng.integers(0, K, 3)])
        pictures.append((Found(boxes=boxes, scores=rng.random(len(boxes)), labels=kinds), truth))
    return pictures


def matched(pictures: list[tuple[Found, Truth]], rule: Any) -> Matches:
    matches = Matches(K, rule)
    for found, truth in pictures:
        matches.add(found, truth)
    return matches


def overlap(a: Any, b: Any) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    return float(shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared))


def voc_by_loops(pictures: list[tuple[Found, Truth]], label: int, *, is_2007: bool) -> float:
    """VOC's development kit, written from its description: all boxes of a class by falling score."""
    ranked = sorted(
        (-float(score), picture, i)
        for picture, (found, _) in enumerate(pictures)
        for i, score in enumerate(found.scores)
        if found.labels[i] == label
    )
    positives = sum(int(((t.labels == label) & ~t.ignore).sum()) for _, t in pictures)
    taken: set[tuple[int, int]] = set()
    curve = []
    hits = errors = 0
    for _, picture, i in ranked:
        found, truth = pictures[picture]
        best, best_j = 0.0, -1
        for j in range(len(truth.boxes)):
            if truth.labels[j] == label and overlap(found.boxes[i], truth.boxes[j]) > best:
                best, best_j = overlap(found.boxes[i], truth.boxes[j]), j
        if best >= 0.5 and truth.ignore[best_j]:
            continue
        if best >= 0.5 and (picture, best_j) not in taken:
            taken.add((picture, best_j))
            hits += 1
        else:
            errors += 1
        curve.append((hits / positives, hits / (hits + errors)))
    if is_2007:
        return sum(max([p for r, p in curve if r >= t / 10], default=0.0) for t in range(11)) / 11
    area, before = 0.0, 0.0
    for i, (recall, _) in enumerate(curve):
        area += (recall - before) * max(p for _, p in curve[i:])
        before = recall
    return area


@pytest.mark.parametrize("seed", range(6))
def test_vocs_rule_equals_loops(seed: int) -> None:
    pictures = scene(seed)
    matches = matched(pictures, "voc")
    for recalls, is_2007 in (("area", False), (11, True)):
        got = matches.average_precision(recalls)[:, 0]  # type: ignore[arg-type]
        expected = [100 * voc_by_loops(pictures, k, is_2007=is_2007) for k in range(K)]
        assert got.tolist() == pytest.approx(expected)
        assert 5 < matches.mean(recalls) < 95  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(6))
def test_cocos_rule_equals_pycocotools(seed: int) -> None:
    coco = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    pictures = scene(seed)
    with contextlib.redirect_stdout(io.StringIO()):
        data = coco.COCO()
        data.dataset = {
            "images": [{"id": i} for i in range(len(pictures))],
            "categories": [{"id": k} for k in range(K)],
            "annotations": [
                {"id": 1000 * i + j + 1, "image_id": i, "category_id": int(t.labels[j]), "bbox": as_coco(t.boxes[j])}
                | {"iscrowd": int(t.ignore[j]), "area": 1.0}
                for i, (_, t) in enumerate(pictures)
                for j in range(len(t.boxes))
            ],
        }
        data.createIndex()
        results = data.loadRes(
            [
                {"image_id": i, "category_id": int(f.labels[j]), "bbox": as_coco(f.boxes[j]), "score": f.scores[j]}
                for i, (f, _) in enumerate(pictures)
                for j in range(len(f.boxes))
            ]
        )
        judge = cocoeval.COCOeval(data, results, "bbox")
        judge.evaluate()
        judge.accumulate()
    theirs = judge.eval["precision"][:, :, :, 0, -1].mean(1).T
    ours = matched(pictures, "coco").average_precision(101)
    assert 100 * theirs == pytest.approx(ours, abs=1e-9)
    assert len(np.unique(ours)) > 10


def as_coco(box: Any) -> list[float]:
    return [float(box[0]), float(box[1]), float(box[2] - box[0]), float(box[3] - box[1])]


def test_cocos_metric_equals_torchmetrics() -> None:
    detection = pytest.importorskip("torchmetrics.detection", reason="torchmetrics is not installed")
    pytest.importorskip("pycocotools", reason="pycocotools is not installed")
    # Its own default thresholds are 32-bit numbers, by which a recall of 3/5 is none of 0.6.
    metric = detection.MeanAveragePrecision(
        iou_type="bbox",
        backend="pycocotools",
        iou_thresholds=np.linspace(0.5, 0.95, 10).tolist(),
        rec_thresholds=np.linspace(0, 1, 101).tolist(),
    )
    pictures = scene(11)
    for found, truth in pictures:
        metric.update(
            [
                {
                    "boxes": torch.tensor(found.boxes),
                    "scores": torch.tensor(found.scores),
                    "labels": torch.tensor(found.labels),
                }
            ],
            [
                {
                    "boxes": torch.tensor(truth.boxes).reshape(-1, 4),
                    "labels": torch.tensor(truth.labels),
                    "iscrowd": torch.tensor(truth.ignore.astype(np.int64)),
                }
            ],
        )
    theirs = metric.compute()
    matches = matched(pictures, "coco")
    ours = matches.average_precision(101)
    assert matches.mean(101) == pytest.approx(100 * float(theirs["map"]), abs=1e-4)
    assert ours[:, 0].mean() == pytest.approx(100 * float(theirs["map_50"]), abs=1e-4)
    assert ours[:, 5].mean() == pytest.approx(100 * float(theirs["map_75"]), abs=1e-4)


@pytest.mark.parametrize("rule", ["voc", "coco"])
def test_a_resampling_equals_the_images_themselves(rule: Any) -> None:
    pictures = scene(3)
    matches = matched(pictures, rule)
    rows = numpy_generator("rows").integers(0, len(pictures), len(pictures))
    assert len(set(rows.tolist())) < len(pictures)
    drawn = matched([pictures[row] for row in rows], rule)
    for recalls in ("area", 11, 101):
        np.testing.assert_allclose(
            matches.average_precision(recalls, rows),
            drawn.average_precision(recalls),
        )


@pytest.mark.parametrize("rule", ["voc", "coco"])
def test_all_found_is_100_and_nothing_found_is_0(rule: Any) -> None:
    pictures = scene(5)
    perfect = [(Found(boxes=t.boxes, scores=np.ones(len(t.boxes)), labels=t.labels), t) for _, t in pictures]
    nothing = [
        (Found(boxes=np.zeros((0, 4)), scores=np.zeros(0), labels=np.zeros(0, dtype=np.int64)), t) for _, t in pictures
    ]
    for recalls in ("area", 11, 101):
        assert matched(perfect, rule).mean(recalls) == pytest.approx(100)
        assert matched(nothing, rule).mean(recalls) == 0


def test_boxes_to_ignore_count_neither_for_nor_against() -> None:
    def one(boxes: list[list[float]], scores: list[float]) -> Found:
        return Found(boxes=np.array(boxes), scores=np.array(scores), labels=np.zeros(len(boxes), dtype=np.int64))

    truth = Truth(
        boxes=np.array([[0, 0, 10, 10], [20, 20, 60, 60]], dtype=float),
        labels=np.zeros(2, dtype=np.int64),
        ignore=np.array([False, True]),
    )
    sure_of_ignored = one([[20, 20, 60, 60], [0, 0, 10, 10]], [0.9, 0.5])
    inside_it = one([[25, 25, 35, 35], [0, 0, 10, 10]], [0.9, 0.5])
    for rule, found, expected in (
        ("voc", sure_of_ignored, 100),
        ("coco", sure_of_ignored, 100),
        ("coco", inside_it, 100),  # a crowd takes what lies in it
        ("voc", inside_it, 50),  # a difficult box does not
    ):
        assert matched([(found, truth)], rule).average_precision("area")[0, 0] == pytest.approx(expected)


def test_answers_are_the_boxes_that_count_with_their_image() -> None:
    pictures = scene(3)
    matches = matched(pictures, "voc")
    scores, right, labels, images = matches.answers()
    spared = sum(int(part[2][0].sum()) for parts in matches._parts for part in parts)
    assert len(scores) == sum(len(found.scores) for found, _ in pictures) - spared
    for score, label, image in zip(scores, labels, images, strict=True):
        found = pictures[image][0]
        assert found.labels[found.scores == score].tolist() == [label]
    for k in range(K):  # precision of all boxes of a class, as its curve ends
        assert right[labels == k].sum() == matches._by_score()[k][0][0].sum()


def test_a_class_without_boxes_is_no_part_of_the_mean() -> None:
    truth = Truth(boxes=np.array([[0.0, 0, 9, 9]]), labels=np.array([1]), ignore=np.array([False]))
    found = Found(boxes=np.array([[0.0, 0, 9, 9]] * 2), scores=np.array([0.5, 0.9]), labels=np.array([1, 2]))
    matches = matched([(found, truth)], "voc")
    assert matches.average_precision("area")[1, 0] == pytest.approx(100)
    assert np.isnan(matches.average_precision("area")[[0, 2], 0]).all()
    assert matches.mean("area") == pytest.approx(100)


@pytest.mark.parametrize("rule", ["voc", "coco"])
def test_a_class_that_a_draw_lacks_keeps_its_metric(rule: Literal["voc", "coco"]) -> None:
    """The first class is found in 19 images, the second, which is in one image, is not."""
    box = np.array([[0.0, 0, 9, 9]])
    pictures = []
    for label in [0] * 19 + [1]:
        truth = Truth(boxes=box, labels=np.array([label]), ignore=np.array([False]))
        pictures.append((Found(boxes=box, scores=np.array([0.9]), labels=np.array([0])), truth))
    matches = matched(pictures, rule)
    without = np.arange(20) % 19
    assert np.isnan(matches.average_precision("area", without)[1]).all()
    assert matches.mean("area") == pytest.approx(matches.average_precision("area")[0].mean() / 2)
    assert matches.resampled_means("area").max() <= 50 + 1e-9


def test_overlaps_equal_loops() -> None:
    (found, truth), *_ = [pair for pair in scene(1) if len(pair[1].boxes)]
    union, inside = overlaps(found.boxes, truth.boxes)
    for i, a in enumerate(found.boxes):
        for j, b in enumerate(truth.boxes):
            assert union[i, j] == pytest.approx(overlap(a, b))
            shared = overlap(a, np.array([max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])]))
            is_apart = min(a[2], b[2]) <= max(a[0], b[0]) or min(a[3], b[3]) <= max(a[1], b[1])
            assert inside[i, j] == pytest.approx(0 if is_apart else shared)
