"""Which folders and files selftaught wrote: what is never data, and all that --overwrite may ever remove.

A folder that selftaught makes holds the file `.selftaught`: what it is, then one line for each file written to it, in
time order. A line is there before its file, so a kill at any moment leaves nothing unlisted. Folders of versions that
wrote no such list are known by their environment.json, compare.json or meta.json, and their files by name.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

LIST = ".selftaught"
"""The file that marks a folder as ours and lists the files in it that are."""
_FIRST = "selftaught"
_LARGEST = 1 << 24
"""Bytes of the largest file that is looked into for the mark."""

_MARKS: Mapping[str, Callable[[Mapping[str, object]], bool]] = {
    "environment.json": lambda found: (
        isinstance(found.get("versions"), dict)
        and isinstance(asked := found.get("asked"), dict)
        and {"data", "out", "task"} <= asked.keys()
    ),
    "compare.json": lambda found: {"rows", "ranked_by", "encoder", "data"} <= found.keys(),
    "meta.json": lambda found: {"built", "kind", "samples", "side"} <= found.keys(),
}
"""Files of older folders, and what is in them."""
_DRAFT = re.compile(r"\.(?:.+\.part|.+\.\d+\.tmp|tmp\w{6})")
_OLD_FILES = re.compile(
    r"(?:config|environment|summary|compare|label_free_agreement)\.json"
    r"|(?:metrics|heldout|speed|refresh|skipped)\.(?:csv|tmp)"
    r"|report\.(?:html|md|tex)|report-csv/[^/]+\.csv"
    r"|checkpoints/(?:last|best)\.safetensors"
    r"|pictures/(?:pictures\.json|(?:kernels|sample\d+_\w+|query\d+(?:_neighbour\d+)?)\.png)"
    r"|evaluations/[^/]+\.(?:json|npz)|evaluations/[^/]+-[0-9a-f]{8}/\w+/[^/]+"
    r"|features/[^/]+-[0-9a-f]{24}/(?:stages\.txt|\d+\.npy)"
    r"|tensorboard/events\.out\.tfevents\.[^/]+"
)
"""Every file that versions without a list wrote to a run or a comparison."""
_OLD_FOLDERS = ("", "checkpoints", "pictures", "evaluations", "features", "tensorboard", "report-csv")


def is_own(folder: Path) -> bool:
    """Whether selftaught wrote this folder: a run, a comparison, an evaluation of weights, a packed store, a cache."""
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError:
        return False
    return has_mark(folder.name, names, lambda name: start_of(folder / name))


def has_mark(folder: str, names: Collection[str], read: Callable[[str], bytes]) -> bool:
    """As `is_own`, of a folder by its name and the names in it; `read` gives the first bytes of a file there."""
    if LIST in names and read(LIST).startswith(_FIRST.encode()):
        return True
    if any(name in names and _is_ours(name, read(name)) for name in _MARKS):
        return True
    return folder.endswith("-evaluated") and "evaluations" in names  # it had no file of its own


def own_prefixes(names: Iterable[str], read: Callable[[str], bytes]) -> list[str]:
    """The folders of an archive that selftaught wrote, as "folder/"; `read` gives the content of one of its files."""
    inside: dict[str, list[str]] = {}
    for name in names:
        place, _, own = name.rpartition("/")
        if place and (own == LIST or own in _MARKS):
            inside.setdefault(place, []).append(own)
    return [
        f"{place}/"
        for place, found in inside.items()
        if has_mark("", found, lambda own, place=place: read(f"{place}/{own}"))  # type: ignore[misc]
    ]


def mark(folder: Path, kind: str) -> bool:
    """Make the folder where it is absent and mark it; False, and nothing done, where it holds files of others."""
    folder.mkdir(parents=True, exist_ok=True)
    if is_own(folder):
        return True
    if any(folder.iterdir()):
        return False
    (folder / LIST).write_text(f"{_FIRST} {kind}\n", encoding="utf-8")
    return True


def record(path: Path) -> None:
    """List a file that is about to be written, in the folder of ours it lies in; nothing where it lies in none.

    A sub-folder that is ours by its own list is listed as `name/`.
    """
    for folder in path.parents:
        if (folder / LIST).is_file():
            break
        if is_own(folder):
            return  # of a version without a list: known by name
    else:
        return
    name = path.relative_to(folder).as_posix() + ("/" if path.is_dir() else "")
    with (folder / LIST).open("a+", encoding="utf-8", errors="surrogateescape") as file:
        file.seek(0)
        if name not in file.read().splitlines():
            file.write(f"{name}\n")


def own_files(folder: Path) -> list[str]:
    """The files below a folder of ours that selftaught wrote and that are there, relative with "/"; drafts too."""
    if not is_own(folder):
        return []
    listed = _listed(folder)
    if listed is None:
        names = [name for name in _below(folder, _OLD_FOLDERS) if _OLD_FILES.fullmatch(name) or _is_draft(name)]
        return names + [f"supervised/{name}" for name in own_files(folder / "supervised")]
    names = [name for name in dict.fromkeys(listed) if not name.endswith("/") and _is_inside(folder, name)]
    names += [
        name for name in _below(folder, {PurePosixPath(name).parent.as_posix() for name in listed}) if _is_draft(name)
    ]
    for inner in listed:
        if inner.endswith("/") and _is_inside(folder, inner) and is_own(folder / inner):
            names += [f"{inner}{name}" for name in own_files(folder / inner)]
    return [name for name in dict.fromkeys(names) if (folder / name).is_file() or (folder / name).is_symlink()]


def remove_own(folder: Path) -> None:
    """Remove what selftaught wrote to a folder of ours; what anybody else put there stays, and so does its folder."""
    names = own_files(folder)
    inner = {name for name in _listed(folder) or () if name.endswith("/")}
    for name in names:
        (folder / name).unlink(missing_ok=True)
    for name in inner:
        if _is_inside(folder, name) and is_own(folder / name):
            (folder / name / LIST).unlink(missing_ok=True)
    (folder / LIST).unlink(missing_ok=True)
    for place in sorted({p for name in (*names, *inner) for p in _folders_of(name)}, key=len, reverse=True):
        try:
            (folder / place).rmdir()
        except OSError:  # not empty: others' files are in it
            continue


def remove_drafts(folder: Path) -> None:
    """Remove what a killed process left half-written in a folder of ours."""
    for name in own_files(folder):
        if _is_draft(name):
            (folder / name).unlink(missing_ok=True)


def _folders_of(name: str) -> Iterator[str]:
    parents = PurePosixPath(name).parents
    yield from (p.as_posix() for p in parents if p.as_posix() != ".")
    if name.endswith("/"):
        yield name.rstrip("/")


def _is_inside(folder: Path, name: str) -> bool:
    """Whether a listed name is one below the folder, and no link leads out: a list may come from somebody else."""
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        return False
    return not any((folder / parent).is_symlink() for parent in _folders_of(name))


def _is_draft(name: str) -> bool:
    return _DRAFT.fullmatch(PurePosixPath(name).name) is not None


def _listed(folder: Path) -> list[str] | None:
    """The lines of the folder's list that are whole; None where it has none."""
    try:
        text = (folder / LIST).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    return text.split("\n")[1:-1]


