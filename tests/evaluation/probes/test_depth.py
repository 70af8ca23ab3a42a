"""Depth: what is read from features, what needs none, unknown pixels, and the prediction of a task itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from selftaught.core.config import RunConfig
from selftaught.evaluation.metrics.depth_maps import relative_error, scaled_by_median
from selftaught.evaluation.probes.depth import figures, log_at
from selftaught.training.train import train
from tests.evaluation.small_run import evaluate_run

TASK = '''
"""Dark is near."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from selftaught.core.ranges import Settings
from selftaught.data.inputs import Image
from selftaught.tasks import PretextTask, Shown


@dataclass
class Example:
    """Images (N, 3, S, S)."""

    images: Tensor


class Darkness(PretextTask):
    """Predict the mean of an image (Nobody, 2020). Flow: image -> encoder -> linear. Shortcut and guard: none."""

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        pass

    @classmethod
    def inputs(cls, config):
        return {"image": Image()}

    def __init__(self, encoder, config, size):
        super().__init__()
        self.encoder, self.config, self.size = encoder, config, size
        self.head = nn.Linear(encoder.num_features, 1)

    def chance(self, batch_size):
        return 0.0

    def pseudo_label(self, batch, rng):
        return Example(batch["image"][:, :, :32, :32].float() / 255)

    def forward(self, example):
        return self.head(self.encoder(example.images))[:, 0]

    def loss(self, prediction, example):
        error = (prediction - example.images.mean((1, 2, 3))).square().mean()
        return {"loss": error, "accuracy": -error.detach()}

    def predict_maps(self, images):
        return {"depth": (images.mean(1) - images.min() + 0.1)[:, ::2, ::2]}

    def show(self, example, prediction, count):
        return [Shown(inputs=[one], pseudo_label="", prediction="") for one in example.images[:count]]
'''


@pytest.fixture
def rooms(tmp_path: Path) -> Path:
    """Images in which what is darker is nearer, at random places, with depth in millimetres; a corner is unknown."""
    rng = np.random.default_rng(0)
    for folder in ("images", "depth"):
        (tmp_path / "rooms" / folder).mkdir(parents=True)
    for n in range(24):
        grey = np.kron(rng.integers(40, 250, (4, 4)), np.ones((8, 8)))
        depth = 20.0 * grey
        depth[:8, :8] = 0
        Image.fromarray(np.repeat(grey[:, :, None], 3, 2).astype(np.uint8)).save(tmp_path / f"rooms/images/{n:02d}.png")
        Image.fromarray(depth.astype(np.uint16)).save(tmp_path / f"rooms/depth/{n:02d}.png")
    return tmp_path / "rooms"


def test_depth_is_read_from_features_and_not_from_the_place(run: Path, rooms: Path) -> None:
    result = evaluate_run(run, str(rooms), probe="depth", test_share=None)
    assert (result["metric"], result["chance"]) == ("order_accuracy", 50)
    assert result["value"] > 80
    assert result["more"]["spearman"] > 0.6
    assert result["more"]["abs_rel"] < result["more"]["constant"]["abs_rel"]
    assert result["more"]["near_share"] > result["more"]["constant"]["near_share"]
    assert result["more"]["constant"]["order_accuracy"] == 50
    for name in ("lower_is_nearer", "mean_map"):
        assert 20 < result["more"][name]["order_accuracy"] < 80
    assert result["more"]["zero_shot"] is None
    assert set(result["stages"]) == set(result["random"]["stages"])


def test_the_prediction_of_the_task_itself_is_measured(rooms: Path, tmp_path: Path) -> None:
    (tmp_path / "darkness.py").write_text(TASK)
    own = train(
        RunConfig.of(
            data=str(rooms / "images"),
            out=str(tmp_path / "run"),
            task=str(tmp_path / "darkness.py"),
            encoder="timm:test_resnet",
            size=32,
            steps=2,
            batch_size=4,
        )
    )
    more = evaluate_run(own, str(rooms), probe="depth")["more"]
    assert more["zero_shot"]["order_accuracy"] > 95
    assert more["zero_shot"]["spearman"] > 0.9
    (tmp_path / "darkness.py").unlink()
    assert evaluate_run(own, str(rooms), probe="depth")["more"]["zero_shot"] is None


def test_figures_are_those_of_the_metrics() -> None:
    rng = torch.Generator().manual_seed(0)
    depth, truth = (1 + torch.rand(3, 8, 8, generator=rng) for _ in range(2))
    found = figures(depth, truth)
    assert np.allclose(found["abs_rel"], relative_error(scaled_by_median(depth, truth), truth).numpy())
    assert {name: values.shape for name, values in found.items()} == dict.fromkeys(
        ("order_accuracy", "spearman", "abs_rel", "near_share"), (3,)
    )


def test_the_logarithm_is_averaged_over_known_pixels() -> None:
    depth = torch.full((1, 4, 4), 2.0)
    depth[0, :2, :2] = torch.tensor([[8.0, 0.0], [0.0, 2.0]])
    depth[0, :2, 2:] = torch.tensor([[3.0, 0.0], [0.0, 0.0]])
    log, known = log_at(depth, (2, 2))
    assert torch.allclose(log[0, 0, 0], torch.tensor(4.0).log())
    assert known[0].tolist() == [[True, False], [True, True]]


def test_data_without_depth_are_refused_in_one_sentence(run: Path, rooms: Path) -> None:
    with pytest.raises(ValueError, match="depth maps are needed"):
        evaluate_run(run, str(rooms / "images"), probe="depth")


def test_what_is_beyond_the_farthest_does_not_count(run: Path, rooms: Path) -> None:
    with pytest.raises(ValueError, match="no pixel of the training images has a depth"):
        evaluate_run(run, str(rooms), probe="depth", settings={"farthest": 0.1})
