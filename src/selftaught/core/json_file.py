"""JSON files that selftaught wrote and somebody else may have changed: one sentence says which one is damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        OSError: where it cannot be read.
        ValueError: where it holds no JSON, is nested too deeply, or holds something else than an object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise ValueError(f"{path} is damaged ({reason}); remove it or run the command that wrote it again") from None
    if not isinstance(value, dict):
        raise ValueError(
            f"{path} holds a {type(value).__name__} where an object is expected; remove it or write it again"
        )
    return value
