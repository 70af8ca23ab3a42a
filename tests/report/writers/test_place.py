from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from selftaught import api
from selftaught.core.errors import explain
from selftaught.core.own_folder import record
from selftaught.report import write_report

Folder = Callable[..., Path]


@pytest.fixture
def run(tmp_path: Path, run_folder: Folder) -> Path:
    return run_folder(tmp_path / "run")


@pytest.mark.parametrize(("format", "name"), [("html", "a.html"), ("markdown", "a.md"), ("latex", "a.tex")])
def test_only_an_earlier_report_is_replaced(
    tmp_path: Path, run: Path, format: Literal["html", "markdown", "latex"], name: str
) -> None:
    target = tmp_path / name
    target.write_text("my own notes")
    with pytest.raises(ValueError, match=r"is there already; give another name, or --overwrite to replace it"):
        write_report(run, target, format=format)
    assert target.read_text() == "my own notes"
    written = write_report(run, target, format=format, overwrite=True).read_text()
    target.write_text(written.replace("points", "POINTS"))
    assert write_report(run, target, format=format).read_text() == written


def test_tables_replace_what_is_listed_alone(tmp_path: Path, run: Path) -> None:
    target = tmp_path / "paper"
    target.mkdir()
    (target / "all-protocols.csv").write_text("mine")
    with pytest.raises(ValueError, match=r"paper holds files that selftaught did not write \(such as all-protocols"):
        write_report(run, target, format="csv")
    assert [p.read_text() for p in target.iterdir()] == ["mine"]
    write_report(run, target, format="csv", overwrite=True)
    assert (target / "all-protocols.csv").read_text().startswith("Protocol")
    for _ in range(2):
        write_report(run, tmp_path / "tables", format="csv")
        write_report(run, format="csv")


def test_other_files_of_a_run_are_no_earlier_report(run: Path) -> None:
    record(run / "summary.json")
    before = (run / "summary.json").read_bytes()
    with pytest.raises(ValueError, match=r"summary.json is there already"):
        write_report(run, run / "summary.json", format="latex")
    assert (run / "summary.json").read_bytes() == before


def test_a_run_without_tables_says_so(run: Path) -> None:
    shutil.rmtree(run / "evaluations")
    (run / "skipped.csv").write_text("path,reason\n")
    with pytest.raises(ValueError, match="run has no table to write yet"):
        write_report(run, format="csv")
    assert not (run / "report-csv").exists()


def test_a_page_beside_runs_that_is_not_ours_stays(tmp_path: Path, run_folder: Folder) -> None:
    run_folder(tmp_path / "runs" / "a")
    page = tmp_path / "runs" / "report.html"
    page.write_text("<html>by hand</html>")
    with pytest.raises(ValueError, match="--overwrite"):
        write_report(tmp_path / "runs")
    page.unlink()
    assert write_report(tmp_path / "runs") == write_report(tmp_path / "runs") == page


def test_the_place_is_checked_before_the_report_is_built(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is not a folder; give another place"):
        write_report(tmp_path / "no-run", tmp_path / "file" / "page.html")


def failing(number: int) -> Callable[[Path], None]:
    def flush(path: Path) -> None:
        raise OSError(number, os.strerror(number))

    return flush


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_in_python_a_failed_write_stays_an_oserror_that_names_path_and_argument(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr("selftaught.core.files._flush_to_disk", failing(number))
    target = tmp_path / "pages" / "page.html"
    with pytest.raises(OSError, match=rf"--out: {os.strerror(number)}; .*: '{target}'$") as caught:
        api.write_report(run, out=target)
    assert type(caught.value) is type(OSError(number, ""))
    assert (caught.value.errno, caught.value.filename) == (number, str(target))
    text, code = explain(caught.value, given={"--out": str(target)})
    assert (text.startswith(f"--out: {target}: {os.strerror(number)}; "), code) == (True, 2), text
