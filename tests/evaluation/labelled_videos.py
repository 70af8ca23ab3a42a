"""Folders of short real videos, one a class: a square that moves to the right or down."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from selftaught.core.randomness import numpy_generator

SIDE, FRAMES = 32, 20


def write_actions(folder: Path, count: int, *, frames: int = FRAMES) -> Path:
    """`count` videos of two classes in turn, H.264 of 32 pixels."""
    for i in range(count):
        name = ("right", "down")[i % 2]
        path = folder / name / f"{i:02d}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = numpy_generator("actions", i)
        ground, start = rng.integers(0, 90, (SIDE, SIDE, 3)), rng.integers(0, 8)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=12)
            stream.width = stream.height = SIDE
            stream.pix_fmt = "yuv420p"
            for t in range(frames):
                frame = ground.copy()
                place = (start, start + t) if name == "right" else (start + t, start)
                frame[place[0] : place[0] + 8, place[1] : place[1] + 8] = 240
                for packet in stream.encode(av.VideoFrame.from_ndarray(frame.astype(np.uint8))):
                    container.mux(packet)
            for packet in stream.encode():
                container.mux(packet)
    return folder
