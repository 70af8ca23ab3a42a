"""Folders whose images are numbered as the frames of a video are."""

from __future__ import annotations

from selftaught.data.files.frame_folders import frame_folders, numbered_folders


def numbered(folder: str, name: str = "img_", *, count: int = 6, first: int = 1) -> list[str]:
    return [f"{folder}/{name}{i:05d}.jpg" for i in range(first, first + count)]


def test_folders_of_consecutive_numbers_are_found() -> None:
    keys = [*numbered("walk/b"), *numbered("walk/a", first=40), *numbered("photos", "IMG"), "cover.jpg"]
    assert frame_folders(keys, {}) == ["photos", "walk/a", "walk/b"]


def test_one_alone_gaps_few_and_other_names_are_none() -> None:
    whole = numbered("a")
    assert frame_folders(whole, {}) == []
    for other in (
        numbered("b", count=5),
        [*numbered("b", count=5), "b/img_00009.jpg"],
        [*numbered("b", count=3), *numbered("b", "x_", count=3, first=4)],
        [*numbered("b"), "b/cover.jpg"],
        [f"b/{i}.jpg" for i in range(6)],  # fewer than three digits
        numbered("", count=6),
    ):
        assert frame_folders([*whole, *other], {}) == []


def test_the_folder_of_a_class_is_none_unless_its_images_are_called_frames() -> None:
    for name, found in (("img_", []), ("frame_", ["cat", "dog"]), ("Frame", ["cat", "dog"])):
        keys = [*numbered("cat", name), *numbered("dog", name)]
        assert frame_folders(keys, {key: key.partition("/")[0] for key in keys}) == found
    keys = [*numbered("cat/1"), *numbered("dog/2")]
    assert frame_folders(keys, {key: key.partition("/")[0] for key in keys}) == ["cat/1", "dog/2"]


def frames(*names: str) -> list[dict[int, int]]:
    """Number of a frame -> position of its name among the given ones, of each folder that is found."""
    keys = [f"clip/{name}" for name in names]
    return [{number: keys.index(key) for number, key in one.frames.items()} for one in numbered_folders(keys)[0]]


def test_frames_are_ordered_by_the_one_number_that_differs() -> None:
    assert frames("frame_10.jpg", "frame_2.jpg", *(f"frame_{k}.jpg" for k in range(3, 10))) == [
        {0: 1, **{k - 2: k - 1 for k in range(3, 10)}, 8: 0}
    ]
    assert frames("c3_f01_s.png", "c3_f02_s.png") == [{0: 0, 1: 1}]
    assert frames("7.jpg") == [{0: 0}]
    assert frames("00000.jpg", "00005.jpg", "00010.jpg", "00020.jpg", "00025.jpg", "00030.jpg", "00035.jpg") == [
        {0: 0, 1: 1, 2: 2, 4: 3, 5: 4, 6: 5, 7: 6}  # every fifth, without the fourth of them
    ]


def test_folders_of_other_images_are_no_frames() -> None:
    for names in (
        ("a.jpg",),
        ("1.jpg", "2.jpg", "cover.jpg"),
        ("1.jpg", "01.jpg", "2.jpg"),
        ("1.jpg", "1.png", "2.jpg"),
        ("left_1.jpg", "right_1.jpg"),
        ("1_1.jpg", "1_2.jpg", "2_1.jpg"),
        ("17.jpg", "402.jpg", "3391.jpg", "3392.jpg"),
        ("1.jpg", "2.jpg", "3.jpg", "4.jpg", "5.jpg", "6.jpg", "900.jpg"),
    ):
        assert frames(*names) == []
        assert numbered_folders([f"clip/{name}" for name in names])[1] == [f"clip/{name}" for name in names]
