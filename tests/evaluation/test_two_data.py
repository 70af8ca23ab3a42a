"""Flags that describe data, where a comparison trains on some data and measures on others."""

from __future__ import annotations

from pathlib import Path

import pytest

from selftaught.evaluation.two_data import for_both
from tests.evaluation.own_data import pictures
from tests.evaluation.small_run import CONFIG, DATA

NEEDS = frozenset({"image"})


def grouped(folder: Path, column: str) -> str:
    """Images with a column of groups."""
    pictures(folder, 4, 0)
    keys = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    (folder / "labels.csv").write_text(
        f"file,label,{column}\n" + "".join(f"{key},a,{i}\n" for i, key in enumerate(keys))
    )
    return str(folder)


def test_a_flag_is_used_for_the_data_that_it_fits(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    first, second, third = (grouped(tmp_path / name, name) for name in ("person", "take", "person2"))
    config = CONFIG.replace(data=first, groups="person", frame_rate=10.0)
    same, hints = for_both(config, first, NEEDS)
    assert (same, hints) == (config, {"groups": "person", "frame_rate": 10.0})
    kept, hints = for_both(config, second, NEEDS)
    assert (kept.data.groups, hints) == ("person", {"frame_rate": 10.0})
    assert f"--groups: used for {first} alone, not for {second}" in capfd.readouterr().err
    kept, hints = for_both(config.replace(data=DATA), first, NEEDS)
    assert (kept.data.groups, hints) == (None, {"groups": "person", "frame_rate": 10.0})
    assert f"--groups: used for {first} alone, as --groups is for folders" in capfd.readouterr().err
    with pytest.raises(ValueError, match=r"^--groups person is neither a column of labels.csv"):
        for_both(config.replace(data=second), third, NEEDS)


def test_every_official_split_is_for_measuring(tmp_path: Path) -> None:
    data = grouped(tmp_path / "data", "group")
    config, hints = for_both(CONFIG.replace(data=data, split_number=0), data, NEEDS)
    assert (config.data.split_number, hints) == (1, {"split_number": 0})
