"""Thumbnails of the query and of what a search found, read from the data again."""

from __future__ import annotations

import io
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from selftaught.core.names import printable
from selftaught.core.settings.groups import DataSettings, Streaming
from selftaught.data.files.file_kinds import is_array, is_picture
from selftaught.data.sources.stacks.file_images import file_of
from selftaught.evaluation.query import query_image
from selftaught.evaluation.subject import Subject
from selftaught.evaluation.vectors.folder import VectorFolder
from selftaught.evaluation.vectors.work import Packed, Tars, Work, open_work
from selftaught.evaluation.visualise.thumbnails import SIDE, drawn, picture_files


def thumbnails(
    subject: Subject, vectors: VectorFolder, keys: Iterable[str], to: Path, *, download: bool = False
) -> dict[str, str]:
    """Write a thumbnail of each of these paths to a folder; path -> name of the file, without those of sound."""
    facts = vectors.facts
    reading = subject.reading(facts.data, download=download)
    stream: Streaming = "always" if facts.shard_size == 0 else "never"
    work = open_work(subject, reading, split=facts.split, stream=stream)
    found: dict[str, str] = {}
    for key, suffix, data in _drawn(work, set(keys)):
        found[key] = f"{len(found)}.{suffix}"
        (to / found[key]).write_bytes(data)
    return found


def query_thumbnail(query: Path, to: Path, reading: DataSettings) -> str | None:
    """Write a thumbnail of an image to a folder and return its name; None for a query that is no image.

    `reading` says how the images that are searched are read and shown.
    """
    file = file_of(query.name)
    if not (is_picture(file) or is_array(file)):
        return None
    with suppress(OSError, ValueError):
        (to / "query.jpg").write_bytes(_jpeg(query_image(query, reading)))
        return "query.jpg"
    return None


def _drawn(work: Work, wanted: set[str]) -> Iterable[tuple[str, str, bytes]]:
    """(path, ending, content) of each that can be shown."""
    if isinstance(work, Packed):
        for part in work.parts:
            rows = {row: printable(key) for row, key in enumerate(part.keys) if printable(key) in wanted}
            if rows:
                for row, (name, data) in picture_files(part, np.array(list(rows)), "sample").items():
                    yield rows[row], name.rpartition(".")[2], data
    elif isinstance(work, Tars):
        for number, name in enumerate(work.shards.names):
            here = {key for key in wanted if key.startswith(f"{printable(name)}/")}
            for key, image in work.images(number) if here else ():
                if printable(key) in here:
                    here.remove(printable(key))
                    yield printable(key), "jpg", _jpeg(image)
                if not here:
                    break


def _jpeg(pixels: NDArray[np.uint8]) -> bytes:
    image, data = drawn(pixels), io.BytesIO()
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    image.save(data, "JPEG", quality=85)
    return data.getvalue()
