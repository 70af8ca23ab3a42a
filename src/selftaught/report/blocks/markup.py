"""Plain values as HTML: every text goes through `esc`, every image is inlined."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from selftaught.report.blocks import table_text
from selftaught.report.blocks.figures import Figure
from selftaught.report.blocks.pictures import WIDE, Album, Sheet, Uri
from selftaught.report.facts.answer import Answer
from selftaught.report.facts.cells import Cell, Table

LONG = 32
"""Table cells of more characters may break into lines."""
MOST_SOUND = 100_000
"""Bytes of a sound that a page holds; seconds of speech at 8 kHz."""
CRISP = 64
"""Images of no more pixels are shown as they are: smoothing would hide what the encoder gets."""
_COPIES = {"Markdown": table_text.markdown, "CSV": table_text.csv_text, "LaTeX": table_text.latex}


def esc(text: object) -> str:
    """Text as HTML text, also inside a quoted attribute."""
    return escape(str(text), quote=True)


def absent(text: str, command: str = "") -> str:
    """The one line that stands where a part of the run is not there yet."""
    return f'<p class="absent">{esc(text)}{f" <code>{esc(command)}</code>" if command else ""}</p>'


def note(text: str) -> str:
    """A line on how to read what stands above; nothing where there is none."""
    return f'<p class="note">{esc(text)}</p>' if text else ""


def answer_html(answer: Answer, *, heading: str = "h1") -> str:
    """The sentence, what follows from it, the strip of metrics and the cautions."""
    facts = "".join(
        f'<div class="fact {fact.tone}"><dt>{esc(fact.label)}</dt>'
        f"<dd><b>{esc(fact.value)}</b><span>{esc(fact.note)}</span></dd></div>"
        for fact in answer.facts
    )
    more = f'<p class="more">{esc(answer.more)}</p>' if answer.more else ""
    cautions = "".join(f'<p class="caution">{esc(text)}</p>' for text in answer.cautions)
    strip = f'<dl class="facts">{facts}</dl>' if facts else ""
    return f'<{heading} class="answer">{esc(answer.headline)}</{heading}>{more}{strip}{cautions}'


def warnings_html(warnings: Iterable[object]) -> str:
    """What the run itself warned of, such as a collapse."""
    return "".join(f'<p class="warning" role="alert"><b>Warning</b> {esc(text)}</p>' for text in warnings)


def figures_html(figures: Sequence[Figure]) -> str:
    """Plots side by side where the screen is wide enough; the script draws them from their JSON."""
    cards = [
        f'<figure class="card{_kind(figure)}">'
        f"<figcaption><b>{_breaking(figure.title)}</b></figcaption>"
        '<div class="legend"></div>'
        f'<div class="plot" role="img" aria-label="{esc(figure.title)}"{_rows(figure)}></div>'
        f'<script type="application/json">{figure.to_json()}</script>{note(figure.note)}</figure>'
        for figure in figures
    ]
    # Two or four plots in rows of three would leave a hole.
    columns = "figures pairs" if len(figures) in (2, 4) or any(f.is_map for f in figures) else "figures"
    columns += " many" if any(f.small for f in figures) else ""
    return f'<div class="{columns}">{"".join(cards)}</div>' if cards else ""


def _kind(figure: Figure) -> str:
    return " wide" if figure.wide else " map" if figure.is_map else " small" if figure.small else ""


def _rows(figure: Figure) -> str:
    """The number of names on the left, which sets the height."""
    return f' style="--rows:{len(figure.order)}"' if figure.across else ""


def table_html(table: Table, *, heading: bool = True) -> str:
    """A table sortable by each column, with buttons that copy it as Markdown, CSV and LaTeX."""
    heads = "".join(
        f'<th scope="col"{_class(table, i)}><button type="button">{esc(name)}</button></th>'
        for i, name in enumerate(table.head)
    )
    body = ""
    for index, row in enumerate(table.rows):
        cells = "".join(_cell(table, i, cell) for i, cell in enumerate(row))
        body += f"<tr{' class=quiet' if index in table.quiet else ''}>{cells}</tr>"
    ranked = " ranked" if table.head[0] == "Rank" else ""
    grid = f'<table class="sortable{ranked}"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>'
    inner = f'<div class="scroll" tabindex="0">{grid}</div><div class="under">{note(table.note)}{_copies(table)}</div>'
    if table.folded:
        return f'<details class="table"><summary>{esc(table.title)}, table</summary>{inner}</details>'
    title = f"<h4>{esc(table.title)}</h4>" if heading else ""
    return f'<div class="table">{title}{inner}</div>'


def details_html(title: str, values: Mapping[str, Any]) -> str:
    """A closed list of names and values."""
    rows = "".join(f"<div><dt>{esc(k)}</dt><dd>{esc(_value(v))}</dd></div>" for k, v in values.items())
    return f'<details><summary>{esc(title)}</summary><dl class="settings">{rows}</dl></details>'


def image(uri: Uri | None, words: str, *, exact: bool = False) -> str:
    """An image; nothing where its file is none."""
    if not uri:
        return ""
    data, width, height = uri
    kinds = ["crisp"] if exact or max(width, height) <= CRISP else []
    kinds += ["strip"] if width > WIDE * height else []
    style = f' class="{" ".join(kinds)}"' if kinds else ""
    return f'<img{style} decoding="async" src="{data}" width="{width}" height="{height}" alt="{esc(words)}">'


def shown_sheet(sheet: Sheet | None, words: str, *, exact: bool = False) -> str:
    """An image of the page's style; nothing where its file is none."""
    if sheet is None:
        return ""
    style = f"background-image:var({sheet.name});aspect-ratio:{sheet.width}/{sheet.height}"
    return f'<i class="sheet{" crisp" if exact else ""}" role="img" aria-label="{esc(words)}" style="{style}"></i>'


