"""Images of several channels are the same, bit for bit, from a folder, a zip, a tar, a table and a stream of shards."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from selftaught.core.settings.values import read_ranges
from selftaught.data.decode.fit import fit
from selftaught.data.decode.image import Decoding
from selftaught.data.files.hints import Hints
from selftaught.data.passing_samples import PassingImages
from selftaught.data.sources.base import Source
from selftaught.data.sources.open import open_source
from selftaught.data.sources.shards import find_shards
from selftaught.data.sources.value_range import range_for
from selftaught.data.store.first_samples import first_samples
from selftaught.data.stream import shard_samples
from tests.data.sources.rows import write

FIVE = Hints(channels=5)
IMAGES = frozenset({"image"})


def images(folder: Path, ending: str) -> Path:
    """Twelve images of five channels with different ranges; the tenth is damaged."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(12):
        pixels = (rng.random((20, 26, 5)) * [40, 300, 1000, 9000, 60_000]).astype(np.uint16)
        file = folder / f"{i:02d}{ending}"
        if ending == ".tif":
            tifffile = pytest.importorskip("tifffile")
            tifffile.imwrite(file, pixels.transpose(2, 0, 1), photometric="minisblack", compression="zlib")
        elif ending == ".npz":
            np.savez_compressed(file, pixels)
        else:
            np.save(file, pixels)
    data = (folder / f"09{ending}").read_bytes()
    (folder / f"09{ending}").write_bytes(data[: len(data) // 3])
    return folder


def stored_otherwise(folder: Path, to: Path) -> dict[str, Path]:
    """The files of a folder in other containers."""
    files = sorted(folder.iterdir())
    for name in ("zip", "tar", "parquet", "arrow"):
        (to / name).mkdir()
    with zipfile.ZipFile(to / "zip" / "a.zip", "w") as archive, tarfile.open(to / "tar" / "a.tar", "w") as tar:
        for file in files:
            archive.write(file, file.name)
            tar.add(file, file.name)
    content = [file.read_bytes() for file in files]
    write(to / "parquet" / "a.parquet", {"image": content})
    table = pa.table({"image": [{"bytes": data, "path": None} for data in content]})
    with pa.OSFile(str(to / "arrow" / "a.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return {
        "zip": to / "zip" / "a.zip", "tar": to / "tar" / "a.tar", "parquet": to / "parquet", "arrow": to / "arrow"
    }  # fmt: skip


def shown(source: Source, decoding: Decoding) -> list[NDArray[np.uint8] | None]:
    """What is packed of each entry, in order; None of one that cannot be read."""
    found: dict[int, NDArray[np.uint8] | None] = {}
    for i, payload in source.iterate():
        try:
            if isinstance(payload, Exception):
                raise payload
            found[i] = fit(payload, side=16, decoding=decoding).copy()
        except ValueError:
            found[i] = None
    return [found[i] for i in range(len(source))]


@pytest.mark.parametrize("ending", [".npy", ".tif", ".npz"])
def test_pixels_and_ranges_are_those_of_the_folder(tmp_path: Path, ending: str) -> None:
    folder = images(tmp_path / "files", ending)

    def opened(path: Path) -> Source:
        return open_source(str(path), split="train", needs=IMAGES, held_out=0, hints=FIVE)

    source = opened(folder)
    ranges = range_for("auto", source, channels=5)
    decoding = Decoding(channels=tuple(read_ranges(ranges, 5) or ()))
    expected = shown(source, decoding)
    assert [i for i, one in enumerate(expected) if one is None] == [9]
    containers = stored_otherwise(folder, tmp_path)
    for name, path in containers.items():
        other = opened(path)
        assert other.reads_channels
        assert range_for("auto", other, channels=5) == ranges, name
        for one, same in zip(shown(other, decoding), expected, strict=True):
            np.testing.assert_array_equal(one, same, err_msg=name)
        assert shown(other, decoding)[0] is not None
        np.testing.assert_array_equal(fit(other.read(3), side=16, decoding=decoding), expected[3], err_msg=name)
    shards = find_shards(str(containers["tar"]))
    assert shards is not None
    kind = shards.kind_for(IMAGES)
    assert kind == ("image" if ending == ".tif" else "array")
    passing = PassingImages(side=16, decoding=decoding, kind=kind)
    for number, key, payload in shard_samples(shards, 0, kind=kind):
        if number == 9:
            with pytest.raises(ValueError, match=r"1 channel|NumPy"):
                passing.decode(payload, ())  # type: ignore[arg-type]
            continue
        np.testing.assert_array_equal(passing.decode(payload, ()).sample, expected[number], err_msg=key)  # type: ignore[arg-type]
    assert passing.rows_of([expected[0]], np.array([0]), np.zeros((1, 3)))["image"].shape == (1, 16, 16, 5)


def test_arrays_of_a_tar_are_images_only_where_there_are_no_others(tmp_path: Path) -> None:
    folder = images(tmp_path / "files", ".npy")
    tar = stored_otherwise(folder, tmp_path)["tar"]
    source = open_source(str(tar), split="train", needs=IMAGES, held_out=0, hints=FIVE)
    assert len(source) == 12
    with tarfile.open(tar, "a") as archive:
        import cv2

        cv2.imwrite(str(tmp_path / "00.png"), np.zeros((20, 26, 3), np.uint8))
        archive.add(tmp_path / "00.png", "00.png")
    both = open_source(str(tar), split="train", needs=IMAGES, held_out=0)
    assert [entry.key for entry in both.entries] == ["a.tar/00.png"]
    assert both.left_out.counts == {".npy": 12}


def test_held_out_images_of_a_stream_are_bounded_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tar = stored_otherwise(images(tmp_path / "files", ".npy"), tmp_path)["tar"]
    shards = find_shards(str(tar))
    assert shards is not None
    assert len(first_samples(shards, 12, kind="array")) == 12
    monkeypatch.setattr("selftaught.data.store.first_samples.MOST_BYTES", {"array": 20_000})
    assert len(first_samples(shards, 12, kind="array")) == 3, "each takes 5,328 bytes, and a header"
