"""Unknown names answer with the near matches and the full list."""

from __future__ import annotations

import difflib
from collections.abc import Sequence


def unknown_name(what: str, got: str, known: Sequence[str]) -> str:
    """One sentence: `unknown task 'rotatoin'; did you mean rotation? Known: ...`."""
    near = difflib.get_close_matches(got, known, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(near)}?" if near else ";"
    return f"unknown {what} {got!r}{hint} Known: {', '.join(known)}"
