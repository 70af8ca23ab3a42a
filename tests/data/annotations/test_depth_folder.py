"""Depth maps in a folder of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from selftaught.data.annotations.depth_folder import find_depths, open_depth_folder
from selftaught.data.files.zip_tree import open_tree


def save(path: Path, pixels: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.mark.parametrize(
    ("image", "depth"),
    [
        ("color/1.jpg", "depth/1.png"),
        ("a/rgb/1.jpg", "a/depth_maps/1.png"),
        ("train/1.jpg", "train_depth/1.png"),
        ("images/1.jpg", "Depth/1_depth.png"),
    ],
)
def test_a_depth_map_goes_with_the_image_of_its_name(image: str, depth: str) -> None:
    assert find_depths([image, depth]).pairs == {image: depth}
    assert not find_depths([image, depth.lower().replace("depth", "other")]).pairs


def test_millimetres_are_read_and_what_is_no_distance_is_0(tmp_path: Path) -> None:
    values = np.full((20, 30), 800, np.uint16)
    values[0, :4] = (0, 1, 2, 65535)
    save(tmp_path / "rgb" / "1.png", np.zeros((20, 30, 3), np.uint8))
    save(tmp_path / "rgb" / "2.png", np.zeros((20, 30, 3), np.uint8))
    save(tmp_path / "depth" / "1.png", values)
    found = open_depth_folder(open_tree(str(tmp_path)))
    assert found.depth("rgb/1.png")[0, :5].tolist() == [0, 1, 2, 0, 800]
    assert found.wrong == {"rgb/2.png": "rgb/2.png has no depth map in depth/"}
    save(tmp_path / "depth" / "1.png", np.zeros((20, 30), np.uint8))
    with pytest.raises(ValueError, match=r"^depth/1.png is no image of 16 bits with one channel"):
        found.depth("rgb/1.png")
    (tmp_path / "depth" / "1.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"^depth/1.png cannot be read: "):
        found.depth("rgb/1.png")
