"""Which columns of a table hold images, labels and splits."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import pyarrow as pa

from selftaught.data.files.file_tree import MAX_FILE_BYTES, Unreadable
from selftaught.data.sources.tables.label_values import LABEL_COLUMNS

IMAGE_COLUMNS = ("image", "img", "jpg", "png", "picture")
VIDEO_COLUMNS = ("video", "clip", "mp4", "webm", "avi", "mkv")


class Columns(NamedTuple):
    """Names of the columns; `image` is {bytes, path} or bytes, of a video perhaps the text of a path."""

    image: str
    label: str | None
    split: str | None
    is_video: bool = False


class NoPictures(ValueError):  # noqa: N818 - reads as what the table is
    """A table without a column of encoded images; the text is the end of a sentence on the file."""


def find_columns(schema: pa.Schema, needs: frozenset[str] = frozenset()) -> Columns:
    """The columns of a schema, that of videos where they are needed or there is none of images.

    Raises:
        NoPictures: says what there is instead.
    """
    image = next((name for name in IMAGE_COLUMNS if name in schema.names and _holds_pictures(schema, name)), None)
    video = next((name for name in VIDEO_COLUMNS if name in schema.names and _holds_videos(schema, name)), None)
    is_video = video is not None and (image is None or bool(needs & {"video", "audio"}))
    image = video if is_video else image
    if image is None:
        raise NoPictures(_instead(schema))
    label = next((name for name in LABEL_COLUMNS if name in schema.names and name != image), None)
    texts = [name for name in schema.names if name.lower() == "split" and _is_text(_type(schema, name))]
    return Columns(image, label, texts[0] if texts else None, is_video)


def label_advice(schema: pa.Schema, columns: Columns) -> str:
    """What to do where labels are needed and the table has no column of them."""
    others = [name[:40] for name in schema.names if name not in columns and not _holds_pictures(schema, name)]
    which = f" (of {', '.join(others[:6])}{' ...' if len(others) > 6 else ''})" if others else ""
    return f"rename the column of labels{which} to label" if others else "add a column label, of numbers or texts"


def _instead(schema: pa.Schema) -> str:
    names = ", ".join(name[:40] for name in schema.names[:20]) or "no column at all"
    kind = "column 'image' of encoded images (bytes or {bytes, path})"
    named = next((name for name in IMAGE_COLUMNS if name in schema.names), None)
    like = [name for name in schema.names if _holds_pictures(schema, name)]
    if named is not None and _is_text(_type(schema, named)):
        return (
            f"has no {kind}: its column {named} holds texts, such as URLs or paths; write the files themselves into it"
        )
    if named is not None:
        found = " ".join(str(_type(schema, named)).split())[:80]
        return f"has no {kind}: its column {named} is of type {found}; write encoded files into it"
    if len(like) == 1:
        return f"has no {kind}, only {names}; rename the column {like[0][:40]} to image if it holds them"
    return f"has no {kind}, only {names}; rename the column that holds them"


def _type(schema: pa.Schema, name: str) -> Any:
    return _plain(schema.field(schema.get_all_field_indices(name)[0]).type)


def _plain(kind: Any) -> Any:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _holds_pictures(schema: pa.Schema, name: str) -> bool:
    kind = _type(schema, name)
    if pa.types.is_struct(kind):
        return any(
            kind.field(k).name == "bytes" and _is_bytes(_plain(kind.field(k).type)) for k in range(kind.num_fields)
        )
    return _is_bytes(kind)


def _holds_videos(schema: pa.Schema, name: str) -> bool:
    return _holds_pictures(schema, name) or _is_text(_type(schema, name))


def _is_bytes(kind: Any) -> bool:
    types = pa.types
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def _is_text(kind: Any) -> bool:
    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def encoded(cell: Any, folder: Path) -> bytes:
    """The encoded image of a cell: bytes, or {bytes, path} where the path may stand for absent bytes.

    Raises:
        Unreadable: or an OSError, with the reason.
    """
    if isinstance(cell, dict):
        path = cell.get("path")
        cell = cell.get("bytes")
        if not cell and path:
            return _file(folder, str(path))
    if not isinstance(cell, bytes) or not cell:
        raise Unreadable("the row has no image")
    if len(cell) > MAX_FILE_BYTES:
        raise Unreadable(f"{len(cell) >> 20} MB, more than {MAX_FILE_BYTES >> 20} MB")
    return cell


def video_of(cell: Any, folder: Path) -> IO[bytes] | str:
    """The encoded video of a cell, or the path of its file; errors as of `encoded`."""
    path = cell if isinstance(cell, str) else cell.get("path") if isinstance(cell, dict) else None
    content = cell.get("bytes") if isinstance(cell, dict) else cell
    if path and not isinstance(content, bytes):
        return str(_place(folder, str(path), "video"))
    if not isinstance(content, bytes) or not content:
        raise Unreadable("the row has no video")
    return io.BytesIO(encoded(content, folder))


def _place(folder: Path, name: str, what: str) -> Path:
    if "://" in name:
        raise Unreadable(f"the row has an address instead of the {what}; write the files themselves into the column")
    if "\0" in name:
        raise Unreadable(f"the row has no {what}")
    path = folder / name
    if not path.is_file() and path.exists():  # a pipe or device would be read for ever
        raise Unreadable("the row names what is no file")
    return path


def _file(folder: Path, name: str) -> bytes:
    path = _place(folder, name, "image")
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise Unreadable(f"{size >> 20} MB, more than {MAX_FILE_BYTES >> 20} MB")
    return path.read_bytes()


@contextmanager
def arrow_reasons() -> Iterator[None]:
    """Whatever a damaged file makes Arrow raise (its errors have several lines) is one exception of one line."""
    try:
        yield
    except (Unreadable, NoPictures, FileNotFoundError, PermissionError):
        raise
    except Exception as broken:  # ArrowException, OSError, RuntimeError, UnicodeDecodeError ...
        reason = " ".join(str(broken).split())[:120]
        raise Unreadable(reason or type(broken).__name__) from broken
