"""The probe as a whole: it learns drawn squares in seconds, keeps a frozen encoder and is a function of its seed."""

from __future__ import annotations

import copy
import io
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from selftaught.core.settings.groups import NetworkSettings
from selftaught.encoders.base import Encoder
from selftaught.encoders.build import build_encoder
from selftaught.evaluation.data.dense import Dense, open_dense
from selftaught.evaluation.dense.detector import Detector
from selftaught.evaluation.evaluate import evaluate_encoder
from selftaught.evaluation.metrics.intervals import interval_of
from selftaught.evaluation.probes.base import Score
from selftaught.evaluation.probes.catalogue import make_probe, probe_info
from selftaught.evaluation.probes.detection import Detection
from selftaught.evaluation.subject import Subject
from selftaught.features.reader import Reader
from tests.evaluation.drawn_boxes import Squares, TinyEncoder, drawn_data, voc_tree

TINY = {"size": 60, "batch_size": 4, "channels": 16, "hidden": 32, "rois": 32, "proposals": 50, "lr": 0.04}
EVALUATED = {**TINY, "frozen": False, "steps": 24, "rois": 16, "proposals": 30}


@pytest.fixture(autouse=True, scope="module")
def _few_candidates() -> Iterator[None]:
    """Most of a small detector's time goes into sorting candidates: 250 of a map go on, not 2,000 as published."""

    build = Detection._build

    def with_few(self: Detection, *args: Any) -> Detector:
        detector = build(self, *args)
        detector.rpn._pre_nms_top_n = {"training": 250, "testing": 250}
        return detector

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Detection, "_build", with_few)
        yield


def reader_of(encoder: Encoder, *, is_random: bool = False) -> Reader:
    return Reader(
        encoder=encoder, size=64, device=torch.device("cpu"), precision="32-true", is_random=is_random, cache=None
    )


def score(
    data: Dense, encoder: Encoder | None = None, *, seed: int = 0, is_random: bool = False, **settings: Any
) -> Score:
    probe = make_probe("detection", {**TINY, **settings}, seed=seed)
    return probe.score(reader_of(encoder or TinyEncoder().eval(), is_random=is_random), data)


def test_squares_are_found_within_seconds() -> None:
    data = drawn_data()
    found = score(data, is_random=True, frozen=False, steps=60)
    assert found.value > 50
    assert found.interval is not None
    assert found.interval[0] <= found.value <= found.interval[1]
    assert found.stages == {"a+b+c": found.value}
    assert found.resampled is not None
    assert abs(found.resampled.mean() - found.value) < 10
    assert set(found.more["per_class"]) == {"blue", "red"}
    assert found.more["voc"]["ap50"] == found.value
    assert sum(found.more["per_class"].values()) / 2 == pytest.approx(found.value, abs=1e-3)
    assert 0 < found.more["coco"]["ap"] < found.more["coco"]["ap50"]
    assert sum(found.more["boxes"].values()) == sum(len(data.test.read(i).labels) for i in range(len(data.test)))
    for picture in found.more["pictures"]:
        assert picture["key"] in data.test.keys
        image = Image.open(io.BytesIO(found.files[picture["file"]]))
        assert image.size == (320, 240)
    assert len(found.more["pictures"]) == len(found.files) == 6


@pytest.mark.parametrize("neck", ["fpn", "c4"])
def test_the_encoder_stays_as_it_is(neck: str) -> None:
    encoder = TinyEncoder().eval()
    before = copy.deepcopy(encoder.state_dict())
    data = drawn_data(8, 4)
    found = score(data, encoder, frozen=False, steps=3, neck=neck)
    assert found.stage == ("a+b+c" if neck == "fpn" else "c")
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())


