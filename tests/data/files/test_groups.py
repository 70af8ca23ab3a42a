"""Groups of samples that belong together."""

from __future__ import annotations

from pathlib import Path

import pytest

from selftaught.data.files.groups import crossing, find_groups

KEYS = ["a.mp4", "b.mp4", "sub/c.mp4"]
TABLE = "file,label,person,group\na.mp4,x,ann,1\nb.mp4,x,bob,1\nsub\\c.mp4,y,ann,\n"


def test_groups_of_a_column() -> None:
    assert find_groups(KEYS, "person", TABLE, "here") == (
        {"a.mp4": "ann", "b.mp4": "bob", "sub/c.mp4": "ann"},
        ["2 groups by the column person of labels.csv"],
    )


def test_a_column_called_group_is_used_without_being_asked_for() -> None:
    assert find_groups(KEYS, None, TABLE, "here") == (
        {"a.mp4": "1", "b.mp4": "1"},
        ["1 groups by the column group of labels.csv; 1 samples have none and are groups of their own"],
    )
    assert find_groups(KEYS, None, "file,label\na.mp4,x\n", "here") == ({}, [])
    assert find_groups(KEYS, None, None, "here") == ({}, [])


def test_groups_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "groups.csv").write_text("file;group\na.mp4;7\nb.mp4;8\n")
    found, (note,) = find_groups(KEYS, str(tmp_path / "groups.csv"), TABLE, "here")
    assert found == {"a.mp4": "7", "b.mp4": "8"}
    assert note.startswith("2 groups by ")


def test_names_of_ucf_tell_their_groups() -> None:
    keys = [f"Archery/v_Archery_g{g:02d}_c{c:02d}.avi" for g in (1, 2) for c in (1, 2, 3)]
    found, notes = find_groups(keys, None, None, "here")
    assert found[keys[0]] == found[keys[2]] == "v_Archery_g01"
    assert found[keys[3]] == "v_Archery_g02"
    assert notes == ["2 groups by the names of the files, as UCF101 has them"]
    assert find_groups([*keys, "other.avi"], None, None, "here") == ({}, [])


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("colour", r"neither a column of labels.csv \(group, label, person\) nor a file"),
        ("empty", "names a group for none of the 3 samples of here"),
    ],
)
def test_what_is_no_group_is_one_sentence(how: str, message: str) -> None:
    table = TABLE if how == "colour" else "file,label,empty\na.mp4,x,\n"
    with pytest.raises(ValueError, match=message):
        find_groups(KEYS, how, table, "here")


def test_groups_on_both_sides_are_found() -> None:
    groups = {"a": "1", "b": "1", "c": "2", "d": "2", "e": "3"}
    assert crossing(groups, {"a": "train", "b": "test", "c": "test", "d": "test"}) == ["1"]
