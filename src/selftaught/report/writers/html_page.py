"""A document as one HTML file that needs nothing else, light enough for mail."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

from selftaught.core.names import printable
from selftaught.report.blocks.document import Block, Document, Section
from selftaught.report.blocks.markup import answer_html, esc, figures_html, table_html, warnings_html
from selftaught.report.blocks.pictures import SHRINKS, Album
from selftaught.report.facts.cells import Table
from selftaught.report.writers.page_head import own_text, page_head

MOST_BYTES = 14_000_000
"""A page is written with smaller images, in the end with none, rather than above this size."""
MOST_LINKS = 8
"""More runs than these have no links of their own at the top of the page."""


def html_page(document: Document) -> str:
    """The whole page, with the largest images that it can hold."""
    for shrink in SHRINKS:
        page = printable(_page(document, Album(shrink)))
        if len(page.encode()) <= MOST_BYTES:
            return page
    told = "These are too many runs for the images of all in one page; the page of each run has its own."
    answer = replace(document.answer, cautions=(*document.answer.cautions, told))
    return printable(_page(replace(document, answer=answer), Album(None)))


def _page(document: Document, album: Album) -> str:
    bodies = [(s.anchor, s.title, section_html(s, album)) for s in document.sections]
    shown = [(anchor, title, body) for anchor, title, body in bodies if body]
    links = "".join(f'<a href="#{esc(anchor)}">{esc(title)}</a>' for anchor, title in _links(document, shown))
    body = "".join(body for _, _, body in shown)
    # Text, not a script: script.js runs it when the first plot comes near the screen, with the answer already shown.
    plotly = f'<script type="text/plain" id="plotly">{_plotly()}</script>' if 'class="plot"' in body else ""
    return f"""{page_head(document.title, "style.css")}
<main>
<div class="top">{_top(document)}</div>
<nav aria-label="Sections">{links}</nav>
{body}
</main>
<style>{album.style()}</style>
{plotly}
<script>{own_text("script.js")}</script>
</body>
</html>
"""


def _links(document: Document, shown: list[tuple[str, str, str]]) -> list[tuple[str, str]]:
    """Anchor and title of every section; of many runs only where they begin, since the first table links to each."""
    runs = [s.anchor for s in document.sections if s.folded]
    if len(runs) <= MOST_LINKS:
        return [(anchor, title) for anchor, title, _ in shown]
    named = {runs[0]: f"The {len(runs)} runs"}
    return [(anchor, named.get(anchor, title)) for anchor, title, _ in shown if anchor not in runs[1:]]


def section_html(section: Section, album: Album, *, level: int = 2) -> str:
    """The section with its title; nothing where it has no content."""
    body = "".join(block_html(block, album, title=section.title) for block in section.blocks)
    body += "".join(section_html(child, album, level=level + 1) for child in section.children)
    if not body:
        return ""
    heading = f"<h{level}>{esc(section.title)}</h{level}>"
    if section.folded:
        lead = f'<span class="lead">{esc(section.lead)}</span>'
        body = f'<details class="run"><summary>{heading}{lead}</summary>{body}</details>'
        return f'<section id="{esc(section.anchor)}" class="folded">{body}</section>'
    return f'<section id="{esc(section.anchor)}">{heading}{body}</section>'


def block_html(block: Block, album: Album, *, title: str = "") -> str:
    """One block of the section of that title; nothing where it has no content."""
    if isinstance(block, str):
        return block
    if isinstance(block, Table):
        return table_html(block, heading=block.title != title) if block.rows else ""
    return block(album) if callable(block) else figures_html(block)


def _top(document: Document) -> str:
    settings = f'<p class="line">{esc(document.line)}</p>' if document.line else ""
    warned = warnings_html(document.warnings)
    return f'<p class="eyebrow">{esc(document.eyebrow)}</p>{answer_html(document.answer)}{settings}{warned}'


@cache
def _plotly() -> str:
    # plotly.offline only to find its plotly.js; the figures themselves are plain JSON.
    from plotly.offline import get_plotlyjs

    return _quick(get_plotlyjs())


def _quick(source: str) -> str:
    """plotly.js that starts in half of its time; one of an unknown form is left as it is.

    It ends by setting up 47 kinds of plots, maps and meshes among them; its core has the one drawn here, scatter. And a
    browser reads a function that stands in brackets once, others twice, here all four megabytes.
    """
    source = re.sub(r"(\.register\(\[)(?:[\w$]+\(\),)+[\w$]+\(\)(\]\))", r"\1\2", source)
    head, tail = ', () => {\n"use strict";', "return Plotly;\n}));"
    if source.count(head) != 1 or source.count(tail) != 1:
        return source
    return source.replace(head, f", ({head[2:]}").replace(tail, f"{tail[:-2]}));")
