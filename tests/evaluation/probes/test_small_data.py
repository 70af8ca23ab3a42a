"""Every probe on hardly any data, images and clips: a score, or one sentence that says what is missing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from selftaught.core.randomness import numpy_generator
from selftaught.data.batch import Sampling
from selftaught.data.inputs import Clip
from selftaught.data.store.samples import HostBatch
from selftaught.encoders.base import Encoder
from selftaught.encoders.build import build_encoder
from selftaught.evaluation.data.labelled import Labelled
from selftaught.evaluation.data.unlabelled import Unlabelled
from selftaught.evaluation.probes.catalogue import make_probe
from selftaught.features.encode import probe_sampling
from selftaught.features.reader import Reader

SIDE = 16
SETTINGS: dict[str, dict[str, Any]] = {
    "linear": {},
    "knn": {},
    "svm": {},
    "mlp": {"hidden": 8, "epochs": 2},
    "retrieval": {"against": "train"},
    "finetune": {"steps": 2, "batch_size": 4, "lr": (0.01,)},
}


class Shades:
    """Grey images or clips in memory, the darker the lower their class, with some noise."""

    side = SIDE
    skipped: list[tuple[str, str]] = []  # noqa: RUF012
    classes: tuple[str, ...] | None = ("dark", "grey", "light")

    def __init__(self, labels: Sequence[int], *, frames: int = 0) -> None:
        rng = numpy_generator("shades", *labels)
        self.labels: NDArray[np.int64] | None = np.array(labels, np.int64)
        shape = (len(labels), max(1, frames), SIDE, SIDE, 3)
        level = 40 + 80 * self.labels.reshape(-1, 1, 1, 1, 1)
        self.pixels = np.clip(level + rng.normal(0, 15, shape), 0, 255).astype(np.uint8)
        self.frames = frames
        self.source_of = np.arange(len(labels))
        self.fingerprint = f"shades {labels} {frames}"

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def keys(self) -> Sequence[str]:
        return [str(i) for i in range(len(self))]

    def read(self, rows: NDArray[np.int64], draws: NDArray[np.float64]) -> HostBatch:
        if self.frames:
            return HostBatch(index=rows, inputs={"video": self.pixels[rows]})
        return HostBatch(index=rows, inputs={"image": self.pixels[rows, 0]})

    def spread(self, rows: NDArray[np.int64], draws: NDArray[np.float64], sampling: Sampling) -> NDArray[np.float64]:
        return draws

    def eval_draws(self, count: int, clips: int) -> list[NDArray[np.float64]]:
        return [np.full((count, 3), 0.5)] * (min(clips, 2) if self.frames else 1)


def labelled(train: Sequence[int], test: Sequence[int], *, frames: int = 0) -> Labelled:
    halves = Shades(train, frames=frames), Shades(test, frames=frames)
    targets = [(np.asarray(half.labels)[:, None] == np.arange(3)).astype(np.int8) for half in halves]
    return Labelled(
        train=halves[0],
        test=halves[1],
        classes=("dark", "grey", "light"),
        train_targets=targets[0],
        test_targets=targets[1],
    )


def reader(name: str = "timm:test_resnet", **changes: Any) -> Reader:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        encoder = build_encoder(name, size=SIDE, stem="standard").eval()
    given = {"encoder": encoder, "size": SIDE, "device": torch.device("cpu"), "precision": "32-true"}
    return Reader(**{**given, **changes})


@pytest.mark.parametrize("name", sorted(SETTINGS))
@pytest.mark.parametrize(
    ("train", "test"),
    [
        ((0, 2), (0,)),  # one sample a class, a class without any, one test sample
        ((0, 1, 2), (2, 2)),
        ((0, 0, 0, 1), (0, 1, 2)),  # a class that is tested but was never shown
        ((0, 1, 1, 2, 2), (0, 1, 2, 1)),
    ],
)
def test_hardly_any_labels_give_a_score(name: str, train: tuple[int, ...], test: tuple[int, ...]) -> None:
    probe = make_probe(name, SETTINGS[name], seed=0)
    data = labelled(train, test)
    score = probe.score(reader(), data)
    assert 0 <= score.value <= 100
    assert score.interval is not None
    assert score.interval[0] <= score.value <= score.interval[1]
    chance = probe.chance(data)
    assert chance is not None
    assert 0 <= chance <= 100


@pytest.mark.parametrize("name", [*sorted(SETTINGS), "action", "clip_retrieval"])
def test_encoders_for_clips_are_probed(name: str) -> None:
    probe = make_probe(name, SETTINGS.get(name, {"clips": 2}), seed=0)
    score = probe.score(reader("video_convnet"), labelled((0, 2, 0, 2), (0, 2), frames=4))
    assert 0 <= score.value <= 100
    assert all(math.isfinite(value) for value in score.stages.values())


def test_clips_are_described_without_labels() -> None:
    clips = Unlabelled(test=Shades((0, 1, 2, 0, 1, 2, 0, 1), frames=4))
    asked = {"views": 2, "draws": 2}
    assert make_probe("label_free", asked, seed=0).score(reader("r3d_18"), clips).value >= 1


def test_clips_are_fine_tuned_from_a_stage_on() -> None:
    asked = {**SETTINGS["finetune"], "from_stage": "layer3"}
    score = make_probe("finetune", asked, seed=0).score(reader("r3d_18"), labelled((0, 2, 0, 2), (0, 2), frames=4))
    assert score.more["frozen"] == ["stem", "layer1", "layer2"]


def test_features_that_are_no_numbers_are_said() -> None:
    given = reader()
    encoder: Encoder = given.encoder
    with torch.no_grad():
        next(encoder.parameters()).fill_(math.nan)
    with pytest.raises(ValueError, match=r"features of .* at .* are not finite"):
        make_probe("linear", {}, seed=0).score(given, labelled((0, 1), (0,)))


def test_clips_are_cut_as_the_encoder_was_trained() -> None:
    assert probe_sampling(reader("r3d_18").encoder).inputs == {"video": Clip(frames=16, whole=False)}
