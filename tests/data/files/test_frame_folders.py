"""Folders whose images are numbered as the frames of a video are."""

from __future__ import annotations

from selftaught.data.files.frame_folders import frame_folders


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
