"""What the metrics of a run or comparison say, no stronger than they allow."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from selftaught.report import write_report
from tests.report.read_page import Folder, Page, changed


def test_the_answer_comes_first_with_its_metrics(tmp_path: Path, run_folder: Folder) -> None:
    target = write_report(run_folder(tmp_path / "run", best=63.1))
    assert target == tmp_path / "run" / "report.html"
    page = Page(target)
    better = "11.3 points (10.3 to 12.3) better than random weights in the linear probe"
    assert page.headings[0] == f"The features rotation learned are {better}."
    top = page.text[: page.text.index("What the features are worth")]
    for figure in (
        "63.1 %",
        "61.6 to 64.6 · at layer3",
        "+11.3 points",
        "10.3 to 12.3 · 51.8 % at layer1",
        "74.8 %",
        "chance 25.0 %",
        "9,469 samples",
        "3,925 test",
        "by bootstrap",
    ):
        assert figure in top


@pytest.mark.parametrize(
    ("best", "intervals", "headline"),
    [
        (49.0, True, "are 2.8 points (1.8 to 3.8) worse than random weights in the linear probe."),
        (52.5, True, "cannot be distinguished from random weights in the linear probe (+0.7 points, −0.3 to 1.7)."),
        (52.9, True, "are 1.1 points (0.1 to 2.1) better than random weights"),
        (52.9, False, "cannot be distinguished from random weights in the linear probe (+1.1 points, −1.1 to 3.3)."),
        (51.0, False, "cannot be distinguished from random weights in the linear probe (−0.8 points, −3.0 to 1.4)."),
    ],
)
def test_a_poor_result_is_called_so(
    tmp_path: Path, run_folder: Folder, best: float, intervals: bool, headline: str
) -> None:
    page = Page(write_report(run_folder(tmp_path / "run", best=best, intervals=intervals)))
    assert page.headings[0].startswith("The features rotation learned ")
    assert headline in page.headings[0]


def test_features_below_random_weights_of_a_short_run_are_explained(tmp_path: Path, run_folder: Folder) -> None:
    run = run_folder(tmp_path / "run", best=49.0)
    changed(run / "summary.json", steps=90, epochs=1.3)
    page = Page(write_report(run))
    assert page.headings[0].endswith(
        "worse than random weights in the linear probe: the run was probably too short, "
        "90 steps and 1.3 passes where about 400 steps and 2 passes are the least."
    )


@pytest.mark.parametrize(
    ("samples", "value", "chance", "headline"),
    [
        (4, 0.875, 0.5, "4 held-out samples are too few to show whether rotation was learned: 87.5 % accuracy"),
        (1, 1.0, 1.0, "1 held-out sample is too few to show whether rotation was learned"),
        (4, 1.0, 0.25, "rotation was learned: 100.0 % accuracy"),
        (40, 0.2, 0.25, "rotation has not been learned"),
    ],
)
def test_few_held_out_samples_prove_nothing(
    tmp_path: Path, run_folder: Folder, samples: int, value: float, chance: float, headline: str
) -> None:
    run = run_folder(tmp_path / "run")
    changed(run / "summary.json", heldout_samples=samples, value=value, chance=chance)
    for path in (run / "evaluations").iterdir():
        path.unlink()
    assert Page(write_report(run)).headings[0].startswith(headline)


def test_files_older_than_the_intervals_say_how_theirs_were_had(tmp_path: Path, run_folder: Folder) -> None:
    page = Page(write_report(run_folder(tmp_path / "run", intervals=False)))
    share, count = 0.631, 3925
    half = 196 * (share * (1 - share) / count) ** 0.5
    assert f"{63.1 - half:.1f} to {63.1 + half:.1f} · at layer3" in page.text
    assert "95 % of a binomial share over 3,925 test samples" in page.text
    assert page.figures[0]["data"][1]["error_y"]["array"][3] == pytest.approx(half, rel=1e-4)


def test_a_task_that_was_not_learned_is_called_so(tmp_path: Path, run_folder: Folder) -> None:
    run = run_folder(tmp_path / "run")
    changed(run / "summary.json", value=0.26)
    for path in (run / "evaluations").iterdir():
        path.unlink()
    page = Page(write_report(run))
    assert page.headings[0].startswith("rotation has not been learned: 26.0 % accuracy on held-out data")


def test_a_run_without_probe_says_what_it_knows(tmp_path: Path, run_folder: Folder) -> None:
    run = run_folder(tmp_path / "run")
    for path in (run / "evaluations").iterdir():
        path.unlink()
    (run / "summary.json").unlink()
    page = Page(write_report(run))
    assert page.headings[0].endswith("accuracy on held-out data so far.")
    assert "This run has not ended" in page.text


@pytest.mark.parametrize(
    ("bests", "headline"),
    [
        (
            {"rotation": 66.0, "simclr": 66.4, "jigsaw": 65.9, "counting": 60.0},
            "simclr comes first, but rotation and jigsaw cannot be distinguished from it on these data.",
        ),
        (
            {"a": 66.4, "b": 66.3, "c": 66.2, "d": 66.1, "e": 66.0},
            "a comes first, but b, c and 2 others cannot be distinguished from it on these data.",
        ),
        (
            {"rotation": 30.0, "simclr": 40.0},
            "No task beats random weights on these data at this budget; simclr comes nearest.",
        ),
        (
            {"simclr": 52.5},
            "simclr comes first, but no task clearly beats random weights on these data at this budget.",
        ),
    ],
)
def test_a_comparison_claims_no_more_than_it_found(
    tmp_path: Path, comparison_folder: Folder, bests: dict[str, float], headline: str
) -> None:
    assert Page(write_report(comparison_folder(tmp_path, bests))).headings[0] == headline


@pytest.mark.parametrize(
    ("bests", "given", "told"),
    [
        (
            {"rotation": 60.0, "simclr": 70.0},
            "rotation",
            r"The pretraining here \(simclr\) is 10.0 points.* better than the given weights rotation",
        ),
        (
            {"rotation": 60.0, "simclr": 70.0},
            "simclr",
            r"The pretraining here \(rotation\) is 10.0 points.* worse than the given weights simclr",
        ),
        (
            {"rotation": 66.0, "simclr": 66.4},
            "rotation",
            r"The pretraining here \(simclr\) cannot be distinguished from the given weights rotation",
        ),
    ],
)
def test_a_comparison_says_whether_pretraining_is_better_than_given_weights(
    tmp_path: Path, comparison_folder: Folder, bests: dict[str, float], given: str, told: str
) -> None:
    folder = comparison_folder(tmp_path, bests)
    assert "The pretraining here" not in Page(write_report(folder)).text
    found = json.loads((folder / "compare.json").read_text())
    found["rows"] = [row | ({"given": given} if row["task"] == given else {}) for row in found["rows"]]
    (folder / "compare.json").write_text(json.dumps(found))
    assert re.search(told, Page(write_report(folder)).text)


def test_without_labels_the_ranking_says_so(tmp_path: Path, comparison_folder: Folder) -> None:
    page = Page(write_report(comparison_folder(tmp_path, {"rotation": 61.2, "simclr": 66.4}, labelled=False)))
    assert page.headings[0] == "simclr looks best without labels."
    small = comparison_folder(tmp_path / "small", {"rotation": 61.2, "simclr": 66.4}, labelled=False)
    found = json.loads((small / "compare.json").read_text())
    found["rows"] = [row | {"label_free": None} for row in found["rows"]]
    (small / "compare.json").write_text(json.dumps(found))
    told = "The held-out part is too small to show without labels which task suits the data."
    assert Page(write_report(small)).headings[0] == told
    assert "ranked by label-free metrics" in page.text
    assert "selftaught compare photos --labelled LABELLED" in page.text
    assert "Accuracy by stage" not in page.headings


@pytest.mark.parametrize(
    ("gain", "words"),
    [
        (
            {"value": 20.0, "interval": [0.0, 60.0]},
            "comes first, but cannot be distinguished from random weights: +20.0",
        ),
        ({"value": 20.0, "interval": [1.0, 60.0]}, "gains most over random weights: +20.0"),
        ({"value": -5.0, "interval": [-9.0, -1.0]}, "comes nearest to random weights, which none beats: −5.0"),
    ],
)
def test_the_headline_of_a_folder_says_no_more_than_the_runs(
    tmp_path: Path, run_folder: Folder, gain: dict[str, object], words: str
) -> None:
    run = run_folder(tmp_path / "runs" / "a")
    changed(run / "evaluations" / "linear-0a1b2c.json", gain=gain)
    assert words in Page(write_report(tmp_path / "runs")).headings[0]
