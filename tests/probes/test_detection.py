"""The probe as a whole: it learns drawn squares in seconds, keeps a frozen encoder and is a function of its seed."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from selftaught.config import RunConfig
from selftaught.dense import Dense, open_dense
from selftaught.encoders import build_encoder
from selftaught.encoders.base import Encoder
from selftaught.evaluate import evaluate_encoder
from selftaught.probe_catalogue import make_probe, probe_info
from selftaught.probes.base import Score
from selftaught.probes.detection import Detection, learning_rate
from selftaught.probes.reader import Reader
from selftaught.subject import Subject
from tests.probes.drawn_boxes import Squares, TinyEncoder, drawn_data
from tests.sources.trees import DOG, HARD, voc

TINY = {"size": 60, "batch_size": 4, "channels": 16, "hidden": 32, "rois": 32, "proposals": 50, "lr": 0.04}


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


def test_figures_are_a_function_of_the_seed() -> None:
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


def test_the_published_schedule() -> None:
    assert learning_rate(0, 24000) == pytest.approx(1 / 101)
    assert learning_rate(100, 24000) == learning_rate(17999, 24000) == 1
    assert learning_rate(18000, 24000) == learning_rate(21999, 24000) == pytest.approx(0.1)
    assert learning_rate(22000, 24000) == learning_rate(23999, 24000) == pytest.approx(0.01)
    assert [learning_rate(step, 1) for step in range(1)] == [1]


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
    """Pictures whose boxes are all to be ignored."""

    def read(self, i: int) -> Any:
        sample = super().read(i)
        sample.ignore.fill_(True)
        return sample


def test_data_without_boxes_that_count() -> None:
    data = drawn_data(4, 4)
    with pytest.raises(ValueError, match="the training pictures have no boxes to learn from"):
        score(Dense(train=Nothing(4, 0), test=data.test, classes=data.classes, test_is=""), steps=1)
    with pytest.raises(ValueError, match="the test pictures have no boxes to be found"):
        score(Dense(train=data.train, test=Nothing(4, 0), classes=data.classes, test_is=""), steps=1)


def test_a_rate_that_is_too_high_is_told() -> None:
    with pytest.raises(ValueError, match=r"the loss of the detector is not finite at step \d+; lower --probe.lr"):
        score(drawn_data(8, 4), steps=50, lr=1e9)


def test_evaluate_writes_figures_and_pictures_beside_random_weights(tmp_path: Path) -> None:
    root = voc(tmp_path / "VOC", {}, objects={f"{i:03d}": [DOG, HARD] for i in range(12)})
    config = RunConfig(data="", out=str(tmp_path), task="rotation", size=32, precision="32-true", seed=3)
    subject = Subject(
        name="x",
        encoder=build_encoder("resnet18", size=32).eval(),
        config=config,
        part="encoder",
        checkpoint="last",
        folder=tmp_path,
        is_run=False,
    )
    settings = {**TINY, "size": 32, "steps": 2}
    result = evaluate_encoder(subject, str(root), probe="detection", settings=settings)
    assert result["metric"] == "map"
    assert result["chance"] is None
    assert result["stage"] == "layer2+layer3+layer4"
    assert result["gain"]["value"] == pytest.approx(result["value"] - result["random"]["value"], abs=1e-3)
    assert len(result["gain"]["interval"]) == 2
    for who in ("encoder", "random"):
        folder = tmp_path / "evaluations" / result["files"][who]
        shown = (result if who == "encoder" else result[who])["more"]["pictures"]
        assert sorted(path.name for path in folder.iterdir()) == sorted(picture["file"] for picture in shown)


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
    assert found.more["loss"] < 2.5
    assert len(found.files) == 6
    assert set(found.more["per_class"]) == set(data.classes)
