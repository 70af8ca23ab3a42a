"""How a container says its frames are shown: turned, mirrored, or both, in the packed store and without one."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from selftaught.data.batch import Sampling
from selftaught.data.decode.video import frame_times, geometry, read_header, upright
from selftaught.data.decode.video_frames import decode_frames
from selftaught.data.files.file_tree import Unreadable
from selftaught.data.inputs import Clip
from selftaught.data.sources.video_folder import open_video_folder
from selftaught.data.store.open import open_samples
from tests.data.store.videos import counted

# (a, b, c, d): a pixel at (x, y) is shown at (a x + c y, b x + d y).
EIGHT = [(a, 0, 0, d) for a in (1, -1) for d in (1, -1)] + [(0, b, c, 0) for b in (1, -1) for c in (1, -1)]


def cornered() -> NDArray[np.uint8]:
    """(6, 64, 96, 3): black, red upper left, green upper right, blue lower left."""
    frames = np.zeros((6, 64, 96, 3), np.uint8)
    frames[:, :24, :24, 0] = frames[:, :24, -24:, 1] = frames[:, -24:, :24, 2] = 230
    return frames


def shown(stored: NDArray[np.uint8], matrix: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """The frame (H, W, 3) as the matrix says, pixel by pixel."""
    a, b, c, d = matrix
    y, x = np.mgrid[: stored.shape[0], : stored.shape[1]]
    new_x, new_y = a * x + c * y, b * x + d * y
    out = np.empty((np.ptp(new_y) + 1, np.ptp(new_x) + 1, 3), np.uint8)
    out[new_y - new_y.min(), new_x - new_x.min()] = stored
    return out


def turned_file(write_video: Any, path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """An MP4 whose track header holds the matrix."""
    write_video(path, cornered(), gop=1)
    return with_matrix(path, matrix)


def with_matrix(path: Path, matrix: tuple[int, ...]) -> Path:
    """The MP4 with the matrix in its track header."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44
    a, b, c, d = (65536 * number for number in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("matrix", EIGHT)
def test_the_display_matrix_is_honoured(write_video: Any, tmp_path: Path, matrix: tuple[int, ...]) -> None:
    path = turned_file(write_video, tmp_path / "videos" / "a.mp4", matrix)  # type: ignore[arg-type]
    expected = shown(cornered()[0], matrix)  # type: ignore[arg-type]
    frames = [one.image for one in decode_frames(str(path), 64)]
    assert len(frames) == 6
    assert frames[0].shape == expected.shape
    assert np.abs(frames[0].astype(int) - expected).mean() < 12
    read = []
    for limit in (50.0, 1e-9):
        source = open_video_folder(path.parent, split="train", needs=frozenset({"video"}), seed=0, held_out=0.0)
        samples = open_samples(
            source, side=64, sampling=Sampling(inputs={"video": Clip(frames=2)}), cache_limit_gb=limit, workers=1
        )
        video = samples.read(np.zeros(1, np.int64), np.zeros((1, 3)))["video"]
        assert video is not None
        read.append(video)
    assert np.array_equal(read[0], read[1])
    assert np.array_equal(read[0][0, 0], frames[0][:64, :64])


def test_upright_and_unsquashed() -> None:
    # Pixels twice as wide as high: a stored 40 x 40 frame is shown 80 wide.
    wide = geometry(40, 40, 2.0, (0, False), 20)
    assert wide.shape == (20, 40)
    turned = geometry(90, 160, 1.0, (3, False), 18)
    assert turned.shape == (32, 18)
    picture = np.zeros((18, 32, 3), np.uint8)
    picture[0, 0] = 255
    # A quarter turn clockwise puts the top left corner at the top right.
    assert upright(picture, turned)[0, -1, 0] == 255
    panorama = geometry(20, 200, 1.0, (0, False), 10)
    assert panorama.shape == (10, 30)


def test_header_is_read_without_decoding(tmp_path: Path, write_video: Any) -> None:
    file = write_video(tmp_path / "a.mp4", counted(25, 48, 64), sound=np.zeros(44100, np.float32))
    header = read_header(str(file))
    assert (header.height, header.width, header.frames, header.has_sound) == (48, 64, 25, True)
    assert header.sound_seconds == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("side", [43, 32, 16])  # widths 56, 42 and 21: the parity of a width must not change colours
def test_colours_are_those_of_the_standard(tmp_path: Path, write_video: Any, side: int) -> None:
    rng = np.random.default_rng(0)
    picture = np.kron(rng.integers(0, 255, (4, 4, 3)), np.ones((16, 21, 1)))[:, :84].astype(np.uint8)
    path = write_video(tmp_path / "a.mp4", np.repeat(picture[None], 3, 0))
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    y, u, v = (
        cv2.resize(plane.astype(np.float32), (round(84 * side / 64), side), interpolation=cv2.INTER_AREA)
        for plane in (frame.to_ndarray()[:64], *frame.to_ndarray()[64:].reshape(2, 32, 42))
    )
    y, u, v = (y - 16) * 255 / 219, (u - 128) * 255 / 224, (v - 128) * 255 / 224  # BT.601, limited range
    expected = np.stack([y + 1.402 * v, y - 0.344136 * u - 0.714136 * v, y + 1.772 * u], 2).clip(0, 255)
    found = next(iter(decode_frames(str(path), side))).image
    assert np.abs((found - expected).mean((0, 1))).max() < 0.6
    assert np.median(np.abs(found - expected)) < 1


@pytest.mark.parametrize("matrix", [(1, 0, 0, 1), (0, 1, -1, 0)], ids=["upright", "turned"])
def test_bars_are_cut_off_before_the_turn(tmp_path: Path, write_video: Any, matrix: tuple[int, ...]) -> None:
    frames = np.repeat(cornered()[:1], 12, 0)
    frames[:] = np.linspace(80, 200, 96, dtype=np.uint8)[None, None, :, None]
    frames[:, :10] = frames[:, -10:] = 0
    path = tmp_path / "videos" / "a.mp4"
    write_video(path, frames, gop=1)
    with_matrix(path, matrix)
    source = open_video_folder(path.parent, split="train", needs=frozenset({"video"}), seed=0, held_out=0.0)
    read = []
    for limit in (50.0, 1e-9):
        samples = open_samples(source, side=32, sampling=Sampling(), cache_limit_gb=limit, workers=1)
        read.append(samples.read(np.zeros(2, np.int64), np.array([[0.0, 0.0, 0.0], [0.9, 0.9, 1.0]]))["image"])
    assert np.array_equal(*read)  # type: ignore[arg-type]
    # Between the bars are 44 lines, of which one is cut off at each side.
    height, width = (int(size[0]) for size in (samples.stored.height, samples.stored.width))  # type: ignore[attr-defined]
    assert sorted((height, width)) == [32, pytest.approx(32 * 96 / 42, abs=2)]
    assert (height > width) == (matrix[1] != 0)
    assert read[0].min() > 70


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "the file is empty"),
        ("<html>caf\u00e9 404</html>\n".encode() * 40, "it is a text file, not a video"),
        (bytes(range(256)) * 8, "it is not a video in a known format, or its header is lost"),
    ],
)
def test_what_is_no_video_is_called_what_it_is(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(Unreadable, match=f"^{what}$"):
        read_header(str(path))


def test_times_of_frames_are_those_that_are_decoded(tmp_path: Path, write_video: Any) -> None:
    for name in ("a.mp4", "a.mkv", "a.avi"):
        times = None if name == "a.avi" else [3, 4, 6, 7, 9, 12]
        path = str(write_video(tmp_path / name, counted(6), fps=10, times=times))
        decoded = [frame.time for frame in decode_frames(path, 16)]
        found = frame_times(path)
        assert len(found) == 6
        if name != "a.avi":  # which attaches times to other frames
            assert np.allclose(found, np.array(decoded, np.float64), atol=1e-3)
