"""A page as a browser finds it, and files of a run that are changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

Folder = Callable[..., Path]
MEGABYTE = 1_000_000


class Page(HTMLParser):
    """What a browser would find: visible text, scripts, addresses and the figures' JSON."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.text = ""
        self.scripts: list[str] = []
        self.addresses: list[str] = []
        self.headings: list[str] = []
        self.figures: list[dict[str, Any]] = []
        self.copies: list[str] = []
        self._in: list[tuple[str, dict[str, str | None]]] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag in ("script", "style", "template", "h1", "h2", "h3"):
            self._in.append((tag, values))

    def handle_endtag(self, tag: str) -> None:
        if self._in and self._in[-1][0] == tag:
            self._in.pop()

    def handle_data(self, data: str) -> None:
        tag, values = self._in[-1] if self._in else ("", {})
        if tag == "script" and values.get("type") == "application/json":
            self.figures.append(json.loads(data))
        elif tag == "script":
            self.scripts.append(data)
        elif tag == "template":
            self.copies.append(data)
        elif tag != "style":
            self.text += f" {data}"
            self.headings += [data] if tag else []


def changed(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
