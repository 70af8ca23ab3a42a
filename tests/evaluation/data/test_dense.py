"""Dense data as evaluate opens and divides them, and through to the JSON."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from selftaught.core.settings.groups import NetworkSettings
from selftaught.encoders.build import build_encoder
from selftaught.evaluation.data.dense import open_dense
from selftaught.evaluation.data.open_labelled import open_labelled
from selftaught.evaluation.evaluate import evaluate_encoder
from selftaught.evaluation.subject import Subject
from tests.data.trees import DOG, HARD, voc
from tests.evaluation.drawn_boxes import voc_tree
from tests.evaluation.own_data import asked

TEN = {f"{i:03d}": [DOG] for i in range(12)}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return voc(tmp_path_factory.mktemp("tree") / "VOC", {}, objects=TEN)


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    torch.manual_seed(1)
    network = NetworkSettings(encoder="timm:test_resnet", size=32)
    encoder = build_encoder(network.encoder, size=network.size)
    return Subject(name="x", encoder=encoder, network=network, folder=tmp_path, precision="32-true")


def test_a_share_of_the_training_images_is_drawn_by_seed(tree: Path) -> None:
    data = open_dense(str(tree), needs=frozenset({"box"}), held_out=0.2)
    half, again, other = data.few(0.5), data.few(0.5), data.few(0.5, seed=1)
    assert len(half.train) == round(0.5 * len(data.train))
    assert half.train.keys == again.train.keys != other.train.keys
    assert set(half.train.keys) < set(data.train.keys)
    assert half.test is data.test
    assert data.few(1.0) is data
    assert len(data.few(1.0, limit=3).train) == 3
    assert len(data.few(0.5, limit=4).train) == 2
    assert len(data.few(1e-9).train) == 1
    key = half.train.keys[2]
    assert torch.equal(half.train.read(2).image, data.train.read(list(data.train.keys).index(key)).image)
    assert len({part.identity for part in (data, half, other)}) == 3
    assert half.identity == again.identity


def test_evaluate_reads_masks_and_says_where_the_test_part_comes_from(tree: Path, subject: Subject) -> None:
    settings = {"size": 32, "steps": 2, "batch_size": 2, "channels": 8}
    result = evaluate_encoder(subject, str(tree), probe="segmentation", settings=settings, fractions=[0.5, 1.0])
    assert result["metric"] == "miou"
    assert result["test_is"] == f"{result['test_samples']} of 12 samples, drawn by seed 0"
    assert result["skipped"] == 0
    low, high = result["gain"]["interval"]  # of the difference on the same draws of test images
    assert low - 0.002 <= result["gain"]["value"] <= high + 0.002  # each is rounded by itself
    assert [row["train_samples"] for row in result["few_labels"]] == [round(result["train_samples"] / 2), 11]
    folder = subject.folder / "evaluations"
    written = json.loads(next(folder.glob("segmentation-*.json")).read_text())
    for who in ("encoder", "random"):
        more = written["more"] if who == "encoder" else written["random"]["more"]
        for picture in more["pictures"]:
            assert (folder / written["files"][who] / picture["file"]).is_file()


def test_evaluate_leaves_out_what_is_broken_where_it_may(tmp_path: Path, subject: Subject) -> None:
    root = voc(tmp_path / "VOC", {"train": " ".join(list(TEN)[:6]), "val": " ".join(list(TEN)[6:])}, objects=TEN)
    (root / "SegmentationClass" / "001.png").unlink()
    settings = {"size": 32, "steps": 1, "batch_size": 2, "channels": 8}
    with pytest.raises(ValueError, match=r"001.png is missing.*--skip-broken"):
        evaluate_encoder(subject, str(root), probe="segmentation", settings=settings)
    result = evaluate_encoder(subject, str(root), probe="segmentation", settings=settings, skip_broken=True)
    assert (result["skipped"], result["train_samples"], result["test_samples"]) == (1, 5, 6)
    with pytest.raises(ValueError, match=r"--supervised trains on class labels, but segmentation reads masks"):
        evaluate_encoder(subject, str(root), probe="segmentation", supervised=True)
    with pytest.raises(ValueError, match=r"--skip-broken is for data with boxes or masks"):
        evaluate_encoder(subject, str(root), probe="svm", skip_broken=True)


def test_several_classes_reach_a_probe_as_targets(tmp_path: Path, subject: Subject) -> None:
    objects = {f"{i:03d}": [[DOG], [HARD], [("cat", DOG[1], 0), DOG]][i % 3] for i in range(12)}
    root = voc(
        tmp_path / "VOC", {"train": " ".join(list(objects)[:9]), "val": " ".join(list(objects)[9:])}, objects=objects
    )
    data = open_labelled(asked(root, subject.run, needs=frozenset({"labels"})))
    assert data.train_targets is not None
    assert data.test_targets is not None
    assert (data.train_targets.shape, data.test_targets.shape) == ((9, 20), (3, 20))
    dog, cat = 11, 7
    assert data.train_targets[:, dog].tolist() == [1, -1, 1] * 3
    assert data.train_targets[:, cat].tolist() == [0, 0, 1] * 3
    assert data.train.labels is None
    assert data.test_is == "the data's own val part"
    third = data.few(1 / 3, seed=2)
    assert third.train_targets is not None
    assert len(third.train) == len(third.train_targets) == 3
    rows = [list(data.train.keys).index(key) for key in third.train.keys]
    assert np.array_equal(third.train_targets, data.train_targets[rows])
    changed = dataclasses.replace(data, train_targets=data.train_targets.copy())
    assert changed.identity == data.identity
    assert changed.train_targets is not None
    changed.train_targets[0, 0] = 1
    assert changed.identity != data.identity
    with pytest.raises(ValueError, match="one class for each sample is needed"):
        evaluate_encoder(subject, str(root), probe="linear")
    result = evaluate_encoder(subject, str(root), probe="svm", settings={"stage": "pooled"})
    assert result["metric"] == "map"


def test_one_class_each_becomes_targets_too(subject: Subject) -> None:
    data = open_labelled(asked(Path("synthetic:N=40,side=32"), subject.run, needs=frozenset({"labels"})))
    assert data.train.labels is not None
    assert data.train_targets is not None
    assert np.array_equal(data.train_targets.argmax(1), data.train.labels)
    assert (data.train_targets.sum(1) == 1).all()
    assert data.test_is == "5-fold cross-validation of 40 labelled samples"
    assert sum(len(fold.test) for fold in data.folds) == 40


def test_groups_of_test_images_are_numbered(tmp_path: Path) -> None:
    root = voc_tree(tmp_path / "voc", 3, 4)
    assert open_dense(str(root), needs=frozenset({"box"})).groups is None
    keys = open_dense(str(root), needs=frozenset({"box"})).test.keys
    (tmp_path / "donors.csv").write_text(f"file,group\n{keys[0]},a\n{keys[2]},a\n{keys[1]},b\n")
    found = open_dense(str(root), needs=frozenset({"box"}), groups=str(tmp_path / "donors.csv"))
    assert found.groups is not None
    assert found.groups.tolist() == [0, 1, 0, 2]
