"""Which source a path or a name is, and one sentence where something lacks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from selftaught.core.own_folder import mark, record
from selftaught.data.sources.open import open_source
from tests.data.sources.opening import IMAGES, LABELLED, opened
from tests.data.trees import Tree


def test_what_lacks_is_one_sentence(tmp_path: Path, tree: Tree, photos: list[bytes]) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match="holds no images, videos"):
        opened(empty)
    tree(tmp_path / "photos", {f"{i}.jpg": data for i, data in enumerate(photos)})
    with pytest.raises(ValueError, match=r"videos are needed, but .*photos holds images.*give a folder of videos"):
        opened(tmp_path / "photos", needs=frozenset({"video"}))
    with pytest.raises(ValueError, match=r"labels are needed, but .*labels\.csv"):
        opened(tmp_path / "photos", needs=LABELLED)
    with pytest.raises(ValueError, match=r"no file or folder .*absent"):
        opened(tmp_path / "absent")
    with pytest.raises(ValueError, match="did you mean cifar10"):
        open_source("cifar1", split="train", needs=IMAGES)
    with pytest.raises(ValueError, match=r"single file of kind \.jpg"):
        opened(tmp_path / "photos" / "0.jpg")


def test_photos_and_videos_in_one_folder(
    tmp_path: Path, tree: Tree, photos: list[bytes], shared_data: Callable[[str], Path]
) -> None:
    clip = next(shared_data("weizmann4").rglob("*.mp4"))
    tree(tmp_path, {"a.jpg": photos[0], "b.jpg": photos[1], "a.mp4": clip.read_bytes(), "b.mp4": clip.read_bytes()})
    assert "video" not in opened(tmp_path).provides
    assert "video" in opened(tmp_path, needs=frozenset({"video"})).provides
    (tmp_path / "a.jpg").unlink()
    (tmp_path / "b.jpg").unlink()
    assert "video" in opened(tmp_path).provides  # one frame of a video is an image


def test_a_folder_that_selftaught_wrote_is_no_data(tmp_path: Path) -> None:
    mark(tmp_path / "run", "run")
    record(tmp_path / "run" / "preview.png").write_bytes(b"")
    with pytest.raises(
        ValueError, match=r"run is a folder that selftaught wrote, such as a run, and holds no data; give"
    ):
        open_source(str(tmp_path / "run"), split="train", needs=frozenset({"image"}))


def test_an_empty_folder_is_said_to_be_empty(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no images, videos, .* among its 0 files"):
        open_source(str(tmp_path), split="train", needs=frozenset({"image"}))
