"""Which labels are held back, and how much each class counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from selftaught.core.settings.groups import DataSettings
from selftaught.evaluation.data.base import Asked
from selftaught.evaluation.models.known import fitted_to, open_known
from tests.evaluation.models.own_encoder import colours_in


def asked(path: Path, **settings: object) -> Asked:
    reading = DataSettings(path=str(path), **settings)  # type: ignore[arg-type]
    return Asked(data=reading, size=32, kind="image", needs=frozenset({"label"}))


def test_each_label_is_held_back_once_where_they_are_few(tmp_path: Path) -> None:
    known = open_known(asked(colours_in(tmp_path / "data", 5)))
    assert known.classes == ("blue", "green", "red")
    assert np.sum(known.held, axis=0).tolist() == [1] * 15
    assert [np.bincount(known.labels[held]).tolist() for held in known.held] == [[1, 1, 1]] * 5
    assert known.held_is == "5-fold cross-validation of 15 labels"
    assert known.test is None
    assert known.counts == {"blue": 5, "green": 5, "red": 5}
    assert len(fitted_to(known, np.flatnonzero(known.held[0]))) == 3


def test_a_test_part_of_the_data_is_not_learned_from(tmp_path: Path) -> None:
    colours_in(tmp_path / "data", 4, part="train")
    colours_in(tmp_path / "data", 2, part="test", seed=1)
    known = open_known(asked(tmp_path / "data"))
    assert len(known.samples) == 12
    assert known.test is not None
    assert len(known.test) == 6
    assert all(key.startswith("train") for key in known.samples.keys)


def test_groups_are_held_back_whole(tmp_path: Path) -> None:
    data = colours_in(tmp_path / "data", 4)
    rows = [f"{path.relative_to(data).as_posix()},{int(path.stem) % 2}" for path in sorted(data.rglob("*.png"))]
    (tmp_path / "groups.csv").write_text("\n".join(["file,group", *rows]))
    known = open_known(asked(data, groups=str(tmp_path / "groups.csv")))
    assert len(known.held) == 2
    assert {int(Path(key).stem) % 2 for key, h in zip(known.samples.keys, known.held[0], strict=True) if h} in (
        {0},
        {1},
    )


def test_balanced_weights_make_classes_count_alike(tmp_path: Path) -> None:
    data = colours_in(tmp_path / "data", 4)
    for path in sorted((data / "red").iterdir())[:2]:
        path.unlink()
    known = open_known(asked(data), class_weights="balanced")
    weights = known.sample_weights(known.labels)
    assert weights is not None
    assert [weights[known.labels == k].sum() for k in range(3)] == pytest.approx([10 / 3] * 3)


def test_too_few_labels_are_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"3 labelled samples of 3 classes are too few"):
        open_known(asked(colours_in(tmp_path / "data", 1)))
    with pytest.raises(ValueError, match=r"^--split-number 0 is for evaluate"):
        open_known(asked(tmp_path / "data", split_number=0))
