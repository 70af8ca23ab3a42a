from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from selftaught.core.randomness import generator, numpy_generator
from selftaught.data.batch import Sampling
from selftaught.data.inputs import Clip
from selftaught.data.modality import MODALITIES
from selftaught.data.sources.open import open_source
from selftaught.data.sources.synthetic import draw
from selftaught.data.store.open import open_samples
from selftaught.data.store.samples import Samples
from selftaught.encoders.base import Encoder
from selftaught.encoders.names import Kind
from selftaught.evaluation.data.unlabelled import Unlabelled
from selftaught.evaluation.evaluate import evaluate_encoder
from selftaught.evaluation.probes.catalogue import make_probe
from selftaught.evaluation.probes.label_free import LabelFree
from selftaught.evaluation.subject import open_subject
from selftaught.features.diagnostics import alignment, alpha_req, feature_std, lidar, rankme, uniformity
from selftaught.features.encode import probe_sampling
from selftaught.features.reader import Reader
from selftaught.features.views import view_features

FIGURES = ("rankme", "alpha_req", "uniformity", "feature_std", "lidar", "alignment")


class Tiny(Encoder):
    """One convolution of random weights, averaged over 4 x 4 places; `gain` 0 makes all features alike."""

    name, kind, num_features, stages = "tiny", "image", 32, ("conv1",)

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 5, stride=2, bias=False)
        with torch.no_grad():
            self.conv.weight.copy_(gain * torch.randn(self.conv.weight.shape, generator=generator("tiny")))
            self.bias = nn.Parameter(torch.ones(2, 1, 1))

    def forward_stages(self, x: Tensor) -> dict[str, Tensor]:
        return {"conv1": self.conv(x) + self.bias}

    def forward_features(self, x: Tensor) -> Tensor:
        return self.forward_stages(x)["conv1"]

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.adaptive_avg_pool2d(self.forward_features(x).relu(), 4).flatten(1)


@pytest.fixture(scope="module")
def samples() -> Samples:
    source = open_source(
        "synthetic:N=400,side=32", split="held_out", needs=frozenset({"image"}), download=False, seed=0, held_out=0.3
    )
    return open_samples(source, side=32, sampling=Sampling(), cache_limit_gb=1, workers=1)


def reader(encoder: Encoder) -> Reader:
    return Reader(encoder=encoder, size=32, device=torch.device("cpu"), precision="32-true")


def test_metrics_are_the_formulas_of_pooled_features_and_of_views(samples: Samples) -> None:
    probe = make_probe("label_free", {"views": 3, "draws": 4}, seed=5)
    score = probe.score(reader(Tiny()), Unlabelled(test=samples))
    features = reader(Tiny()).pooled(samples)
    views = view_features(reader(Tiny()), samples, views=3, seed=5)
    expected = {
        "rankme": rankme(features),
        "alpha_req": alpha_req(features),
        "uniformity": uniformity(features),
        "feature_std": feature_std(features),
        "lidar": lidar(views, 1e-4),
        "alignment": alignment(views[:, 0], views[:, 1]),
    }
    figures = score.more["figures"]
    assert tuple(figures) == FIGURES
    for name, value in expected.items():
        assert figures[name]["value"] == pytest.approx(value, abs=1e-4)
        low, high = figures[name]["interval"]
        assert low < figures[name]["value"] < high
    assert (score.value, score.interval) == (figures["rankme"]["value"], tuple(figures["rankme"]["interval"]))
    assert probe.chance(Unlabelled(test=samples)) is None
    json.dumps(score.more, allow_nan=False)
    again = make_probe("label_free", {"views": 3, "draws": 4}, seed=5).score(reader(Tiny()), Unlabelled(test=samples))
    assert again.more == score.more


def test_no_more_samples_are_read_than_asked_for(samples: Samples) -> None:
    score = make_probe("label_free", {"samples": 20, "view_samples": 10, "views": 2}, seed=0).score(
        reader(Tiny()), Unlabelled(test=samples)
    )
    assert {name: score.more[name] for name in ("samples", "view_samples", "views", "features")} == {
        **{"samples": 20, "view_samples": 10, "views": 2, "features": 32}
    }
    assert score.value <= 20
    assert "no rank can be above 10" in score.more["cautions"][0]


def test_a_collapsed_encoder_is_called_so(samples: Samples) -> None:
    probe = LabelFree(LabelFree.Config(views=2, draws=2))
    healthy, collapsed = (probe.score(reader(Tiny(gain)), Unlabelled(test=samples)) for gain in (1.0, 0.0))
    assert healthy.value > 3
    assert not healthy.more["cautions"]
    assert 0.01 < healthy.more["longest_share"] < 0.5
    assert collapsed.value == pytest.approx(1, abs=0.01)
    assert collapsed.more["figures"]["lidar"]["value"] == pytest.approx(1, abs=0.01)
    assert collapsed.more["figures"]["alpha_req"] == {"value": None, "interval": None}
    assert "collapsed" in collapsed.more["cautions"][-1]


