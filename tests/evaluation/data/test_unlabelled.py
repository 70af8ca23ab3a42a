"""Held-out samples for probes that need no labels."""

from __future__ import annotations

from pathlib import Path

from selftaught.data.sources.open import open_source
from selftaught.evaluation.data.unlabelled import open_unlabelled
from tests.evaluation.own_data import asked, config, pictures


def test_the_held_out_part_is_the_datas_own_or_the_share_of_the_run(tmp_path: Path) -> None:
    pictures(tmp_path / "flat", 20, 0)
    run = config("elsewhere").replace(held_out=0.2)
    data = open_unlabelled(asked(tmp_path / "flat", run, needs=frozenset()))
    held = open_source(str(tmp_path / "flat"), split="held_out", needs=frozenset({"image"}), held_out=0.2)
    assert [*data.test.keys] == [entry.key for entry in held.entries]
    assert (data.train_samples, data.test_samples, data.classes) == (0, len(held), ())
    assert data.few(0.5, limit=2) is data
    assert data.identity == data.test.fingerprint
    for name, seed in (("train", 1), ("val", 2)):
        pictures(tmp_path / "parts" / name, 3 * seed, seed)
    own = open_unlabelled(asked(tmp_path / "parts", run, needs=frozenset()))
    assert sorted(own.test.keys) == [f"val/{i}.png" for i in range(6)]
