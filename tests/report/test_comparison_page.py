"""The page of a comparison."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from selftaught.report import write_report
from tests.report import made_evaluations as made
from tests.report.read_page import MEGABYTE, Folder, Page


def test_a_comparison_answers_which_task_suits(tmp_path: Path, comparison_folder: Folder) -> None:
    page = Page(write_report(comparison_folder(tmp_path, {"rotation": 61.2, "simclr": 66.4, "jigsaw": 52.0})))
    assert page.headings[0] == "simclr suits these data best, 5.2 points (4.2 to 6.2) ahead of rotation."
    names = [entry["name"] for entry in page.figures[1]["legend"]]
    assert names == ["random weights", "simclr", "rotation", "jigsaw", "supervised"]
    colours = [trace["line"]["color"] for trace in page.figures[1]["data"]]
    assert len(set(colours)) == len(colours)
    assert "Supervised, same budget" in page.text[: page.text.index("Ranking")]
    assert [h for h in page.headings if h in ("simclr", "rotation", "jigsaw")] == ["simclr", "rotation", "jigsaw"]


def test_a_comparison_of_many_tasks_stays_readable(tmp_path: Path, comparison_folder: Folder) -> None:
    bests = {f"task_{i:02d}": 70.0 - 2 * i for i in range(12)}  # random weights reach 51.8, within 1 point
    folder = comparison_folder(tmp_path, bests)
    page = Page(write_report(folder))
    assert page.headings[0] == "task_00 suits these data best, 2.0 points (1.0 to 3.0) ahead of task_01."
    assert (
        "9 of 12 tasks are better than random weights, 1 cannot be distinguished from them, 2 are worse." in page.text
    )
    ranks, stages = page.figures[:2]
    assert ranks["layout"]["yaxis"]["categoryarray"] == list(bests)
    assert ranks["layout"]["yaxis"]["autorange"] == "reversed", "the best on top"
    assert [(entry["name"], len(trace["y"])) for entry, trace in zip(ranks["legend"], ranks["data"], strict=True)] == [
        ("better than random weights", 9),
        ("cannot be distinguished from random weights", 1),
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


def test_tasks_that_were_left_out_are_listed_with_the_reason(tmp_path: Path, comparison_folder: Folder) -> None:
    folder = comparison_folder(tmp_path, {"rotation": 61.2})
    table = json.loads((folder / "compare.json").read_text())
    assert "Left out" not in Page(write_report(folder)).headings
    table |= {"data": "/home/me/photos", "left_out": [{"task": "egomotion", "why": "/home/me/photos has no poses"}]}
    (folder / "compare.json").write_text(json.dumps(table))
    page = Page(write_report(folder))
    assert "Left out" in page.headings
    assert "egomotion,photos has no poses" in "".join(page.copies)


def test_warnings_that_differ_in_numbers_alone_are_one(tmp_path: Path, comparison_folder: Folder) -> None:
    folder = comparison_folder(tmp_path, {f"task_{i}": 70.0 - i for i in range(5)})
    for i in range(5):
        path = folder / f"task_{i}" / "summary.json"
        warned = [f"3 steps ({i + 1}.5 passes) are too few"] + (["features have collapsed"] if i == 4 else [])
        path.write_text(json.dumps({**json.loads(path.read_text()), "warnings": warned}))
    text = Page(write_report(folder)).text
    above = text[: text.index("Ranking")]
    assert above.count("are too few") == 1
    assert "task_0, task_1 and 3 others: 3 steps (1.5 passes) are too few" in above
    assert "task_4: features have collapsed" in above


def test_labels_saved_by_the_first_task_are_reported_from_its_run(tmp_path: Path, comparison_folder: Folder) -> None:
    folder = comparison_folder(tmp_path, {"rotation": 61.2, "simclr": 66.4})
    made.add_finetune(folder / "simclr")
    top = Page(write_report(folder)).text.split("Ranking")[0]
    assert "Labels saved" in top
    assert "as good as training from scratch" in top


def test_a_comparison_of_ten_tasks_stays_small(tmp_path: Path, comparison_folder: Folder) -> None:
    noise = np.random.default_rng(0)
    # Noise at 224 pixels is the worst an image can be: 150 kB each as PNG.
    pictures = [
        Image.fromarray(noise.integers(0, 255, (224, 224, 3), dtype=np.uint8)).resize((96, 96)) for _ in range(16)
    ]
    folder = comparison_folder(tmp_path, {f"task_{i}": 60.0 + i for i in range(10)}, pictures=pictures)
    assert write_report(folder).stat().st_size < 15 * MEGABYTE
