"""evaluate, compare, embed and search on one small run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from selftaught.data.sources.synthetic import draw
from selftaught.data.store.subset import balanced_rows
from selftaught.evaluation.data.labelled import Labelled
from selftaught.evaluation.evaluate import evaluate_encoder
from selftaught.evaluation.probes.knn import KNearest
from selftaught.evaluation.subject import open_subject
from tests.evaluation.small_run import DATA, evaluate_run


def test_linear_names_every_stage_beside_random_weights(run: Path) -> None:
    result = evaluate_run(run, DATA, settings={"dims": 200})
    assert list(result["stages"]) == ["act1", "layer1", "layer2", "layer3", "layer4"]
    assert list(result["random"]["stages"]) == list(result["stages"])
    assert result["value"] == max(result["stages"].values()) == result["stages"][result["stage"]]
    assert result["stages"] != result["random"]["stages"]
    assert result["chance"] == 20.0
    saved = next((run / "evaluations").glob("linear-*.json"))
    assert json.loads(saved.read_text()) == result


def test_random_metrics_are_the_same_with_and_without_the_cache(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = evaluate_run(run, DATA, probe="knn")["random"]
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path))
    assert evaluate_run(run, DATA, probe="knn")["random"] == cached


def test_fraction_is_balanced_and_seeded(run: Path) -> None:
    labels = np.array([0] * 50 + [1] * 10 + [-1] * 5)
    rows = balanced_rows(labels, 0.2, None, seed=0)
    assert (labels[rows] == 0).sum() == 10
    assert (labels[rows] == 1).sum() == 2
    assert np.array_equal(rows, balanced_rows(labels, 0.2, None, seed=0))
    assert not np.array_equal(rows, balanced_rows(labels, 0.2, None, seed=1))
    result = evaluate_run(run, DATA, probe="knn", fractions=[0.1])
    assert result["train_samples"] < 30
    with pytest.raises(ValueError, match=r"--fraction must be in \(0, 1\], got 0"):
        evaluate_run(run, DATA, fractions=[0])


def test_shares_are_of_the_labels_that_the_limit_leaves(run: Path) -> None:
    labels = np.array([0] * 60 + [1] * 20)
    rows = balanced_rows(labels, 0.25, 40, seed=0)
    assert np.bincount(labels[rows]).tolist() == [8, 2]
    result = evaluate_run(run, DATA, probe="knn", fractions=[0.1, 0.5, 1.0], limit=100, draws=2)
    assert result["limit"] == 100
    assert result["train_samples"] == pytest.approx(100, abs=2), "every class is rounded"
    for row in result["few_labels"]:
        assert row["train_samples"] == pytest.approx(row["fraction"] * 100, abs=2)
    assert evaluate_run(run, DATA, probe="knn", limit=1000)["limit"] is None
    with pytest.raises(ValueError, match="--limit must be at least 1, got 0"):
        evaluate_run(run, DATA, limit=0)


def test_chance_is_computed_once_for_each_share_and_draw(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def chance(_: KNearest, data: Labelled) -> float:
        asked.append(data.train_samples)
        return 20.0

    monkeypatch.setattr(KNearest, "chance", chance)
    result = evaluate_run(run, DATA, probe="knn", fractions=[0.5, 1.0], draws=2, folds=1)
    drawn = [row["train_samples"] for row in result["few_labels"]]
    assert sorted(asked) == [drawn[0], drawn[0], drawn[1]]


def test_metrics_say_where_they_are(run: Path, tmp_path: Path) -> None:
    for folder, subject in ((run, open_subject(run)), (tmp_path, open_subject(run, out=tmp_path))):
        result = evaluate_encoder(subject, DATA, probe="knn")
        assert result["folder"] == str(folder)
        assert json.loads((folder / "evaluations" / result["file"]).read_text()) == result


def test_data_without_labels_are_refused(run: Path, tmp_path: Path) -> None:
    for number in range(4):
        Image.fromarray(draw(number, side=32)).save(tmp_path / f"{number}.png")
    with pytest.raises(ValueError, match="label"):
        evaluate_run(run, str(tmp_path))