def test_settings_and_data_that_say_nothing_are_refused(samples: Samples) -> None:
    for setting, value in (("samples", 7), ("view_samples", 0), ("views", 1), ("draws", 1), ("delta", 0.0)):
        with pytest.raises(ValueError, match=f"--probe.{setting.replace('_', '-')} must be"):
            LabelFree.Config(**{setting: value})  # type: ignore[arg-type]
    broken = Tiny()
    nn.init.constant_(broken.bias, float("nan"))
    with pytest.raises(ValueError, match="not finite"):
        LabelFree(LabelFree.Config()).score(reader(broken), Unlabelled(test=samples))


class Averages(Encoder):
    """Means over all places but channels and, of sound, mels: of clips (N, 3, T, H, W) or of log-mel images."""

    name, num_features, stages = "averages", 3, ("mean",)

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        self.kind = kind

    def forward_stages(self, x: Tensor) -> dict[str, Tensor]:
        return {"mean": x}

    def forward_features(self, x: Tensor) -> Tensor:
        return x

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3, 4)) if self.kind == "video" else x.unflatten(2, (4, -1)).mean((1, 3, 4))


@pytest.mark.parametrize("kind", ["video", "audio"])
def test_clips_and_sound_are_described_too(kind: Kind, write_video: Any, tmp_path: Path) -> None:
    rng = numpy_generator("clips")
    for number in range(12):
        colour = rng.integers(0, 256, 3)
        frames = np.broadcast_to(colour, (24, 32, 32, 3)).astype(np.uint8)
        tone = np.sin(np.arange(16000) * (0.02 + 0.05 * number)).astype(np.float32) * 0.5
        write_video(tmp_path / f"{number:02d}.mp4", frames, sound=tone, rate=16000)
    encoder = Averages(kind)
    sampling = Sampling(inputs={"video": Clip(frames=8)}) if kind == "video" else probe_sampling(encoder)
    source = open_source(
        str(tmp_path), split="held_out", needs=MODALITIES[kind].needs, download=False, seed=0, held_out=0.95
    )
    clips = open_samples(source, side=32, sampling=sampling, cache_limit_gb=1, workers=1)
    assert len(clips) > 8
    views = view_features(reader(encoder), clips, views=3, seed=0)
    assert views.shape == (len(clips), 3, 3 if kind == "video" else 4)
    # A view stays nearer to its own clip than clips are to each other.
    between = views.mean(1).var(0).sum()
    assert views.var(1).mean(0).sum() < between
    score = make_probe("label_free", {"views": 2, "draws": 2}, seed=0).score(reader(encoder), Unlabelled(test=clips))
    assert score.more["samples"] == len(clips)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A resnet18 with weights that are not those of any seed."""
    from torchvision.models import resnet18

    file = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(12345)
        save_file(resnet18().state_dict(), file)
    return f"resnet18:{file}"


def unlabelled_folder(folder: Path, count: int) -> str:
    folder.mkdir()
    for number in range(count):
        Image.fromarray(draw(number, side=32)).save(folder / f"{number:03d}.png")
    return str(folder)


def test_evaluate_reads_the_held_out_part_of_images_without_labels(weights: str, tmp_path: Path) -> None:
    data = unlabelled_folder(tmp_path / "pictures", 120)
    settings: dict[str, Any] = {"views": 2, "draws": 2}
    subject = open_subject(weights, size=32, stem="standard", out=tmp_path / "out")
    result = evaluate_encoder(subject, data, probe="label_free", settings=settings)
    assert (result["metric"], result["chance"], result["train_samples"]) == ("rankme", None, 0)
    assert 3 <= result["test_samples"] <= 30  # a tenth
    assert tuple(result["more"]["figures"]) == tuple(result["random"]["more"]["figures"]) == FIGURES
    assert result["random"]["value"] != result["value"]
    written = next((tmp_path / "out" / "evaluations").glob("label_free-*.json"))
    assert json.loads(written.read_text()) == result
    with pytest.raises(ValueError, match="--limit is for probes that learn"):
        evaluate_encoder(subject, data, probe="label_free", limit=5)
    with pytest.raises(ValueError, match="--fraction and --draws are for probes that learn from labels"):
        evaluate_encoder(subject, data, probe="label_free", fractions=[0.1])
    with pytest.raises(ValueError, match="at least 8 held-out samples"):
        evaluate_encoder(subject, unlabelled_folder(tmp_path / "few", 5), probe="label_free", settings=settings)


@pytest.mark.slow
def test_views_of_real_photographs_are_nearer_than_other_photographs(
    weights: str, shared_data: Callable[[str], Path], tmp_path: Path
) -> None:
    subject = open_subject(weights, size=32, stem="standard", out=tmp_path)
    settings = {"samples": 1024, "view_samples": 600, "views": 4}
    result = evaluate_encoder(subject, str(shared_data("cifar10")), probe="label_free", settings=settings)
    figures = {name: entry["value"] for name, entry in result["more"]["figures"].items()}
    # Two unrelated images are as far apart as uniformity's potential says on average: exp(-2 d^2) of it.
    assert figures["alignment"] < -figures["uniformity"] / 2
    assert 1 < figures["lidar"] < 512
    assert 1 < figures["rankme"] < 512
    assert np.isfinite(figures["alpha_req"])
