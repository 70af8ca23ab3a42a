from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from selftaught.report import write_report
from tests.report import made_evaluations as made

Folder = Callable[..., Path]
MEGABYTE = 1_000_000


class Page(HTMLParser):
    """What a browser would find: visible text, scripts, addresses and the figures' JSON."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.text = ""
        self.scripts: list[str] = []
        self.addresses: list[str] = []
        self.headings: list[str] = []
        self.figures: list[dict[str, Any]] = []
        self.copies: list[str] = []
        self._in: list[tuple[str, dict[str, str | None]]] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag in ("script", "style", "template", "h1", "h2", "h3"):
            self._in.append((tag, values))

    def handle_endtag(self, tag: str) -> None:
        if self._in and self._in[-1][0] == tag:
            self._in.pop()

    def handle_data(self, data: str) -> None:
        tag, values = self._in[-1] if self._in else ("", {})
        if tag == "script" and values.get("type") == "application/json":
            self.figures.append(json.loads(data))
        elif tag == "script":
            self.scripts.append(data)
        elif tag == "template":
            self.copies.append(data)
        elif tag != "style":
            self.text += f" {data}"
            self.headings += [data] if tag else []


def changed(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_the_answer_comes_first_with_its_figures(tmp_path: Path, run_folder: Folder) -> None:
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
        (52.5, True, "cannot be told apart from random weights in the linear probe (+0.7 points, −0.3 to 1.7)."),
        (52.9, True, "are 1.1 points (0.1 to 2.1) better than random weights"),
        (52.9, False, "cannot be told apart from random weights in the linear probe (+1.1 points, −1.1 to 3.3)."),
        (51.0, False, "cannot be told apart from random weights in the linear probe (−0.8 points, −3.0 to 1.4)."),
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
        (4, 0.875, 0.5, "4 held-out samples are too few to tell whether rotation was learned: 87.5 % accuracy"),
        (1, 1.0, 1.0, "1 held-out sample is too few to tell whether rotation was learned"),
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


def test_the_stage_plot_has_the_task_random_weights_and_the_supervised_encoder(
    tmp_path: Path, run_folder: Folder
) -> None:
    figure = Page(write_report(run_folder(tmp_path / "run"))).figures[0]
    assert [entry["name"] for entry in figure["legend"]] == ["random weights", "rotation", "supervised"]
    random, task, _ = figure["data"]
    assert task["x"] == ["conv1", "layer1", "layer2", "layer3", "layer4"] == figure["layout"]["xaxis"]["categoryarray"]
    assert task["y"] == [41.1, 59.1, 61.6, 63.1, 60.1]
    assert random["line"]["dash"] == "dash"
    assert task["error_y"]["array"] == task["error_y"]["arrayminus"] == pytest.approx([1.5] * 5)


def test_every_part_of_a_complete_run_is_there(tmp_path: Path, run_folder: Folder) -> None:
    page = Page(write_report(run_folder(tmp_path / "run")))
    assert page.headings[1:] == [
        "What the features are worth", "What the task sees", "Learning curves", "Quality without labels",
        "Nearest neighbours", "First-layer kernels", "Skipped files", "To repeat it",
    ]  # fmt: skip
    titles = [figure["layout"]["xaxis"]["title"]["text"] for figure in page.figures]
    assert titles == ["stage"] + 7 * ["step"]
    assert sum(address.startswith("data:image/") for address in page.addresses) == 8 + 8 * 6 + 1
    for text in ("selftaught pretrain 'photos/", "task.angles", "2.11.0", "odd, name.png", "0.97"):
        assert text in page.text


def test_a_hostile_name_stays_text(tmp_path: Path, run_folder: Folder) -> None:
    run = run_folder(tmp_path / "run", task='<script>alert("task")')
    index = json.loads((run / "pictures" / "pictures.json").read_text())
    index["samples"][0]["pseudo_label"] = '"><img src=x onerror=alert(1)>'
    (run / "pictures" / "pictures.json").write_text(json.dumps(index))
    stages = {"<b>one</b>": 50.0, "</script>": 60.0}
    changed(run / "evaluations" / "linear-0a1b2c.json", stages=stages, stage="</script>")
    page = Page(write_report(run))
    assert len(page.scripts) == 2, "plotly and our own; nothing of the run folder became a script"
    assert "onerror=alert(1)>" in page.text
    assert '<script>alert("task")' in page.headings[0]
    assert not [a for a in page.addresses if not a.startswith(("#", "data:"))]
    assert page.figures[0]["data"][1]["x"] == ["&lt;b&gt;one&lt;/b&gt;", "&lt;/script&gt;"]
    assert page.figures[0]["legend"][1]["name"] == '<script>alert("task")'


def test_the_page_is_self_contained_with_plotly_once(tmp_path: Path, run_folder: Folder) -> None:
    run_folder(tmp_path / "one")
    run_folder(tmp_path / "two", "simclr")
    page = Page(write_report(tmp_path))
    assert sum(len(script) > MEGABYTE for script in page.scripts) == 1
    assert all(address.startswith(("#", "data:")) for address in page.addresses)
    assert "default-src 'none'" in page.source


def test_parts_that_are_missing_say_which_command_adds_them(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"task": "simclr", "encoder": "resnet18"}')
    page = Page(write_report(tmp_path))
    assert page.headings[0] == "simclr has not been looked at on held-out data yet."
    assert f"selftaught evaluate {tmp_path} LABELLED" in page.text
    assert "pictures here yet" in page.text
    assert "Go on with --resume" in page.text
    assert not page.figures
    assert not any(len(script) > MEGABYTE for script in page.scripts), "no plot, no Plotly"


def test_a_run_without_probe_says_what_it_knows(tmp_path: Path, run_folder: Folder) -> None:
    run = run_folder(tmp_path / "run")
    for path in (run / "evaluations").iterdir():
        path.unlink()
    (run / "summary.json").unlink()
    page = Page(write_report(run))
    assert page.headings[0].endswith("accuracy on held-out data so far.")
    assert "This run has not ended" in page.text


def test_a_collapse_warning_is_shown_at_the_top_and_beside_its_curves(tmp_path: Path, run_folder: Folder) -> None:
    run = run_folder(tmp_path / "run")
    changed(run / "summary.json", warnings=["features have collapsed: effective rank 1.0; lower --lr"])
    assert Page(write_report(run)).text.count("features have collapsed") == 2


def test_values_that_are_no_numbers_do_not_break_a_plot(tmp_path: Path, run_folder: Folder) -> None:
    run = run_folder(tmp_path / "run")
    (run / "metrics.csv").write_text("step,epoch,lr,loss\n1,0,0.1,nan\n2,0,0.1,inf\n3,0,0.1,1.5\n")
    (run / "heldout.csv").write_text("step,epoch,loss,rankme\n3,1,nan,nan\n")
    changed(run / "evaluations" / "linear-0a1b2c.json", value=None, stages={"conv1": None, "layer1": 3.0})
    losses = Page(write_report(run)).figures[1]["data"]
    assert [(trace["x"], trace["y"]) for trace in losses] == [([3.0], [1.5])]


def test_a_long_curve_is_thinned_to_means(tmp_path: Path, run_folder: Folder) -> None:
    run = run_folder(tmp_path / "run")
    rows = "".join(f"{i},0,0.1,{i % 2}\n" for i in range(60_000))
    (run / "metrics.csv").write_text("step,epoch,lr,loss\n" + rows)
    loss = Page(write_report(run)).figures[1]["data"][0]
    assert len(loss["y"]) == 600
    assert set(loss["y"]) == {0.5}


def test_a_comparison_answers_which_task_suits(tmp_path: Path, comparison_folder: Folder) -> None:
    page = Page(write_report(comparison_folder(tmp_path, {"rotation": 61.2, "simclr": 66.4, "jigsaw": 52.0})))
    assert page.headings[0] == "simclr suits these data best, 5.2 points (4.2 to 6.2) ahead of rotation."
    names = [entry["name"] for entry in page.figures[1]["legend"]]
    assert names == ["random weights", "simclr", "rotation", "jigsaw", "supervised"]
    colours = [trace["line"]["color"] for trace in page.figures[1]["data"]]
    assert len(set(colours)) == len(colours)
    assert "Supervised, same budget" in page.text[: page.text.index("Ranking")]
    assert [h for h in page.headings if h in ("simclr", "rotation", "jigsaw")] == ["simclr", "rotation", "jigsaw"]


@pytest.mark.parametrize(
    ("bests", "headline"),
    [
        (
            {"rotation": 66.0, "simclr": 66.4, "jigsaw": 65.9, "counting": 60.0},
            "simclr comes first, but rotation and jigsaw cannot be told apart from it on these data.",
        ),
        (
            {"a": 66.4, "b": 66.3, "c": 66.2, "d": 66.1, "e": 66.0},
            "a comes first, but b, c and 2 others cannot be told apart from it on these data.",
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


def test_a_comparison_of_many_tasks_stays_readable(tmp_path: Path, comparison_folder: Folder) -> None:
    bests = {f"task_{i:02d}": 70.0 - 2 * i for i in range(12)}  # random weights reach 51.8, within 1 point
    folder = comparison_folder(tmp_path, bests)
    page = Page(write_report(folder))
    assert page.headings[0] == "task_00 suits these data best, 2.0 points (1.0 to 3.0) ahead of task_01."
    assert "9 of 12 tasks are better than random weights, 1 cannot be told apart from them, 2 are worse." in page.text
    ranks, stages = page.figures[:2]
    assert ranks["layout"]["yaxis"]["categoryarray"] == list(bests)
    assert ranks["layout"]["yaxis"]["autorange"] == "reversed", "the best on top"
    assert [(entry["name"], len(trace["y"])) for entry, trace in zip(ranks["legend"], ranks["data"], strict=True)] == [
        ("better than random weights", 9),
        ("cannot be told apart from random weights", 1),
        ("worse than random weights", 2),
        ("random weights", 2),
        ("supervised", 2),
    ]
    assert ranks["data"][0]["x"] == [70.0 - 2 * i for i in range(9)]
    assert ranks["data"][0]["error_x"]["array"] == [1.5] * 9
    low, high = ranks["layout"]["xaxis"]["range"]
    assert low < 48.0 - 1.5
    assert high > 74.8
    shown = [entry["name"] for entry in stages["legend"] if not entry.get("hidden")]
    assert shown == ["random weights", *list(bests)[:8], "supervised"]
    assert len(stages["legend"]) == 14
    nav = page.source[page.source.index("<nav") : page.source.index("</nav>")]
    assert "The 12 runs" in nav
    assert "task_05" not in nav
    assert page.source.count('class="card small"') == 12


def test_labels_saved_by_the_first_task_are_told_from_its_run(tmp_path: Path, comparison_folder: Folder) -> None:
    folder = comparison_folder(tmp_path, {"rotation": 61.2, "simclr": 66.4})
    made.add_finetune(folder / "simclr")
    top = Page(write_report(folder)).text.split("Ranking")[0]
    assert "Labels saved" in top
    assert "as good as training from scratch" in top


def test_a_comparison_marks_what_cannot_be_told_from_the_first(tmp_path: Path, comparison_folder: Folder) -> None:
    folder = comparison_folder(tmp_path, {"rotation": 66.0, "simclr": 66.4, "counting": 60.0})
    page = Page(write_report(folder))
    markdown, csv_text, latex = page.copies[:3]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in markdown.splitlines()]
    assert cells[0][:5] == ["Rank", "Task", "Linear probe, top-1", "Gain", "Behind the first"]
    assert [row[4] for row in cells[2:5]] == ["–", "≈ 0.4 (−0.6 to 1.4)", "6.4 (5.4 to 7.4)"]
    assert csv_text.splitlines()[2].startswith("2,rotation,66,64.5,67.5,14.2,13.2,15.2,0.4,-0.6,1.4,layer3,0.6,0.25,")
    assert r"$\approx$ 0.4 {\scriptsize ($-$0.6 to 1.4)}" in latex
    old = comparison_folder(tmp_path / "old", {"rotation": 66.0, "simclr": 66.4, "counting": 60.0}, intervals=False)
    behind = [line.split("|")[5].strip() for line in Page(write_report(old)).copies[0].splitlines()[2:5]]
    assert [text[:5] for text in behind] == ["–", "≈ 0.4", "6.4 ("], "from the intervals of the two where none is given"


def test_without_labels_the_ranking_says_so(tmp_path: Path, comparison_folder: Folder) -> None:
    page = Page(write_report(comparison_folder(tmp_path, {"rotation": 61.2, "simclr": 66.4}, labelled=False)))
    assert page.headings[0] == "simclr looks best without labels."
    small = comparison_folder(tmp_path / "small", {"rotation": 61.2, "simclr": 66.4}, labelled=False)
    found = json.loads((small / "compare.json").read_text())
    found["rows"] = [row | {"label_free": None} for row in found["rows"]]
    (small / "compare.json").write_text(json.dumps(found))
    told = "The held-out part is too small to tell without labels which task suits the data."
    assert Page(write_report(small)).headings[0] == told
    assert "ranked by label-free figures" in page.text
    assert "selftaught compare photos --labelled LABELLED" in page.text
    assert "Accuracy by stage" not in page.headings


def test_a_comparison_of_ten_tasks_stays_small(tmp_path: Path, comparison_folder: Folder) -> None:
    noise = np.random.default_rng(0)
    # Noise at 224 pixels is the worst a picture can be: 150 kB each as PNG.
    pictures = [
        Image.fromarray(noise.integers(0, 255, (224, 224, 3), dtype=np.uint8)).resize((96, 96)) for _ in range(16)
    ]
    folder = comparison_folder(tmp_path, {f"task_{i}": 60.0 + i for i in range(10)}, pictures=pictures)
    assert write_report(folder).stat().st_size < 15 * MEGABYTE


def test_the_command_is_one_that_can_be_typed(tmp_path: Path, run_folder: Folder) -> None:
    run = run_folder(tmp_path / "run")
    changed(run / "environment.json", command=["__main__.py", "pretrain", "photos"])
    assert "selftaught pretrain photos" in Page(write_report(run)).text


def test_out_may_be_a_file_or_a_folder(tmp_path: Path, run_folder: Folder) -> None:
    run = run_folder(tmp_path / "run")
    (tmp_path / "pages").mkdir()
    assert write_report(run, tmp_path / "new" / "page.html") == tmp_path / "new" / "page.html"
    assert write_report(run, tmp_path / "pages") == tmp_path / "pages" / "report.html"
    assert [p.name for p in (tmp_path / "pages").iterdir()] == ["report.html"], "no unfinished file is left"


def test_pseudo_labels_made_anew_have_their_curves(tmp_path: Path, run_folder: Folder) -> None:
    folder = run_folder(tmp_path / "run", task="clustering")
    (folder / "refresh.csv").write_text("step,clusters,nmi_before\n1,100,0.0\n401,98,0.41\n")
    html = write_report(folder).read_text(encoding="utf-8")
    assert "NMI before" in html
    assert "1 when nothing changes any more" in html
    assert '"y":[100.0,98.0]' in html


def test_a_broken_picture_is_left_out(tmp_path: Path, run_folder: Folder) -> None:
    run = run_folder(tmp_path / "run")
    (run / "pictures" / "kernels.png").write_bytes(b"\x89PNG\r\n\x1a\nnot a picture")
    (run / "pictures" / "s0.png").unlink()
    page = Page(write_report(run))
    assert "First-layer kernels" not in page.headings
    assert page.text.count("pseudo-label") == 7


def test_the_report_imports_no_torch() -> None:
    modules = "selftaught.report.page, selftaught.report.writers.terminal"
    code = f"import sys, {modules}; print('torch' in sys.modules, 'rich' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