def _below(folder: Path, places: Iterable[str]) -> Iterator[str]:
    """Files in these sub-folders, and in those of evaluations and features; no link is followed."""
    for place in sorted(set(places)):
        if place and not _is_inside(folder, f"{place}/"):
            continue
        start = folder / place
        if place in ("evaluations", "features"):
            walked: Iterable[Path] = (Path(at) / name for at, _, files in os.walk(start) for name in files)
        else:
            walked = start.iterdir() if start.is_dir() else ()
        yield from (path.relative_to(folder).as_posix() for path in walked if path.is_symlink() or path.is_file())


def _is_ours(name: str, start: bytes) -> bool:
    try:
        found = json.loads(start)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and _MARKS[name](found)


def told_own(folders: Sequence[str]) -> str:
    """The sentence on folders that are no data."""
    shown = ", ".join(sorted(folders)[:3]) + (f" and {len(folders) - 3} more" if len(folders) > 3 else "")
    return f"left out, as selftaught itself wrote {'it' if len(folders) == 1 else 'them'}: {shown}"


def start_of(path: Path) -> bytes:
    """The first bytes of a file, as `has_mark` needs them; none where it cannot be read."""
    try:
        if not path.is_file() or (path.name != LIST and path.stat().st_size > _LARGEST):
            return b""
        with path.open("rb") as file:
            return file.read(len(_FIRST) if path.name == LIST else _LARGEST)
    except OSError:
        return b""
