"""The one file a verb writes: refused before the work where it cannot be, of the form its ending says."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def check_out(out: str | Path, forms: Mapping[str, str], *, overwrite: bool) -> Path:
    """The path of a file that may be written.

    Args:
        out: as it was given; ~ is the home folder.
        forms: the endings that are known, such as {".csv": "csv"}; none means that any will do.
        overwrite: whether a file of that name may be replaced.
    """
    path = Path(out).expanduser()
    if path.is_dir():
        raise ValueError(f"--out {out} is a folder; give the name of a file")
    if forms and path.suffix.lower() not in forms:
        raise ValueError(f"--out {out} must end with one of {', '.join(forms)}, which says the form of the file")
    if os.path.lexists(path) and not overwrite:
        raise ValueError(f"--out {out} is there already; give another name, or --overwrite to replace it")
    _check_above(path, out)
    return path


def check_out_folder(out: str | Path) -> None:
    """Refuse a folder that cannot be made or written to."""
    path = Path(out).expanduser()
    if os.path.lexists(path) and not path.is_dir():
        raise ValueError(f"--out {out} is a file; give a new or empty folder")
    _check_above(path / "any", out)


def _check_above(path: Path, out: str | Path) -> None:
    above = next(folder for folder in path.absolute().parents if os.path.lexists(folder))
    if not above.is_dir():
        raise ValueError(f"--out {out}: {above} is no folder; give another place")
    if not os.access(above, os.W_OK | os.X_OK):
        raise ValueError(f"--out {out}: {above} cannot be written to; give another place, or change its permissions")
