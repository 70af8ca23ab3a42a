"""Data that `evidence.py` puts together: stretches of a walk, mouths of a man who speaks, scenes with their sound."""

from __future__ import annotations

import zipfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from selftaught.data.sources.world.impacts import wav_of

GRID = "grid_s1_300"
WALK = "scenes7_walk700"
"""Stretches of the walk, by `write_walk`."""
STRETCH = 16
"""Frames of each of them."""
SCENES = "scenes"
"""The clips of av_scenes17 and av_clips, by `write_scenes`."""
MOUTHS = "mouths"
"""The mouths of grid_s1_300, by `write_mouths`."""
_MOUTH = (slice(56, 116), slice(34, 94))
"""Rows and columns of the 128 x 128 pixels of a face around the place whose change goes with loudness (84, 62)."""


def write_scenes(shared: Path, out: Path) -> Path:
    """The 40 clips of av_scenes17 and av_clips in one folder, without labels; those there stay."""
    if out.exists():
        return out
    temporary = out.with_name(f"{out.name}.part")
    temporary.mkdir(parents=True, exist_ok=True)
    for name in ("av_scenes17", "av_clips"):
        for file in sorted((shared / name).iterdir()):
            if file.suffix in (".mp4", ".avi", ".mpg"):
                (temporary / f"{name}_{file.name}").write_bytes(file.read_bytes())
    temporary.rename(out)
    return out


def write_mouths(shared: Path, out: Path) -> Path:
    """The mouths of grid_s1_300 as videos of 60 x 60 pixels with their sound beside them; those there stay."""
    if out.exists():
        return out
    temporary = out.with_name(f"{out.name}.part")
    (temporary / "clips").mkdir(parents=True, exist_ok=True)
    rows, columns = _MOUTH
    for file in sorted((shared / GRID / "clips").glob("*.mp4")):
        with av.open(str(file)) as source:
            whole = [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in source.decode(video=0)]
        with av.open(str(file)) as source:
            sound = np.concatenate([frame.to_ndarray()[0] for frame in source.decode(audio=0)])
        with av.open(str(temporary / "clips" / file.name), "w") as container:
            stream: Any = container.add_stream("libx264", rate=25, options={"crf": "10"})
            stream.height, stream.width, stream.pix_fmt = *whole[0][rows, columns].shape[:2], "yuv444p"
            stream.codec_context.time_base = Fraction(1, 25)
            for number, image in enumerate(whole):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[rows, columns]), format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        (temporary / "clips" / f"{file.stem}.wav").write_bytes(wav_of(sound.clip(-1, 1)))
    (temporary / "labels.csv").write_bytes((shared / GRID / "labels.csv").read_bytes())
    temporary.rename(out)
    return out


def write_walk(shared: Path, out: Path) -> Path:
    """Stretches of 16 frames of scenes7_walk700, as folders with poses and intrinsics; those there stay.

    One begins every fourth frame: to learn from up to frame 549, and held out from frame 560.
    """
    if out.exists():
        return out
    temporary = out.with_name(f"{out.name}.part")
    with zipfile.ZipFile(shared / WALK / f"{WALK}.zip") as archive:
        lines = archive.read("poses.txt").decode().splitlines()
        for part, frames in (("train", range(0, 550)), ("test", range(560, 700))):
            for start in frames[: -STRETCH + 1 : 4]:
                own = temporary / part / f"{start:03d}"
                own.mkdir(parents=True, exist_ok=True)
                numbers = range(start, start + STRETCH)
                for k in numbers:
                    (own / f"{k:06d}.jpg").write_bytes(archive.read(f"color/{k:06d}.jpg"))
                (own / "poses.txt").write_text("\n".join(lines[k] for k in numbers) + "\n")
                (own / "intrinsics.txt").write_bytes(archive.read("intrinsics.txt"))
    temporary.rename(out)
    return out
