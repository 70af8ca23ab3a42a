"""Segmentation: windows and batches, both heads on every kind of encoder, learning, freezing, determinism."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from selftaught.data.annotations.dense_sample import IGNORE
from selftaught.encoders.base import Encoder
from selftaught.encoders.build import build_encoder
from selftaught.evaluation.data.dense import Dense, open_dense
from selftaught.evaluation.probes.base import Score
from selftaught.evaluation.probes.segmentation import Segmentation, pixel_loss
from selftaught.features.reader import Reader
from selftaught.ops.draw_maps import palette
from tests.evaluation.drawn_masks import Drawn

CPU = torch.device("cpu")


def data(train: int = 8, test: int = 4) -> Dense:
    return Dense(train=Drawn(train, 0), test=Drawn(test, 1), classes=Drawn.classes, test_is="drawn")


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    torch.manual_seed(0)
    return build_encoder("resnet18", size=32, stem="standard")


def scored(encoder: Encoder, on: Dense | None = None, **settings: Any) -> Score:
    config = Segmentation.Config(**{"size": 32, "steps": 3, "batch_size": 2, "channels": 16, **settings})
    reader = Reader(encoder=encoder, size=32, device=CPU, precision="32-true", is_random=True)
    return Segmentation(config, seed=0).score(reader, on or data())


def test_the_loss_leaves_out_ignored_pixels() -> None:
    scores = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    masks = torch.full((2, 4, 4), IGNORE)
    assert pixel_loss(scores, masks) == 0
    masks[0, 0, 0], masks[1, 2, 3] = 1, 2
    logs = scores.log_softmax(1)
    assert torch.isclose(pixel_loss(scores, masks), -(logs[0, 1, 0, 0] + logs[1, 2, 2, 3]) / 2)


@pytest.mark.parametrize("head", ["fcn", "deeplab"])
@pytest.mark.parametrize(
    ("name", "stem", "size"),
    [("alexnet", "standard", 64), ("resnet18", "small", 32), ("timm:vit_tiny_patch16_224", "auto", 224)],
)
def test_both_heads_read_any_encoder_of_images(head: str, name: str, stem: Any, size: int) -> None:
    torch.manual_seed(0)
    encoder = build_encoder(name, size=size, stem=stem)
    score = scored(encoder, data(2, 2), head=head, size=64 if size == 64 else 32, steps=1)
    assert set(score.stage.split("+")) <= set(encoder.stages)
    assert 0 <= score.value <= 100


def test_which_stages_are_read(encoder: Encoder) -> None:
    assert scored(encoder, head="fcn", steps=1).stage == "layer2+layer3+layer4"
    assert scored(encoder, head="deeplab", steps=1).stage == "layer1+layer3+layer4"


@pytest.mark.parametrize("frozen", [True, False])
def test_it_learns_and_gives_the_same_again_and_leaves_the_encoder_alone(encoder: Encoder, frozen: bool) -> None:
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    score = scored(encoder, steps=30, batch_size=4, frozen=frozen)
    assert score.value > score.more["commonest_class"] + 15
    assert score.value == pytest.approx(np.mean(list(score.more["per_class"].values())), abs=0.01)
    assert score.interval is not None
    assert score.interval[0] <= score.value <= score.interval[1]
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    first, again = (scored(encoder, data(3, 1), steps=3, frozen=frozen) for _ in range(2))
    assert (first.value, first.more["loss"]) == (again.value, again.more["loss"])


def test_a_frozen_encoder_gets_no_gradient_and_a_free_one_does(encoder: Encoder) -> None:
    for frozen in (True, False):
        probe = Segmentation(Segmentation.Config(size=32, channels=8, frozen=frozen))
        reader = Reader(encoder=encoder, size=32, device=CPU, precision="32-true")
        network, size = probe.build(reader, 3, data(2, 1).train)
        network.train()
        images, masks = torch.rand(2, 3, size, size), torch.ones(2, size, size, dtype=torch.long)
        pixel_loss(network(images), masks).backward()
        got = [p.grad is not None for p in network.maps.encoder.parameters() if p.ndim == 4]
        assert any(got) == (not frozen)
        assert all(p.grad is not None for p in network.head.parameters())
        kept, asked = network.maps.encoder.state_dict(), encoder.state_dict()
        assert all(torch.equal(kept[name], asked[name]) for name in asked if "running" in name)
        assert probe.trains_encoder == (not frozen)


def test_images_show_the_truth_and_the_prediction(encoder: Encoder) -> None:
    score = scored(encoder, data(2, 3), steps=1)
    assert [picture["key"] for picture in score.more["pictures"]] == ["1/0", "1/1", "1/2"]
    sheet = np.asarray(Image.open(io.BytesIO(score.files["masks1.png"])))
    assert sheet.shape == (36, 3 * 48 + 8, 3)
    sample = Drawn(3, 1).read(1)
    assert sample.mask is not None
    assert np.array_equal(sheet[:, :48], sample.image.permute(1, 2, 0).numpy())
    told = sample.mask.numpy() != IGNORE
    colours = np.where(told[..., None], palette(3)[np.where(told, sample.mask.numpy(), 0)], 255)
    assert np.abs(sheet[:, 52:100] - (0.2 * sheet[:, :48] + 0.8 * colours)).max() <= 1  # rounded down
    assert score.more["colours"] == {"ground": "#000000", "red": "#800000", "green": "#008000"}
    assert len({tuple(colour) for colour in palette(200).tolist()}) == 200


def test_settings_and_encoders_that_cannot_be_are_one_sentence() -> None:
    with pytest.raises(ValueError, match=r"--probe.batch-size must be at least 2, got 1"):
        Segmentation.Config(batch_size=1)
    with pytest.raises(ValueError, match=r"--probe.lr must be above 0"):
        Segmentation.Config(lr=0)
    with pytest.raises(ValueError, match=r"'audio_convnet' takes audio, but this probe needs one that takes images"):
        scored(build_encoder("audio_convnet", size=32, stem="auto"))


@pytest.mark.slow
def test_camvid(shared_data: Callable[[str], Path], encoder: Encoder) -> None:
    camvid = open_dense(str(shared_data("camvid240")), needs=frozenset({"mask"}))
    score = scored(encoder, camvid.few(0.5), size=64, steps=100, batch_size=8, channels=32)
    assert score.value > score.more["commonest_class"] + 10
    assert set(score.more["per_class"]) == set(camvid.classes)
