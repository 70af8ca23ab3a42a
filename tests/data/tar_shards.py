"""Tar shards of small random images, and a server for them on the loopback address."""

from __future__ import annotations

import io
import tarfile
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np

MODES = {".tar": "w:", ".tar.gz": "w:gz", ".tgz": "w:gz", ".tar.bz2": "w:bz2", ".tar.xz": "w:xz"}


def jpeg(number: int, *, side: int = 24) -> bytes:
    """The encoded image of a number, a third longer than high."""
    pixels = np.random.default_rng(number).integers(0, 255, (side, side * 4 // 3, 3), dtype=np.uint8)
    return cv2.imencode(".jpg", pixels)[1].tobytes()


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def write_shards(folder: Path, counts: list[int], *, ending: str = ".tar", broken: Collection[int] = ()) -> list[Path]:
    """Shards s-000, s-001, ... of so many images each, numbered through all of them; `broken` ones cannot be read."""
    folder.mkdir(parents=True, exist_ok=True)
    paths, number = [], 0
    for shard, count in enumerate(counts):
        paths.append(folder / f"s-{shard:03d}{ending}")
        with tarfile.open(str(paths[-1]), MODES[ending]) as archive:  # type: ignore[call-overload]
            for image in range(number, number + count):
                add(archive, f"{image:06d}.jpg", b"no image" if image in broken else jpeg(image))
                add(archive, f"{image:06d}.cls", b"1")
        number += count
    return paths


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The URL of a folder while it is served over HTTP, without ranges."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
