"""What tests of guides read: the commands and the figures of a page, and tables that commands write."""

from __future__ import annotations

import csv
import re
import shlex
from pathlib import Path

GUIDES = Path(__file__).parents[1] / "docs" / "guides"


def commands(guide: Path) -> list[list[str]]:
    """The indented commands of a guide."""
    lines = re.findall(r"^    selftaught (.+)$", guide.read_text(encoding="utf-8"), re.MULTILINE)
    return [shlex.split(line) for line in lines]


def table(guide: Path) -> dict[str, float]:
    """First and second column of the guide's rows with a share in percent."""
    rows = re.findall(r"^\| ([^|]+) \| ([\d.]+) %", guide.read_text(encoding="utf-8"), re.MULTILINE)
    return {name.strip(): float(value) for name, value in rows}


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file by column."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
