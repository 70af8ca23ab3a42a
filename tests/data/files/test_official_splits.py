"""Lists of UCF101 and HMDB51: parts, classes, and what they name and is not there."""

from __future__ import annotations

import pytest

from selftaught.data.files.official_splits import is_split_list, read_official, split_numbers

UCF = {
    "classInd.txt": "1 Archery\r\n2 Biking\r\n",
    "trainlist01.txt": "Archery/v_Archery_g08_c01.avi 1\r\nBiking/v_Biking_g08_c01.avi 2\r\n",
    "testlist01.txt": "Archery/v_Archery_g01_c01.avi\nBiking/v_Biking_g01_c01.avi\n",
    "trainlist02.txt": "Archery/v_Archery_g01_c01.avi 1\n",
    "testlist02.txt": "Archery/v_Archery_g08_c01.avi\n",
}
HMDB = {
    "wave_test_split1.txt": "a #1_wave_0.avi 1 \nb_wave_1.avi 2 \nc_wave_0.avi 0 \n",
    "run_test_split1.txt": "a_run_0.avi 2 \n",
    "wave_test_split3.txt": "a #1_wave_0.avi 2 \n",
}
UCF_KEYS = [f"UCF-101/{c}/v_{c}_g{g}_c01.avi" for c in ("Archery", "Biking") for g in ("01", "08")]


def test_lists_are_known_by_their_names() -> None:
    assert all(map(is_split_list, (*UCF, *HMDB, "testlist3.txt")))
    assert not any(map(is_split_list, ("readme.txt", "train.txt", "wave_test_split1.csv", "labels.csv")))
    assert split_numbers(list(UCF)) == [1, 2]
    assert split_numbers(list(HMDB)) == [1, 3]


def test_parts_of_ucf() -> None:
    first, second = (read_official(UCF_KEYS, UCF, number, "here") for number in (1, 2))
    assert dict(first.parts) == dict(zip(UCF_KEYS, ("test", "train", "test", "train"), strict=True))
    assert dict(second.parts) == {UCF_KEYS[0]: "train", UCF_KEYS[1]: "test"}
    assert first.classes == ("Archery", "Biking")
    assert first.name == "official split 1 of 2 (--split-number)"
    assert first.missing == []


def test_parts_of_hmdb_leave_out_what_is_marked_zero() -> None:
    keys = ["wave/a #1_wave_0.avi", "wave/b_wave_1.avi", "wave/c_wave_0.avi", "run/a_run_0.avi"]
    found = read_official(keys, HMDB, 1, "here")
    assert dict(found.parts) == {keys[0]: "train", keys[1]: "test", keys[3]: "test"}
    assert dict(found.labels) == dict(zip(keys, ("wave", "wave", "wave", "run"), strict=True))
    assert found.classes == ()


def test_videos_are_found_under_another_ending_in_one_folder_and_as_frames() -> None:
    flat = ["v_Archery_g08_c01.mp4", "v_Biking_g01_c01.mp4"]
    found = read_official(flat, UCF, 1, "here")
    assert dict(found.parts) == {flat[0]: "train", flat[1]: "test"}
    assert dict(found.labels) == {flat[0]: "Archery", flat[1]: "Biking"}
    frames = ["Archery/v_Archery_g08_c01"]
    assert dict(read_official(frames, UCF, 1, "here").parts) == {frames[0]: "train"}


def test_what_is_not_there_is_listed() -> None:
    found = read_official(UCF_KEYS[:2], UCF, 1, "here")
    assert found.missing == [
        ("Biking/v_Biking_g01_c01.avi", "named by testlist01.txt, but not there"),
        ("Biking/v_Biking_g08_c01.avi", "named by trainlist01.txt, but not there"),
    ]
    assert (found.listed, found.lost) == (4, 2)


@pytest.mark.parametrize(
    ("keys", "texts", "number", "message"),
    [
        (UCF_KEYS, UCF, 3, r"--split-number must be one of the splits of here \(1, 2\), got 3"),
        (["other.avi"], UCF, 1, r"name none of the 1 videos \(such as other.avi\); they name Archery/v_Archery_g01"),
        (UCF_KEYS, {"trainlist01.txt": "Archery 1\n"}, 1, "must have lines such as Archery/v_Archery_g08_c01.avi 3"),
        (["wave/a.avi"], {"wave_test_split1.txt": "a.avi 5\n"}, 1, r"must have lines such as name.avi 1 \(or 2 or 0\)"),
        (["wave/a.avi"], {"wave_test_split1.txt": "a.avi\n"}, 1, r"must have lines such as name.avi 1"),
    ],
)
def test_a_wrong_list_is_one_sentence(keys: list[str], texts: dict[str, str], number: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_official(keys, texts, number, "here")
