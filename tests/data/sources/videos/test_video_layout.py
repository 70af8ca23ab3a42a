"""Official splits and groups of videos as they are opened: of the data, beside them, or by a path."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selftaught.data.files.hints import Hints
from selftaught.data.sources.base import Source
from selftaught.data.sources.open import open_source
from tests.data.files.test_official_splits import HMDB, UCF
from tests.data.sources.videos.frames_of import write_clips

VIDEO = frozenset({"video"})


def touch(folder: Path, *keys: str) -> Path:
    for key in keys:
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(b"")
    return folder


def write_lists(folder: Path, texts: Mapping[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder


def opened(
    path: Path, split: str = "train", *, needs: frozenset[str] = VIDEO, held_out: float = 0.0, **hints: Any
) -> Source:
    return open_source(str(path), split=split, needs=needs, held_out=held_out, hints=Hints(**hints))


def keys(source: Source) -> list[str]:
    return [entry.key for entry in source.entries]


@pytest.fixture
def ucf(tmp_path: Path) -> Path:
    data = tmp_path / "UCF-101"
    touch(data, *(f"{c}/v_{c}_g{g}_c01.avi" for c in ("Archery", "Biking") for g in ("01", "08")))
    return data


@pytest.mark.parametrize("place", ["UCF-101/ucfTrainTestlist", "ucfTrainTestlist", "UCF-101"])
def test_lists_in_the_data_or_beside_them_are_found(ucf: Path, place: str) -> None:
    write_lists(ucf.parent / place, UCF)
    train, test = opened(ucf), opened(ucf, "test")
    assert keys(train) == ["Archery/v_Archery_g08_c01.avi", "Biking/v_Biking_g08_c01.avi"]
    assert keys(test) == ["Archery/v_Archery_g01_c01.avi", "Biking/v_Biking_g01_c01.avi"]
    assert (train.classes, train.part, test.part) == (("Archery", "Biking"), "train", "test")
    assert "parts are those of the official split 1 of 2 (--split-number)" in train.notes
    assert keys(opened(ucf, split_number=2)) == ["Archery/v_Archery_g01_c01.avi"]


@pytest.mark.parametrize("what", ["lists", "lists/trainlist01.txt"])
def test_lists_are_taken_from_where_a_flag_says(ucf: Path, tmp_path: Path, what: str) -> None:
    write_lists(tmp_path / "away" / "lists", UCF)
    assert keys(opened(ucf, "test", split_file=str(tmp_path / "away" / what), split_number=2)) == [
        "Archery/v_Archery_g08_c01.avi"
    ]


def test_hmdb_as_distributed(tmp_path: Path) -> None:
    data = touch(
        tmp_path / "hmdb51", "wave/a #1_wave_0.avi", "wave/b_wave_1.avi", "wave/c_wave_0.avi", "run/a_run_0.avi"
    )
    write_lists(tmp_path / "testTrainMulti_7030_splits", HMDB | {"run_test_split1.txt": "a_run_0.avi 1\nlost.avi 1\n"})
    train = opened(data, needs=VIDEO | {"label"})
    assert [(entry.key, entry.label) for entry in train.entries] == [
        ("run/a_run_0.avi", 0),
        ("wave/a #1_wave_0.avi", 1),
    ]
    assert keys(opened(data, "test")) == ["wave/b_wave_1.avi"]
    assert train.left_out.counts == {"in no part": 1}
    assert list(train.skipped) == [("run/lost.avi", "named by run_test_split1.txt, but not there")]
    assert "1 of the 5 videos that they name are not there (such as run/lost.avi)" in train.notes
    assert not opened(data, "test").skipped  # said once


def test_folders_of_frames_have_official_splits_too(tmp_path: Path) -> None:
    write_clips(tmp_path / "data", "Archery/v_Archery_g08_c01", "Archery/v_Archery_g01_c01")
    write_lists(tmp_path / "ucfTrainTestlist", UCF)
    assert keys(opened(tmp_path / "data")) == ["Archery/v_Archery_g08_c01"]


def test_parts_of_the_data_go_before_lists_that_were_not_asked_for(tmp_path: Path) -> None:
    touch(tmp_path / "data", "train/Archery/v_Archery_g01_c01.avi", "test/Archery/v_Archery_g08_c01.avi")
    write_lists(tmp_path / "ucfTrainTestlist", UCF)
    assert keys(opened(tmp_path / "data")) == ["train/Archery/v_Archery_g01_c01.avi"]
    asked = opened(tmp_path / "data", split_file=str(tmp_path / "ucfTrainTestlist"))
    assert keys(asked) == ["test/Archery/v_Archery_g08_c01.avi"]
    with pytest.raises(ValueError, match="has parts of its own; leave it out, or give lists by --split-file"):
        opened(tmp_path / "data", split_number=2)


def test_a_drawn_part_has_whole_groups(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{c}/v_{c}_g{g:02d}_c{k:02d}.avi" for c in ("A", "B") for g in range(8) for k in range(3)))
    train, held_out = (opened(tmp_path, split, held_out=0.3) for split in ("train", "held_out"))
    of = [{entry.group for entry in part.entries} for part in (train, held_out)]
    assert not of[0] & of[1]
    assert len(of[0] | of[1]) == 16
    assert min(map(len, of)) >= 2
    assert len(train) == 3 * len(of[0])  # whole ones
    assert train.groups is not None
    assert len(np.unique(train.groups)) == len(of[0])
    assert "16 groups by the names of the files, as UCF101 has them" in train.notes


def test_persons_of_a_column_are_not_separated(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{n}.mp4" for n in range(20)))
    rows = [f"{n}.mp4,{'ab'[n % 2]},p{n % 5}" for n in range(20)]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label,person", *rows]))
    parts = [opened(tmp_path, split, held_out=0.3, groups="person") for split in ("train", "held_out")]
    persons = [{entry.group for entry in part.entries} for part in parts]
    assert not persons[0] & persons[1]
    assert sum(map(len, parts)) == 20
    assert opened(tmp_path, held_out=0.3).groups is None


def test_groups_on_both_sides_of_given_parts_are_said(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    (tmp_path / "labels.csv").write_text("file,label,split,group\na.mp4,x,train,1\nb.mp4,y,test,1\nc.mp4,y,train,2\n")
    assert "1 group has samples in more than one part of the data (such as 1)" in opened(tmp_path).notes


@pytest.mark.parametrize(
    ("hints", "message"),
    [
        ({"split_number": 2}, "--split-number 2 needs the lists of official splits, and there are none"),
        ({"split_file": "nowhere"}, "--split-file nowhere names none of the 4 videos"),
    ],
)
def test_what_a_flag_asks_for_and_is_not_there(ucf: Path, hints: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        opened(ucf, **hints)


@pytest.mark.parametrize(("flag", "value"), [("groups", "person"), ("split_number", 1), ("split_file", "lists")])
def test_flags_are_refused_where_they_say_nothing(flag: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"--{flag.replace('_', '-')} is for .* leave it out"):
        opened(Path("synthetic"), needs=frozenset({"image"}), **{flag: value})


def test_source_groups_of_real_data_are_kept_apart(shared_data: Callable[[str], Path]) -> None:
    parts = [opened(shared_data("jhmdb14"), split, groups="source_group") for split in ("train", "test")]
    groups = [{entry.group for entry in part.entries} for part in parts]
    assert [len(found) for found in groups] == [113, 74]
    assert not groups[0] & groups[1]


def test_lists_of_no_known_kind_are_no_lists(ucf: Path) -> None:
    shutil.rmtree(ucf / "Biking")
    (ucf / "train.txt").write_text("Archery/v_Archery_g08_c01.avi\n")
    assert len(opened(ucf)) == 2


def test_lists_of_other_data_are_no_error_unless_asked_for(ucf: Path) -> None:
    other = {name: text.replace("Archery", "Other").replace("Biking", "More") for name, text in UCF.items()}
    write_lists(ucf.parent / "splits", other)
    assert len(opened(ucf)) == 4
    with pytest.raises(ValueError, match="name none of the 4 videos"):
        opened(ucf, split_number=1)
