from __future__ import annotations

import csv
import io
import shutil
import subprocess
from pathlib import Path

import pytest

from selftaught.report.blocks.table_text import csv_text, latex, latex_text, markdown, plain_markdown, slug
from selftaught.report.facts.cells import EMPTY, Cell, Table, figure, words

TABLE = Table(
    title="Accuracy & more, 100 %",
    head=["Task", "top_1", "n"],
    rows=[
        [
            words("a|b"),
            Cell(text="63.1 %", value=63.1, interval=(61.5, 64.5), within="61.5 to 64.5", tone="best"),
            figure(9),
        ],
        [words("frame_order"), Cell(text="−0.5", value=-0.5), EMPTY],
    ],
)


def test_markdown_is_a_table_that_also_reads_as_text() -> None:
    assert markdown(TABLE).splitlines() == [
        "| Task        |                     top_1 |   n |",
        "|-------------|--------------------------:|----:|",
        "| a\\|b        | **63.1 %** (61.5 to 64.5) |   9 |",
        "| frame_order |                      −0.5 |   – |",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("x|y\nz", "x\\|y z"),
        ("*a* `b` <img src=x>", "\\*a\\* \\`b\\` \\<img src=x>"),
        ("[a](b) \\ $x$", "\\[a\\](b) \\\\ \\$x\\$"),
        ("_em_ frame_order __init__", "\\_em\\_ frame_order \\_\\_init\\_\\_"),
    ],
)
def test_text_stays_text_in_markdown(text: str, shown: str) -> None:
    assert plain_markdown(text) == shown


def test_csv_has_plain_numbers_and_a_column_for_each_end_of_an_interval() -> None:
    rows = list(csv.reader(io.StringIO(csv_text(TABLE))))
    assert rows == [
        ["Task", "top_1", "top_1 low", "top_1 high", "n"],
        ["a|b", "63.1", "61.5", "64.5", "9"],
        ["frame_order", "-0.5", "", "", ""],
    ]


def test_csv_quotes_what_it_must_and_runs_no_formula() -> None:
    odd = ['say "x", y', "two\nlines", "=HYPERLINK(1)", "@x", "-x", "+1"]
    table = Table(title="t", head=["a,b"], rows=[[words(text)] for text in odd])
    read = [row[0] for row in csv.reader(io.StringIO(csv_text(table)))]
    assert read == ["a,b", 'say "x", y', "two\nlines", "'=HYPERLINK(1)", "'@x", "'-x", "'+1"]


def test_latex_escapes_every_special_character() -> None:
    assert latex_text(r"50 % & $x_1$ #{a}^~\ <b>") == (
        r"50 \% \& \$x\_1\$ \#\{a\}\textasciicircum{}\textasciitilde{}\textbackslash{} \textless{}b\textgreater{}"
    )
    assert latex_text("−1 – 3 × 2 ± 1°") == r"$-$1 -- 3 $\times$ 2 $\pm$ 1$^\circ$"


def test_latex_is_a_booktabs_table() -> None:
    lines = latex(TABLE).splitlines()
    assert r"\caption{Accuracy \& more, 100 \%.}" in lines
    assert r"\label{tab:accuracy-more-100}" in lines
    assert r"\begin{tabular}{lrr}" in lines
    assert r"a\textbar{}b & \textbf{63.1 \%} {\scriptsize (61.5 to 64.5)} & 9 \\" in lines
    assert r"frame\_order & $-$0.5 & -- \\" in lines
    assert r"\label{tab:mine}" in latex(TABLE, label="mine")


@pytest.mark.slow
def test_latex_compiles(tmp_path: Path) -> None:
    program = shutil.which("pdflatex")
    if program is None:
        pytest.skip("pdflatex is not installed")
    body = f"\\documentclass{{article}}\\usepackage{{booktabs}}\\begin{{document}}{latex(TABLE)}\\end{{document}}"
    (tmp_path / "t.tex").write_text(body)
    subprocess.run([program, "-interaction=nonstopmode", "-halt-on-error", "t.tex"], cwd=tmp_path, check=True)


def test_a_slug_is_a_name_for_a_file() -> None:
    assert slug("Linear probe, top-1 by stage: 1 %") == "linear-probe-top-1-by-stage-1"
    assert slug("日本") == "table"
