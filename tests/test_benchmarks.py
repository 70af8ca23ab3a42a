"""Benchmarks that reach into the library still run: a few steps on synthetic images."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path
from types import ModuleType

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


def test_rendering_is_measured() -> None:
    pytest.importorskip("mujoco", reason="needs MuJoCo, the extra [world]")
    found = script("world").measure_rendering(16, 1)
    assert {"images", "clips", "labels_ms"} == found.keys()
    assert min(found.values()) > 0


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
