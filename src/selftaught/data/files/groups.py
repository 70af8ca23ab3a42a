"""Groups of samples that belong together, such as the clips of one person, which must not be on both sides of a split.

A column of `labels.csv` or a file says them; names of UCF101 (`v_Archery_g08_c01`) do themselves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from selftaught.data.files.hints import UnfitHint
from selftaught.data.files.labels_file import LABELS_FILE, read_columns, text_of

GROUP_COLUMN = "group"
"""Column of `labels.csv` that is used without being asked for."""
_UCF = re.compile(r"(v_.+_g\d+)_c\d+(?:\.\w+)?", re.IGNORECASE)
_MOST = 0.9
"""Share of the names that must be like those of UCF101."""


def find_groups(
    keys: Sequence[str], how: str | None, table: str | None, where: str
) -> tuple[dict[str, str], list[str]]:
    """Group of each key that has one, and sentences on where it comes from.

    Args:
        keys: of the samples.
        how: name of a column of `labels.csv`, or path of a file with the columns file and group; None for a column
            "group", or the names of UCF101.
        table: text of `labels.csv`, None where there is none.
        where: the data, for messages.

    Raises:
        ValueError: where there is neither such a column nor such a file, or it names no sample.
    """
    columns = read_columns(keys, table, f"{LABELS_FILE} of {where}") if table is not None else {}
    if how is None and GROUP_COLUMN not in columns:
        return _by_name(keys)
    if (how or GROUP_COLUMN) in columns:
        name = f"the column {how or GROUP_COLUMN} of {LABELS_FILE}"
        groups = columns[how or GROUP_COLUMN]
    else:
        name, groups = str(how), _from_file(keys, Path(str(how)).expanduser(), sorted(columns))
    found = {key: group for key, group in groups.items() if group}
    if not found:
        raise UnfitHint(f"--groups {how}: {name} names a group for none of the {len(keys)} samples of {where}")
    lacking = len(keys) - len(found)
    without = f"; {lacking} samples have none and are groups of their own" if lacking else ""
    return found, [f"{len(set(found.values()))} groups by {name}{without}"]


def _by_name(keys: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    names = {key: match[1] for key in keys if (match := _UCF.fullmatch(key.rpartition("/")[2]))}
    if not names or len(names) < _MOST * len(keys):
        return {}, []
    return names, [f"{len(set(names.values()))} groups by the names of the files, as UCF101 has them"]


def _from_file(keys: Sequence[str], path: Path, columns: Sequence[str]) -> dict[str, str]:
    if not path.is_file():
        have = f" ({', '.join(columns)})" if columns else ""
        raise UnfitHint(
            f"--groups {path} is neither a column of {LABELS_FILE}{have} nor a file; give one of its columns, or a CSV "
            "file with the columns file and group"
        )
    found = read_columns(keys, text_of(path.read_bytes(), str(path)), str(path))
    if GROUP_COLUMN not in found:
        raise ValueError(f"--groups {path} must be a CSV file with the columns file and group")
    return found[GROUP_COLUMN]


def crossing(groups: Mapping[str, str], parts: Mapping[str, str]) -> list[str]:
    """The groups that have samples in more than one part, sorted."""
    sides: dict[str, set[str]] = {}
    for key, group in groups.items():
        if key in parts:
            sides.setdefault(group, set()).add(parts[key])
    return sorted(group for group, found in sides.items() if len(found) > 1)
