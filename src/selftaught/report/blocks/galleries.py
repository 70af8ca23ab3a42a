"""Images that single protocols drew: what was retrieved for a query; masks and boxes beside what is true."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from selftaught.report.blocks.document import Block, Drawn
from selftaught.report.blocks.markup import esc, moving_image, note, photograph
from selftaught.report.blocks.pictures import WIDE, Album
from selftaught.report.blocks.protocols import more_of
from selftaught.report.facts.read import Json, drawn_folders, finite, picture_in

READ = {
    "segmentation": "Each image, then its true mask, then the predicted one; unlabelled pixels are white.",
    "mask_propagation": "Left: the true masks. Right: those that are followed from the first frame on.",
    "detection": "Green: true boxes. Orange: boxes that were found, with their score.",
}
"""How to read what a protocol drew."""
SHOWN = {"encoder": "", "random": "The same with random weights", "supervised": "The same of the supervised encoder"}


def gallery_blocks(evaluation: Json) -> list[Block]:
    """Drawings of the protocol; those of the references are folded."""
    folders = drawn_folders(evaluation)
    blocks: list[Block] = []
    for who, listed in more_of(evaluation, "gallery").items():
        if who in folders and isinstance(listed, list):
            blocks.append(_folded(SHOWN[who], _retrieved(folders[who], listed)))
    if blocks:
        told = "Left: a query. Then its nearest samples by cosine similarity; ✓ is of the same class, ✗ is not."
        blocks.insert(1, note(told))
    drawings: list[Block] = [
        _folded(SHOWN[who], _drawings(folders[who], listed))
        for who, listed in more_of(evaluation, "pictures").items()
        if who in folders and isinstance(listed, list)
    ]
    if drawings:
        told = READ.get(str(evaluation.get("probe")), "")
        drawings.insert(1, note(told) + _classes((evaluation.get("more") or {}).get("colours")))
    return [*blocks, *drawings]


def _classes(colours: Any) -> str:
    """Which colour of a mask is which class."""
    if not isinstance(colours, Mapping):
        return ""
    known = [(name, colour) for name, colour in colours.items() if re.fullmatch("#[0-9a-f]{6}", str(colour))]
    return f'<p class="colours">{"".join(_class(str(name), colour) for name, colour in known)}</p>'


def _class(name: str, colour: str) -> str:
    return f'<span><i style="background:{colour}"></i>{esc(name)}</span>'


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
        file = esc(PurePath(str(near.get("key"))).name)
        caption = f'<figcaption>{told}<span class="file">{file}</span></figcaption>'
        found += f'<figure class="{tone}" title="{esc(title)}">{shown}{caption}</figure>' if shown else ""
    if not query or not found:
        return ""
    label = esc(entry.get("label") or "query")
    return f'<div class="row"><figure class="query">{query}<figcaption>{label}</figcaption></figure>{found}</div>'


def _drawings(folder: Path, listed: Sequence[Any]) -> Drawn:
    """Each entry's image files in its order; titled by the image's name, or their own names if several."""

    def draw(album: Album) -> str:
        cards, wide = "", False
        for entry in listed:
            if not isinstance(entry, Mapping):
                continue
            key = PurePath(str(entry.get("key", ""))).name
            files = {str(name): path for name, value in entry.items() if (path := picture_in(folder, value))}
            uris = {name: uri for name, path in files.items() if (uri := album.drawing(path))}
            shown = "".join(
                f"<figure>{moving_image(uri, album.moving_drawing(files[name]), f'{name} of {key}')}"
                f"<figcaption>{esc(key if len(files) == 1 else name.replace('_', ' '))}</figcaption></figure>"
                for name, uri in uris.items()
            )
            # Images that stand side by side, in one file or in several, need the room of as many.
            wide = wide or sum(width / height for _, width, height in uris.values()) > WIDE
            cards += f'<div class="drawing">{shown}</div>' if shown else ""
        return f'<div class="drawings{" wide" if wide else ""}">{cards}</div>' if cards else ""

    return draw
