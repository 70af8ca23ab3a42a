"""Videos that `video_throughput.py` measures where it is given none."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any


def drawn(folder: Path, videos: int, frames: int, *, height: int = 240, width: int = 320) -> Path:
    """Videos that cost a decoder about what filmed ones do."""
    import av
    import cv2
    import numpy as np

    folder.mkdir(parents=True)
    for number in range(videos):
        rng = np.random.default_rng(number)
        ground = np.zeros((height, 2 * width, 3), np.float32)
        for octave in range(3, 8):  # of falling contrast, as photographs have
            noise = rng.normal(size=(2**octave, 2 ** (octave + 1), 3)).astype(np.float32)
            ground += cv2.resize(noise, (2 * width, height), interpolation=cv2.INTER_CUBIC) * 70 / 2 ** (octave - 3)
        with av.open(str(folder / f"{number:03d}.mp4"), "w") as container:
            stream: Any = container.add_stream("libx264", rate=25, options={"crf": "23"})
            stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
            stream.codec_context.time_base = Fraction(1, 25)
            for t in range(frames):
                left = int((0.5 + 0.5 * np.sin(t / 40 + number)) * width)
                picture = 128 + ground[:, left : left + width] + rng.normal(0, 4, (height, width, 1))
                cv2.circle(picture, (int(width * (0.5 + 0.4 * np.cos(t / 9))), 120), 30, (220, 60, 60), -1)
                frame = av.VideoFrame.from_ndarray(np.clip(picture, 0, 255).astype(np.uint8), format="rgb24")
                frame.pts, frame.time_base = t, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return folder
