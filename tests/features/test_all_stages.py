"""The features of all samples at once, in memory or on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from selftaught.features import all_stages
from selftaught.features.all_stages import chosen_stages, read_stages
from tests.evaluation.drawn_classes import drawn_data, drawn_reader


def test_stages_by_name_are_read_from_the_cache_as_they_were_computed(tmp_path: Path) -> None:
    data = drawn_data(train=40, test=20)
    assert chosen_stages(drawn_reader().encoder, "last") == ("far",)
    for stage in ("all", "pooled"):
        fresh = read_stages(drawn_reader(), data.train, stage=stage, dims=50)
        kept = read_stages(drawn_reader(cache=tmp_path), data.train, stage=stage, dims=50)
        again = read_stages(drawn_reader(cache=tmp_path), data.train, stage=stage, dims=50)
        assert fresh.keys() == kept.keys() == again.keys()
        for name, values in fresh.items():
            assert values.dtype == np.float16
            assert np.array_equal(values, kept[name])
            assert np.array_equal(values, again[name])


def test_features_too_large_for_memory_are_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = drawn_data(train=40, test=20)
    expected = read_stages(drawn_reader(), data.train, stage="all", dims=50)
    monkeypatch.setattr(all_stages, "MEMORY_GB", 0.0)
    found = read_stages(drawn_reader(cache=tmp_path / "kept"), data.train, stage="all", dims=50)
    for name, values in expected.items():
        assert isinstance(found[name], np.memmap)
        assert np.array_equal(found[name], values)
    assert not [path for path in (tmp_path / "kept").rglob("*") if path.suffix not in ("", ".npy", ".txt")]


def test_words_for_stages() -> None:
    encoder = drawn_reader().encoder
    assert [chosen_stages(encoder, word) for word in ("all", "last", "pooled", "near")] == [
        ("near", "far"), ("far",), ("pooled",), ("near",),
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"^--probe.stage: unknown stage 'fra'; did you mean far"):
        chosen_stages(encoder, "fra")
