"""VOC trees: parts, boxes, masks and classes as the lists and the XML files say, whatever the year."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from selftaught.data.annotations.voc import VocBoxes, open_voc
from selftaught.data.files.zip_tree import open_tree
from selftaught.data.sources.open import open_source
from selftaught.evaluation.data.dense import open_dense
from tests.data.trees import CAT, DOG, Object, picture, text, voc, write, xml

BOXES, MASKS = frozenset({"box"}), frozenset({"mask"})


def test_2007_trains_on_train_and_val_and_is_tested_on_test(tmp_path: Path) -> None:
    voc(tmp_path / "VOC2007", {"train": "000001", "val": "000002", "test": "000003 000004"})
    data = open_dense(str(tmp_path), needs=BOXES)
    assert [Path(key).stem for key in data.train.keys] == ["000001", "000002"]
    assert [Path(key).stem for key in data.test.keys] == ["000003", "000004"]
    assert data.test_is == "the data's own test part"


def test_2012_is_tested_on_val_as_its_test_part_is_not_annotated(tmp_path: Path) -> None:
    root = voc(tmp_path / "VOC2012", {"train": "000001 000002", "val": "000003", "test": "000004"})
    (root / "Annotations" / "000004.xml").unlink()
    data = open_dense(str(tmp_path), needs=BOXES)
    assert [Path(key).stem for key in data.test.keys] == ["000003"]
    assert data.test_is == "the data's own val part"


def test_two_years_side_by_side(tmp_path: Path) -> None:
    voc(tmp_path / "VOC2007", {"trainval": "000001", "test": "000002"})
    voc(tmp_path / "VOC2012", {"train": "000001", "val": "000003"})
    data = open_dense(str(tmp_path), needs=BOXES)
    assert [key.removesuffix(".png").replace("JPEGImages/", "") for key in data.train.keys] == [
        "VOC2007/000001",
        "VOC2012/000001",
        "VOC2012/000003",
    ]
    assert len(data.test) == 1


def test_without_lists_a_share_is_drawn_and_said(tmp_path: Path) -> None:
    root = voc(tmp_path / "own", {}, objects={f"{i:03d}": [DOG] for i in range(20)})
    data = open_dense(str(root), needs=BOXES, held_out=0.2, seed=3)
    assert len(data.train) + len(data.test) == 20
    assert data.test_is == f"{len(data.test)} of 20 samples, drawn by seed 3"
    again = open_dense(str(root), needs=BOXES, held_out=0.2, seed=3)
    assert data.test.keys == again.test.keys
    assert data.test.fingerprint == again.test.fingerprint
    assert open_dense(str(root), needs=BOXES, held_out=0.2, seed=4).test.keys != data.test.keys


def test_boxes_are_edges_and_difficult_ones_are_ignored(tmp_path: Path) -> None:
    voc(tmp_path, {"train": "000001 000003", "val": "000002 000004"})
    data = open_dense(str(tmp_path), needs=BOXES)
    first, second = data.train.read(0), data.train.read(1)
    assert data.classes[7] == "cat"
    assert first.boxes.tolist() == [[0, 0, 10, 20], [10, 4, 40, 30]]  # pixels 1 to 10 lie between edges 0 and 10
    assert first.labels.tolist() == [11, 7]
    assert second.ignore.tolist() == [False, True]
    assert np.array_equal(first.image.permute(1, 2, 0).numpy(), picture(0))
    assert first.mask is None
    assert data.test.read(1).boxes.shape == (0, 4)


def test_masks_are_numbers_of_classes_with_the_background(tmp_path: Path) -> None:
    voc(tmp_path, {"train": "000001 000003", "val": "000002"})
    data = open_dense(str(tmp_path), needs=MASKS)
    mask = data.train.read(0).mask
    assert mask is not None
    assert data.classes[0] == "background"
    assert [data.classes[i] for i in (8, 12)] == ["cat", "dog"]
    assert (mask[0] == 255).all()
    assert mask[7, 7] == 8
    assert mask[25, 30] == 12
    assert mask[15, 3] == 0


def test_own_classes_come_from_classes_txt_or_from_the_annotations(tmp_path: Path) -> None:
    root = voc(tmp_path, {}, objects={f"{i}": [("zebra" if i % 2 else "emu", DOG[1], 0)] for i in range(6)})
    assert open_dense(str(root), needs=BOXES).classes == ("emu", "zebra")
    text(root / "classes.txt", "zebra\nemu\n")
    assert open_dense(str(root), needs=BOXES).classes == ("zebra", "emu")


@pytest.mark.parametrize(
    ("objects", "sentence"),
    [
        ([("dragon", DOG[1], 0)], r"Annotations/000002.xml names the class 'dragon'"),
        ([("dog", (1, 1, 60, 20), 0)], r"000002.xml: the box \(1, 1, 60, 20\) of 'dog' is not inside 40 x 30"),
        ([("dog", (20, 1, 10, 20), 0)], r"000002.xml: the box"),
    ],
)
def test_what_is_wrong_with_a_box_is_one_sentence_or_skipped(
    tmp_path: Path, objects: list[Object], sentence: str
) -> None:
    root = voc(tmp_path, {"train": "000001 000002", "val": "000003 000004"})
    text(root / "ImageSets/Main/dog_train.txt", "000001 1\n")
    text(root / "ImageSets/Main/cat_train.txt", "000001 1\n")
    text(root / "Annotations" / "000002.xml", xml(objects))
    with pytest.raises(ValueError, match=sentence + r".*; correct it, or leave such images out with --skip-broken"):
        open_dense(str(root), needs=BOXES)
    data = open_dense(str(root), needs=BOXES, skip_broken=True)
    assert len(data.train) == 1
    assert [key for key, _ in data.train.skipped] == ["JPEGImages/000002.png"]
    assert not data.test.skipped


def test_missing_and_broken_files(tmp_path: Path) -> None:
    root = voc(tmp_path, {"train": "000001 000002", "val": "000003 000004"})
    (root / "SegmentationClass" / "000001.png").unlink()
    with pytest.raises(ValueError, match=r"lists name 000001.png, but SegmentationClass/000001.png is missing"):
        open_dense(str(root), needs=MASKS)
    (root / "JPEGImages" / "000004.png").write_bytes(b"no image")
    data = open_dense(str(root), needs=MASKS, skip_broken=True)
    assert (len(data.train), len(data.test)) == (1, 1)
    assert data.test.skipped[0][0] == "JPEGImages/000004.png"
    (root / "Annotations" / "000003.xml").write_text("<annotation>")
    with pytest.raises(ValueError, match=r"Annotations/000003.xml is no whole annotation"):
        open_dense(str(root), needs=BOXES)


def test_a_mask_with_an_unknown_class_or_another_size_is_named_when_it_is_read(tmp_path: Path) -> None:
    root = voc(tmp_path, {"train": "000001 000002", "val": "000003 000004"})
    write(root / "SegmentationClass" / "000001.png", np.full((30, 40), 77, np.uint8))
    write(root / "SegmentationClass" / "000002.png", np.zeros((20, 20), np.uint8))
    data = open_dense(str(root), needs=MASKS)
    with pytest.raises(ValueError, match=r"SegmentationClass/000001.png holds the class 77"):
        data.train.read(0)
    with pytest.raises(ValueError, match=r"000002.png is 20 x 20 pixels, but its image 40 x 30"):
        data.train.read(1)


def test_the_tree_as_plain_images_has_no_masks_and_its_own_parts(tmp_path: Path) -> None:
    root = voc(tmp_path, {"trainval": "000001", "test": "000003"})
    train, test = (open_source(str(root), split=s, needs=frozenset({"image"})) for s in ("train", "test"))
    # 000002 and 000004 are in no list: they may be learned from, but nothing is judged by them.
    assert [entry.key for entry in train.entries] == [f"JPEGImages/00000{i}.png" for i in (1, 2, 4)]
    assert [entry.key for entry in test.entries] == ["JPEGImages/000003.png"]
    assert test.part == "test"
    assert train.classes is None
    assert train.provides == {"image", "labels"}


def test_several_classes_of_a_image(tmp_path: Path) -> None:
    root = voc(tmp_path, {"train": "000001 000002", "val": "000003 000004"})
    train, val = (open_source(str(root), split=s, needs=frozenset({"image", "labels"})) for s in ("train", "test"))
    assert train.classes == val.classes
    assert train.targets is not None
    assert val.targets is not None
    dog, cat = 11, 7
    assert train.targets.shape == (2, 20)
    assert [train.targets[0, dog], train.targets[0, cat], train.targets[0].sum()] == [1, 1, 2]
    assert train.targets[1, dog] == -1  # all that it shows of the class is difficult
    assert [val.targets[0, dog], val.targets[1].any()] == [1, False]
    with pytest.raises(ValueError, match=r"one class for each sample is needed.*--probe svm"):
        open_source(str(root), split="train", needs=frozenset({"image", "label"}))


def test_real_lists_of_classes_agree_with_the_annotations(shared_data: Callable[[str], Path]) -> None:
    folder = shared_data("voc_layout")
    halves = {s: open_source(str(folder), split=s, needs=frozenset({"image", "labels"})) for s in ("train", "test")}
    with zipfile.ZipFile(folder / "voc_layout.zip") as archive:
        for split, part in (("train", "trainval"), ("test", "test")):
            source = halves[split]
            assert source.classes is not None
            assert source.targets is not None
            for column, name in enumerate(source.classes):
                lines = archive.read(f"VOCdevkit/VOC2007/ImageSets/Main/{name}_{part}.txt").decode().split()
                listed = dict(zip(lines[::2], map(int, lines[1::2]), strict=True))
                said = np.array([listed[Path(entry.key).stem] for entry in source.entries])
                found = source.targets[:, column]
                # -1 in a list is absent; these lists say 1 too where VOC's own would say 0, "difficult".
                assert np.array_equal(said == -1, found == 0)
                assert (said[found == 1] == 1).all()


def test_real_boxes_and_masks(shared_data: Callable[[str], Path]) -> None:
    boxes = open_dense(str(shared_data("voc_layout")), needs=BOXES)
    masks = open_dense(str(shared_data("voc_layout")), needs=MASKS)
    assert (len(boxes.train), len(boxes.test), len(masks.train), len(masks.test)) == (97, 100, 77, 78)
    assert sum(len(half.read(i).boxes) for half in (boxes.train, boxes.test) for i in range(len(half))) == 967
    assert masks.classes == ("background", *boxes.classes)
    found = masks.train.read(0).mask
    assert found is not None
    assert set(found.unique().tolist()) <= {*range(21), 255}


BOMB = '<!DOCTYPE a [<!ENTITY b "' + "x" * 10_000 + '"><!ENTITY c "' + "&b;" * 10_000 + '">]>'


@pytest.mark.parametrize(
    "content",
    [
        BOMB + xml([DOG]).replace("dog", "&c;"),
        '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>' + xml([DOG]).replace("dog", "&b;"),
        '<?xml version="1.0" encoding="nonsense"?>' + xml([DOG]),
        "<annotation>" * 50_000,
        xml([("dog", (float("nan"), 1, 10, 20), 0)]),
        xml([("dog", (float("inf"), 1, 10, 20), 0)]),
        xml([DOG]).replace("<xmax>10</xmax>", "<xmax></xmax>"),
        xml([DOG]).replace("<xmax>10</xmax>", "<xmax>ten</xmax>"),
        "",
    ],
)
def test_hostile_xml_is_one_line_or_skipped(tmp_path: Path, content: str) -> None:
    root = voc(tmp_path, {"train": "000001 000002", "val": "000003 000004"})
    text(root / "Annotations" / "000002.xml", content)
    with pytest.raises(ValueError, match=r"Annotations/000002.xml.*--skip-broken") as refused:
        open_dense(str(root), needs=BOXES)
    assert "\n" not in str(refused.value)
    data = open_dense(str(root), needs=BOXES, skip_broken=True)
    assert list(data.train.keys) == ["JPEGImages/000001.png"]


@pytest.mark.parametrize("size", ["inf", "-40", "none", "", "0"])
def test_a_missing_size_is_that_of_the_image(tmp_path: Path, size: str) -> None:
    root = voc(tmp_path, {"train": "000001 000002", "val": "000003 000004"})
    told = xml([("dog", (0, 1, 41, 20), 0)]).replace("<width>40", f"<width>{size}")
    text(root / "Annotations" / "000001.xml", told)
    data = open_dense(str(root), needs=BOXES)
    assert data.train.read(0).boxes.tolist() == [[0, 0, 40, 20]]
    assert data.notes == ("1 boxes leave their image by up to 1 pixel and were cut to it",)


@pytest.mark.parametrize(
    ("image", "file"),
    [("a.png", "a.xml"), ("images/train/a.png", "annotations/train/a.xml"), ("images/a.png", "Annotations/a.xml")],
)
def test_labelimg_writes_the_same_files_beside_images(tmp_path: Path, image: str, file: str) -> None:
    write(tmp_path / image, picture(0))
    write(tmp_path / image.replace("a.png", "b.png"), picture(1))  # has not been labelled
    text(tmp_path / file, xml([DOG, CAT]))
    found = open_voc(open_tree(str(tmp_path)), masks=False)
    assert isinstance(found, VocBoxes)
    assert found.keys == [image]
    assert found.classes == ("cat", "dog")
    np.testing.assert_array_equal(found.sample(image).boxes, [[0, 0, 10, 20], [10, 4, 40, 30]])
    assert open_voc(open_tree(str(tmp_path)), masks=True) is None
    text(tmp_path / file, "<kml></kml>")
    assert open_voc(open_tree(str(tmp_path)), masks=False) is None
