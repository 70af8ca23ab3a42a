"""Names and settings that somebody else chose stay text, whatever is written."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from selftaught.report import write_report
from selftaught.report.blocks.figures import Figure, Line
from selftaught.report.blocks.table_text import csv_text, latex, latex_text, plain_markdown
from selftaught.report.facts.cells import Cell, Table, words
from selftaught.training.run_folder import RunFolder
from tests.report import made_evaluations as made
from tests.report.read_page import Page, changed

Folder = Callable[..., Path]
LINK = '<a href="javascript:x">b</a>'
CLASS = f"{LINK}|</script><!--\u2028\udcff%{{x}}"
FILE = "=1+1|<b>\udc80.png"
SETTING = "https://evil.example [x](y) \\input{z}"


@pytest.fixture
def hostile(tmp_path: Path, run_folder: Folder) -> Path:
    """A run whose classes, stages, files and settings are hostile, lone surrogates among them."""
    run = made.add_all(run_folder(tmp_path / "run"))
    for path in [*(run / "evaluations").rglob("*.json")]:
        value = json.loads(path.read_text())
        text = json.dumps(value).replace('"dog"', json.dumps(CLASS)).replace('"layer4"', json.dumps(CLASS))
        path.write_text(text)
    changed(run / "config.json", data=SETTING, task_settings={CLASS: SETTING})
    with (run / "skipped.csv").open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        csv.writer(file).writerows([["path", "reason"], [FILE, LINK]])
    return run


def test_the_page_has_no_element_of_a_name(hostile: Path) -> None:
    page = Page(write_report(hostile))
    assert len(page.scripts) == 2, "plotly and our own"
    assert not [a for a in page.addresses if not a.startswith(("#", "data:"))]
    assert LINK in page.text
    assert "=1+1|<b>" in page.text
    assert SETTING in page.text
    assert "\\xff" in page.text, "the byte that is no UTF-8"
    figures = [figure for figure in page.figures if CLASS in json.dumps(figure, ensure_ascii=False)]
    assert all(CLASS not in json.dumps(f["data"], ensure_ascii=False) for f in figures), "Plotly reads HTML"
    for block in re.findall(r'<script type="application/json">(.*?)</script>', page.source, re.DOTALL):
        assert "<" not in block
        assert "\u2028" not in block
        json.loads(block)


def test_a_plot_reads_no_html_no_template_and_no_colour_in_a_name() -> None:
    line = Line(name=f"{LINK} %{{x}}", x=[LINK, "var(--ink)"], y=[1.0, 2.0], points_only=True, names=[LINK, "%{y}"])
    joined = Line(name=f"{LINK} %{{x}} var(--ink)", x=[LINK], y=[1.0])
    figure = json.loads(
        Figure(title=LINK, lines=[line, joined], x_title=LINK, y_title="<b>y</b>", order=[LINK, "var(--ink)"]).to_json()
    )
    shown = '&lt;a href="javascript:x"&gt;b&lt;/a&gt;'
    assert figure["data"][0]["x"] == [shown, "var&#40;--ink)"] == figure["layout"]["xaxis"]["categoryarray"]
    assert figure["data"][0]["text"] == [shown, "%{y}"]
    assert figure["data"][1]["name"] == f"{shown} %{{x}} var&#40;--ink)"
    assert figure["data"][1]["hovertemplate"] == f"%{{y:.4~g}}<extra>{shown} &#37;{{x}} var&#40;--ink)</extra>"
    assert figure["layout"]["xaxis"]["title"]["text"] == shown
    assert figure["layout"]["yaxis"]["title"]["text"] == "&lt;b&gt;y&lt;/b&gt;"


def test_tables_as_text_run_nothing(hostile: Path, tmp_path: Path) -> None:
    text = write_report(hostile, tmp_path, format="markdown").read_text(encoding="utf-8")
    assert "\\<a href=" in text
    assert not re.search(r"(?<!\\)<", text)
    rows = [line for line in text.splitlines() if "1+1" in line]
    assert len(rows) == 1, "no line break inside a row"
    assert len(re.findall(r"(?<!\\)\|", rows[0])) == 3, "two columns"
    target = write_report(hostile, tmp_path / "tables", format="csv")
    with next(target.glob("*skipped*.csv")).open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file))[1][0].startswith("'=1+1")
    tex = write_report(hostile, tmp_path, format="latex").read_text(encoding="utf-8")
    assert r"\textless{}a href=\textquotedbl{}javascript:x\textquotedbl{}\textgreater{}" in tex
    assert "=1+1\\textbar{}" in tex


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://evil.example", "https\\://evil.example"),
        ("see www.evil.example", "see www\\.evil.example"),
        ("a@evil.example", "a\\@evil.example"),
        ("&lt;b&gt; R&D", "\\&lt;b\\&gt; R&D"),
        ("# big", "\\# big"),
        ("- item", "\\- item"),
        ("12. item", "12\\. item"),
        ("~~gone~~", "\\~\\~gone\\~\\~"),
        ("a\u2028b\nc\x1b[31m", "a b c\\\\x1b\\[31m"),
        ("-0.5 and a.b", "-0.5 and a.b"),
    ],
)
def test_markdown_makes_no_link_heading_or_list(text: str, shown: str) -> None:
    assert plain_markdown(text) == shown


def test_csv_runs_no_formula_in_a_heading_and_can_be_read_again() -> None:
    odd = ["=1", "+1", "-1", "@a", "\ta", "\ra", "a\rb", "plain"]
    table = Table(title="t", head=["=cmd()"], rows=[[words(text)] for text in odd])
    read = [row[0] for row in csv.reader(io.StringIO(csv_text(table), newline=""))]
    assert read == ["'=cmd()", "'=1", "'+1", "'-1", "'@a", "'\ta", "'\\ra", "a\\rb", "plain"]


def test_latex_takes_no_option_and_no_command_from_a_name() -> None:
    assert latex_text("[5cm] * \\input{x} % $y$ \x00") == (
        r"{[}5cm] {*} \textbackslash{}input\{x\} \% \$y\$ \textbackslash{}x00"
    )
    text = latex(Table(title="t", head=["[a"], rows=[[Cell(text="*b")]]))
    assert "{[}a \\\\" in text
    assert "{*}b \\\\" in text


def test_skipped_files_are_text_in_the_run_folder(tmp_path: Path) -> None:
    folder = RunFolder.__new__(RunFolder)
    object.__setattr__(folder, "path", tmp_path)
    folder.write_skipped([(FILE, "-broken"), ("a\rb,c.png", "two\nlines")])
    with (tmp_path / "skipped.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[1:] == [["'=1+1|<b>\\x80.png", "'-broken"], ["a\\rb,c.png", "two\nlines"]]
