"""What every page begins with, and the files of the package that pages hold."""

from __future__ import annotations

from importlib import resources

from selftaught.report.blocks.markup import esc
from selftaught.report.writers.place import GENERATOR

# The policy makes "no network" a promise the browser keeps, whatever a run folder holds.
POLICY = (
    "default-src 'none'; img-src data: blob:; media-src data:; font-src data:; "
    "style-src 'unsafe-inline'; script-src 'unsafe-inline'"
)


def page_head(title: str, *styles: str, kind: str = "") -> str:
    """HTML up to the bar at the top, with style sheets of the package; `kind` is the class of the body."""
    style = "".join(map(own_text, styles))
    body = f'<body class="{esc(kind)}">' if kind else "<body>"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
{GENERATOR}
<title>{esc(title)}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
{body}
<header class="bar"><span>selftaught</span><button type="button" id="theme">Dark</button></header>"""


def own_text(name: str) -> str:
    """A style sheet or script beside `selftaught.report`."""
    return (resources.files("selftaught.report") / name).read_text(encoding="utf-8")
