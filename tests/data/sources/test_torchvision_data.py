"""torchvision's data sets, from files laid out as torchvision lays them out."""

from __future__ import annotations

import gzip
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from selftaught.core.files import cache_root
from selftaught.data.decode.image import decode_image
from selftaught.data.sources.base import Source
from selftaught.data.sources.open import open_source
from selftaught.data.sources.torchvision_data import _RECIPES
from selftaught.data.sources.torchvision_names import TORCHVISION_NAMES
from selftaught.evaluation.data.dense import open_dense


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path))
    return cache_root() / "torchvision"


def opened(name: str, split: str = "train", needs: frozenset[str] = frozenset({"image"})) -> Source:
    return open_source(name, split=split, needs=needs)


def test_every_name_has_its_recipe() -> None:
    assert set(TORCHVISION_NAMES) == set(_RECIPES)


@pytest.mark.parametrize("name", [name for name in TORCHVISION_NAMES if name != "svhn"])
def test_absent_data_say_how_to_get_them(name: str, root: Path) -> None:
    with pytest.raises(ValueError, match=f"data set {name} is not in .* whole; add --download"):
        opened(name)


def test_mnist(root: Path, photos: list[bytes]) -> None:
    grey = np.stack([decode_image(data)[:28, :28, 0] for data in photos])
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, chosen in (("train", grey[:16]), ("t10k", grey[16:])):
        images = struct.pack(">IIII", 0x803, len(chosen), 28, 28) + chosen.tobytes()
        labels = struct.pack(">II", 0x801, len(chosen)) + bytes(i % 10 for i in range(len(chosen)))
        for name, data in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
            (raw / name).write_bytes(data)
            (raw / f"{name}.gz").write_bytes(gzip.compress(data))
    train, test = opened("mnist", needs=frozenset({"image", "label"})), opened("mnist", "held_out")
    assert (len(train), len(test)) == (16, 8)
    picture = test.read(3)
    assert isinstance(picture, np.ndarray)
    assert np.array_equal(picture, np.repeat(grey[19][:, :, None], 3, axis=2))
    assert train.classes is not None
    assert (train.classes[3], train.entries[3].label) == ("3 - three", 3)
    assert train.fingerprint != test.fingerprint


@pytest.mark.parametrize("damage", [b"", b"nothing", struct.pack(">IIII", 0x803, 1 << 30, 28, 28), b"\0\0\x08\x01\0\0"])
@pytest.mark.parametrize("file", ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"])
def test_damaged_files_are_one_line(root: Path, file: str, damage: bytes) -> None:
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        images = struct.pack(">IIII", 0x803, 4, 28, 28) + bytes(4 * 784)
        for name, data in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", _LABELS)):
            (raw / name).write_bytes(data)
            (raw / f"{name}.gz").write_bytes(b"")
    (raw / file).write_bytes(damage)
    with pytest.raises(ValueError, match=r"data set mnist .*--download") as refused:
        opened("mnist")
    assert "\n" not in str(refused.value)


_LABELS = struct.pack(">II", 0x801, 4) + bytes(4)


def test_a_image_that_is_missing_is_skipped(root: Path, photos: list[bytes]) -> None:
    (root / "imagenette2-320" / "train" / "n01440764").mkdir(parents=True)
    (root / "imagenette2-320" / "train" / "n01440764" / "a.JPEG").write_bytes(photos[0])
    (root / "imagenette2-320" / "train" / "n01440764" / "b.JPEG").symlink_to("gone")
    (root / "imagenette2-320" / "val" / "n01440764").mkdir(parents=True)
    (root / "imagenette2-320" / "val" / "n01440764" / "a.JPEG").write_bytes(photos[0])
    for wnid in [
        "n02102040",
        "n02979186",
        "n03000684",
        "n03028079",
        "n03394916",
        "n03417042",
        "n03425413",
        "n03445777",
        "n03888257",
    ]:
        for part in ("train", "val"):
            (root / "imagenette2-320" / part / wnid).mkdir()
            (root / "imagenette2-320" / part / wnid / "a.JPEG").write_bytes(photos[1])
    kinds = [type(payload) for _, payload in opened("imagenette").iterate()]
    assert kinds.count(bytes) == 10
    assert kinds.count(FileNotFoundError) == 1


def test_imagenette(root: Path, photos: list[bytes]) -> None:
    wnids = ["n01440764", "n02102040", "n02979186", "n03000684", "n03028079"]
    wnids += ["n03394916", "n03417042", "n03425413", "n03445777", "n03888257"]
    for part in ("train", "val"):
        for wnid, data in zip(wnids, photos, strict=False):
            folder = root / "imagenette2-320" / part / wnid
            folder.mkdir(parents=True)
            (folder / f"{part}.JPEG").write_bytes(data)
    val = opened("imagenette", "test", frozenset({"image", "label"}))
    assert [entry.label for entry in val.entries] == list(range(10))
    assert val.classes is not None
    assert val.classes[0] == "tench"
    assert val.read(4) == photos[4]


def test_voc2007(root: Path, shared_data: Callable[[str], Path]) -> None:
    with zipfile.ZipFile(shared_data("voc_layout") / "voc_layout.zip") as archive:
        archive.extractall(root)
    train = opened("voc2007")
    assert len(train) > 50
    assert train.provides == {"image"}
    data = train.read(0)
    assert isinstance(data, bytes)
    assert decode_image(data).ndim == 3
    with pytest.raises(ValueError, match="one class for each sample is needed, but those of voc2007 may be of several"):
        opened("voc2007", needs=frozenset({"image", "label"}))
    several = opened("voc2007", needs=frozenset({"image", "labels"}))
    assert several.targets is not None
    assert several.targets.shape == (len(train), 20)
    assert {Path(entry.key).stem for entry in several.entries} == {Path(path).stem for path in train._pictures}  # type: ignore[attr-defined]
    boxes = open_dense("voc2007", needs=frozenset({"box"}))
    assert (len(boxes.train), len(boxes.test)) == (97, 100)