def photograph(album: Album, path: Path | None, words: str) -> str:
    """An image of the data; a clip is its first frame, until it comes into view."""
    if path is None:
        return ""
    return moving_image(album.photograph(path), album.clip(path), words)


def player(path: Path | None) -> str:
    """A button that plays a WAV file of at most `MOST_SOUND` bytes, part of the page; nothing without one.

    A browser's own player leaves no room for its button below a thumbnail.
    """
    if path is None or path.suffix != ".wav" or path.stat().st_size > MOST_SOUND:
        return ""
    data = base64.b64encode(path.read_bytes()).decode()
    sound = f"data:audio/wav;base64,{data}"
    return f'<button type="button" class="play" data-sound="{sound}" aria-label="Play or stop the audio">▶</button>'


def moving_image(still: Uri | None, moving: Uri | None, words: str) -> str:
    """An image, for which a clip plays while it is in view, where there is one."""
    shown = image(still, words)
    return shown.replace("<img", f'<img data-clip="{moving[0]}"', 1) if still and moving else shown


def _cell(table: Table, column: int, cell: Cell) -> str:
    text = _breaking(cell.text)
    inner = f'<a href="{esc(cell.href)}">{text}</a>' if cell.href else text
    inner += f"<small>{esc(cell.within)}</small>" if cell.within else ""
    sort = f' data-sort="{cell.value!r}"' if cell.value is not None else ""
    bar = f' style="--bar:{100 * cell.bar:.1f}%"' if cell.bar is not None else ""
    return f"<td{_class(table, column, cell)}{sort}{bar}>{inner}</td>"


def _breaking(text: str) -> str:
    """Text that a narrow screen may break after an underscore."""
    return esc(text).replace("_", "_<wbr>")


def _class(table: Table, column: int, cell: Cell | None = None) -> str:
    kind = ["" if column in table.text else "num"]
    if cell is not None:
        kind += [cell.tone, "filled" if cell.bar is not None else "", "long" if len(cell.text) > LONG else ""]
    names = " ".join(filter(None, kind))
    return f' class="{names}"' if names else ""


def _copies(table: Table) -> str:
    buttons = "".join(
        f'<button type="button">{name}</button><template>{esc(write(table))}</template>'
        for name, write in _COPIES.items()
    )
    return f'<p class="copy">Copy as {buttons}</p>' if table.rows else ""


def _value(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_value(v)}" for k, v in value.items()) or "–"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
