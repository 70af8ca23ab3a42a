from __future__ import annotations

from pathlib import Path

import pytest

from selftaught import api
from tests.report.read_page import Folder


def test_the_verb_takes_the_format(tmp_path: Path, run_folder: Folder) -> None:
    run = run_folder(tmp_path / "run")
    assert api.write_report(run, format="latex") == {"out": str(run / "report.tex")}
    with pytest.raises(ValueError, match="--format must be one of html, markdown, csv, latex, got 'pdf'"):
        api.write_report(run, format="pdf")  # type: ignore[arg-type]
    (tmp_path / "file.csv").write_text("")
    with pytest.raises(ValueError, match=r"csv writes a file for each table, give a folder"):
        api.write_report(run, out=tmp_path / "file.csv", format="csv")
