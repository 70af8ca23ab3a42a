"""NumPy files: which axis is which, stacks, labels and parts beside the images, and what is refused."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selftaught.data.decode.containers.arrays import ArrayFile, Axes, axes_of
from selftaught.data.decode.containers.base import Box
from selftaught.data.files.file_tree import Unreadable


@pytest.mark.parametrize(
    ("shape", "channels", "axes"),
    [
        ((40, 50), 3, Axes(1, False, "HW", 40, 50, 1)),
        ((40, 50, 3), 3, Axes(1, False, "HWC", 40, 50, 3)),
        ((3, 40, 50), 3, Axes(1, False, "CHW", 40, 50, 3)),
        ((20, 40, 50), 3, Axes(20, True, "HW", 40, 50, 1)),
        ((5, 40, 50), 5, Axes(1, False, "CHW", 40, 50, 5)),
        ((40, 50, 5), 3, Axes(1, False, "HWC", 40, 50, 5)),  # which says that there are five
        ((20, 40, 50, 3), 3, Axes(20, True, "HWC", 40, 50, 3)),
        ((20, 3, 40, 50), 3, Axes(20, True, "CHW", 40, 50, 3)),
        ((20, 5, 40, 50), 5, Axes(20, True, "CHW", 40, 50, 5)),
        ((20, 6, 40, 50, 3), 3, None),
        ((40,), 3, None),
    ],
)
def test_axes_follow_from_the_shape(shape: tuple[int, ...], channels: int, axes: Axes | None) -> None:
    assert axes_of(shape, "u", channels) == axes
    assert axes_of(shape, "U", channels) is None


def test_an_image_or_a_window_is_read_in_place(tmp_path: Path) -> None:
    stack = np.random.default_rng(0).integers(0, 4000, (12, 30, 40), dtype=np.uint16)
    np.save(tmp_path / "a.npy", stack.astype(">u2"))
    file = ArrayFile(str(tmp_path / "a.npy"), "a.npy", 3)
    assert file.names[:2] == ("00", "01")
    assert file.size(3) == (30, 40)
    found = file.read(11, Box(5, 6, 7, 8)).pixels
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found[:, :, 0], stack[11, 5:12, 6:14])
    planes = np.random.default_rng(0).random((5, 30, 40), dtype=np.float32)
    np.save(tmp_path / "b.npy", planes)
    found = ArrayFile(str(tmp_path / "b.npy"), "b.npy", 5).read(0, Box(5, 6, 7, 8)).pixels
    np.testing.assert_array_equal(found, planes[:, 5:12, 6:14].transpose(1, 2, 0))


@pytest.mark.parametrize("is_compressed", [False, True])
@pytest.mark.parametrize("in_memory", [False, True])
def test_archives_have_parts_and_labels(tmp_path: Path, is_compressed: bool, in_memory: bool) -> None:
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {
        "train_images": rng.integers(0, 256, (6, 28, 28), dtype=np.uint8),
        "train_labels": np.arange(6)[:, None] % 3,
        "val_images": rng.integers(0, 256, (2, 28, 28), dtype=np.uint8),
        "val_labels": np.array([[2], [0]]),
    }
    (np.savez_compressed if is_compressed else np.savez)(tmp_path / "a.npz", **arrays)
    place = io.BytesIO((tmp_path / "a.npz").read_bytes()) if in_memory else str(tmp_path / "a.npz")
    file = ArrayFile(place, "a.npz", 3)
    assert file.names == (*[f"train_images/{i}" for i in range(6)], "val_images/0", "val_images/1")
    assert file.labels == ("0", "1", "2", "0", "1", "2", "2", "0")
    assert file.splits == ("train",) * 6 + ("val",) * 2
    np.testing.assert_array_equal(file.read(7).pixels[:, :, 0], arrays["val_images"][1])


def test_a_single_set_has_its_labels_by_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.zeros((4, 9, 9, 3), np.uint8), labels=np.array(["cat", "dog", "cat", "cow"]))
    file = ArrayFile(str(tmp_path / "a.npz"), "a.npz", 3)
    assert file.labels == ("cat", "dog", "cat", "cow")
    assert file.splits == ()


def test_what_holds_no_images_says_what_it_holds(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", features=np.zeros(40), names=np.array(["a"]))
    with pytest.raises(Unreadable, match=r"holds no array of images: features \(40,\) float64, names"):
        ArrayFile(str(tmp_path / "a.npz"), "a.npz", 3)
    np.save(tmp_path / "b.npy", np.array([{"a": 1}], dtype=object))
    with pytest.raises(Unreadable, match="Python objects, which are not loaded"):
        ArrayFile(str(tmp_path / "b.npy"), "b.npy", 3)
    (tmp_path / "c.npy").write_bytes(b"no array")
    with pytest.raises(Unreadable, match="not a whole NumPy file"):
        ArrayFile(str(tmp_path / "c.npy"), "c.npy", 3)
    np.save(tmp_path / "d.npy", np.zeros((30, 40)))
    (tmp_path / "d.npy").write_bytes((tmp_path / "d.npy").read_bytes()[:500])
    with pytest.raises(Unreadable, match="not a whole NumPy file"):
        ArrayFile(str(tmp_path / "d.npy"), "d.npy", 3).read(0)


@pytest.mark.parametrize("name", ["a.npy", "plain.npz", "packed.npz"])
@pytest.mark.parametrize("in_memory", [False, True])
def test_wrong_bytes_anywhere_make_a_file_unreadable_or_its_pixels_others(
    tmp_path: Path, name: str, in_memory: bool
) -> None:
    images = np.random.default_rng(0).integers(0, 4, (2, 12, 12, 3), dtype=np.uint8)
    if name == "a.npy":
        np.save(tmp_path / name, images)
    else:
        (np.savez if name == "plain.npz" else np.savez_compressed)(tmp_path / name, images=images)
    whole, rng = (tmp_path / name).read_bytes(), np.random.default_rng(1)
    refused = 0
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(rng.integers(1, 6)):
            damaged[rng.integers(min(len(whole), rng.choice([130, 300, 4000])))] = rng.integers(40, 60)
        (tmp_path / name).write_bytes(damaged)
        try:
            file = ArrayFile(io.BytesIO(damaged) if in_memory else str(tmp_path / name), name, 3)
            for number in range(len(file.names)):
                file.read(number)
        except Unreadable:
            refused += 1
    assert 30 < refused < 150
