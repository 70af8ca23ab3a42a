"""For all tests: how many processes run them, real data where present, a cache of their own."""

from __future__ import annotations

import gc
import importlib
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np
import pytest
from numpy.typing import NDArray

DEFAULT = "not slow"
"""Selection of marks in pyproject.toml."""
TESTS = Path(__file__).resolve().parent
SHARED = TESTS.parents[1] / "shared" / "data"


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process per core for the default suite; none beside pytest for chosen files, and for slow tests.

    Chosen files start sooner that way and print as they run. Slow tests measure times, or train on all cores.
    """
    if config.option.markexpr != DEFAULT or any(Path(name.split("::")[0]).is_file() for name in config.args):
        return 0
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def pytest_xdist_setupnodes() -> None:
    """Workers, and what they start, have one core each, so one thread; and none compiles again what is compiled."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_configure() -> None:
    # A shell ignores Ctrl-C for what it runs in the background, and then so would the runs of the tests.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_sessionstart(session: pytest.Session) -> None:
    if is_worker(session):
        gc.disable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Every other worker imports the tests from the end: what one has compiled, the other one need not."""
    if not is_worker(session) or [session.config.rootpath / name for name in session.config.args] != [TESTS]:
        return
    if int(session.config.workerinput["workerid"].removeprefix("gw")) % 2:  # type: ignore[attr-defined]
        for path in sorted(TESTS.rglob("test_*.py"), reverse=True):
            with suppress(Exception, pytest.skip.Exception):  # which pytest tells when it comes to the file
                importlib.import_module(".".join(path.relative_to(TESTS.parent).with_suffix("").parts))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Half a million objects of modules and tests stay to the end: no worker looks for garbage among them."""
    if is_worker(session):
        gc.freeze()
        gc.enable()


def is_worker(session: pytest.Session) -> bool:
    """Whether this is one of several processes, and not the one that `pytest` began."""
    return hasattr(session.config, "workerinput")


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Path of a real data set beside the checkout, or a skip that says which one is absent."""

    def find(name: str) -> Path:
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"real data set '{name}' is not beside this checkout")
        return path

    return find


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or fills the user's cache, or waits for the disk: no power is cut."""
    patch = pytest.MonkeyPatch()
    patch.setattr(os, "fsync", lambda file: None)
    patch.setenv("SELFTAUGHT_CACHE", str(tmp_path_factory.mktemp("cache")))


class WriteVideo(Protocol):
    """Writes frames (T, H, W, 3) uint8, and sound (S,) float in [-1, 1] where given, as a video file."""

    def __call__(
        self,
        path: Path,
        frames: NDArray[np.uint8],
        *,
        fps: int = 25,
        times: Sequence[int] | None = None,
        sound: NDArray[np.float32] | None = None,
        rate: int = 44100,
        gop: int = 12,
    ) -> Path: ...


@pytest.fixture(scope="session")
def write_video() -> WriteVideo:
    """`times` are the frames' numbers in units of 1 / fps where they are not 0, 1, 2, ..."""

    def write(
        path: Path,
        frames: NDArray[np.uint8],
        *,
        fps: int = 25,
        times: Sequence[int] | None = None,
        sound: NDArray[np.float32] | None = None,
        rate: int = 44100,
        gop: int = 12,
    ) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as container:
            codec = {".webm": "libvpx", ".avi": "mpeg4", ".mpg": "mpeg2video"}.get(path.suffix, "libx264")
            video: Any = container.add_stream(codec, rate=fps, options={"crf": "12"} if codec == "libx264" else {})
            video.height, video.width, video.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
            video.codec_context.gop_size = gop
            video.codec_context.time_base = Fraction(1, fps)
            video.bit_rate = 2_000_000
            voice: Any = None
            if sound is not None:
                name = {".webm": "libopus", ".mpg": "mp2", ".avi": "pcm_s16le"}.get(path.suffix, "aac")
                voice = container.add_stream(name, rate=rate, layout="mono")
            for number, picture in zip(times or range(len(frames)), frames, strict=True):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, fps)
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
            if sound is not None:
                heard = av.AudioFrame.from_ndarray((sound[None] * 32767).astype(np.int16), format="s16", layout="mono")
                heard.sample_rate, heard.pts, heard.time_base = rate, 0, Fraction(1, rate)
                container.mux(voice.encode(heard))
                container.mux(voice.encode(None))
        return path

    return write
