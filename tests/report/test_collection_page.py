from __future__ import annotations

import json
import shutil
from pathlib import Path

from selftaught.report import write_report
from tests.report.read_page import Folder, Page, changed


def test_a_folder_of_runs_has_an_overview_that_links(tmp_path: Path, run_folder: Folder) -> None:
    run_folder(tmp_path / "runs" / "seed 0")
    run_folder(tmp_path / "runs" / "seed 1", "simclr", best=70.0)
    page = Page(write_report(tmp_path / "runs", tmp_path / "page.html"))
    assert page.headings[0] == "2 runs; seed 1 gains most over random weights: +18.2 points (17.2 to 19.2)."
    assert "Over seeds" not in page.headings
    assert {"#run-seed-0", "#run-seed-1"} <= set(page.addresses)
    for anchor in {a[1:] for a in page.addresses if a.startswith("#")}:
        assert page.source.count(f'id="{anchor}"') == 1, anchor


def test_seeds_of_a_task_are_shown_by_their_mean(tmp_path: Path, run_folder: Folder) -> None:
    for name, task, best in (("a", "rotation", 60.0), ("b", "rotation", 64.0), ("c", "simclr", 63.0)):
        run_folder(tmp_path / name, task, best=best)
    page = Page(write_report(tmp_path))
    assert page.headings[0] == "3 runs; simclr gains most over random weights: +11.2 points."
    table = next(text for text in page.copies if text.startswith("| Task ") and "Runs" in text)
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    spread = 2 * 2**0.5
    assert cells == [
        ["simclr", "1", "63.0", "+11.2"],
        ["rotation", "2", f"62.0 ± {spread:.1f}", f"+10.2 ± {spread:.1f}"],
    ]
    run_folder(tmp_path / "d", "supervised", best=90.0)
    page = Page(write_report(tmp_path))
    assert page.headings[0] == "4 runs; simclr gains most over random weights: +11.2 points.", "labels are no answer"
    assert "Supervised, same budget" in page.text.split("Overview")[0]
    shutil.rmtree(tmp_path / "d")
    run_folder(tmp_path / "c", "rotation", best=65.0)
    assert Page(write_report(tmp_path)).headings[0] == (
        "3 runs; rotation against random weights: +11.2 points (8.2 to 13.2 over 3 runs)."
    )


def test_runs_of_a_folder_are_compared_by_what_all_have(tmp_path: Path, run_folder: Folder) -> None:
    for name, task, best in (("a", "rotation", 60.0), ("b", "simclr", 64.0)):
        run_folder(tmp_path / name, task, best=best)
    more = json.loads((tmp_path / "a" / "evaluations" / "linear-0a1b2c.json").read_text())
    more |= {"train_samples": 50_000, "value": 80.0, "gain": {"value": 30.0, "interval": [29.0, 31.0]}}
    (tmp_path / "a" / "evaluations" / "linear-more.json").write_text(json.dumps(more))
    page = Page(write_report(tmp_path))
    assert page.headings[0] == "2 runs; b gains most over random weights: +12.2 points (11.2 to 13.2)."
    table = page.copies[0].splitlines()
    assert "| Labels" not in table[0], "the same for both"
    assert "labels: 9,469; encoder: resnet18." in page.text
    assert [row.split("|")[3].strip() for row in table[2:4]] == ["64.0 % (62.5 to 65.5)", "60.0 % (58.5 to 61.5)"]


def test_runs_are_alike_wherever_their_data_lay(tmp_path: Path, run_folder: Folder) -> None:
    for name, data in (("a", "/data/photos"), ("b", "photos"), ("c", "../photos")):
        changed(run_folder(tmp_path / name, name) / "evaluations" / "linear-0a1b2c.json", labelled=data)
    changed(tmp_path / "c" / "config.json", encoder="grey:resnet18")
    ranks, stages = Page(write_report(tmp_path)).figures[:2]
    assert ranks["layout"]["yaxis"]["categoryarray"] == ["a", "b", "c"]
    assert [entry["name"] for entry in stages["legend"]] == ["random weights", "a", "b", "c", "supervised"]


def test_seeds_of_a_task_share_its_colour(tmp_path: Path, run_folder: Folder) -> None:
    for name, task in (("a0", "rotation"), ("a1", "rotation"), ("b0", "simclr"), ("c0", "supervised")):
        run_folder(tmp_path / name, task)
    ranks, stages = Page(write_report(tmp_path)).figures[:2]
    assert ranks["layout"]["yaxis"]["categoryarray"] == ["a0", "a1", "b0"], "supervised is a line, not a point"
    assert ranks["legend"][-1]["name"] == "supervised"
    random, first, second, other, labels, *_ = stages["data"]
    assert first["line"]["color"] == second["line"]["color"] != other["line"]["color"]
    assert first["marker"]["symbol"] != second["marker"]["symbol"]
    assert (random["line"]["dash"], labels["line"]["dash"]) == ("dash", "dot")
