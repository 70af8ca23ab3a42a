from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from scipy import stats

from selftaught import api
from selftaught.cli import main as cli
from selftaught.core.randomness import numpy_generator
from selftaught.evaluation.rank_agreement import BETTER, agreement, correlation, folder_agreement, rank_agreement


def points(worth: list[float], **figures: list[float | None]) -> list[dict[str, Any]]:
    return [
        {"run": str(i), "probe": value, "figures": {name: values[i] for name, values in figures.items()}}
        for i, value in enumerate(worth)
    ]


def row_of(agreement: dict[str, Any], figure: str) -> dict[str, Any]:
    return next(row for row in agreement["rows"] if row["figure"] == figure)


@pytest.mark.parametrize("kind", ["spearman", "kendall"])
def test_coefficients_are_scipys_with_and_without_ties(kind: Literal["spearman", "kendall"]) -> None:
    rng = numpy_generator("coefficients")
    theirs = stats.spearmanr if kind == "spearman" else stats.kendalltau
    for x, y in ((rng.normal(size=12), rng.normal(size=12)), (rng.integers(0, 4, 15), rng.integers(0, 3, 15))):
        assert correlation(x, y, kind) == pytest.approx(float(theirs(x, y).statistic), abs=1e-12)
    assert math.isnan(correlation([1.0, 1.0, 1.0], [1.0, 2.0, 3.0], kind))


def test_p_values_are_those_of_all_orders_counted_in_a_loop() -> None:
    figure, worth = [3.0, 1.0, 4.0, 1.5, 9.0, 2.0], [30.0, 20.0, 50.0, 40.0, 60.0, 10.0]
    row = row_of(rank_agreement(points(worth, rankme=[*figure])), "rankme")
    rho, tau = stats.spearmanr(figure, worth).statistic, stats.kendalltau(figure, worth)
    orders = list(itertools.permutations(worth))
    far = sum(abs(stats.spearmanr(figure, order).statistic) >= abs(rho) - 1e-9 for order in orders)
    assert row["spearman"] == pytest.approx(rho, abs=1e-3)
    assert row["p"] == pytest.approx(far / len(orders))
    assert row["kendall"] == pytest.approx(tau.statistic, abs=1e-3)
    assert row["p_kendall"] == pytest.approx(tau.pvalue)  # exact, as SciPy's is for few samples without ties


def test_p_values_of_tied_runs_count_orders_as_far_to_either_side() -> None:
    figure, worth = [1.0, 1.0, 2.0, 3.0, 3.0], [1.0, 2.0, 2.0, 2.0, 5.0]
    row = row_of(rank_agreement(points(worth, rankme=[*figure])), "rankme")
    for kind, p in (("spearman", row["p"]), ("kendall", row["p_kendall"])):
        found = [correlation(figure, order, kind) for order in itertools.permutations(worth)]  # type: ignore[arg-type]
        far = [abs(value) >= abs(row[kind]) - 1e-3 for value in found]
        assert p == pytest.approx(sum(far) / len(found))


def test_p_values_of_many_runs_are_near_those_of_scipy() -> None:
    rng = numpy_generator("many runs")
    worth = rng.normal(size=25)
    figure = 0.5 * worth + rng.normal(size=25)
    row = row_of(rank_agreement(points(worth.tolist(), lidar=figure.tolist())), "lidar")
    assert row["p"] == pytest.approx(float(stats.spearmanr(figure, worth).pvalue), abs=0.01)
    assert row["p_kendall"] == pytest.approx(float(stats.kendalltau(figure, worth).pvalue), abs=0.01)
    low, high = row["interval"]
    assert low < row["spearman"] < high
    assert rank_agreement(points(worth.tolist(), lidar=figure.tolist()))["rows"] == [row]


def test_each_metric_is_read_as_by_its_authors() -> None:
    worth = [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0]
    rising: list[float | None] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    falling: list[float | None] = [-value for value in rising if value is not None]
    near: list[float | None] = [2.2, 0.1, 1.8, 0.5, 1.3, 0.9, 1.05]  # ever nearer to 1, from both sides
    found = rank_agreement(
        points(
            worth,
            rankme=rising,
            lidar=rising,
            feature_std=rising,
            alignment=falling,
            uniformity=falling,
            alpha_req=near,
            unheard_of=rising,
        )
    )
    assert [row["figure"] for row in found["rows"]] == list(BETTER)
    for row in found["rows"]:
        assert row["spearman"] == row["kendall"] == 1.0
        assert row["verdict"] == "agrees"
        assert row["p_holm"] == pytest.approx(6 * 2 / math.factorial(7))  # equal p: all corrected by their number
    against = rank_agreement(points(worth, rankme=falling))
    assert row_of(against, "rankme")["verdict"] == "disagrees"


def test_holm_corrects_the_smallest_most() -> None:
    worth = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    swapped = [2.0, 1.0, 4.0, 3.0, 6.0, 5.0, 7.0]
    found = rank_agreement(points(worth, rankme=[*worth], lidar=[*swapped], alignment=[*worth]))
    by_p = sorted(found["rows"], key=lambda row: row["p"])
    largest = 0.0
    for place, row in enumerate(by_p):
        largest = max(largest, min(1.0, (3 - place) * row["p"]))
        assert row["p_holm"] == pytest.approx(largest)