@pytest.mark.parametrize("frozen", [True, False])
def test_frozen_is_bit_equal_and_fine_tuned_is_not(frozen: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[dict[str, torch.Tensor]] = []
    train = Detection._train

    def watched(self: Detection, detector: Any, *args: Any) -> float:
        kept.append(copy.deepcopy(detector.maps.encoder.state_dict()))
        loss = train(self, detector, *args)
        kept.append(copy.deepcopy(detector.maps.encoder.state_dict()))
        return loss

    monkeypatch.setattr(Detection, "_train", watched)
    score(drawn_data(8, 4), frozen=frozen, steps=3)
    before, after = kept
    same = {name for name, value in before.items() if torch.equal(value, after[name])}
    weights = {name for name in before if name.split(".")[2] == "0"}
    assert same == (set(before) if frozen else set(before) - weights)  # batch normalisation is frozen in any case


def test_metrics_are_a_function_of_the_seed() -> None:
    data = drawn_data(8, 6)
    state = torch.get_rng_state()
    first, second, other = (score(data, steps=6, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(state, torch.get_rng_state())
    assert first.more == second.more
    assert first.files == second.files
    assert first.more["loss"] != other.more["loss"]


def test_the_rule_is_chosen() -> None:
    data = drawn_data(16, 6)
    by_voc, by_coco = (score(data, is_random=True, frozen=False, steps=25, metric=metric) for metric in ("voc", "coco"))
    assert by_voc.value == by_coco.more["voc"]["ap50"]
    assert by_coco.value == by_voc.more["coco"]["ap"]
    assert by_coco.value < by_voc.value


def test_random_weights_are_settled_first() -> None:
    data = drawn_data(8, 4)
    assert score(data, steps=2, is_random=True).more["loss"] != score(data, steps=2).more["loss"]


def test_settings_that_cannot_be() -> None:
    for settings, message in (
        ({"steps": 0}, "--probe.steps must be at least 1, got 0"),
        ({"batch_size": 0}, "--probe.batch-size must be at least 1, got 0"),
        ({"lr": 0}, "--probe.lr must be above 0, got 0"),
        ({"stage": "layer3"}, "--probe.stage is for --probe.neck c4"),
    ):
        with pytest.raises(ValueError, match=message):
            make_probe("detection", settings, seed=0)
    info = probe_info("detection")
    assert info.needs == ("box",)
    assert make_probe("detection", {}, seed=0).trains_encoder is False
    assert make_probe("detection", {"frozen": "false"}, seed=0).trains_encoder is True


class Nothing(Squares):
    """Images whose boxes are all to be ignored."""

    def read(self, i: int) -> Any:
        sample = super().read(i)
        sample.ignore.fill_(True)
        return sample


def test_data_without_boxes_that_count() -> None:
    data = drawn_data(4, 4)
    with pytest.raises(ValueError, match="the training images have no boxes to learn from"):
        score(Dense(train=Nothing(4, 0), test=data.test, classes=data.classes, test_is=""), steps=1)
    with pytest.raises(ValueError, match="the test images have no boxes to be found"):
        score(Dense(train=data.train, test=Nothing(4, 0), classes=data.classes, test_is=""), steps=1)


def test_a_learning_rate_that_is_too_high_is_reported() -> None:
    with pytest.raises(ValueError, match=r"the loss of the detector is not finite at step \d+; lower --probe.lr"):
        score(drawn_data(8, 4), steps=50, lr=1e9)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    """The folder and both results of a tiny encoder, beside one of other weights, on two VOC trees.

    They have the same images; in the second one the boxes of a test image are those of another.
    """
    folder = tmp_path_factory.mktemp("evaluated")
    subject = Subject(
        name="x",
        encoder=TinyEncoder().eval(),
        network=NetworkSettings(size=60),
        folder=folder,
        precision="32-true",
        seed=3,
    )
    trees = [voc_tree(folder / name, 16, 8, is_test_moved=name == "moved") for name in ("true", "moved")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SELFTAUGHT_CACHE", str(folder / "cache"))
        patch.setattr(
            "selftaught.evaluation.subject.random_encoder", lambda network, seed, part: TinyEncoder(seed=1).eval()
        )
        true, moved = (evaluate_encoder(subject, str(t), probe="detection", settings=EVALUATED) for t in trees)
    return folder, true, moved


def test_evaluate_measures_on_a_voc_tree(evaluated: tuple[Path, dict[str, Any], dict[str, Any]]) -> None:
    folder, result, _ = evaluated
    random = result["random"]
    assert (result["probe"], result["metric"], result["chance"]) == ("detection", "map", None)
    assert (result["train_samples"], result["test_samples"], result["skipped"]) == (16, 8, 0)
    assert result["test_is"] == "the data's own test part"
    assert (result["stage"], result["stages"]) == ("a+b+c", {"a+b+c": result["value"]})
    assert result["settings"].items() >= EVALUATED.items()
    assert result["settings"]["metric"] == "voc"
    for found in (result, random):
        low, high = found["interval"]
        assert 0 <= low <= found["value"] <= high <= 100
    assert result["value"] > 20, "squares are learned"
    assert random["value"] != result["value"]
    assert result["gain"]["value"] == pytest.approx(result["value"] - random["value"], abs=1e-3)
    low, high = result["gain"]["interval"]
    assert low <= result["gain"]["value"] <= high
    assert json.loads((folder / "evaluations" / result["file"]).read_text()) == result
    kept = np.load((folder / "evaluations" / result["file"]).with_suffix(".npz"))
    assert set(kept) == {"encoder_resampled", "random_resampled"}
    assert result["gain"]["interval"] == list(interval_of(kept["encoder_resampled"] - kept["random_resampled"]))
    for who, shown in (("encoder", result), ("random", random)):
        files = {path.name: path for path in (folder / "evaluations" / result["files"][who]).iterdir()}
        assert set(files) == {picture["file"] for picture in shown["more"]["pictures"]}
        assert all(Path(picture["key"]).stem.startswith("test") for picture in shown["more"]["pictures"])
        assert all(Image.open(io.BytesIO(path.read_bytes())).size == (320, 240) for path in files.values())


def test_test_boxes_reach_neither_training_nor_cached_metrics(
    evaluated: tuple[Path, dict[str, Any], dict[str, Any]],
) -> None:
    """With the test boxes of other images: trained alike and judged worse, random weights too."""
    _, true, moved = evaluated
    for one, other in ((true, moved), (true["random"], moved["random"])):
        assert one["more"]["loss"] == other["more"]["loss"]
        assert one["value"] > other["value"] + 10


FAMILIES = ("alexnet", "vgg11", "googlenet", "resnet18", "densenet121", "split:alexnet", "grey:resnet18")
TIMM = (
    "timm:vit_tiny_patch16_224",
    "timm:swin_tiny_patch4_window7_224",
    "timm:convnext_atto",
    "timm:efficientnet_lite0",
)


@pytest.mark.slow
@pytest.mark.parametrize("neck", ["fpn", "c4"])
@pytest.mark.parametrize("name", [*FAMILIES, *TIMM])
def test_every_encoder_becomes_a_detector(name: str, neck: str) -> None:
    encoder = build_encoder(name, size=224 if "swin" in name else 64).eval()
    found = score(drawn_data(4, 2), encoder, neck=neck, steps=2, frozen=False, is_random=True, lr=0.01)
    assert 0 <= found.value <= 100
    assert found.more["loss"] < 20


@pytest.mark.slow
@pytest.mark.parametrize(("name", "metric"), [("voc_layout", "voc"), ("coco256", "coco")])
def test_real_photographs(name: str, metric: str, shared_data: Callable[[str], Path]) -> None:
    data = open_dense(str(shared_data(name)), needs=frozenset({"box"}))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = build_encoder("resnet18", size=96).eval()
    settings: dict[str, Any] = {
        "size": 96,
        "channels": 64,
        "hidden": 128,
        "rois": 64,
        "proposals": 100,
        "batch_size": 4,
        "lr": 0.04,
    }
    found = score(data, encoder, is_random=True, steps=30, metric=metric, **settings)
    assert 0 <= found.value < 20
    knows_nothing = math.log(len(data.classes) + 1) + math.log(2)  # of the classes and of what is an object at all
    assert found.more["loss"] < 0.6 * knows_nothing
    assert len(found.files) == 6
    assert set(found.more["per_class"]) == set(data.classes)
