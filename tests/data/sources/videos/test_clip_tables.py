"""Tables of Kinetics, Something-Something and Moments in Time, and videos laid out as they are distributed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selftaught.data.files.hints import Hints
from selftaught.data.sources.base import Source
from selftaught.data.sources.open import open_source
from selftaught.data.sources.videos.clip_tables import may_be_table, read_clip_tables
from tests.data.sources.videos.frames_of import write_clips

KINETICS = """label,youtube_id,time_start,time_end,split,is_cc
"playing guitar, seated",-abc_1,3,13,train,0
abseiling,Zx9,43,53,validate,0
abseiling,gone,1,11,train,0
"""
SOMETHING = [
    {"id": "101", "label": "holding a cup", "template": "Holding [something]", "placeholders": ["a cup"]},
    {"id": "102", "label": "dropping a pen", "template": "Dropping [something]", "placeholders": ["a pen"]},
]


def touch(folder: Path, *keys: str) -> Path:
    for key in keys:
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(b"")
    return folder


def opened(path: Path, split: str = "train", **hints: Any) -> Source:
    return open_source(str(path), split=split, needs=frozenset({"video", "label"}), hints=Hints(**hints))


def labelled(source: Source) -> dict[str, str]:
    return {entry.key: (source.classes or ())[entry.label] for entry in source.entries if entry.label is not None}


def test_kinetics_names_clips_by_id_and_seconds() -> None:
    keys = ["x/-abc_1_000003_000013.mp4", "x/Zx9.mkv", "x/other.mp4"]
    found = read_clip_tables(keys, {"kinetics_train.csv": KINETICS})
    assert found is not None
    assert dict(found.parts) == {keys[0]: "train", keys[1]: "val"}
    assert dict(found.labels) == {keys[0]: "playing guitar, seated", keys[1]: "abseiling"}
    assert (found.listed, found.lost) == (3, 1)
    assert found.missing == [("gone_000001_000011", "named by a table, but not there")]


def test_kinetics_as_json() -> None:
    clip = {"annotations": {"label": "abseiling", "segment": [43.0, 53.0]}, "subset": "train", "duration": 10.0}
    found = read_clip_tables(["Zx9_000043_000053.mp4"], {"kinetics.json": json.dumps({"Zx9": clip})})
    assert found is not None
    assert (dict(found.labels), dict(found.parts)) == (
        {"Zx9_000043_000053.mp4": "abseiling"},
        {"Zx9_000043_000053.mp4": "train"},
    )


def test_a_flat_folder_with_the_csv_beside_it(tmp_path: Path) -> None:
    data = touch(tmp_path / "clips", "-abc_1_000003_000013.mp4", "Zx9_000043_000053.mp4", "a2_000043_000053.mp4")
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "train.csv").write_text(KINETICS + "abseiling,a2,43,53,train,0\n")
    train = opened(data)
    assert labelled(train) == {
        "-abc_1_000003_000013.mp4": "playing guitar, seated",
        "a2_000043_000053.mp4": "abseiling",
    }
    assert [entry.key for entry in opened(data, "held_out").entries] == ["Zx9_000043_000053.mp4"]
    assert list(train.skipped) == [("gone_000001_000011", "named by a table, but not there")]
    assert list(train.notes) == [
        "parts are those of the tables of the data",
        "classes are those of the tables of the data",
        "1 of the 4 videos that they name are not there (such as gone_000001_000011)",
    ]


def test_class_folders_keep_their_classes(tmp_path: Path) -> None:
    touch(tmp_path, "train/abseiling/Zx9_000043_000053.mp4", "train/other/-abc_1_000003_000013.mp4", "val/other/b.mp4")
    (tmp_path / "train.csv").write_text(KINETICS)
    assert labelled(opened(tmp_path)) == {
        "train/abseiling/Zx9_000043_000053.mp4": "abseiling",
        "train/other/-abc_1_000003_000013.mp4": "other",
    }


def test_something_something(tmp_path: Path) -> None:
    data = touch(tmp_path / "20bn-something-something-v2", "101.webm", "102.webm", "103.webm", "104.webm")
    lists = {"train": SOMETHING, "validation": [{**SOMETHING[0], "id": "103"}], "test": [{"id": "104"}]}
    for name, clips in lists.items():
        (tmp_path / f"something-something-v2-{name}.json").write_text(json.dumps(clips))
    (tmp_path / "something-something-v2-labels.json").write_text('{"Holding something": "0"}')
    assert labelled(opened(data)) == {"101.webm": "Holding something", "102.webm": "Dropping something"}
    assert labelled(opened(data, "held_out")) == {"103.webm": "Holding something"}
    assert [(entry.key, entry.label) for entry in opened(data, "test").entries] == [("104.webm", None)]


def test_something_something_as_frames(tmp_path: Path) -> None:
    write_clips(tmp_path / "v1", "7", "8", name="{:05d}.jpg")
    (tmp_path / "something-something-v1-train.csv").write_text("7;Holding [something]\n8;Closing [something]; slowly\n")
    (tmp_path / "something-something-v1-validation.csv").write_text("9;Holding [something]\n")
    source = opened(tmp_path / "v1", split_file=str(tmp_path))
    assert labelled(source) | labelled(opened(tmp_path / "v1", "held_out", split_file=str(tmp_path))) == {
        "7": "Holding something",
        "8": "Closing something; slowly",
    }


def test_moments_in_time(tmp_path: Path) -> None:
    touch(tmp_path, "training/adult+singing/a_1.mp4", "training/baking/b_2.mp4", "validation/baking/c.mp4")
    (tmp_path / "trainingSet.csv").write_text("adult+singing/a_1.mp4,adult+singing,4,0\nbaking/b_2.mp4,baking,3,1\n")
    (tmp_path / "validationSet.csv").write_text("baking/c.mp4,baking,3,0\nbaking/lost.mp4,baking,3,0\n")
    source = opened(tmp_path)
    assert set(labelled(source).values()) == {"adult+singing", "baking"}
    assert "1 of the 4 videos that they name are not there (such as lost)" in source.notes


def test_tables_of_other_data_are_not_used_unless_asked_for(tmp_path: Path) -> None:
    data = touch(tmp_path / "data", "a/1.mp4", "b/2.mp4")
    (tmp_path / "train.csv").write_text(KINETICS)
    (tmp_path / "val.csv").write_text("a,b\n1,2\n")
    assert len(opened(data)) + len(opened(data, "test")) == 2
    with pytest.raises(ValueError, match=r"--split-file .*train.csv names none of the 2 videos \(such as a/1.mp4\)"):
        opened(data, split_file=str(tmp_path / "train.csv"))


def test_names_of_tables() -> None:
    assert all(
        map(may_be_table, ("train.csv", "k400_validate.csv", "trainingSet.csv", "something-something-v2-test.json"))
    )
    assert not any(map(may_be_table, ("labels.csv", "train.txt", "instances_train2017.json")))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("train.csv", "label,youtube_id,time_start,time_end\nx,abc,soon,later\n"),
        ("something-something-v2-train.json", "[{"),
        ("kinetics.json", '{"a": {"subset": "train", "annotations": {"segment": 4}}}'),
    ],
)
def test_a_damaged_table_is_one_sentence(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is a damaged table of clips"):
        read_clip_tables(["abc.mp4"], {name: text})


def test_files_that_are_no_text_are_no_tables(tmp_path: Path) -> None:
    data = touch(tmp_path / "data", "a/1.mp4", "b/2.mp4")
    for place in (tmp_path, data):
        (place / "train.csv").write_bytes(b"caf\xe9,\xff\xfe\n")
    assert len(opened(data)) + len(opened(data, "test")) == 2
