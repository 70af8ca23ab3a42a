"""Random trees of names: nothing but one sentence is raised, and each file is a sample, or listed, or counted."""

from __future__ import annotations

import os
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selftaught.data.decode.encoded_video import EncodedVideo
from selftaught.data.files.file_kinds import is_companion, is_hidden
from selftaught.data.files.file_tree import Unreadable
from selftaught.data.files.zip_tree import open_tree
from selftaught.data.sources.base import Source
from selftaught.data.sources.open import open_source
from tests.data.trees import encoded, picture

PNG = encoded(picture(0, 8, 8))
NAMES = (
    "train,test,val,training_set,test_set,seg_train,seg_test,unlabelled,cat,dog,bullet_train,masks,images,@eaDir,__MACOSX,"
    "run,annot,frames,x,x_mask,IMG_0001,img_0002,caf\udce9,new\nline,a'b\"c,~,[v1],{0..3},.hidden,trainval2012,%05d,ünï,"
    "a\\b,labels,classes,README,JPEGImages,Annotations"
)
WORDS = st.sampled_from(NAMES.split(","))
ENDINGS = ",.JPG,.heic,.npy,.mp4,.ts,.gif,.zip,.tar,.parquet,.csv,.txt,.json,.xml,.pdf,.part,.,..png"
ENDS = st.sampled_from([*[".png", ".jpg"] * 8, *ENDINGS.split(",")])
KEYS = st.builds(lambda folders, name, end: "/".join([*folders, name + end]), st.lists(WORDS, max_size=4), WORDS, ENDS)
TEXTS = (b"", b"file,label\nx.png,1\n", b"file;label;split\n\xff\xfe", b"\xff\xfef\0i\0", b"PK\3\4x", b"[]", b"{}")
CONTENTS = st.sampled_from([*[PNG] * 7, *TEXTS])
TREES = st.dictionaries(KEYS, CONTENTS, min_size=3, max_size=25)
NEEDS = st.sampled_from(
    [frozenset(kinds.split()) for kinds in ("image", "image", "image label", "video", "image labels")]
)
STEADY = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
"""The same examples each time, however slow the machine is."""
DAMAGE = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=12)


def opened(path: Path, needs: frozenset[str]) -> list[Source]:
    try:
        return [open_source(str(path), split=split, needs=needs) for split in ("train", "held_out", "test")]
    except ValueError:
        return []


def write(root: Path, files: dict[str, bytes]) -> list[str]:
    """The files that could be written: a name may be taken by a folder."""
    done = []
    for key, data in files.items():
        with suppress(OSError):
            (root / key).parent.mkdir(parents=True, exist_ok=True)
            (root / key).write_bytes(data)
            done.append(os.path.relpath(root / key, root))
    return done


def check(sources: list[Source], keys: list[str]) -> None:
    """Each file that is a sample or of a kind that one could miss is somewhere."""
    entries = {entry.key for source in sources for entry in source.entries}
    train = sources[0]
    named = {key for key, _ in (*train.skipped, *train.left_out.files)}
    for key in keys:
        is_kept = any(is_hidden(step) for step in key.split("/"))
        assert key in entries or key in named or is_companion(key) or is_kept, key
    assert not entries & {key for key, _ in train.left_out.files}
    assert sum(train.left_out.counts.values()) == len(train.left_out.files)
    assert all("\n" not in note for note in train.notes)


def test_folders() -> None:
    checked = 0

    @settings(STEADY, max_examples=60)
    @given(files=TREES, needs=NEEDS)
    def try_one(files: dict[str, bytes], needs: frozenset[str]) -> None:
        nonlocal checked
        with tempfile.TemporaryDirectory() as folder:
            keys = write(Path(folder), files)
            sources = opened(Path(folder), needs)
            if needs & {"label", "labels"}:  # an unlabelled part is then in none of the three
                keys = [key for key in keys if "unlabelled" not in key]
            if sources and type(sources[0]).__name__ in ("ImageFolder", "VideoFolder"):
                check(sources, keys)
                checked += 1
            with suppress(ValueError):
                open_tree(folder)

    try_one()
    assert checked >= 20, "trees of 60 that could be opened"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_zips() -> None:
    read = 0

    @settings(STEADY, max_examples=60)
    @given(
        files=st.lists(st.tuples(KEYS, CONTENTS), min_size=1, max_size=25), needs=NEEDS, system=st.sampled_from([0, 3])
    )
    def try_one(files: list[tuple[str, bytes]], needs: frozenset[str], system: int) -> None:
        nonlocal read
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a.zip"
            with zipfile.ZipFile(path, "w") as archive:
                for key, data in files:
                    info = zipfile.ZipInfo("x")
                    info.filename, info.create_system = key.replace("\udce9", "e"), system
                    archive.writestr(info, data)
            for source in opened(path, needs):
                for _, payload in source.iterate():
                    assert isinstance(payload, bytes | EncodedVideo | Unreadable)
                    read += isinstance(payload, bytes)

    try_one()
    assert read >= 40


def test_damaged_zips() -> None:
    found = {"whole": 0, "broken": 0}

    @settings(STEADY, max_examples=80)
    @given(places=DAMAGE, cut=st.floats(0, 1))
    def try_one(places: list[tuple[int, int]], cut: float) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a.zip"
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                for i in range(4):
                    archive.writestr(f"c{i % 2}/{i}.png", PNG)
            data = bytearray(path.read_bytes())
            for at, value in places:
                data[-1 - at % len(data)] = value
            path.write_bytes(bytes(data) if cut > 0.2 else bytes(data[: int(cut * 5 * len(data))]))
            for source in opened(path, frozenset({"image"})):
                for _, payload in source.iterate():
                    assert isinstance(payload, bytes | OSError | ValueError)
                    found["whole" if isinstance(payload, bytes) else "broken"] += 1

    try_one()
    assert min(found.values()) >= 20
