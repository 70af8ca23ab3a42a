"""What the members of tars are to each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from selftaught.data.sources.open import open_source
from selftaught.data.sources.tars.tar_samples import one_picture_each
from tests.data.sources.tars.written import opened, plain_tar


def tree_of(photos: list[bytes], *, prefix: str = "") -> dict[str, bytes]:
    names = [f"{part}/{name}/{i}.jpg" for i, (part, name) in enumerate(_PLACES)]
    return {prefix + name: photo for name, photo in zip(names, photos, strict=False)}


_PLACES = [(part, name) for part, count in (("train", 4), ("val", 2)) for name in ("cat", "dog") for _ in range(count)]


@pytest.mark.parametrize("prefix", ["", "./", "data/", "./my data/v1/"])
def test_a_tar_of_class_folders_is_read_as_the_folder_is(tmp_path: Path, photos: list[bytes], prefix: str) -> None:
    plain_tar(tmp_path / "a.tar", tree_of(photos, prefix=prefix))
    for name, content in tree_of(photos).items():
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(content)
    for split, count in (("train", 8), ("held_out", 4)):
        folder, tar = opened(tmp_path / "folder", split), opened(tmp_path / "a.tar", split)
        assert len(tar) == count
        assert tar.classes == folder.classes == ("cat", "dog")
        assert tar.part == folder.part
        assert [entry.label for entry in tar.entries] == [entry.label for entry in folder.entries]
        assert [tar.read(i) for i in range(count)] == [folder.read(i) for i in range(count)]


def test_labels_csv_in_a_tar(tmp_path: Path, photos: list[bytes]) -> None:
    rows = "\n".join(f"{i}.jpg,{('cat', 'dog')[i % 2]},{'test' if i > 5 else 'train'}" for i in range(8))
    files = {f"set/{i}.jpg": photos[i] for i in range(8)}
    plain_tar(tmp_path / "a.tar", {**files, "set/labels.csv": f"file,label,split\n{rows}\n".encode()})
    train, test = opened(tmp_path / "a.tar"), opened(tmp_path / "a.tar", "held_out")
    assert (len(train), len(test), test.part) == (6, 2, "test")
    assert [entry.label for entry in train.entries] == [0, 1] * 3
    assert train.classes == ("cat", "dog")


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        (["x.jpg", "x.seg.png", "x.depth.png"], ["x.jpg"]),
        (["x.png", "x.mask.png"], ["x.png"]),
        (["x.mask.png", "x.image.png"], ["x.image.png"]),
        (["x.rgb.png", "x.semantic_seg.png"], ["x.rgb.png"]),
        (["x.png", "x.jpg"], ["x.jpg"]),
        (["cat.0.jpg", "cat.1.jpg"], ["cat.0.jpg", "cat.1.jpg"]),
        (["x.left.jpg", "x.right.jpg", "x.disparity.png"], ["x.left.jpg", "x.right.jpg"]),
        (["images/x.jpg", "masks/x.png"], ["images/x.jpg"]),
        (["a/x.jpg", "b/x.jpg"], ["a/x.jpg", "b/x.jpg"]),
    ],
)
def test_one_image_of_each_sample(tmp_path: Path, photos: list[bytes], names: list[str], kept: list[str]) -> None:
    plain_tar(tmp_path / "a.tar", dict(zip(names, photos, strict=False)))
    source = open_source(str(tmp_path / "a.tar"), split="train", needs=frozenset({"image"}), held_out=0.0)
    assert [entry.key.removeprefix("a.tar/") for entry in source.entries] == kept
    assert bool(source.notes) == (len(kept) < len(names))


def test_samples_of_different_tars_are_different() -> None:
    members = ["x.jpg", "x.seg.png", "x.seg.png", "y.png"]
    assert one_picture_each(members, [0, 0, 1, 1]) == ([0, 2, 3], [1])
    assert one_picture_each([], []) == ([], [])
