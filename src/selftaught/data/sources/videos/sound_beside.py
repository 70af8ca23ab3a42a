"""Files of sound beside videos, folders of frames and images: which belongs to which, and whether they can be heard."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import IO

from selftaught.data.decode.encoded_video import Track
from selftaught.data.decode.video import track_seconds
from selftaught.data.files.file_kinds import is_sound
from selftaught.data.files.file_tree import FileTree, FolderTree, Unreadable


def sounds_of(tree: FileTree) -> list[str]:
    """The files of sound by the ends of their names."""
    return [key for key in tree.keys if is_sound(key)]


def sounds_beside(tree: FileTree, keys: Iterable[str], *, are_folders: bool = False) -> dict[str, str]:
    """Video or image -> the file of sound of the same name; of several the first.

    The sound of a folder of frames is the file beside it of its name, or the only one in it.
    """
    by_name: dict[str, str] = {}
    inside: dict[str, list[str]] = {}
    for sound in sounds_of(tree):
        by_name.setdefault(sound[: sound.rfind(".")], sound)
        inside.setdefault(sound.rpartition("/")[0], []).append(sound)
    if not by_name:
        return {}
    found = {}
    for key in keys:
        name = key if are_folders else key[: key.rfind(".")]
        if name in by_name:
            found[key] = by_name[name]
        elif are_folders and len(inside.get(key, ())) == 1:
            found[key] = inside[key][0]
    return found


def track_in(tree: FileTree, key: str) -> Track:
    """Gives a file of a folder as its path, and a member of a zip as its bytes."""

    def path() -> IO[bytes] | str:
        return str(Path(tree.where, key))

    def content() -> IO[bytes] | str:
        return BytesIO(tree.read(key))

    return path if isinstance(tree, FolderTree) else content


def why_unheard(tree: FileTree, key: str) -> str | None:
    """Why a file of sound cannot be used, by its header; None where it can."""
    try:
        return None if track_seconds(track_in(tree, key)) > 0 else "it holds no sound"
    except Unreadable as unreadable:
        return str(unreadable)
    except OSError as gone:
        return gone.strerror or type(gone).__name__
