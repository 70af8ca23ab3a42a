"""Test parts of labelled data without one: a share of every class, or every sample once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from selftaught.core.config import RunConfig
from selftaught.core.randomness import numpy_generator
from selftaught.data.store.cache import list_stores
from selftaught.evaluation.data.folds import dealt, held_for_test
from selftaught.evaluation.data.labelled import Labelled
from selftaught.evaluation.data.open_labelled import open_labelled
from selftaught.evaluation.evaluate import evaluate_encoder
from selftaught.evaluation.subject import open_subject
from selftaught.training.encoder_of_run import read_config
from selftaught.training.train import train
from tests.evaluation.own_data import asked as asked_of


def one_hot(labels: Sequence[int]) -> np.ndarray[Any, np.dtype[np.int8]]:
    return np.asarray(np.array(labels)[:, None] == np.arange(max(labels) + 1), np.int8)


def test_the_share_is_of_every_class() -> None:
    labels = [0] * 100 + [1] * 7 + [2] * 2 + [3]
    held = held_for_test(one_hot(labels), 0.2)
    assert np.bincount(np.array(labels)[held], minlength=4).tolist() == [20, 1, 1, 0]


def test_samples_of_several_classes_are_shared_too() -> None:
    targets = (numpy_generator("many").random((60, 4)) < 0.4).astype(np.int8)
    held = held_for_test(targets, 0.2)
    assert held.sum() == 12
    assert (targets[held] == 1).any(0).all()


def test_every_sample_is_in_one_fold_but_the_only_one_of_its_class() -> None:
    labels = [0] * 20 + [1] * 5 + [2] * 2 + [3]
    fold = dealt(one_hot(labels), 5)
    assert fold[-1] == -1
    assert set(fold[:-1].tolist()) == {0, 1, 2, 3, 4}
    assert np.bincount(fold[:20]).tolist() == [4, 4, 4, 4, 4]
    assert sorted(fold[20:25].tolist()) == [0, 1, 2, 3, 4]
    assert fold[25] != fold[26]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    config = RunConfig.of(
        data="synthetic:N=16", out=str(out), task="rotation", encoder="timm:test_resnet", size=32, batch_size=8,
        steps=1, precision="32-true", held_out=0.5,
    )  # fmt: skip
    return train(config)


@pytest.fixture(scope="module")
def shades(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dark, grey and light images, 8, 6 and 2 of them, and a single black one."""
    root = tmp_path_factory.mktemp("data") / "shades"
    rng = numpy_generator("shades")
    for name, level, count in (("dark", 60, 8), ("grey", 130, 6), ("light", 220, 2), ("only", 0, 1)):
        (root / name).mkdir(parents=True)
        for i in range(count):
            pixels = np.clip(level + rng.normal(0, 8, (32, 32, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{i}.png")
    return root


def opened(run: Path, data: Path, **asked: Any) -> Labelled:
    subject = open_subject(run)
    return open_labelled(asked_of(data, subject.run, **asked))


def test_the_test_part_is_drawn_without_the_runs_held_out(run: Path, shades: Path) -> None:
    data = opened(run, shades, folds=1)
    assert np.bincount(np.asarray(data.test.labels), minlength=4).tolist() == [2, 1, 1, 0]
    assert data.test_is == "4 of 17 samples, the same share of each class, drawn once"
    assert data.notes == (f"{shades}: 1 of 4 classes have a single sample, which is never tested",)
    half = opened(run, shades, test_share=0.5)
    assert np.bincount(np.asarray(half.test.labels), minlength=4).tolist() == [4, 3, 1, 0]
    assert not set(data.train.keys) & set(data.test.keys)


def test_a_second_run_that_held_out_other_samples_is_tested_on_the_same(run: Path, shades: Path) -> None:
    other = read_config(run).replace(held_out=0.1)
    again = open_labelled(asked_of(shades, other, folds=1))
    assert again.test.keys == opened(run, shades, folds=1).test.keys


def test_a_limit_packs_the_test_part_and_as_many_others(
    run: Path, shades: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path))
    whole = opened(run, shades, folds=1)
    few = opened(run, shades, folds=1, limit=4)
    assert (few.test.keys, few.test_is, few.notes) == (whole.test.keys, whole.test_is, whole.notes)
    assert np.bincount(np.asarray(few.train.labels)).tolist() == [2, 2, 1, 1]
    assert set(few.train.keys) < set(whole.train.keys)
    assert sorted(store.samples for store in list_stores()) == [10, 17]
    assert not opened(run, shades, folds=1, limit=40).is_limited


def test_a_limit_of_data_with_a_test_part_is_kept_while_packing(
    run: Path, shades: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path / "cache"))
    for part in ("train", "test"):
        shutil.copytree(shades, tmp_path / "data" / part)
    for number in range(6):
        (tmp_path / "data" / "train" / "dark" / f"{number}.png").write_bytes(b"broken")
    few = opened(run, tmp_path / "data", limit=4)
    assert (len(few.test), few.is_limited) == (17, True)
    assert 4 <= len(few.train) < 8
    assert max(store.samples for store in list_stores()) == 17
    result = evaluate_encoder(open_subject(run), str(tmp_path / "data"), probe="knn", limit=4)
    assert (result["limit"], result["train_samples"]) == (4, len(few.train))


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"folds": 1000}, "--folds must be at most the 17 labelled samples, got 1000"),
        ({"folds": 2, "test_share": 0.5}, "--folds and --test-share both say what is tested; give one of them"),
        ({"draws": 10**9}, r"--draws must be in \[1, 1000\], got 1000000000"),
    ],
)
def test_limits_are_said_before_anything_is_packed(
    run: Path, shades: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], sentence: str
) -> None:
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path))
    with pytest.raises(ValueError, match=sentence):
        evaluate_encoder(open_subject(run), str(shades), probe="knn", **asked)
    assert list_stores() == []


