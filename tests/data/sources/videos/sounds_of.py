"""Files of sound that tests write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

RATE = 16_000
CODECS = {".wav": "pcm_s16le", ".flac": "flac", ".mp3": "mp3"}


def tone(seconds: float, hertz: float = 440.0, level: float = 0.5) -> NDArray[np.float32]:
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def write_sound(path: Path, sound: NDArray[np.float32]) -> Path:
    """Samples (S,) in [-1, 1] at 16 kHz, in the format that the ending says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        voice: Any = container.add_stream(CODECS[path.suffix], rate=RATE, layout="mono")
        form = "s16p" if path.suffix == ".mp3" else "s16"
        samples = (sound[None] * 32767).astype(np.int16)
        size = voice.codec_context.frame_size or samples.shape[1]
        for start in range(0, samples.shape[1], size):
            heard = av.AudioFrame.from_ndarray(samples[:, start : start + size], format=form, layout="mono")
            heard.sample_rate, heard.pts = RATE, start
            container.mux(voice.encode(heard))
        container.mux(voice.encode(None))
    return path
