"""Contours that people drew: both forms of file, which image they belong to, and what is wrong with some."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import savemat

from selftaught.data.annotations.drawn_contours import read_drawn
from selftaught.evaluation.data.dense import open_dense
from tests.data.trees import picture, write

DRAWN = frozenset({"drawn"})


def packed(drawn: NDArray[np.bool_]) -> bytes:
    file = io.BytesIO()
    np.savez(file, boundaries=np.packbits(drawn), shape=np.array(drawn.shape))
    return file.getvalue()


def published(drawn: NDArray[np.bool_], *, is_compressed: bool = False) -> bytes:
    """As the Berkeley data hold them: a cell for each person, of a structure with two fields."""
    cells = np.empty((1, len(drawn)), object)
    for k, one in enumerate(drawn):
        cells[0, k] = {"Segmentation": np.ones(one.shape, np.uint16), "Boundaries": one.astype(np.uint8)}
    file = io.BytesIO()
    savemat(file, {"groundTruth": cells}, do_compression=is_compressed)
    return file.getvalue()


def lines(people: int = 3, shape: tuple[int, int] = (30, 40)) -> NDArray[np.bool_]:
    return np.random.default_rng(people).random((people, *shape)) < 0.1


@pytest.mark.parametrize("form", [packed, published], ids=["npz", "mat"])
def test_every_person_is_read_from_either_form(tmp_path: Path, form: object) -> None:
    assert callable(form)
    ending, top = ("mat", "BSDS500/data/groundTruth") if form is published else ("npz", "gt")
    images = "BSDS500/data/images" if form is published else "images"
    for part, people in (("train", 2), ("test", 5)):
        for n in range(2):
            write(tmp_path / images / part / f"{n}.jpg", picture(n))
            target = tmp_path / top / part / f"{n}.{ending}"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(form(lines(people)))
    data = open_dense(str(tmp_path), needs=DRAWN)
    assert (len(data.train), len(data.test), data.test_is) == (2, 2, "the data's own test part")
    for half, people in ((data.train, 2), (data.test, 5)):
        sample = half.read(1)
        assert sample.contours is not None
        assert np.array_equal(sample.contours.numpy(), lines(people))
        assert sample.image.shape == (3, 30, 40)


@pytest.mark.parametrize(
    ("file", "data"),
    [
        ("a.npz", b"no zip"),
        ("a.npz", packed(lines())[:-40]),
        ("a.mat", b""),
        ("a.mat", published(lines())[:-90]),
        ("a.npz", packed(lines(people=0))),
    ],
    ids=["no file", "cut", "empty", "cut mat", "nobody"],
)
def test_what_cannot_be_read_is_one_sentence_that_names_the_file(file: str, data: bytes) -> None:
    with pytest.raises(ValueError, match=r"^a\.(npz|mat) holds "):
        read_drawn(data, file)


@pytest.mark.parametrize(
    ("file", "whole"),
    [
        ("a.mat", published(lines(), is_compressed=True)),
        ("a.mat", published(lines(people=2, shape=(6, 5)))),
        ("a.npz", packed(lines())),
    ],
    ids=["compressed mat", "mat", "npz"],
)
def test_wrong_bytes_are_refused_and_end_no_process(file: str, whole: bytes) -> None:
    rng, refused = np.random.default_rng(0), 0
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(rng.integers(1, 6)):
            damaged[rng.integers(min(len(whole), rng.choice([200, 4000])))] = rng.integers(256)
        try:
            read_drawn(bytes(damaged), file)
        except ValueError:
            refused += 1
    assert 150 < refused < 300


@pytest.mark.parametrize("is_compressed", [False, True])
def test_elements_of_a_type_that_scipy_looks_for_beyond_its_table_are_refused(is_compressed: bool) -> None:
    whole = published(lines(people=2, shape=(6, 5)))
    pixels = whole.index(struct.pack("<II", 2, 30))  # the tag of the second field of the first person
    content = bytearray(whole[128:])
    assert np.array_equal(read_drawn(whole, "a.mat"), lines(people=2, shape=(6, 5)))
    for kind, size in ((200, 30), (2, 1 << 30), (14, 24), (0, 30)):
        content[pixels - 128 : pixels - 120] = struct.pack("<II", kind, size)
        packed_in = struct.pack("<II", 15, len(zlib.compress(bytes(content)))) + zlib.compress(bytes(content))
        with pytest.raises(ValueError, match=r"^a.mat holds no contours that can be read: it is damaged$"):
            read_drawn(whole[:128] + (packed_in if is_compressed else bytes(content)), "a.mat")


@pytest.mark.parametrize(("place", "value"), [(17, 0xFF), (16, 5), (16, 200), (16, 1)])
def test_arrays_without_the_elements_of_their_class_are_refused(place: int, value: int) -> None:
    """A flag of complex numbers, or another class: SciPy would take the next array for numbers of a type unknown."""
    whole = bytearray(published(lines(people=2, shape=(6, 5))))
    field = whole.index(struct.pack("<II", 2, 30)) - 48  # the tag of the array around it
    assert struct.unpack_from("<I", whole, field) == (14,)
    whole[field + place] = value
    with pytest.raises(ValueError, match=r"^a.mat holds no contours that can be read: it is damaged$"):
        read_drawn(bytes(whole), "a.mat")


def test_arrays_in_one_another_without_end_are_refused() -> None:
    deep = struct.pack("<II", 14, 0)
    for _ in range(2000):
        deep = struct.pack("<II", 14, len(deep)) + deep
    with pytest.raises(ValueError, match=r"^a.mat holds no contours that can be read: it is damaged$"):
        read_drawn(published(lines())[:128] + deep, "a.mat")


def test_data_without_contours_and_contours_of_another_size_are_one_sentence(tmp_path: Path) -> None:
    write(tmp_path / "images" / "train" / "0.jpg", picture(0))
    with pytest.raises(ValueError, match=r"^contours that people drew are needed, but .* holds none; give "):
        open_dense(str(tmp_path), needs=DRAWN)
    (tmp_path / "gt" / "train").mkdir(parents=True)
    (tmp_path / "gt" / "train" / "0.npz").write_bytes(packed(lines(shape=(30, 41))))
    for n in (1, 2):
        write(tmp_path / "images" / "train" / f"{n}.jpg", picture(n))
        (tmp_path / "gt" / "train" / f"{n}.npz").write_bytes(packed(lines()))
    data = open_dense(str(tmp_path), needs=DRAWN, held_out=0.4)
    rows = {key: (half, i) for half in (data.train, data.test) for i, key in enumerate(half.keys)}
    half, i = rows["images/train/0.jpg"]
    with pytest.raises(ValueError, match=r"gt/train/0.npz is 41 x 30 pixels, but its image 40 x 30; correct it"):
        half.read(i)
