"""The images of a folder as the frames of a video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from selftaught.data.decode.video_frames import decode_frames
from selftaught.data.files.file_tree import FolderTree, Unreadable
from selftaught.data.files.frame_folders import numbered_folders
from selftaught.data.sources.videos.frame_video import FrameVideo
from tests.data.sources.videos.frames_of import write_frames
from tests.data.store.videos import counted, numbers


def opened(folder: Path, fps: float = 10.0) -> FrameVideo:
    tree = FolderTree(folder)
    ((found,), _) = numbered_folders(tree.keys)
    return FrameVideo(tree, found, fps=fps)


def shown(video: FrameVideo) -> list[int | str]:
    found = list(video.frames(range(video.count)))
    return [numbers(frame[None])[0] if isinstance(frame, np.ndarray) else str(frame) for frame in found]


def test_frames_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    video = opened(write_frames(tmp_path, counted(12), name="frame_{}.png"))  # 2 before 10
    assert shown(video) == list(range(12))
    assert (video.shape, video.count, video.fps) == ((32, 32), 12, 10.0)
    decoded = list(decode_frames(video, 32))
    assert [one.time for one in decoded] == pytest.approx([t / 10 for t in range(12)])
    assert numbers(np.stack([one.image for one in decoded])) == list(range(12))


def test_broken_and_missing_frames_cost_only_themselves(tmp_path: Path) -> None:
    write_frames(tmp_path, counted(10), step=5)
    (tmp_path / "0001.png").write_bytes(b"")
    (tmp_path / "0016.png").write_bytes(b"no image")
    (tmp_path / "0031.png").unlink()
    video = opened(tmp_path)
    assert video.shape == (32, 32)
    assert shown(video) == ["empty file", 1, 2, "not an image in a known format", 4, 5, "missing", 7, 8, 9]
    decoded = list(decode_frames(video, 32))
    assert [round(10 * (one.time or 0)) for one in decoded] == [1, 2, 4, 5, 7, 8, 9]
    assert [one.is_after_damage for one in decoded] == [False, False, True, False, True, False, False]


def test_other_sizes_are_scaled_and_cut_to_the_first(tmp_path: Path) -> None:
    write_frames(tmp_path, counted(2, 24, 32))
    write_frames(tmp_path, counted(4, 48, 48)[2:], first=3)
    frames = list(opened(tmp_path).frames(range(4)))
    assert [frame.shape for frame in frames if isinstance(frame, np.ndarray)] == [(24, 32, 3)] * 4
    assert shown(opened(tmp_path)) == [0, 1, 2, 3]


def test_a_video_without_a_frame_is_unreadable(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(b"broken")
    with pytest.raises(Unreadable, match="none of its 3 frames can be read; the last: not an image"):
        _ = opened(tmp_path).shape
