"""A table as Markdown, CSV and LaTeX: pure functions of its values."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

from selftaught.core.names import one_line, printable, text_cell
from selftaught.report.facts.cells import Cell, Table

_LATEX = {
    **{"\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{c: f"\\{c}" for c in "&%$#_"},
    # After a row's end, LaTeX would take these two for its options.
    **{"[": "{[}", "*": "{*}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}"},
    **{"−": "$-$", "–": "--", "×": r"$\times$", "±": r"$\pm$", "°": r"$^\circ$", "α": r"$\alpha$", "ρ": r"$\rho$"},
    **{"τ": r"$\tau$", "≈": r"$\approx$", "≤": r"$\le$", "≥": r"$\ge$"},
}


_LINK = re.compile(r"(?<=http)s?:(?=//)|(?<=ftp):(?=//)|(?<=www)\.|@|&(?=#?\w+;)", re.IGNORECASE)
"""What would make an address a link, or letters of `&lt;` another character, without any brackets."""
_BLOCK = re.compile(r"^(#|>|[-+](?= |$|-)|=+$|\d+(?=[.)]( |$)))")
"""What would begin a heading, quotation, list or rule at the start of a line."""
_OUTER_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
"""Those that would begin or end emphasis; frame_order stays as it is."""


def markdown(table: Table) -> str:
    """A GitHub table; words are left aligned, numbers right; padded so that it reads as plain text too."""
    cells = [[plain_markdown(name) for name in table.head], *([_markdown_cell(c) for c in row] for row in table.rows)]
    widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(table.head))]
    lines = []
    for row in cells:
        padded = [
            text.ljust(width) if i in table.text else text.rjust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("| " + " | ".join(padded) + " |")
    rules = ["-" * (w + 2) if i in table.text else "-" * (w + 1) + ":" for i, w in enumerate(widths)]
    return "\n".join([lines[0], f"|{'|'.join(rules)}|", *lines[1:]]) + "\n"


def plain_markdown(text: object) -> str:
    """Text that Markdown shows as it is, in one line and inside a table."""
    shown = "".join(f"\\{c}" if c in "\\|*`<[]$~" else c for c in _line(text))
    shown = _LINK.sub(lambda m: m[0][:-1] + "\\" + m[0][-1], shown)
    shown = _BLOCK.sub(lambda m: f"{m[0]}\\" if m[0].isdigit() else f"\\{m[0]}", shown)
    return _OUTER_UNDERSCORE.sub(r"\\_", shown)


def csv_text(table: Table) -> str:
    """Full numbers without units; a column with intervals is followed by one for each of their ends."""
    with_ends = [any(row[i].interval for row in table.rows) for i in range(len(table.head))]
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    head = [text_cell(printable(name)) for name in table.head]
    writer.writerow(_spread(head, with_ends, [[f"{n} low", f"{n} high"] for n in head]))
    for row in table.rows:
        ends = [[_digits(end) for end in cell.interval or (None, None)] for cell in row]
        writer.writerow(_spread([_csv_cell(cell) for cell in row], with_ends, ends))
    return target.getvalue()


def latex(table: Table, *, label: str = "") -> str:
    """A table environment for the booktabs package, its label tab:`label`; every text is escaped."""
    columns = "".join("l" if i in table.text else "r" for i in range(len(table.head)))
    lines = [" & ".join(latex_text(name) for name in table.head) + r" \\"]
    body = []
    for row in table.rows:
        cells = []
        for cell in row:
            text = latex_text(cell.text)
            text = rf"\textbf{{{text}}}" if cell.tone == "best" else text
            ends = latex_text(cell.within)
            cells.append(f"{text} {{\\scriptsize ({ends})}}" if ends else text)
        body.append(" & ".join(cells) + r" \\")
    rule = [r"\midrule"] if body else []
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{latex_text(f'{table.title}. {table.note}'.strip(' .') + '.')}}}",
            rf"\label{{tab:{label or slug(table.title)}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            *lines,
            *rule,
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def latex_text(text: object) -> str:
    """Text that LaTeX prints as it is."""
    return "".join(_LATEX.get(c, c) for c in _line(text))


def _line(text: object) -> str:
    return one_line(" ".join(str(text).split()))


def slug(text: str) -> str:
    """A name for a file or label: small letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "table"


def _markdown_cell(cell: Cell) -> str:
    text = plain_markdown(cell.text)
    text = f"**{text}**" if cell.tone == "best" else text
    return f"{text} ({plain_markdown(cell.within)})" if cell.within else text


def _spread(own: list[str], with_ends: list[bool], ends: Sequence[Sequence[str]]) -> list[str]:
    return [c for cell, wide, pair in zip(own, with_ends, ends, strict=True) for c in (cell, *(pair if wide else ()))]


def _csv_cell(cell: Cell) -> str:
    if cell.value is not None:
        return _digits(cell.value)
    return "" if cell.text == "–" else text_cell(printable(cell.text))


def _digits(value: float | None) -> str:
    return "" if value is None else f"{value:.7g}"
