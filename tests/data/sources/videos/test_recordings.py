"""Recordings of TUM and EuRoC: frames with times of their own have the poses of these times."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from selftaught.data.sources.base import Source
from selftaught.data.sources.open import open_source
from selftaught.data.sources.videos.frame_video import FrameVideo
from tests.data.sources.videos.camera_path import pose_at, quaternion, table, tum_lines
from tests.data.store.videos import moving

BEGIN = 1305031102.0
MOMENTS = np.array([0.0, 0.03, 0.071, 0.1, 0.13, 0.27, 0.3, 0.33, 0.36])
"""About 30 a second; four frames are lost in the middle."""
SENSOR = """T_BS:
  cols: 4
  rows: 4
  data: [0.0, -1.0, 0.0, 0.5, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0]
intrinsics: [40, 41, 17, 15]
"""


def opened(path: Path, *needs: str) -> Source:
    return open_source(str(path), split="train", needs=frozenset({"video", *needs}), held_out=0.0)


def tum(root: Path, known: np.ndarray, *, moments: np.ndarray = MOMENTS) -> Path:
    """A recording whose depth maps are 4 ms later than its images, and whose poses are known at some seconds."""
    folder = root / "rgbd_dataset_freiburg1_xyz"
    lists: dict[str, list[str]] = {"rgb": [], "depth": []}
    for t, (second, frame) in enumerate(zip(moments.tolist(), moving(len(moments), 32), strict=True)):
        for kind, late in (("rgb", 0.0), ("depth", 0.004)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            name = f"{kind}/{BEGIN + second + late:.6f}.png"
            lists[kind].append(f"{BEGIN + second + late:.6f} {name}")
            if kind == "rgb":
                Image.fromarray(frame).save(folder / name)
            else:
                cv2.imwrite(str(folder / name), np.full((32, 32), 5000 + 100 * t, np.uint16))
    for kind, lines in lists.items():
        (folder / f"{kind}.txt").write_text("# file\n" + "\n".join(lines) + "\n")
    (folder / "groundtruth.txt").write_text(tum_lines(known, begin=BEGIN))
    return root


def numbers_and_poses(source: Source, i: int = 0) -> tuple[list[int], np.ndarray]:
    video = source.read(i)
    assert isinstance(video, FrameVideo)
    numbers = sorted(set(range(video.count)) - video.missing)
    return numbers, np.stack([source.maps["pose"].read(i, number / video.fps) for number in numbers])


def test_poses_of_tum_are_those_of_the_moments_of_the_frames(tmp_path: Path) -> None:
    source = opened(tum(tmp_path, np.arange(-0.05, 0.5, 0.01)), "pose", "depth")
    assert [entry.key for entry in source.entries] == ["rgbd_dataset_freiburg1_xyz/rgb"]
    numbers, poses = numbers_and_poses(source)
    assert numbers == [0, 1, 2, 3, 4, 9, 10, 11, 12]  # what is lost is a gap in time
    assert np.allclose(poses, [pose_at(second) for second in MOMENTS], atol=1e-5)
    assert np.allclose(source.maps["depth"].read(0, 0.3), (5000 + 600) / 5000)
    assert "read as videos of 9 to 9 frames, 33.3 to 33.3 a second by the times of their lists" in source.notes[0]


def test_frames_without_a_pose_are_left_out_and_counted(tmp_path: Path) -> None:
    source = opened(tum(tmp_path, np.arange(0.06, 0.32, 0.01)), "pose")
    numbers, poses = numbers_and_poses(source)
    assert numbers == [2, 3, 4, 9, 10]
    assert np.allclose(poses, [pose_at(second) for second in MOMENTS[[2, 3, 4, 5, 6]]], atol=1e-5)
    assert ("rgbd_dataset_freiburg1_xyz/rgb", "4 of its 9 frames have no pose; the rest is used") in source.skipped


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (tum_lines(np.arange(50, 51, 0.1), begin=BEGIN), "covers 1305031152.000 to 1305031152.900 s, but the frames"),
        (tum_lines(np.array([0.0, 0.2, 0.1]), begin=BEGIN), "fall from row 2 to the next; sort its rows by time"),
        (tum_lines(np.arange(0, 1, 0.1), begin=BEGIN).replace("-2.000000000", "nan", 1), "numbers that are not finite"),
        ("1 0 0 0 0 0 0 2\n2 0 0 0 0 0 0 2\n", "has the norm 2 instead of 1; give unit quaternions"),
        (None, "poses are needed, but there is no rgbd_dataset_freiburg1_xyz/groundtruth.txt"),
    ],
)
def test_wrong_poses_of_tum_are_one_sentence(tmp_path: Path, text: str | None, sentence: str) -> None:
    truth = tum(tmp_path, np.arange(0, 0.5, 0.01)) / "rgbd_dataset_freiburg1_xyz/groundtruth.txt"
    truth.unlink() if text is None else truth.write_text(text)
    with pytest.raises(ValueError, match=sentence) as wrong:
        opened(tmp_path, "pose")
    assert "\n" not in str(wrong.value)


def test_a_recording_is_a_video_without_poses_too(tmp_path: Path) -> None:
    source = opened(tum(tmp_path, np.arange(0, 0.5, 0.01)))
    assert [entry.key for entry in source.entries] == ["rgbd_dataset_freiburg1_xyz/rgb"]
    video = source.read(0)
    assert isinstance(video, FrameVideo)
    assert video.count == 13


def test_poses_of_euroc_are_those_of_the_camera(tmp_path: Path) -> None:
    begin, mount = 1403636579763555584, np.eye(4)
    mount[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    mount[0, 3] = 0.5
    camera = tmp_path / "MH_01" / "mav0" / "cam0"
    (camera / "data").mkdir(parents=True)
    stamps = [begin + round(1e9 * second) for second in MOMENTS.tolist()]
    for stamp, frame in zip(stamps, moving(len(MOMENTS), 32), strict=True):
        Image.fromarray(frame).save(camera / "data" / f"{stamp}.png")
    (camera / "data.csv").write_text("#timestamp [ns],filename\n" + "".join(f"{s},{s}.png\n" for s in stamps))
    (camera / "sensor.yaml").write_text(SENSOR)
    truth = camera.parent / "state_groundtruth_estimate0" / "data.csv"
    truth.parent.mkdir()
    rows = ["#timestamp, p_RS_R_x [m], p_RS_R_y [m], p_RS_R_z [m], q_RS_w [], q_RS_x [], q_RS_y [], q_RS_z []"]
    for second in np.arange(-0.1, 0.5, 0.005).tolist():
        pose, (x, y, z, w) = pose_at(second), quaternion(pose_at(second))
        rows.append(",".join([str(begin + round(1e9 * second)), *map(str, (*pose[:3, 3], w, x, y, z, 0, 0))]))
    truth.write_text("\n".join(rows))
    source = opened(tmp_path, "pose", "intrinsics")
    numbers, poses = numbers_and_poses(source)
    assert numbers == [0, 1, 2, 3, 4, 9, 10, 11, 12]
    assert np.allclose(poses, [pose_at(second) @ mount for second in MOMENTS], atol=1e-4)
    assert np.allclose(source.maps["intrinsics"].read(0, 0.0), [[40, 0, 17], [0, 41, 15], [0, 0, 1]])
    (camera / "sensor.yaml").write_text("T_BS: 1\n")
    with pytest.raises(ValueError, match=r"mav0/cam0/sensor\.yaml must have T_BS with 16 numbers"):
        opened(tmp_path, "pose")


def test_a_table_beside_a_folder_of_frames_counts_from_its_first(tmp_path: Path) -> None:
    from tests.data.sources.videos.frames_of import write_clips

    write_clips(tmp_path, "walk", count=8)
    (tmp_path / "walk" / "poses.csv").write_text(table(np.arange(0, 0.4, 0.05)))
    numbers, poses = numbers_and_poses(opened(tmp_path, "pose"))
    assert np.allclose(poses, [pose_at(number / 25) for number in numbers], atol=1e-5)
    (tmp_path / "walk" / "poses.csv").write_text(table(np.arange(7.0, 8, 0.05)))
    with pytest.raises(ValueError, match=r"^walk/poses\.csv has no poses from 0 to 0\.280 s, at which the frames of"):
        opened(tmp_path, "pose")