def test_few_runs_are_said_to_be_too_few() -> None:
    figures = {name: [1.0, 2.0, 3.0, 4.0] for name in BETTER}
    found = rank_agreement(points([1.0, 2.0, 3.0, 4.0], **figures))  # type: ignore[arg-type]
    assert {row["verdict"] for row in found["rows"]} == {"cannot tell"}
    assert row_of(found, "rankme")["spearman"] == 1.0  # shown all the same
    assert row_of(found, "rankme")["interval"] is None
    assert "4 runs are too few" in found["note"]
    assert "at least 6 are needed" in found["note"]  # 6 metrics x 2 / 6! is below 0.05, 6 x 2 / 5! is not
    six = rank_agreement(points([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], rankme=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
    assert "too few" not in six["note"]


def test_a_run_without_a_metric_is_left_out_of_that_metric_only() -> None:
    found = rank_agreement(points([1.0, 2.0, 3.0], rankme=[1.0, None, 3.0], alignment=[3.0, 2.0, math.nan]))
    assert row_of(found, "rankme")["runs"] == 2
    assert row_of(found, "alignment")["runs"] == 2
    assert found["runs"] == 3
    constant = rank_agreement(points([1.0, 2.0, 3.0], rankme=[5.0, 5.0, 5.0]))
    assert row_of(constant, "rankme")["spearman"] is None
    assert row_of(constant, "rankme")["verdict"] == "cannot tell"
    json.dumps(constant, allow_nan=False)


def write(run: Path, name: str, value: float, **figures: float) -> None:
    (run / "evaluations").mkdir(parents=True, exist_ok=True)
    (run / "config.json").write_text("{}")
    found = {"probe": name.split("-")[0], "metric": "top1", "labelled": f"data of {name}", "value": value}
    found |= {"more": {"figures": {figure: {"value": v, "interval": None} for figure, v in figures.items()}}}
    (run / "evaluations" / f"{name}.json").write_text(json.dumps(found))


def test_a_folder_of_runs_is_read_in_the_way_most_runs_were_measured(tmp_path: Path) -> None:
    for number in range(3):
        run = tmp_path / f"run{number}"
        write(run, "linear-aaaaaaaa", 10.0 * number)
        write(run, "linear-0.01-aaaaaaaa", -50.0 * number)  # a share of the labels
        write(run, "label_free-cccccccc", 1.0, rankme=float(number), lidar=5.0 - number)
    write(tmp_path / "run0", "linear-bbbbbbbb", 99.0)  # other settings, of one run only
    write(tmp_path / "run3", "linear-aaaaaaaa", 70.0)  # not described
    found = folder_agreement(tmp_path)
    assert [(p["run"], p["probe"]) for p in found["points"]] == [("run0", 0.0), ("run1", 10.0), ("run2", 20.0)]
    assert row_of(found, "rankme")["spearman"] == 1.0
    assert row_of(found, "lidar")["spearman"] == -1.0
    assert (found["labelled"], found["unlabelled"]) == ("data of linear-aaaaaaaa", "data of label_free-cccccccc")
    with pytest.raises(ValueError, match=r"no two runs .* by knn and by label_free"):
        folder_agreement(tmp_path, probe="knn")


def test_what_cannot_rank_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"unknown probe 'liner'; did you mean linear\? Known: .*svm"):
        folder_agreement(tmp_path, probe="liner")
    with pytest.raises(ValueError, match=r"--by label_free measures no use of the features"):
        folder_agreement(tmp_path, probe="label_free")


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "{}", '{"value": 1, "more": 3}'])
def test_a_damaged_evaluation_is_one_sentence(tmp_path: Path, text: str) -> None:
    for number in range(2):
        write(tmp_path / f"run{number}", "linear-aaaaaaaa", 1.0)
        write(tmp_path / f"run{number}", "label_free-cccccccc", 1.0, rankme=1.0)
    (tmp_path / "run1" / "evaluations" / "label_free-cccccccc.json").write_text(text)
    with pytest.raises(ValueError, match=r"(label_free-cccccccc.json|an evaluation in .*) is damaged"):
        folder_agreement(tmp_path)


def test_a_file_of_somebody_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "label_free_agreement.json").write_text('{"mine": 1}')
    with pytest.raises(ValueError, match=r"label_free_agreement.json was not written by selftaught; move it elsewhere"):
        api.agreement(tmp_path)


def test_the_last_stage_is_asked_too_where_an_earlier_one_was_better() -> None:
    figures = [{"rankme": {"value": float(i), "interval": None}} for i in range(3)]
    described = {str(i): {"labelled": "u", "more": {"figures": figures[i]}} for i in range(3)}
    base = {"probe": "linear", "metric": "top1", "labelled": "l"}
    measured = {str(i): base | {"value": 50.0, "stages": {"conv1": 50.0, "layer4": 10.0 * i}} for i in range(3)}
    found = agreement(measured, described)
    assert row_of(found, "rankme")["spearman"] is None  # all runs are alike at their best stage
    assert row_of(found["last_stage"], "rankme")["spearman"] == 1.0
    one_stage = {run: result | {"stages": {"pooled": 50.0}} for run, result in measured.items()}
    assert agreement(one_stage, described)["last_stage"] is None


def test_the_verb_prints_a_row_per_metric_and_saves_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        write(tmp_path / f"run{number}", "knn-aaaaaaaa", 10.0 * number)
        write(tmp_path / f"run{number}", "label_free-cccccccc", 1.0, rankme=float(number), alignment=1.0 * number)
    assert cli.main(["agreement", str(tmp_path), "--by", "knn"]) == 0
    printed = capsys.readouterr().out
    assert [word for word in ("rankme", "alignment", "near", "lower", "cannot tell") if word in printed] == [
        *("rankme", "alignment", "lower", "cannot tell")
    ]
    kept = json.loads((tmp_path / "label_free_agreement.json").read_text())
    assert kept["note"] in printed
    assert kept == folder_agreement(tmp_path, probe="knn")


def test_correlation_of_arrays_and_lists_is_the_same() -> None:
    assert correlation(np.array([1.0, 3.0, 2.0]), np.array([2.0, 1.0, 3.0]), "spearman") == -0.5
