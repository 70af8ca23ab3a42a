from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from selftaught.report import write_report
from tests.report.read_page import MEGABYTE, Folder, Page, changed


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


def test_out_may_be_a_file_or_a_folder(tmp_path: Path, run_folder: Folder) -> None:
    run = run_folder(tmp_path / "run")
    (tmp_path / "pages").mkdir()
    assert write_report(run, tmp_path / "new" / "page.html") == tmp_path / "new" / "page.html"
    assert write_report(run, tmp_path / "pages") == tmp_path / "pages" / "report.html"
    assert [p.name for p in (tmp_path / "pages").iterdir()] == ["report.html"], "no unfinished file is left"


def test_the_report_imports_no_torch() -> None:
    modules = "selftaught.report.page, selftaught.report.writers.terminal"
    code = f"import sys, {modules}; print('torch' in sys.modules, 'rich' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
