"""Which folders and files selftaught wrote: what is never data, and all that --overwrite may ever remove.

A folder that selftaught makes holds the file `.selftaught`: what it is, then one line for each file written to it, in
time order. A line is there before its file, so a kill at any moment leaves nothing unlisted. Folders of versions that
wrote no such list are known by their environment.json, compare.json or meta.json, and their files by name.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from selftaught.core.files import draft_of, told_as, written_whole
from selftaught.core.plain import strict
from selftaught.core.signals import undisturbed

LIST = ".selftaught"
"""The file that marks a folder as ours and lists the files in it that are."""
_FIRST = "selftaught"
_LARGEST = 1 << 24
"""Bytes of the largest file that is looked into for the mark."""
_NEW = ".new.part"
"""What is written to take the place of what a folder holds."""

try:
    import fcntl
except ImportError:  # Windows: two runs into one folder are not told
    fcntl = None  # type: ignore[assignment]

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
_UNLISTED = ("features", "tensorboard")
"""Folders whose files are known by name alone: too many, or written by others for us."""
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
    if (folder / LIST).exists():
        return is_own(folder)
    if is_own(folder):  # of a version without a list: what it wrote is known by name, and listed from now on
        lines = own_files(folder)
    elif others_in(folder):
        return False
    else:
        lines = []
    text = "".join(f"{line}\n" for line in (f"{_FIRST} {kind}", *lines))
    with written_whole(folder / LIST, new=True) as draft:  # another process may mark the folder at the same moment
        draft.write_text(text, encoding="utf-8", errors="surrogateescape")
    return True


def is_kind(folder: Path, kind: str) -> bool:
    """Whether `mark` marked the folder as one of that kind, even if nothing else was written to it."""
    try:
        with (folder / LIST).open(encoding="utf-8", errors="surrogateescape") as file:
            return file.readline().rstrip("\n") == f"{_FIRST} {kind}"
    except OSError:
        return False


def others_in(folder: Path) -> list[str]:
    """Names of what a folder holds, but for a mark that a killed process had begun to write."""
    return sorted(path.name for path in folder.iterdir() if path != draft_of(folder / LIST))


def record(path: Path) -> Path:
    """List a file that is about to be written, if it is in a folder that selftaught wrote.

    A sub-folder that is ours by its own list is listed as `name/`. Returns the path.
    """
    folder = next((folder for folder in path.parents if (folder / LIST).is_file()), None)
    if folder is None:
        return path
    name = path.relative_to(folder).as_posix() + ("/" if path.is_dir() else "")
    with (folder / LIST).open("r+", encoding="utf-8", errors="surrogateescape") as file:
        lines = file.read().split("\n")
        if lines[0] != f"{_FIRST} cache" and name not in lines and "\n" not in name:
            file.write(f"{name}\n")
    return path


def record_all(folder: Path, names: Sequence[str]) -> None:
    """List files that several processes will write to a marked folder, before any of them does."""
    with (folder / LIST).open("r+", encoding="utf-8", errors="surrogateescape") as file:
        known = set(file.read().split("\n"))
        file.write("".join(f"{name}\n" for name in names if name not in known))


def own_files(folder: Path) -> list[str]:
    """The files below a folder of ours that selftaught wrote and that are there, relative with "/"; drafts too."""
    if not is_own(folder):
        return []
    listed = _listed(folder)
    if listed is None:
        names = [name for name in _below(folder, _OLD_FOLDERS) if _OLD_FILES.fullmatch(name) or _is_draft(name)]
        return names + [f"supervised/{name}" for name in own_files(folder / "supervised")]
    listed = [*listed, *(name for name in _below(folder, _UNLISTED) if _OLD_FILES.fullmatch(name))]
    names = [name for name in dict.fromkeys(listed) if not name.endswith("/") and _is_inside(folder, name)]
    names += [
        name for name in _below(folder, {PurePosixPath(name).parent.as_posix() for name in listed}) if _is_draft(name)
    ]
    for inner in listed:
        if inner.endswith("/") and _is_inside(folder, inner) and is_own(folder / inner):
            names += [f"{inner}{name}" for name in own_files(folder / inner)]
    return [name for name in dict.fromkeys(names) if (folder / name).is_file() or (folder / name).is_symlink()]


def remove_own(folder: Path, *, spare: Path | None = None) -> None:
    """Remove what selftaught wrote to a folder of ours, but not its mark; what anybody else put there stays.

    Nothing below `spare` is touched: data may be in a folder of ours.
    """
    listed = _listed(folder)
    names = own_files(folder)
    inner = [name for name in listed or () if name.endswith("/") and _is_inside(folder, name)]
    if spare is not None and (spare := spare.resolve()) != folder.resolve():
        names = [name for name in names if not (folder / name).resolve().is_relative_to(spare)]
    for name in names:
        (folder / name).unlink(missing_ok=True)
    for name in inner:
        if is_own(folder / name) and not own_files(folder / name):
            (folder / name / LIST).unlink(missing_ok=True)
    for place in sorted({p for name in (*names, *inner) for p in _folders_of(name)}, key=len, reverse=True):
        try:
            (folder / place).rmdir()
        except OSError:  # not empty: others' files are in it
            continue
    if listed is not None:
        with (folder / LIST).open("r+", encoding="utf-8") as file:  # not replaced: it is locked while a run writes
            first = file.readline()
            file.seek(0)
            file.truncate()
            file.write(first)


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


class Locked:
    """A folder of ours that this process alone writes to; the lock goes with the process, however that ends."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / LIST).open("rb+")
        try:
            if fcntl is not None:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise ValueError(
                f"--out {folder} is being written by another process; wait until it ends, or give another folder"
            ) from None

    def __enter__(self) -> Locked:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Let others write."""
        self._file.close()


def told_own(folders: Sequence[str]) -> str:
    """The sentence on folders that are not data."""
    shown = ", ".join(sorted(folders)[:3]) + (f" and {len(folders) - 3} more" if len(folders) > 3 else "")
    return f"left out, as selftaught itself wrote {'it' if len(folders) == 1 else 'them'}: {shown}"


@contextmanager
def written_folder(folder: Path, kind: str) -> Iterator[Path]:
    """A folder to write to, inside `folder`, whose files become those of `folder` when the block ends without an error.

    What selftaught wrote to `folder` before stays until then, and what others put there always. This process alone
    writes to it; where it ends by an error or a signal, nothing has changed, and a folder that was made for it is gone.
    """
    mark(folder, kind)
    lock = Locked(folder)
    draft = folder / _NEW
    try:
        if is_own(draft):  # of a killed process
            shutil.rmtree(draft)
        with told_as(draft, folder):
            mark(draft, kind)
            yield draft
            _replace_own(folder, draft)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        if others_in(folder) == [LIST]:
            (folder / LIST).unlink()
            folder.rmdir()
        lock.release()


def _replace_own(folder: Path, draft: Path) -> None:
    """Remove what selftaught wrote to a folder of ours, and move there what it wrote to `draft`."""
    with undisturbed():
        names = own_files(draft)
        remove_own(folder)
        record_all(folder, names)
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (draft / name).replace(folder / name)


def start_of(path: Path) -> bytes:
    """The first bytes of a file, as `has_mark` needs them; none where it cannot be read."""
    try:
        if not path.is_file() or (path.name != LIST and path.stat().st_size > _LARGEST):
            return b""
        with path.open("rb") as file:
            return file.read(len(_FIRST) if path.name == LIST else _LARGEST)
    except OSError:
        return b""


def write_rows(path: Path, columns: list[str], rows: list[dict[str, str]]) -> None:
    """A CSV file with these rows alone; nothing where there are no columns. A reader sees the old file or the new."""
    with written_whole(record(path)) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        if columns:
            writer = csv.DictWriter(file, columns, lineterminator="\n", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)


def write_json(path: Path, value: Any) -> None:
    """Atomically, so that a reader sees the old file or the new one."""
    with written_whole(record(path)) as draft:
        draft.write_text(json.dumps(strict(value), indent=2, allow_nan=False) + "\n")
