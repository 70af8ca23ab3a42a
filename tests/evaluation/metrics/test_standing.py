from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selftaught.evaluation.metrics.intervals import bootstrap, unpaired
from selftaught.evaluation.metrics.standing import judged_in, standing, with_standings

RNG = np.random.default_rng(0)
HARDNESS = RNG.random(2000)


def outcomes(skill: float) -> np.ndarray:
    """Encoders that are right on nested sets of samples: what one knows, a better one knows too."""
    return (100.0 * (skill > HARDNESS)).astype(np.float32)


def evaluation(values: np.ndarray, name: str = "linear-0a1b2c3d.json") -> dict[str, Any]:
    return {"value": round(float(values.mean()), 3), "interval": list(bootstrap(values)), "file": name}


def test_on_the_same_samples_a_small_difference_is_found_that_the_two_intervals_hide() -> None:
    first, second = outcomes(0.60), outcomes(0.585)
    best, other = evaluation(first), evaluation(second)
    paired = standing(best, other, best_judged={"encoder": first}, judged={"encoder": second})
    apart = standing(best, other, best_judged={}, judged={})
    assert paired["behind"]["value"] == apart["behind"]["value"] == round(best["value"] - other["value"], 3)
    assert (paired["behind"]["paired"], apart["behind"]["paired"]) == (True, False)
    assert (paired["distinguishable"], apart["distinguishable"]) == (True, False)
    low, high = paired["behind"]["interval"]
    assert 0 < low < paired["behind"]["value"] < high


def test_resampled_metrics_are_paired_draw_by_draw() -> None:
    draws = RNG.normal(40.0, 3.0, 200)
    best, other = {"value": 41.0, "interval": [35.0, 47.0]}, {"value": 40.0, "interval": [34.0, 46.0]}
    kept = {"best_judged": {"encoder_resampled": draws + 1.0}, "judged": {"encoder_resampled": draws}}
    found = standing(best, other, **kept)
    assert found["behind"] == {"value": 1.0, "interval": [1.0, 1.0], "paired": True}
    assert found["distinguishable"] is True


def test_without_intervals_nothing_is_claimed() -> None:
    found = standing({"value": 41.0}, {"value": 40.0, "interval": [39.0, 41.0]}, best_judged={}, judged={})
    assert found == {"behind": {"value": 1.0, "interval": None, "paired": False}, "distinguishable": None}


def test_the_unpaired_interval_is_that_of_two_normal_metrics() -> None:
    first, second = RNG.normal(3.0, 2.0, 200_000), RNG.normal(1.0, 1.5, 200_000)
    ends = [np.quantile(values, [0.025, 0.975]) for values in (first, second)]
    expected = np.quantile(first - second, [0.025, 0.975])
    assert unpaired(3.0, ends[0].tolist(), 1.0, ends[1].tolist()) == pytest.approx(expected, abs=0.05)


def test_a_damaged_file_is_one_sentence_that_names_it(tmp_path: Path) -> None:
    file = tmp_path / "evaluations" / "linear-0a.npz"
    file.parent.mkdir()
    np.savez(file, encoder=np.ones(100))
    assert judged_in(tmp_path, {"file": "linear-0a.json"})["encoder"].tolist() == [1] * 100
    file.write_bytes(file.read_bytes()[:-90])
    with pytest.raises(ValueError, match=r"linear-0a\.npz is damaged \(.*\); evaluate the run again"):
        judged_in(tmp_path, {"file": "linear-0a.json"})


def test_rows_are_read_from_the_files_beside_the_json(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = []
    for task, threshold in (("a", 0.7), ("b", 0.69), ("c", 0.5)):
        values = outcomes(threshold)
        folder = tmp_path / task / "evaluations"
        folder.mkdir(parents=True)
        np.savez_compressed(folder / "linear-0a1b2c3d.npz", encoder=values, random=values)
        rows.append({"task": task, "run": task, "probe": evaluation(values), "label_free": None})
    found = with_standings(rows, tmp_path)
    assert [row["distinguishable"] for row in found] == [None, True, True]
    assert found[0]["behind"] is None
    assert found[1]["behind"]["paired"]
    assert found[2]["behind"]["value"] == pytest.approx(20.0, abs=2.0)
    assert "behind" not in rows[0], "the rows given stay as they were"
    assert judged_in(tmp_path / "absent", rows[0]["probe"]) == {}


def test_tasks_ranked_without_labels_are_listed_by_their_label_free_metric(tmp_path: Path) -> None:
    figures = ({"value": 40.0, "interval": [38.0, 42.0]}, {"value": 39.0, "interval": [37.0, 41.0]}, None)
    rows = [{"task": str(i), "run": str(i), "probe": None, "label_free": value} for i, value in enumerate(figures)]
    assert [row["distinguishable"] for row in with_standings(rows, tmp_path)] == [None, False, None]
