"""Fine-tuning, on images of stripes whose direction is the class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from selftaught.core.config import RunConfig
from selftaught.core.randomness import numpy_generator
from selftaught.data.loader import Loader
from selftaught.encoders.base import Encoder
from selftaught.encoders.trimmed_convolutions import TrimmedConv2d
from selftaught.evaluation.data.labelled import Labelled
from selftaught.evaluation.evaluate import evaluate_encoder
from selftaught.evaluation.fit import finetuning
from selftaught.evaluation.fit.classifier import Classifier, predict
from selftaught.evaluation.probes import finetune
from selftaught.evaluation.probes.base import Score
from selftaught.evaluation.probes.finetune import FineTune
from selftaught.evaluation.subject import open_subject
from selftaught.features.reader import Reader
from selftaught.training.train import train
from tests.evaluation.stripes import CLASSES, CPU, SIDE, TINY, Stripes, encoder


def data(train_count: int = 60, **changes: Any) -> Labelled:
    given = {"train": Stripes(train_count, 1), "test": Stripes(90, 2), "classes": CLASSES}
    return Labelled(**{**given, **changes})


def reader(*, is_random: bool = False, **changes: Any) -> Reader:
    given = {"encoder": encoder(), "size": SIDE, "device": CPU, "precision": "32-true"}
    return Reader(**{**given, **changes}, is_random=is_random)


def probe(**settings: Any) -> FineTune:
    given = {"steps": 3, "batch_size": 8, "lr": (0.02,), "head_lr": 0.1}
    return FineTune(FineTune.Config(**{**given, **settings}), seed=5)


def trained(monkeypatch: pytest.MonkeyPatch, asked: FineTune, given: Reader) -> Classifier:
    """The network that the score was taken from."""
    networks: list[Classifier] = []

    def spy(network: Classifier, *args: Any) -> torch.Tensor:
        networks.append(network)
        return predict(network, *args)

    monkeypatch.setattr(finetune, "predict", spy)
    asked.score(given, data())
    return networks[-1]


def unchanged(before: Encoder, after: Encoder) -> set[str]:
    """Children of the network in which every weight and buffer is what it was, bit for bit."""
    states = before.state_dict(), after.state_dict()
    parts: dict[str, bool] = {}
    for name, value in states[0].items():
        part = name.split(".")[1]
        parts[part] = parts.get(part, True) and torch.equal(value, states[1][name])
    return {part for part, same in parts.items() if same}


def test_stages_before_keep_weights_and_statistics_and_the_rest_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    given = reader()
    network = trained(monkeypatch, probe(from_stage="layer3"), given)
    assert unchanged(given.encoder, network.encoder) == {"conv1", "bn1", "layer1", "layer2"}
    moved = dict(network.encoder.named_parameters())
    for name, parameter in given.encoder.named_parameters():
        part = name.split(".")[1]
        assert torch.equal(parameter, moved[name]) == (part not in ("layer3", "layer4")), name
    fresh = encoder().state_dict()  # what the reader holds was copied, not trained
    assert all(torch.equal(value, fresh[name]) for name, value in given.encoder.state_dict().items())
    assert any(isinstance(module, TrimmedConv2d) for module in network.modules())
    assert not any(isinstance(module, TrimmedConv2d) for module in given.encoder.modules())


def test_random_weights_are_trained_from_scratch_with_nothing_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    given = reader(is_random=True)
    asked = probe(from_stage="layer4")
    assert unchanged(given.encoder, trained(monkeypatch, asked, given).encoder) == set()
    scratch, tuned = (asked.score(reader(is_random=is_random), data()) for is_random in (True, False))
    assert (scratch.more["from_scratch"], scratch.more["frozen"]) == (True, [])
    assert (tuned.more["from_scratch"], tuned.more["frozen"]) == (False, ["act1", "layer1", "layer2", "layer3"])
    assert asked.trains_encoder


def test_it_learns_classes_and_shuffled_labels_teach_nothing() -> None:
    asked = probe(steps=60, batch_size=24, lr=(0.05,))
    score = asked.score(reader(), data())
    assert score.value > 90
    assert score.interval is not None
    assert score.interval[0] > 100 / 3
    assert score.outcomes is not None
    assert score.outcomes.shape == (90,)
    assert score.value == pytest.approx(float(score.outcomes.mean()), abs=1e-3)
    labels = numpy_generator("shuffled").permutation(np.arange(60) % 3)
    shuffled = asked.score(reader(), data(train=Stripes(60, 1, labels)))
    assert shuffled.value < 65


def test_the_seed_decides_everything() -> None:
    def outcome(seed: int) -> tuple[float, Any]:
        torch.rand(seed + 1)  # where the global generator stands must not matter
        score = FineTune(probe(lr=(0.02, 0.05)).config, seed).score(reader(), data())
        return score.more["train_accuracy"], score.more["tried"]

    state = torch.get_rng_state()
    first = outcome(0)
    torch.set_rng_state(state)
    torch.rand(17)
    assert outcome(0) == first
    assert outcome(1) != first


def test_the_global_generator_is_left_alone() -> None:
    state = torch.get_rng_state()
    probe(steps=1).score(reader(), data())
    assert torch.equal(torch.get_rng_state(), state)


def test_the_budget_is_the_same_for_every_number_of_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    plain = Loader.batch

    def count(self: Loader, step: int) -> Any:
        steps.append(self.batch_size)
        return plain(self, step)

    monkeypatch.setattr(Loader, "batch", count)
    for labels, is_random in ((6, False), (60, False), (60, True)):
        steps.clear()
        score = probe(lr=(0.01, 0.02)).score(reader(is_random=is_random), data(labels))
        assert steps == [8] * 9  # two rates tried and one training on all, of three steps each
        assert score.more["epochs"] == pytest.approx(3 * 8 / labels, abs=0.01)


def test_the_rate_is_chosen_on_held_back_training_samples_alone() -> None:
    asked = probe(steps=25, batch_size=24, lr=(1e-6, 0.05))
    honest = asked.score(reader(), data())
    rows = honest.more["tried"]
    assert [row["lr"] for row in rows] == [1e-6, 0.05]
    assert honest.more["lr"] == max(rows, key=lambda row: (row["accuracy"], -row["loss"]))["lr"]
    wrong = asked.score(reader(), data(test=Stripes(90, 2, (np.arange(90) + 1) % 3)))
    assert wrong.more == honest.more
    assert wrong.value < 10


@pytest.mark.parametrize(
    ("judged", "chosen"),
    [
        ([(80.0, 0.1), (90.0, 5.0), (70.0, 0.0)], 0.02),
        ([(90.0, 0.3), (90.0, 0.4), (90.0, 0.2)], 0.03),
    ],
)
def test_accuracy_chooses_and_the_loss_where_accuracies_are_equal(
    judged: list[tuple[float, float]], chosen: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(judged)
    monkeypatch.setattr(finetuning, "_judge", lambda *args: next(answers))
    score = probe(lr=(0.01, 0.02, 0.03), steps=1).score(reader(), data())
    assert score.more["lr"] == chosen
    assert [(row["accuracy"], row["loss"]) for row in score.more["tried"]] == judged


def test_a_rate_that_diverges_is_not_chosen_and_alone_is_an_error() -> None:
    score = probe(lr=(1e30, 0.02), steps=4).score(reader(), data())
    assert score.more["lr"] == 0.02
    assert score.more["tried"][0] == {"lr": 1e30, "accuracy": None, "loss": None}
    with pytest.raises(ValueError, match=r"diverged with --probe.lr 1e\+30; give a lower one, such as 1e\+29"):
        probe(lr=(1e30,), steps=4).score(reader(), data())


def test_one_label_a_class_takes_the_first_rate() -> None:
    score = probe(lr=(0.03, 0.02), steps=1).score(reader(), data(3))
    assert (score.more["lr"], score.more["tried"]) == (0.03, [])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "--probe.steps must be at least 1, got 0"),
        ({"batch_size": 1}, "--probe.batch-size must be at least 2, got 1"),
        ({"lr": (0.1, 0.0)}, "--probe.lr must be one or more numbers above 0, got 0.1,0.0"),
        ({"lr": ()}, "--probe.lr must be one or more numbers above 0, got none"),
        ({"head_lr": 0.0}, "--probe.head-lr must be above 0"),
        ({"weight_decay": -1.0}, "--probe.weight-decay must be at least 0"),
        ({"min_scale": 0.0}, r"--probe.min-scale must be in \(0, 1\]"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FineTune.Config(**settings)


def test_what_cannot_be_trained_is_refused_before_anything_is() -> None:
    with pytest.raises(ValueError, match=r"--probe.from-stage must be all or .*:test_resnet, act1, .* got 'conv9'"):
        probe(from_stage="conv9").score(reader(), data())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    config = RunConfig.of(
        data="synthetic:N=60,side=32",
        out=str(out),
        task="rotation",
        encoder=TINY,
        size=32,
        batch_size=4,
        steps=1,
        precision="32-true",
    )
    return train(config)


def test_evaluate_reports_how_many_labels_are_saved(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scored: list[tuple[bool, int]] = []
    plain = FineTune.score

    def spy(self: FineTune, given: Reader, known: Labelled) -> Score:
        scored.append((given.is_random, len(known.train)))
        return plain(self, given, known)

    monkeypatch.setattr(FineTune, "score", spy)
    result = evaluate_encoder(
        open_subject(run),
        "synthetic:N=100,side=32",
        probe="finetune",
        settings={"steps": "2", "batch_size": "4", "lr": "0.01", "from_stage": "layer4"},
        fractions=[0.2, 1.0],
        draws=2,
    )
    few, every = (row["train_samples"] for row in result["few_labels"])
    # Each share, draw and encoder is trained once: the metrics on all labels are not measured again.
    assert sorted(scored) == sorted([(r, n) for r in (False, True) for n in (few, few, every)])
    assert result["more"]["frozen"] == ["act1", "layer1", "layer2", "layer3"]
    assert result["random"]["more"]["from_scratch"]
    assert [row["labels"] for row in result["labels_saved"]] == [few, every]
    assert result["value"] == result["few_labels"][1]["encoder"]["value"]
    linear = evaluate_encoder(
        open_subject(run), "synthetic:N=100,side=32", probe="knn", settings={"k": 3}, fractions=[0.2, 1.0]
    )
    assert "few_labels" in linear
    assert "labels_saved" not in linear


@pytest.mark.slow
def test_supervised_weights_need_fewer_labels_than_scratch_on_real_photographs(
    shared_data: Any, tmp_path: Path
) -> None:
    """An encoder that learned the classes from all labels is fine-tuned with few: it must save many."""
    photographs = str(shared_data("cifar10"))
    config = RunConfig.of(data=photographs, out=str(tmp_path / "run"), task="supervised", encoder=TINY, size=32)
    train(config.replace(steps=400, batch_size=64, limit=10_000))
    result = evaluate_encoder(
        open_subject(tmp_path / "run"),
        photographs,
        probe="finetune",
        settings={"steps": 60, "batch_size": 64, "lr": (0.02,)},
        fractions=[0.01, 0.1],
    )
    first = result["labels_saved"][0]
    assert first["factor"] is None or first["factor"] > 2
    assert first["bound"] != "fewer than"
    assert result["gain"]["interval"][0] > 5