@pytest.mark.parametrize("probe", ["linear", "knn", "mlp", "svm"])
def test_few_labels_are_cross_validated_by_default(run: Path, shades: Path, probe: str) -> None:
    settings: dict[str, dict[str, Any]] = {
        "linear": {},
        "knn": {},
        "mlp": {"hidden": 8, "epochs": 3, "stage": "last"},
        "svm": {"stage": "last"},
    }
    result = evaluate_encoder(open_subject(run), str(shades), probe=probe, settings=settings[probe])
    assert result["test_is"] == "5-fold cross-validation of 17 labelled samples"
    assert result["test_samples"] == 16
    assert result["more"]["folds"] == 5
    assert result["random"]["more"]["folds"] == 5
    assert result["interval"][0] <= result["value"] <= result["interval"][1]
    if probe == "linear":
        # Each of the sixteen counts once, in the value and in the interval.
        assert (result["value"] * 16 / 100) % 1 == pytest.approx(0)
        arrays = np.load(run / "evaluations" / Path(result["file"]).with_suffix(".npz"))
        assert arrays["encoder"].shape == (16,)
        assert arrays["encoder"].mean() == pytest.approx(result["value"])
        assert json.loads((run / "evaluations" / result["file"]).read_text()) == result


def test_shares_of_the_labels_are_drawn_in_every_fold(run: Path, shades: Path) -> None:
    result = evaluate_encoder(open_subject(run), str(shades), probe="knn", fractions=[0.001, 1.0], draws=2)
    few = result["few_labels"][0]
    assert few["train_samples"] == 4  # one of each class
    assert result["test_samples"] == 16


def test_draws_that_are_the_same_samples_have_no_spread(run: Path, shades: Path) -> None:
    result = evaluate_encoder(open_subject(run), str(shades), probe="knn", fractions=[0.99], draws=3)
    assert result["few_labels"][0]["draws"] == 1
    assert result["few_labels"][0]["encoder"]["spread"] is None


def test_probes_that_train_the_encoder_are_folded_only_when_asked(run: Path, shades: Path) -> None:
    settings = {"steps": 1, "batch_size": 2, "lr": (0.01,)}
    once = evaluate_encoder(open_subject(run), str(shades), probe="finetune", settings=settings)
    assert once["test_samples"] == 4
    folded = evaluate_encoder(open_subject(run), str(shades), probe="finetune", settings=settings, folds=2)
    assert folded["test_samples"] == 16
    assert folded["test_is"] == "2-fold cross-validation of 17 labelled samples"


def test_the_supervised_encoder_is_tested_on_what_it_did_not_learn(run: Path, shades: Path) -> None:
    data = opened(run, shades, as_run=True)
    assert "drawn by seed 0" in data.test_is
    with pytest.raises(ValueError, match="--folds is for data without a test part of their own, but --supervised"):
        opened(run, shades, as_run=True, folds=5)


def test_what_cannot_be_split_is_said_in_a_sentence(run: Path, shades: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--folds must be at most the 17 labelled samples, got 40"):
        opened(run, shades, folds=40)
    for share in (0.0, 1.0, -1.0):
        with pytest.raises(ValueError, match=r"--test-share must be in \(0, 1\)"):
            evaluate_encoder(open_subject(run), str(shades), test_share=share)
    with pytest.raises(ValueError, match="--folds must be at least 1"):
        evaluate_encoder(open_subject(run), str(shades), folds=0)
    with pytest.raises(ValueError, match="--folds is for probes that learn from class labels; label_free does not"):
        evaluate_encoder(open_subject(run), str(shades), probe="label_free", folds=5)
    for part in ("train", "test"):
        for name in ("dark", "grey"):
            (tmp_path / "own" / part / name).mkdir(parents=True)
            Image.open(shades / name / "0.png").save(tmp_path / "own" / part / name / "0.png")
    with pytest.raises(ValueError, match="has the part test; leave it out"):
        opened(run, tmp_path / "own", folds=5)
    (tmp_path / "one").mkdir()
    for i in range(3):
        Image.open(shades / "dark" / f"{i}.png").save(tmp_path / "one" / f"{i}.png")
    (tmp_path / "one" / "labels.csv").write_text("file,label\n0.png,dark\n1.png,dark\n2.png,dark\n")
    with pytest.raises(ValueError, match="a probe needs two classes with samples, got 1"):
        opened(run, tmp_path / "one")


def test_groups_are_tested_whole_and_classes_spread() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(30), rng.integers(1, 9, 30))
    labels = rng.permutation(np.arange(30) % 3)[groups]
    targets = one_hot(labels.tolist())
    fold = dealt(targets, 5, groups)
    assert all(len(set(fold[groups == group])) == 1 for group in range(30))
    held = held_for_test(targets, 0.2, groups)
    assert not set(groups[held]) & set(groups[~held])
    for label in range(3):
        shares = np.bincount(fold[labels == label], minlength=5) / (labels == label).sum()
        assert shares.max() < 0.35
        assert 0.1 < held[labels == label].mean() < 0.35
    with pytest.raises(ValueError, match="all labelled samples are of one group"):
        held_for_test(targets, 0.2, np.zeros(len(labels), np.int64))
