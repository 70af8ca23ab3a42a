"""What an encoder looks at, beside random weights: kernels, attention, filters, patches and a map of the data.

Reads what `selftaught evaluate --probe qualitative` drew: evaluations/NAME/{encoder,random,supervised}/index.json and
the sheets of tiles that it names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selftaught.report.blocks.document import Block, Drawn
from selftaught.report.blocks.figures import Figure, Line, Thumbs, colour_of
from selftaught.report.blocks.markup import esc, figures_html, note, shown_sheet
from selftaught.report.blocks.pictures import Album
from selftaught.report.facts.read import Json, drawn_folders, finite, picture_in, read_index

MOST_LABELS = 16
"""Classes that a map shows apart; more would have no colours of their own."""
CHANNELS = (
    "Each row is a channel, by its number: the image that gradient ascent found to excite it most, then the places "
    "of the data that do, strongest first."
)
SYMBOLS = ("circle", "diamond")
WHO = {"encoder": "", "random": "random weights", "supervised": "supervised"}


@dataclass(frozen=True, kw_only=True)
class Look:
    """What was drawn of one encoder: its index and the folder of its images."""

    name: str
    folder: Path
    index: Json

    def sheet(self, part: Any) -> Path | None:
        """The file of a sheet, where the folder has it."""
        return picture_in(self.folder, part.get("file")) if isinstance(part, Mapping) else None


def looks_of(evaluation: Json, task: str) -> list[Look]:
    """The encoder first, then what it stands beside."""
    folders = drawn_folders(evaluation)
    indexes = {who: read_index(folders[who]) for who in WHO if who in folders}
    return [Look(name=WHO[who] or task, folder=folders[who], index=index) for who, index in indexes.items() if index]


def looks_blocks(evaluation: Json, task: str) -> list[Block]:
    """All parts that were drawn."""
    looks = looks_of(evaluation, task)
    if not looks:
        return []
    return [
        _side_by_side(looks, "kernels", "First-layer kernels", exact=True),
        _attention(looks),
        *(_stages(look, folded=i > 0) for i, look in enumerate(looks)),
        _maps(looks),
    ]


def _side_by_side(looks: list[Look], part: str, title: str, *, exact: bool) -> Drawn:
    def draw(album: Album) -> str:
        cells = ""
        for look in looks:
            sheet, path = look.index.get(part), look.sheet(look.index.get(part))
            shown = shown_sheet(album.sheet(path, exact=exact), f"{title}, {look.name}", exact=exact) if path else ""
            cells += _figure(shown, f"{look.name}. {_caption(sheet)}") if shown else ""
        return f'<h4>{esc(title)}</h4><div class="beside">{cells}</div>' if cells else ""

    return draw


def _attention(looks: list[Look]) -> Drawn:
    def draw(album: Album) -> str:
        cells = ""
        for look in looks:
            sheet, path = look.index.get("attention"), look.sheet(look.index.get("attention"))
            shown = shown_sheet(album.sheet(path), f"attention of {look.name}") if path else ""
            if shown and isinstance(sheet, Mapping):
                heads = "".join(f"<span>{esc(head)}</span>" for head in sheet.get("heads") or [])
                # A sheet is tiles of equal width: a row of as many equal columns names them at any size.
                cells += _figure(f'<div class="heads">{heads}</div>{shown}', f"{look.name}. {_caption(sheet)}")
        return f'<h4>Attention by stage</h4><div class="beside wide">{cells}</div>' if cells else ""

    return draw


def _stages(look: Look, *, folded: bool) -> Drawn:
    stages = [s for s in look.index.get("stages") or [] if isinstance(s, Mapping)]

    def draw(album: Album) -> str:
        body = "".join(_stage(album, look, stage) for stage in stages)
        if not body:
            return ""
        title = f"What channels of each stage answer to, {look.name}"
        body = f'{note(CHANNELS)}<div class="stages">{body}</div>'
        if folded:
            return f"<details><summary>{esc(title)}</summary>{body}</details>"
        return f"<h4>{esc(title)}</h4>{body}"

    return draw


def _stage(album: Album, look: Look, stage: Mapping[str, Any]) -> str:
    """A row for each channel: its filter, then its strongest patches."""
    name, field = str(stage.get("stage", "")), stage.get("field")
    filters, patches = (_tiles(album, look, stage.get(part)) for part in ("filters", "patches"))
    rows = ""
    for i, channel in enumerate(stage.get("channels") or []):
        made = filters.cell(i, f"filter of channel {channel} of {name}") if filters else ""
        found = patches.row(i, f"patches of channel {channel} of {name}") if patches else ""
        rows += f"<span>{esc(channel)}</span>{made}{found}" if made or found else ""
    if not rows:
        return ""
    sees = f", sees {field[0]} × {field[1]} pixels" if isinstance(field, list) and len(field) == 2 else ""
    widths = f"2.2em {'1fr' if filters else ''} {f'{patches.wide:.4g}fr' if patches else ''}"
    sheets = "".join(f"--{kind}:{sheet.picture};" for kind, sheet in (("cell", filters), ("row", patches)) if sheet)
    grid = f'<div class="tiles" style="grid-template-columns:{widths};{sheets}">{rows}</div>'
    return f"<figure><figcaption><b>{esc(name)}</b>{esc(sees)}</figcaption>{grid}</figure>"


@dataclass(frozen=True, kw_only=True)
class Tiles:
    """A sheet of which single tiles, or whole rows, are shown as the background of an element of their shape.

    A background of `wide` times the element's width is moved by shares of what does not fit, so that the i-th of c
    tiles begins at i / (c - 1), whatever the gaps between them and the size on the screen.
    """

    picture: str
    side: int
    gap: int
    columns: int
    rows: int

    @property
    def wide(self) -> float:
        return (self.columns * (self.side + self.gap) - self.gap) / self.side

    def cell(self, i: int, words: str) -> str:
        place = f"{_share(i % self.columns, self.columns)} {_share(i // self.columns, self.rows)}"
        return self._element("cell", words, f"background-size:{100 * self.wide:.4g}% auto;background-position:{place}")

    def row(self, i: int, words: str) -> str:
        return self._element("row", words, f"aspect-ratio:{self.wide:.4g};background-position:0 {_share(i, self.rows)}")

    def _element(self, kind: str, words: str, style: str) -> str:
        return f'<i class="{kind}" role="img" aria-label="{esc(words)}" style="{style}"></i>'


def _tiles(album: Album, look: Look, sheet: Any) -> Tiles | None:
    path = look.sheet(sheet)
    found = album.sheet(path) if path else None
    if not found or not isinstance(sheet, Mapping):
        return None
    side, gap, columns, count = (int(finite(sheet.get(k)) or 0) for k in ("tile", "gap", "columns", "count"))
    if side < 1 or columns < 1 or count < 1:
        return None
    return Tiles(picture=f"var({found.name})", side=side, gap=gap, columns=columns, rows=-(-count // columns))


def _share(i: int, count: int) -> str:
    return f"{100 * i / (count - 1):.4g}%" if count > 1 else "0"


def _maps(looks: list[Look]) -> Drawn:
    def draw(album: Album) -> str:
        figures = [figure for look in looks if (figure := map_figure(album, look))]
        return figures_html(figures)

    return draw


def map_figure(album: Album, look: Look) -> Figure | None:
    """A map of the data in which similar features are close; a thumbnail shows under the pointer."""
    sheet = look.index.get("map")
    if not isinstance(sheet, Mapping):
        return None
    x, y, keys, labels = (list(sheet.get(name) or []) for name in ("x", "y", "keys", "labels"))
    count = min(len(x), len(y))
    if not count:
        return None
    labels = [None if label is None else str(label) for label in labels] + [None] * (count - len(labels))
    keys = [str(key) for key in keys] + [""] * (count - len(keys))
    classes = sorted({label for label in labels[:count] if label is not None})
    apart = len(classes) <= MOST_LABELS
    groups: list[str | None] = [*classes, None] if apart else [None]
    lines = []
    for i, group in enumerate(groups):
        rows = [n for n in range(count) if not apart or labels[n] == group]
        if not rows:
            continue
        lines.append(
            Line(
                name=group or ("no label" if classes and apart else "samples"),
                x=[x[n] for n in rows],
                y=[y[n] for n in rows],
                colour="--quiet" if group is None and len(groups) > 1 else colour_of(i),
                symbol=SYMBOLS[(i // 8) % len(SYMBOLS)],
                points_only=True,
                names=[" · ".join(filter(None, (labels[n], Path(keys[n]).name))) for n in rows],
                tiles=rows,
            )
        )
    return Figure(
        title=f"Map of the data, {look.name}",
        lines=lines,
        note=_caption(sheet),
        is_map=True,
        thumbs=_thumbs(_tiles(album, look, sheet)),
        wide=False,
    )


def _thumbs(tiles: Tiles | None) -> Thumbs | None:
    return Thumbs(**vars(tiles)) if tiles else None


def _caption(sheet: Any) -> str:
    return str(sheet.get("caption") or "") if isinstance(sheet, Mapping) else ""


def _figure(inner: str, caption: str) -> str:
    return f"<figure>{inner}<figcaption>{esc(caption)}</figcaption></figure>"
