"""The page of suggestions: thumbnails of what to label next, and of what to look at again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from selftaught.core.files import read_object, written_whole
from selftaught.core.own_folder import record
from selftaught.report.blocks.document import Block, Document, Drawn, Section
from selftaught.report.blocks.markup import esc, note, photograph
from selftaught.report.blocks.pictures import Album
from selftaught.report.facts.answer import Answer
from selftaught.report.facts.read import finite, picture_in
from selftaught.report.writers.html_page import html_page
from selftaught.report.writers.place import PAGE

FACTS = "suggestions.json"
LISTS = {
    "next": ("To label next", "The most wanted first. Their labels teach most, as far as the features can tell."),
    "label_errors": ("Likely label errors", "The label that was given, and the class that is more probable."),
    "duplicates": ("Near duplicates", "Pairs that look alike. On both sides of a split they make results too good."),
    "outliers": ("Outliers", "Farthest from all others: broken, of no class, or rare."),
}
"""Name of a list -> its title, and how to read it."""


def write_suggestions_page(folder: Path) -> Path:
    """Write report.html of a folder of suggestions from its suggestions.json and thumbnails; return its path."""
    path = folder / PAGE
    text = html_page(suggestions_document(folder))
    with written_whole(record(path)) as draft:
        draft.write_text(text, encoding="utf-8")
    return path


def suggestions_document(folder: Path) -> Document:
    """What there is to say of the folder."""
    facts = read_object(folder / FACTS)
    counts: Mapping[str, Any] = facts.get("counts") or {}
    lists: Mapping[str, Any] = facts.get("lists") or {}
    files: Mapping[str, Any] = facts.get("files") or {}
    sections = [
        Section(anchor=name.replace("_", "-"), title=title, blocks=_blocks(folder, words, lists.get(name) or [], files,
                                                                         counts.get(name)))
        for name, (title, words) in LISTS.items()
    ]  # fmt: skip
    found = ", ".join(f"{counts.get(name, 0)} {title.lower()}" for name, (title, _) in LISTS.items() if name != "next")
    headline = f"{counts.get('next', 0)} samples to label next, of {facts.get('samples')}; {found}."
    settings = [str(facts.get(name)) for name in ("data", "run", "encoder", "way") if facts.get(name)]
    return Document(
        title=f"suggestions for {facts.get('data')}",
        eyebrow="Suggestions",
        answer=Answer(headline=headline, more=str(facts.get("note") or "")),
        line=" · ".join(settings),
        sections=sections,
    )


def _blocks(folder: Path, words: str, entries: Sequence[Any], files: Mapping[str, Any], total: object) -> list[Block]:
    if not entries:
        return []
    number = finite(total) or len(entries)
    more = f" The first {len(entries)} of {number:g}; the table has all." if number > len(entries) else ""
    return [note(f"{words}{more}"), cards(folder, entries, files)]


def cards(folder: Path, entries: Sequence[Any], files: Mapping[str, Any]) -> Drawn:
    """A card for each entry that has an image: those of its "path" and "other" with names, and all else in words.

    Args:
        folder: where the images are.
        entries: one a card.
        files: path of a sample -> name of its image below the folder.
    """

    def draw(album: Album) -> str:
        cards = "".join(_card(folder, album, entry, files) for entry in entries if isinstance(entry, Mapping))
        return f'<div class="drawings">{cards}</div>' if cards else ""

    return draw


def _card(folder: Path, album: Album, entry: Mapping[str, Any], files: Mapping[str, Any]) -> str:
    shown = ""
    for name in ("path", "other"):
        key = str(entry.get(name) or "")
        if key and (path := picture_in(folder, files.get(key))) is not None:
            picture = photograph(album, path, key)
            caption = esc(PurePath(key).name)
            shown += (
                f'<figure title="{esc(key)}">{picture}<figcaption>{caption}</figcaption></figure>' if picture else ""
            )
    return f'<div class="drawing">{shown}<p class="line">{esc(_said(entry))}</p></div>' if shown else ""


def _said(entry: Mapping[str, Any]) -> str:
    """What is known of one entry, beside its path."""
    told = []
    for name, value in entry.items():
        if name in ("path", "other", "rank") or value in (None, ""):
            continue
        number = finite(value)
        told.append(f"{name.replace('_', ' ')} {value if number is None else f'{number:.3g}'}")
    return ", ".join(told)
