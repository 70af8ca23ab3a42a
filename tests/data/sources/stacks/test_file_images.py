"""Files of several images as entries of a source: names, splits by file, labels, patients, single files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selftaught.data.decode.containers.opening import Reading
from selftaught.data.decode.values import Values
from selftaught.data.files.file_tree import FolderTree
from selftaught.data.files.hints import Hints
from selftaught.data.sources.layout import Layout
from selftaught.data.sources.open import open_source
from selftaught.data.sources.stacks.file_images import FileImages, Listing, expand, file_of
from tests.data.decode.containers.dicom_files import write_dicom
from tests.data.sources.opening import IMAGES, LABELLED, opened
from tests.data.sources.rows import write

RNG = np.random.default_rng(0)


def stack(*shape: int) -> np.ndarray:
    return RNG.integers(0, 4000, shape, dtype=np.uint16)


def test_few_stacks_are_divided_by_image_and_many_by_file(tmp_path: Path) -> None:
    for i in range(3):
        np.save(tmp_path / f"{i}.npy", stack(8, 20, 30))
    few = [opened(tmp_path, split) for split in ("train", "held_out")]
    assert sum(map(len, few)) == 24
    (told,) = few[0].split_notes
    assert "images of one file fall on both sides" in told
    assert told in few[0].notes
    for i in range(3, 12):
        np.save(tmp_path / f"{i}.npy", stack(8, 20, 30))
    train, held_out = (opened(tmp_path, split) for split in ("train", "held_out"))
    sides = [{entry.key.partition("#")[0] for entry in source.entries} for source in (train, held_out)]
    assert not sides[0] & sides[1]
    assert len(sides[0] | sides[1]) == 12
    assert train.groups is not None


def test_an_image_of_a_stack_is_read_by_its_number(tmp_path: Path) -> None:
    pixels = stack(12, 20, 30)
    np.save(tmp_path / "a.npy", pixels)
    source = opened(tmp_path / "a.npy", held_out=0.1)
    for i, entry in enumerate(source.entries):
        found = source.read(i)
        assert isinstance(found, Values)
        np.testing.assert_array_equal(found.pixels[:, :, 0], pixels[int(entry.key.partition("#")[2])])
    before = source.fingerprint
    pixels[3] += 1
    np.save(tmp_path / "a.npy", pixels)
    assert opened(tmp_path / "a.npy", held_out=0.1).fingerprint != before


def test_an_archive_with_parts_and_labels_is_a_labelled_data_set(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {}
    for part, n in (("train", 12), ("val", 4), ("test", 5)):
        arrays |= {f"{part}_images": stack(n, 20, 20), f"{part}_labels": np.arange(n)[:, None] % 11}
    np.savez(tmp_path / "set.npz", **arrays)
    source = opened(tmp_path / "set.npz", needs=LABELLED)
    assert source.classes == tuple(map(str, range(11)))
    assert [entry.label for entry in source.entries] == [i % 11 for i in range(12)]
    assert [len(opened(tmp_path / "set.npz", part, LABELLED)) for part in ("held_out", "test")] == [4, 5]


def test_arrays_beside_images_are_left_out(tmp_path: Path, photos: list[bytes]) -> None:
    for i in range(4):
        (tmp_path / f"{i}.jpg").write_bytes(photos[i])
    np.save(tmp_path / "features.npy", stack(4, 20, 30))
    assert len(opened(tmp_path)) + len(opened(tmp_path, "held_out")) == 4


def test_classes_are_folders_of_stacks(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "a.npy", stack(6, 20, 30))
    source = opened(tmp_path, needs=LABELLED)
    assert source.classes == ("cat", "dog")
    assert all((entry.label == 1) == entry.key.startswith("dog/") for entry in source.entries)


def test_patients_of_dicom_files_are_groups(tmp_path: Path) -> None:
    pytest.importorskip("pydicom")
    for i in range(12):
        write_dicom(tmp_path / f"{i}.dcm", stack(20, 30), PatientID=f"p{i % 4}")
    train, held_out = opened(tmp_path), opened(tmp_path, "held_out")
    assert {e.group for e in train.entries} | {e.group for e in held_out.entries} == {f"patient p{i}" for i in range(4)}
    assert not {e.group for e in train.entries} & {e.group for e in held_out.entries}
    assert any("groups by the patients" in note for note in train.notes)


def test_tiles_are_entries_and_those_of_glass_are_skipped_when_packed(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, (64, 96, 3), dtype=np.uint8)
    pixels[:, :32] = 243
    np.save(tmp_path / "slide.npy", pixels)
    source = open_source(str(tmp_path), split="train", needs=IMAGES, held_out=0.2, hints=Hints(tile=32))
    assert {entry.key for entry in source.entries} <= {f"slide.npy#{x},{y}" for x in (0, 32, 64) for y in (0, 32)}
    shown = {entry.key: source.read(i) for i, entry in enumerate(source.entries)}
    for key, tile in shown.items():
        assert isinstance(tile, Values)
        x, y = map(int, key.partition("#")[2].split(","))
        np.testing.assert_array_equal(tile.pixels, pixels[y : y + 32, x : x + 32])


def test_files_stay_open_for_a_while(tmp_path: Path) -> None:
    for i in range(3):
        np.save(tmp_path / f"{i}.npy", stack(8, 20, 30))
    files = FileImages(FolderTree(tmp_path), Reading())
    assert {len(one.names) for one in files.list(["0.npy", "1.npy"]).values()} == {8}
    assert files.read("2.npy", 3).pixels.shape == (20, 30, 1)


def test_expanding_keeps_what_is_known_of_the_files() -> None:
    layout = Layout({"a.npy": "cat", "b.npy": "dog"}, {"a.npy": "train", "b.npy": "val"}, ("cat", "dog"))
    found = expand({"a.npy": Listing(("0", "1"), is_usual=False), "b.npy": Listing()}, layout)
    assert found.keys == ["a.npy#0", "a.npy#1", "b.npy"]
    assert found.file_of["a.npy#1"] == ("a.npy", 1)
    assert found.layout.labels == {"a.npy#0": "cat", "a.npy#1": "cat", "b.npy": "dog"}
    assert found.layout.splits["a.npy#1"] == "train"


def test_channels_of_data_that_are_no_files_are_refused() -> None:
    with pytest.raises(ValueError, match="--channels 5, given or those of the run, are of images in files"):
        open_source("synthetic", split="train", needs=IMAGES, hints=Hints(channels=5))


def test_tiles_of_a_table_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", {"image": [b"an image"]})
    with pytest.raises(ValueError, match="--tile 32, given or that of the run, is for folders and zips"):
        open_source(str(tmp_path), split="train", needs=IMAGES, hints=Hints(tile=32, channels=5))


@pytest.mark.parametrize(
    ("key", "file"),
    [
        ("a/b.tif#03", "a/b.tif"),
        ("a/b.ome.tif#0.12#512,256", "a/b.ome.tif"),
        ("b#1.png#0,256", "b#1.png"),
        ("b#1.png", "b#1.png"),
        ("clip.mp4", "clip.mp4"),
        ("c.npz#train_images.3", "c.npz"),
    ],
)
def test_the_file_of_an_image(key: str, file: str) -> None:
    assert file_of(key) == file
