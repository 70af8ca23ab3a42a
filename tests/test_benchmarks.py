"""Benchmarks that reach into the library still run: a few steps on synthetic images."""

from __future__ import annotations

import argparse
import importlib.util
import itertools
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from tests.evaluation.suggest.test_choose import blobs

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_cost_of_pseudo_labels_and_of_their_refresh_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    pseudo_labels = script("pseudo_labels")
    monkeypatch.setattr(pseudo_labels, "DATA", "synthetic:N=16,side=32")
    row = pseudo_labels.measure("noise_as_targets", pseudo_labels.WARM_UP + 1, 32, 2)
    assert 0 < row["share"] < 1
    assert 0 <= row["anew_share"] < 1  # rounds to 0 where a step happens to take long
    lines = pseudo_labels.table({"noise_as_targets": row}, 32, 2).splitlines()
    assert lines[-1].startswith(f"| noise_as_targets | {row['step_ms']} | {row['pseudo_label_ms']} | ")
    assert lines[-1].count("|") == lines[-2].count("|") == lines[-3].count("|")


def test_rendering_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mujoco", reason="needs MuJoCo, the extra [world]")
    world, clock = script("world"), itertools.count()
    monkeypatch.setattr(world, "time", SimpleNamespace(process_time=lambda: next(clock) / 1000))
    assert world.measure_rendering(16, 2) == {"images": 1000.0, "clips": 16_000.0, "labels_ms": 1.0}


def test_the_linear_probe_is_measured() -> None:
    args = argparse.Namespace(data="synthetic:N=60,side=32", size=32, limit=None, dims=20, rounds=1)
    found = script("probes").measure_probes(args, ["linear"])
    assert found["pictures"] == 60
    assert {"forward", "solve", "probe", "probe_again"} <= found["linear"]["seconds"].keys()


def test_the_overlap_of_masks_against_loops() -> None:
    moving_objects = script("moving_objects")
    rng = np.random.default_rng(0)
    found, truth, known = (rng.random((4, 5, 6)) < share for share in (0.4, 0.3, 0.8))
    truth[2] = False  # a frame without a mask is left out
    values = []
    for t in (0, 1, 3):
        cells = [(found[t, y, x], truth[t, y, x]) for y in range(5) for x in range(6) if known[t, y, x]]
        values.append(sum(a and b for a, b in cells) / sum(a or b for a, b in cells))
    assert moving_objects.overlap(found, truth, known) == pytest.approx(np.mean(values))
    middle = moving_objects.prior("middle")(truth[:, :4, :4])
    assert middle[0].astype(int).tolist() == [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]


@pytest.mark.slow  # trains and measures a network of 12 tiles a clip, 3 s
def test_a_policy_of_permutations_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    permutation_policy = script("permutation_policy")
    monkeypatch.setattr(permutation_policy, "EVERY", 1)
    monkeypatch.setattr(permutation_policy, "ROWS", 4)
    videos = torch.randint(256, (16, 15, 3, 24, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    clips = {split: (videos, torch.arange(16) % 2) for split in ("train", "test")}
    accuracy, action = permutation_policy.measure(clips, 0, 3, is_learned=True)
    assert 0 <= accuracy < 0.2
    assert 0.3 < action <= 1


def test_suggestions_are_measured_against_labels_at_random() -> None:
    vectors, part = blobs()
    found = script("suggestions").measure(vectors, part, vectors, part, counts=(8,), seeds=3)
    rows = {row["way"]: row for row in found}
    assert rows["typical"]["accuracy"] > 90  # each part has a label
    assert rows["typical"]["gain"] == pytest.approx(rows["typical"]["accuracy"] - rows["random"]["accuracy"], abs=0.02)
    assert rows["typical"]["gain"] > 5
    assert rows["random"]["gain"] == 0


def test_the_page_of_costs_is_that_of_its_measured_parts() -> None:
    costs = script("costs")
    text = costs.page(*(costs.read(name) for name in ("costs.json", "search_index.json", "memory.json")))
    assert (costs.RESULTS / "costs.md").read_text() == text, "run python benchmarks/costs.py"
    setting = costs.Setting("an encoder", 96, 160, 512)
    speed = {"decode": 1000.0, "embed": 100.0, "train": 10.0}
    index = {"count": 10_000, "width": 64, "faiss": {"build_seconds": 2.0}}
    memory = {"1x": {"pictures": 100, "rss_mb": 1.0}, "16x": {"pictures": 1100, "rss_mb": 1.5}}
    found = costs.costs(setting, speed, index, memory, 10**6)
    assert found["packed store"] == "102 GB"  # 160 x 213 x 3 bytes
    assert found["train, 100 epochs"] == "2,778 h"
    assert found["embed, with decoding"] == "3.1 h"
    assert found["vectors"] == "2.05 GB"
    assert found["index on disk"] == "74 MB"  # 72 bytes each, and 1,000 centroids
    assert found["memory of the list of samples, packed"] == "500 MB"
    # 1,256 products of width 512 for each vector, where 356 of width 64 for 10,000 took 2 seconds
    assert costs.build_seconds(setting, index, 10**6) == pytest.approx(2 * 100 * 8 * 1256 / 356)
    assert [costs.index_bytes(width) - 8 for width in (2048, 128, 96)] == [64, 32, 24]


def test_vectors_to_search_are_drawn_alike_and_recall_counts_them() -> None:
    search_index = script("search_index")
    first = search_index.drawn(50, 8, 3)
    assert np.array_equal(first, search_index.drawn(50, 8, 3))
    assert not np.array_equal(first, search_index.drawn(50, 8, 4))
    truth = np.arange(10)[None]
    assert search_index.recall([list(range(5, 15))], truth) == 0.5


def test_labels_that_were_changed_are_counted() -> None:
    found = script("label_errors")
    vectors, labels = blobs((40, 40, 40))
    given, wrong = found.changed(labels, 3, 0)
    assert wrong.sum() == 12
    assert (given[wrong] != labels[wrong]).all()
    assert (given[~wrong] == labels[~wrong]).all()
    row = found.measure(vectors, labels, seeds=1)[0]
    assert row["finder"] == "selftaught"
    assert row["precision"] > 90  # three clusters far apart
    assert min(row["recall"], row["top"]) > 70
