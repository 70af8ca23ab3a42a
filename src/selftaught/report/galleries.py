"""Pictures that single protocols drew: what was retrieved for a query; masks and boxes beside what is true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from selftaught.report.document import Block, Drawn
from selftaught.report.markup import esc, image, note, photograph
from selftaught.report.pictures import Album
from selftaught.report.protocols import more_of
from selftaught.report.read import Json, drawn_folders, finite, picture_in

SHOWN = {"encoder": "", "random": "The same with random weights", "supervised": "The same of the supervised encoder"}


def gallery_blocks(evaluation: Json) -> list[Block]:
    """What the protocol drew for people to judge by eye; of what it stands beside, folded."""
    folders = drawn_folders(evaluation)
    blocks: list[Block] = []
    for who, listed in more_of(evaluation, "gallery").items():
        if who in folders and isinstance(listed, list):
            blocks.append(_folded(SHOWN[who], _retrieved(folders[who], listed)))
    if blocks:
        told = "Left: a query. Then its nearest samples by cosine similarity; ✓ is of the same class, ✗ is not."
        blocks.insert(1, note(told))
    for who, listed in more_of(evaluation, "pictures").items():
        if who in folders and isinstance(listed, list):
            blocks.append(_folded(SHOWN[who], _drawings(folders[who], listed)))
    return blocks


def _folded(title: str, draw: Drawn) -> Drawn:
    def shown(album: Album) -> str:
        body = draw(album)
        return f"<details><summary>{esc(title)}</summary>{body}</details>" if body and title else body

    return shown


def _retrieved(folder: Path, listed: Sequence[Any]) -> Drawn:
    def draw(album: Album) -> str:
        rows = "".join(_row(album, folder, entry) for entry in listed if isinstance(entry, Mapping))
        return f'<div class="neighbours">{rows}</div>' if rows else ""

    return draw


def _row(album: Album, folder: Path, entry: Mapping[str, Any]) -> str:
    query = photograph(album, picture_in(folder, entry.get("picture")), str(entry.get("query")))
    found = ""
    for near in entry.get("nearest") or []:
        shown = photograph(album, picture_in(folder, near.get("picture")), str(near.get("key")))
        right, similarity = near.get("right") is True, finite(near.get("similarity"))
        told = f"{'✓' if right else '✗'} {similarity:.2f}" if similarity is not None else ""
        title = f"{near.get('label')}: {PurePath(str(near.get('key'))).name}"
        tone = "right" if right else "wrong"
        caption = f"<figcaption>{told}</figcaption>"
        found += f'<figure class="{tone}" title="{esc(title)}">{shown}{caption}</figure>' if shown else ""
    if not query or not found:
        return ""
    label = esc(entry.get("label") or "query")
    return f'<div class="row"><figure class="query">{query}<figcaption>{label}</figcaption></figure>{found}</div>'


def _drawings(folder: Path, listed: Sequence[Any]) -> Drawn:
    """Each entry's picture files in its order, with their names under them where it has several."""

    def draw(album: Album) -> str:
        cards = ""
        for entry in listed:
            if not isinstance(entry, Mapping):
                continue
            key = PurePath(str(entry.get("key", ""))).name
            files = {str(name): path for name, value in entry.items() if (path := picture_in(folder, value))}
            shown = "".join(
                f"<figure>{image(album.sheet(path), f'{name} of {key}')}"
                f"<figcaption>{esc(key if len(files) == 1 else name.replace('_', ' '))}</figcaption></figure>"
                for name, path in files.items()
            )
            several = f'<p class="note">{esc(key)}</p>' if len(files) > 1 else ""
            cards += f'<div class="drawing n{min(len(files), 3)}">{shown}{several}</div>' if shown else ""
        return f'<div class="drawings">{cards}</div>' if cards else ""

    return draw
