"""The page on which data are explored: one HTML file that needs nothing else and loads nothing."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selftaught.core.files import written_whole
from selftaught.core.names import printable
from selftaught.core.own_folder import record
from selftaught.report.blocks.markup import esc
from selftaught.report.writers.page_head import own_text, page_head

METHODS = {"tsne": "t-SNE", "umap": "UMAP", "pca": "the first two principal components"}

_ASIDE = """<aside>
<h3 id="name">Click a sample for its neighbours</h3>
<div id="neighbours" class="tiles"></div>
<h3><span id="count">0</span> selected</h3>
<p><button type="button" id="save" disabled>Save list</button>
<button type="button" id="clear" disabled>Clear</button></p>
<div id="selected" class="tiles"></div>
<textarea id="list" readonly rows="6" aria-label="Paths of the selected samples"></textarea>
</aside>"""
"""Beside the map: the neighbours of a sample, and the selection."""


def write_explore_page(facts: Mapping[str, Any], path: Path) -> Path:
    """Write the page of the facts of `evaluation.suggest.explore`; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = printable(explore_page(facts))
    with written_whole(record(path)) as draft:
        draft.write_text(text, encoding="utf-8")
    return path


def explore_page(facts: Mapping[str, Any]) -> str:
    """The page as text."""
    shown, total = len(facts["keys"]), facts["samples"]
    what = f"{shown:,} samples" if shown == total else f"{shown:,} of {total:,} samples, drawn at random"
    line = " · ".join(esc(str(facts[name])) for name in ("data", "run", "encoder"))
    sheets = [f"data:image/jpeg;base64,{base64.b64encode(sheet).decode()}" for sheet in facts["sheets"]]
    held = {name: value for name, value in facts.items() if name != "sheets"} | {"sheets": sheets}
    # "<" inside a string could end the script; a name in the data may hold anything.
    data = json.dumps(held, separators=(",", ":")).replace("<", "\\u003c")
    options = "".join(
        f'<option value="{value}">{words}</option>'
        for value, words in (("class", "class"), ("cluster", "cluster"), ("", "none"))
        if value != "class" or facts["classes"]
    )
    head = page_head(f"explore {facts['data']}", "style.css", "explore.css", kind="explore")
    return f"""{head}
<main>
<p class="eyebrow">Explore</p>
<p class="line">{what} by {METHODS[str(facts["method"])]} of their features; on the map {facts["kept"]:g} % of the ten
nearest neighbours are near, too. {line}</p>
<div class="tools">
<span role="group" aria-label="What dragging does">
<button type="button" data-mode="lasso" aria-pressed="true">Lasso</button>
<button type="button" data-mode="box" aria-pressed="false">Box</button>
<button type="button" data-mode="move" aria-pressed="false">Move</button></span>
<label>Colours <select id="colour">{options}</select></label>
<label><input type="checkbox" id="images"> images</label>
<button type="button" id="reset">Whole map</button>
<input type="search" id="find" placeholder="part of a path" aria-label="Select by a part of the path">
</div>
<div class="place">
<div class="left"><canvas id="map" tabindex="0" role="img" aria-label="Map of the samples"></canvas>
<div class="legend" id="legend"></div></div>
{_ASIDE}
</div>
<p class="note">Drag to select (with Shift to add), wheel to zoom, click for the most similar samples. The list holds
one path in each line.</p>
</main>
<script type="application/json" id="facts">{data}</script>
<script>{own_text("explore.js")}</script>
</body>
</html>
"""
