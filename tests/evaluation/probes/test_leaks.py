"""No classifier knows the test labels, and no encoder's metrics depend on what others left in the caches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selftaught.core.config import RunConfig
from selftaught.evaluation.evaluate import evaluate_encoder
from selftaught.evaluation.probes.catalogue import make_probe
from selftaught.evaluation.subject import open_subject
from selftaught.training.train import train
from tests.evaluation.drawn_classes import drawn_data, drawn_reader

PROBES: list[tuple[str, dict[str, Any]]] = [
    ("linear", {}),
    ("linear", {"solver": "sgd", "epoch_scale": 0.3}),
    ("svm", {"costs": (0.01, 1.0)}),
    ("mlp", {"hidden": 16, "epochs": 5}),
    ("knn", {"stage": "all"}),
    ("retrieval", {"stage": "all"}),
    ("retrieval", {"stage": "all", "against": "train"}),
]
EACH = pytest.mark.parametrize(
    ("name", "settings"), PROBES, ids=[f"{n}-{'-'.join(map(str, s.values()))}" for n, s in PROBES]
)


@EACH
def test_shuffled_test_labels_give_chance(name: str, settings: dict[str, Any]) -> None:
    probe = make_probe(name, settings, seed=0)
    shuffled, true = (drawn_data(test=800, shuffled=s) for s in (True, False))
    score, chance = probe.score(drawn_reader(), shuffled), probe.chance(shuffled)
    assert chance is not None
    for stage, (low, high) in score.stage_intervals.items():
        assert low <= chance <= high, stage
    assert probe.score(drawn_reader(), true).stage_intervals[score.stage][0] > chance + 10


@EACH
def test_another_encoders_cache_changes_nothing(name: str, settings: dict[str, Any], tmp_path: Path) -> None:
    """Each of two encoders has the same metrics without a cache and with one that the other has filled."""
    data = drawn_data(train=80, test=80)
    alone = [make_probe(name, settings, seed=0).score(drawn_reader(seed=seed), data) for seed in (0, 1)]
    shared = [
        make_probe(name, settings, seed=0).score(drawn_reader(seed=seed, cache=tmp_path), data) for seed in (0, 1, 0)
    ]
    for before, after in zip([*alone, alone[0]], shared, strict=True):
        assert after.stages == before.stages
        assert after.stage_intervals == before.stage_intervals
        assert (after.outcomes is None) == (before.outcomes is None)
        assert after.outcomes is None or np.array_equal(after.outcomes, before.outcomes)  # type: ignore[arg-type]


@pytest.mark.slow
def test_metrics_of_random_weights_do_not_depend_on_the_run_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of other weights evaluated first, into the same caches and its own folder, leaves them as they were."""
    source = "synthetic:N=60,side=32"
    config = RunConfig.of(
        data=source, out="", task="rotation", stem="standard", size=32, batch_size=8, steps=1, precision="32-true"
    )
    runs = []
    for task in ("rotation", "simclr"):
        runs.append(train(config.replace(task=task, out=str(tmp_path / task))))

    def random_of(run: Path) -> Any:
        return evaluate_encoder(open_subject(run), source, probe="svm", settings={"dims": 64, "costs": "0.1"})["random"]

    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path / "fresh"))
    alone = random_of(runs[1])
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path / "used"))
    random_of(runs[0])
    for kept in (tmp_path / "used" / "random").glob("*.json"):
        kept.unlink()  # the metrics are made again, from features that were kept
    assert random_of(runs[1]) == alone
