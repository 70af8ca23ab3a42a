"""What is wrong with a measurement is said before data are read."""

from __future__ import annotations

from typing import Any

import pytest

from selftaught.evaluation.measurement_checks import MOST_DRAWS, check_kind, check_measurement, folds_of
from selftaught.evaluation.probes.catalogue import make_probe


@pytest.mark.parametrize(
    ("probe", "changes", "sentence"),
    [
        ("knn", {"seed": -1}, "--seed must be at least 0, got -1"),
        ("knn", {"fractions": [0.5, 0]}, "--fraction must be in (0, 1], got 0"),
        ("knn", {"fractions": [float("nan")]}, "--fraction must be in (0, 1], got nan"),
        ("knn", {"fractions": []}, "--fraction must name at least one share of the labels"),
        ("knn", {"limit": 0}, "--limit must be at least 1, got 0"),
        ("knn", {"draws": MOST_DRAWS + 1}, "--draws must be in [1, 1000], got 1001"),
        (
            "label_free",
            {"fractions": [0.5]},
            "--fraction and --draws are for probes that learn from labels; label_free",
        ),
        ("label_free", {"draws": 2}, "--fraction and --draws are for probes that learn from labels; label_free"),
        ("label_free", {"limit": 5}, "--limit is for probes that learn from training samples; label_free does not"),
        (
            "detection",
            {"supervised": True},
            "--supervised trains on class labels, but detection reads boxes; leave it out",
        ),
        ("knn", {"skip_broken": True}, "--skip-broken is for data with boxes or masks; other images are skipped"),
    ],
)
def test_what_cannot_be_measured_is_one_sentence(probe: str, changes: dict[str, Any], sentence: str) -> None:
    asked: dict[str, Any] = {"settings": None, "seed": 0, "fractions": [1.0]}
    check_measurement(probe, **asked)
    with pytest.raises(ValueError, match=r"^--") as caught:
        check_measurement(probe, **(asked | changes))
    assert str(caught.value).startswith(sentence)


def test_probes_that_take_long_have_one_test_part() -> None:
    names = ("linear", "knn", "mlp", "svm", "finetune", "retrieval")
    made = {name: make_probe(name, {}, seed=0) for name in (*names, "label_free")}
    assert [folds_of(name, made[name], None, None) for name in names] == [None] * 4 + [1, 1]
    assert folds_of("finetune", made["finetune"], None, 5) == 5
    assert folds_of("knn", made["knn"], 0.3, 1) == 1
    for test_share, folds, sentence in (
        (1.0, None, r"--test-share must be in \(0, 1\), got 1.0"),
        (None, 0, "--folds must be at least 1, got 0; 1 tests on one part"),
        (0.5, 2, "--folds and --test-share both say what is tested; give one of them"),
    ):
        with pytest.raises(ValueError, match=sentence):
            folds_of("knn", made["knn"], test_share, folds)
    with pytest.raises(ValueError, match=r"^--folds is for probes that learn from class labels; label_free does not$"):
        folds_of("label_free", made["label_free"], None, 5)


@pytest.mark.parametrize("probe", ["qualitative", "segmentation", "detection"])
def test_encoders_of_clips_are_refused_by_probes_of_images(probe: str) -> None:
    made = make_probe(probe, {}, seed=0)
    check_kind(probe, made, "resnet18", "image")
    with pytest.raises(ValueError, match=rf"^--probe {probe} measures encoders of images, but r3d_18 takes videos; "):
        check_kind(probe, made, "r3d_18", "video")
    for encoder, hint in (
        ("lstm:resnet18", ", or measure the image network inside with 'selftaught evaluate --part image'"),
        ("differences:resnet18", ""),
    ):
        with pytest.raises(
            ValueError, match=f"but {encoder} takes videos; choose another probe, such as linear{hint}$"
        ):
            check_kind(probe, made, encoder, "video")


def test_encoders_of_sound_are_not_fine_tuned() -> None:
    made = make_probe("finetune", {}, seed=0)
    for kind in ("image", "video"):
        check_kind("finetune", made, "any", kind)
    with pytest.raises(ValueError, match="measures encoders of images and videos, but audio_convnet takes sound"):
        check_kind("finetune", made, "audio_convnet", "audio")
