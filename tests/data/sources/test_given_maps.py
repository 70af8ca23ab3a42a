"""Masks and depth maps that a folder gives with its images: in the window of the image, upright, broken ones listed."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from selftaught.core.settings.groups import DataSettings
from selftaught.data.batch import Batch, Sampling
from selftaught.data.computed.with_maps import pack_with_maps
from selftaught.data.inputs import Given, Image
from selftaught.data.loader import to_device
from selftaught.data.sources.open import open_source
from selftaught.data.store.cache import list_stores
from selftaught.data.store.kept_maps import open_kept_maps
from selftaught.data.store.open import open_samples
from selftaught.data.store.samples import NothingReadable, Samples
from tests.data.trees import DOG, coco, text, voc, write

MASKS, DEPTH = frozenset({"image", "mask"}), frozenset({"image", "depth"})
RED, GREY = (200, 40, 40), (90, 90, 90)


def scene(height: int, width: int, left: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """A grey image whose red part begins at column `left`, and its mask: 1 where it is red."""
    mask = np.zeros((height, width), np.uint8)
    mask[:, left:] = 1
    return np.where(mask[:, :, None] == 1, RED, GREY).astype(np.uint8), mask


def scenes(root: Path, count: int = 6, *, height: int = 40, width: int = 80) -> Path:
    for i in range(count):
        image, mask = scene(height, width, 20 + 8 * i)
        write(root / "images" / f"{i}.png", image)
        write(root / "masks" / f"{i}.png", mask)
    text(root / "classes.txt", "ground\nthing\n")
    return root


def opened(root: Path, what: Any = "mask", *, side: int = 20, split: str = "train", **more: Any) -> Samples:
    source = open_source(str(root), split=split, needs=frozenset({"image", what}), held_out=0.0, **more)
    sampling = Sampling(inputs={"image": Image(), "given": Given(what)})
    settings = DataSettings(path=str(root), store_size=side)
    return pack_with_maps(source, settings, sampling, size=side, title="packing", is_shown=False)


def batch_of(samples: Samples, places: float | np.ndarray[Any, Any]) -> Batch:
    """All samples, cut at (places, places)."""
    rows = np.arange(len(samples))
    draws = np.broadcast_to(np.asarray(places, np.float64), (len(rows), 3)).copy()
    inputs = {"image": Image(), "given": Given("mask")}
    return to_device(samples.read(rows, draws), samples, torch.device("cpu"), inputs)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path / "cache"))


def test_maps_beyond_the_limit_or_the_disk_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_source(str(scenes(tmp_path / "data", 2)), split="train", needs=MASKS, held_out=0.0)
    samples = open_samples(source, side=20, sampling=Sampling(), cache_limit_gb=1.0, workers=1)
    with pytest.raises(ValueError, match=r"^the mask maps of .*data need 1.6e-06 GB, above --cache-limit 1e-06; raise"):
        open_kept_maps("mask", source.maps["mask"], samples, cache_limit_gb=1e-6)

    def full(*_args: object, **_named: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("selftaught.data.store.kept_maps.fit_map", full)
    with pytest.raises(ValueError, match=r"^the mask maps of .*data needs about 0.0 GB and the disk is full; remove "):
        open_kept_maps("mask", source.maps["mask"], samples, cache_limit_gb=1.0)
    assert [store.kind for store in list_stores()] == ["images"]


@pytest.mark.parametrize("place", [0.0, 0.3, 0.5, 0.99])
@pytest.mark.parametrize("side", [20, 40, 56])
def test_masks_are_cut_by_the_window_of_their_images(tmp_path: Path, place: float, side: int) -> None:
    batch = batch_of(opened(scenes(tmp_path / "data"), side=side), place)
    mask = batch["given"]
    assert (mask.dtype, mask.shape) == (torch.uint8, (6, batch["image"].shape[-1], batch["image"].shape[-1]))
    red = batch["image"][:, 0].int() > 145
    assert (red == (mask == 1)).float().mean() > 0.97  # edges of images are interpolated, those of masks are not
    assert set(mask.unique().tolist()) <= {0, 1}


def test_the_longest_images_are_cut_before_they_are_scaled(tmp_path: Path) -> None:
    batch = batch_of(opened(scenes(tmp_path / "data", width=200)), 0.5)
    assert torch.equal(batch["image"][:, 0] > 145, batch["given"] == 1)


def test_without_labels_the_classes_are_those_of_the_pixels(tmp_path: Path) -> None:
    root = scenes(tmp_path / "data")
    source = open_source(str(root), split="train", needs=MASKS, held_out=0.0)
    assert (source.classes, sorted(source.provides)) == (("ground", "thing"), ["image", "mask"])
    assert "mask" not in open_source(str(root), split="train", needs=frozenset({"image"})).provides


def test_masks_turn_with_images_that_exif_turns(tmp_path: Path) -> None:
    root = scenes(tmp_path / "data", count=1)
    (root / "images" / "0.png").unlink()
    image, _ = scene(40, 80, 20)
    exif = Pillow.Exif()
    exif[0x0112] = 6
    Pillow.fromarray(image).save(root / "images" / "0.jpg", exif=exif, quality=95)
    samples = opened(root)
    batch = batch_of(samples, 0.0)
    red = batch["image"][0, 0].int() > 145
    assert red.any()
    assert torch.equal(red, batch["given"][0] == 1)
    assert red.any(1).sum() < 20  # it runs from left to right by now


def test_broken_maps_are_listed_and_their_images_left_out(tmp_path: Path) -> None:
    root = scenes(tmp_path / "data")
    (root / "masks" / "1.png").write_bytes(b"broken")
    write(root / "masks" / "2.png", np.full((40, 80), 7, np.uint8))
    write(root / "masks" / "3.png", np.zeros((4, 8), np.uint8))
    (root / "masks" / "4.png").unlink()
    samples = opened(root)
    assert list(samples.keys) == ["images/0.png", "images/5.png"]
    why = dict(samples.skipped)
    assert sorted(why) == [f"images/{i}.png" for i in (1, 2, 3, 4)]
    assert why["images/2.png"] == "masks/2.png holds the class 7, which classes.txt does not name"
    assert why["images/3.png"] == "the map of images/3.png is 8 x 4 pixels, but its image 80 x 40"
    assert why["images/4.png"] == "images/4.png has no mask in masks/"
    batch = batch_of(samples, 0.5)
    assert batch.index.tolist() == [0, 1]
    assert (batch["given"][1] == 1).sum() < (batch["given"][0] == 1).sum()
    for i in (0, 5):
        (root / "masks" / f"{i}.png").write_bytes(b"broken")
    with pytest.raises(NothingReadable, match=r"no sample of \S+data can be used; the map of the first, images/0.png"):
        opened(root)


def test_maps_that_changed_are_packed_again(tmp_path: Path) -> None:
    root = scenes(tmp_path / "data")
    first = opened(root)
    write(root / "masks" / "0.png", np.ones((40, 80), np.uint8))
    again = opened(root)
    assert first.fingerprint != again.fingerprint
    assert (batch_of(again, 0.0)["given"][0] == 1).all()
    assert opened(root).fingerprint == again.fingerprint


def test_voc_and_coco_give_masks_too(tmp_path: Path) -> None:
    names = {f"{i:03d}": [DOG] for i in range(4)}
    samples = opened(voc(tmp_path / "VOC", {"train": "000 001", "val": "002 003"}, objects=names), side=30)
    assert [key.rpartition("/")[2] for key in samples.keys] == ["000.png", "001.png"]
    mask = batch_of(samples, 0.0)["given"][0]
    assert (mask[5:10, 5:10] == 8).all()
    assert (mask[0] == 255).all()
    square = [4, 6, 14, 6, 14, 16, 4, 16]
    note = {"image_id": 8, "category_id": 5, "bbox": [4, 6, 10, 10], "area": 100}
    coco(tmp_path / "coco", "train", [{**note, "segmentation": [square]}])
    samples = opened(tmp_path / "coco", side=30)
    masks = batch_of(samples, 0.0)["given"]
    assert samples.classes is not None
    assert not masks[0].any()
    assert set(masks[1, 7:15, 5:13].flatten().tolist()) == {samples.classes.index("dog")}
    assert not masks[1, 18:].any()


def test_depth_is_in_metres_and_its_folder_no_images(tmp_path: Path) -> None:
    for i in range(3):
        image, mask = scene(40, 80, 30)
        write(tmp_path / "data" / "color" / f"{i}.png", image)
        depth = np.where(mask == 1, 1500 + i, 0).astype(np.uint16)
        depth[0, 0] = 65535
        (tmp_path / "data" / "depth").mkdir(exist_ok=True)
        Pillow.fromarray(depth).save(tmp_path / "data" / "depth" / f"{i}.png")
    assert len(open_source(str(tmp_path / "data"), split="train", needs=frozenset({"image"}), held_out=0.0)) == 3
    samples = opened(tmp_path / "data", "depth", side=40)
    metres = batch_of(samples, 0.5)["given"]
    assert (metres.dtype, metres.shape) == (torch.float32, (3, 40, 40))
    red = batch_of(samples, 0.5)["image"][:, 0] > 145
    assert torch.equal(red, metres > 0)
    assert metres[2].max().item() == pytest.approx(1.502)
    Pillow.fromarray(np.zeros((40, 80), np.uint8)).save(tmp_path / "data" / "depth" / "0.png")
    assert dict(opened(tmp_path / "data", "depth").skipped) == {
        "color/0.png": "depth/0.png is no image of 16 bits with one channel, as depth maps in millimetres are"
    }


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("mask", "^masks are needed, but .* holds none; give a VOC tree"),
        ("depth", "^depth maps are needed, but .* holds none; put them into a folder depth beside a folder images"),
        ("pose", r"^poses are needed, but .* holds images only .*; give rendered scenes \(world:\), or videos or"),
    ],
)
def test_what_is_not_there_is_said_before_anything_is_read(tmp_path: Path, what: str, sentence: str) -> None:
    write(tmp_path / "data" / "0.png", scene(40, 80, 20)[0])
    with pytest.raises(ValueError, match=sentence):
        open_source(str(tmp_path / "data"), split="train", needs=frozenset({"image", what}))
    with pytest.raises(ValueError, match=r"needed, but synthetic:N=8,side=32 holds images and labels only"):
        open_source("synthetic:N=8,side=32", split="train", needs=frozenset({"image", what}))


def test_real_depth(shared_data: Callable[[str], Path]) -> None:
    root = shared_data("scenes7_rgbd/scenes7_rgbd.zip")
    source = open_source(str(root), split="train", needs=DEPTH)
    assert (len(source) > 150, sorted(source.provides)) == (True, ["depth", "image"])
    depth = source.maps["depth"].read(0, 0.0)
    assert (str(depth.dtype), depth.shape) == ("float32", (240, 320))
    assert 0.3 < np.median(depth[depth > 0]) < 10
