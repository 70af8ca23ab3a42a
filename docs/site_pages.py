"""A hook of mkdocs: adds the pages that are outside docs/, adapts links to them, and lists pages in the navigation.

Links in the Markdown files are relative to the repository, so that they also work without the site.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
ADDED = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "src/selftaught/data/demo_data/ATTRIBUTION.md": "attribution.md",
}
_LINK = re.compile(r"(?<=\]\()(?!https?://|#|mailto:)([^)#\s]+)")


def on_config(config: Any) -> Any:
    """List the pages of a folder where the navigation names a folder."""
    docs = Path(config.docs_dir)

    def pages(folder: str) -> list[str]:
        names = sorted(path.name for path in (docs / folder).glob("*.md") if path.name != "README.md")
        return [f"{folder}{name}" for name in ("README.md", *names)]

    for entry in config.nav:
        for title, target in entry.items():
            if isinstance(target, str) and target.endswith("/"):
                entry[title] = pages(target)
    return config


def on_files(files: Files, config: Any, **_: Any) -> Files:
    """Add the pages of `ADDED`, and the scripts that pages link to."""
    scripts = {f"examples/{path.name}": f"examples/{path.name}" for path in sorted((ROOT / "examples").iterdir())}
    for source, page in (ADDED | scripts).items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Turn links relative to the repository into links between pages."""
    at = page.file.src_uri
    source = next((path for path, added in ADDED.items() if added == at), f"docs/{at}")

    def moved(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link[1]))
        target = ADDED.get(target, target.removeprefix("docs/"))
        return posixpath.relpath(target, posixpath.dirname(at) or ".")

    return _LINK.sub(moved, markdown)
