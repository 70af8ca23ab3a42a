"""Images of both parts are counted, as they make the metric too high."""

from __future__ import annotations

from pathlib import Path

from selftaught.evaluation.data.open_labelled import open_labelled
from tests.evaluation.own_data import asked, pictures


def test_images_of_both_parts_are_counted(tmp_path: Path) -> None:
    for i, place in enumerate(("train/cat", "train/dog", "test/cat", "test/dog")):
        pictures(tmp_path / "data" / place, 4, i)
    assert open_labelled(asked(tmp_path / "data")).notes == ()
    for name in ("1.png", "3.png"):
        copy = tmp_path / "data" / "test" / "dog" / f"copy{name}"
        copy.write_bytes((tmp_path / "data" / "train" / "cat" / name).read_bytes())
    assert open_labelled(asked(tmp_path / "data")).notes == (
        f"{tmp_path / 'data'}: 2 of 10 test images are also training images (such as test/dog/copy1.png is "
        "train/cat/1.png), so the metric is too high",
    )


def test_images_of_two_folds_are_counted(tmp_path: Path) -> None:
    for i, place in enumerate(("cat", "dog")):
        pictures(tmp_path / place, 6, i)
    (tmp_path / "dog" / "0.png").write_bytes((tmp_path / "cat" / "0.png").read_bytes())
    data = open_labelled(asked(tmp_path, folds=12))
    assert data.notes[0].startswith(f"{tmp_path}: 2 of 12 test images are also training images (such as ")
