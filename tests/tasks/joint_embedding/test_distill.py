from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from selftaught.core.randomness import generator
from selftaught.data.batch import Batch
from selftaught.encoders.base import Encoder
from selftaught.encoders.build import build_encoder
from selftaught.encoders.weights.load import network_of
from selftaught.tasks.joint_embedding.distill import Distill, Example, Prediction
from selftaught.training.checkpoint import load_checkpoint
from selftaught.training.train import train
from tests.tasks.conftest import TinyEncoder
from tests.tasks.learning import scalar_of, synthetic_images
from tests.tasks.learning import train as learn
from tests.training.small_run import config
from tests.training.stopping import assert_same_run, stopped_before
from tests.two_processes import in_two_processes, join_group

Make = Callable[[], Encoder]
SMALL = "timm:test_resnet"


def task(encoder: Encoder, **settings: Any) -> Distill:
    torch.manual_seed(1)
    return Distill(encoder, Distill.Config(**{"queue": 6, **settings}), 32)


def batch(n: int = 8) -> Batch:
    images = torch.randint(0, 256, (n, 3, 40, 40), generator=generator("images"), dtype=torch.uint8)
    return Batch(index=torch.arange(n), inputs={"image": images})


def drawn(n: int = 4) -> Prediction:
    rng = generator("features")
    return Prediction(student=torch.randn(n, 64, generator=rng), teacher=torch.randn(n, 64, generator=rng))


EMPTY = Example(torch.empty(0))


@pytest.fixture
def teacher(tmp_path: Path) -> str:
    torch.manual_seed(7)
    torch.save(network_of(build_encoder(SMALL, size=32))[0].state_dict(), tmp_path / "w.pth")
    return f"{SMALL}:{tmp_path / 'w.pth'}"


def cosine(a: Tensor, b: Tensor) -> float:
    return float(a @ b / (a.norm() * b.norm()))


@pytest.mark.parametrize("filled", [0, 3, 6])
def test_loss_is_the_cross_entropy_of_similarities_written_as_loops(tiny_encoder: Make, filled: int) -> None:
    model, prediction = task(tiny_encoder(), temperature=0.3), drawn()
    model.queue.copy_(torch.nn.functional.normalize(torch.randn(6, 64, generator=generator("queue")), dim=1))
    model.filled.fill_(filled)
    known = [*prediction.teacher, *model.queue[:filled]]
    total = 0.0
    for student, own in zip(prediction.student, prediction.teacher, strict=True):
        shares = [math.exp(cosine(own, other) / 0.3) for other in known]
        scores = [math.exp(cosine(student, other) / 0.3) for other in known]
        for share, score in zip(shares, scores, strict=True):
            total -= share / sum(shares) * math.log(score / sum(scores))
    scalars = model.loss(prediction, EMPTY)
    assert float(scalars["loss"]) == pytest.approx(total / 4, rel=1e-5)
    nearest = [[cosine(student, other) for other in prediction.teacher] for student in prediction.student]
    assert float(scalars["accuracy"]) == sum(row.index(max(row)) == i for i, row in enumerate(nearest)) / 4


def test_one_prediction_for_all_images_has_found_none_and_costs_more_than_the_teacher_s(tiny_encoder: Make) -> None:
    """Features in a narrow cone: their mean has a cosine of 0.99 with each."""
    model = task(tiny_encoder())
    features = torch.nn.functional.normalize(10 + torch.randn(8, 64, generator=generator("cone")), dim=1)
    mean = features.mean(0, keepdim=True).expand(8, -1)
    assert min(cosine(mean[0], one) for one in features) > 0.99
    constant = model.loss(Prediction(mean, features), EMPTY)
    right = model.loss(Prediction(features, features), EMPTY)
    same = model.loss(Prediction(mean, mean), EMPTY)
    assert (float(right["accuracy"]), float(same["accuracy"])) == (1.0, 0.0)
    assert float(constant["accuracy"]) <= 1 / 8
    assert float(constant["loss"]) > float(right["loss"])


def test_features_of_a_step_enter_the_queue_after_it_and_the_oldest_leave(tiny_encoder: Make) -> None:
    model = task(tiny_encoder()).train()
    first, second = drawn(4), Prediction(student=torch.ones(4, 64), teacher=torch.eye(64)[:4])
    model.loss(first, EMPTY)
    assert int(model.filled) == 0
    model.after_step(0, 10)
    assert (int(model.filled), int(model.oldest)) == (4, 4)
    torch.testing.assert_close(model.queue[:4], torch.nn.functional.normalize(first.teacher, dim=1))
    model.loss(second, EMPTY)
    model.after_step(1, 10)
    assert (int(model.filled), int(model.oldest)) == (6, 2)
    assert torch.equal(model.queue[[4, 5, 0, 1]], torch.eye(64)[:4])
    model.eval().loss(first, EMPTY)
    model.after_step(2, 10)
    assert int(model.oldest) == 2, "what is evaluated does not enter"


def test_a_mixed_view_is_between_two_views(tiny_encoder: Make) -> None:
    plain = task(tiny_encoder(), mix=False).pseudo_label(batch(), generator(0)).views
    mixed = task(tiny_encoder()).pseudo_label(batch(), generator(0)).views
    assert not torch.equal(plain, mixed)
    flat = plain.flatten(1)
    for one, own in zip(mixed.flatten(1), flat, strict=True):
        shares = []
        for other in flat:
            across = own - other
            share = float((one - other) @ across / (across @ across).clamp(min=1e-9))
            off = (one - other - share * across).norm() / one.norm()
            shares.append(bool(off < 1e-4 and -1e-4 <= share <= 1 + 1e-4) or bool((one - own).norm() < 1e-4))
        assert any(shares)


def test_the_teacher_has_its_weights_and_is_no_part_of_the_state(teacher: str) -> None:
    student = build_encoder("timm:test_vit", size=32)
    model = task(student, teacher=teacher, teacher_size=48)
    expected = torch.load(teacher.rpartition(":")[2], weights_only=True)
    found = network_of(model.teacher.encoder)[0].state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in found.items())
    assert model.head.out_features == model.teacher.num_features == 96
    assert not [name for name in model.state_dict() if name.startswith("teacher")]
    assert model.forward(model.pseudo_label(batch(2), generator(0))).teacher.shape == (2, 96)


def test_a_run_is_resumed_exactly_and_with_its_teacher_only(teacher: str, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"task": "distill", "task_settings": {"teacher": teacher, "queue": 20}, "steps": 4}
    whole = train(config(tmp_path / "whole", **asked))
    with stopped_before(3):
        train(config(tmp_path / "cut", **asked))
    file = Path(teacher.rpartition(":")[2])
    weights = torch.load(file, weights_only=True)
    torch.save({key: value + 1 for key, value in weights.items()}, file)
    with pytest.raises(ValueError, match=r"--task.teacher .* holds other weights than the run began with; bring those"):
        train(config(tmp_path / "cut", resume=True, **asked))
    torch.save(weights, file)
    assert_same_run(whole, train(config(tmp_path / "cut", resume=True, **asked)), "metrics.csv")
    tensors, _ = load_checkpoint(whole / "checkpoints" / "last.safetensors")
    assert not [name for name in tensors if name.startswith("task.teacher")]


def test_it_learns_what_the_teacher_says_in_seconds(tiny_encoder: Make) -> None:
    images = synthetic_images(240, 32)
    model = task(tiny_encoder(), queue=64)
    before = scalar_of(model.eval(), images[-64:], "accuracy")
    learn(model.train(), images[:-64], optimizer="adamw", lr=3e-3, steps=60, batch_size=32)
    accuracy = scalar_of(model, images[-64:], "accuracy")
    assert before < 0.1
    assert accuracy > 0.3 > 10 * model.chance(64), accuracy


def test_a_random_teacher_is_another_network_in_the_state(tiny_encoder: Make) -> None:
    model, other = task(tiny_encoder()), task(tiny_encoder())
    own, started = model.teacher.encoder.state_dict(), model.encoder.state_dict()
    assert not torch.equal(own["blocks.0.0.weight"], started["blocks.0.0.weight"])
    state = {key: value + 1 for key, value in model.state_dict().items()} | {"digest": model.digest}
    other.load_state_dict(state)
    assert torch.equal(other.teacher.encoder.state_dict()["blocks.0.0.weight"], own["blocks.0.0.weight"] + 1)
    model.train()
    assert not any(p.requires_grad for p in model.teacher.encoder.parameters())
    before = {key: value.clone() for key, value in own.items()}
    model(model.pseudo_label(batch(), generator(0)))
    assert all(torch.equal(value, before[key]) for key, value in model.teacher.encoder.state_dict().items())


def test_what_cannot_teach_is_one_sentence(tiny_encoder: Make) -> None:
    for teacher, sentence in (
        ("resnet18", r"^--task.teacher: resnet18 is neither a run folder nor an encoder with weights"),
        ("resnet18:gone.pth", r"^--task.teacher: weights gone.pth: gone.pth does not exist"),
        ("torchvision:resnet18", r"^--task.teacher: published weights .* allow their download with --task.download$"),
    ):
        with pytest.raises(ValueError, match=sentence):
            task(tiny_encoder(), teacher=teacher)


def two(rank: int, port: int, folder: str) -> None:
    """Both processes have half of the features; value, gradient and queue are those of one with all."""
    join_group(rank, port)
    model, whole = task(TinyEncoder()).train(), drawn()
    own = slice(2 * rank, 2 * rank + 2)
    student = whole.student[own].clone().requires_grad_()
    loss = model.loss(Prediction(student, whole.teacher[own]), EMPTY)["loss"]
    loss.backward()
    model.after_step(0, 10)
    total = loss.detach().clone()
    dist.all_reduce(total)
    torch.save({"loss": total / 2, "grad": student.grad, "queue": model.queue}, Path(folder) / f"{rank}.pt")


def test_two_processes_are_as_one(tmp_path: Path) -> None:
    in_two_processes(two, str(tmp_path))
    model, whole = task(TinyEncoder()).train(), drawn()
    student = whole.student.clone().requires_grad_()
    loss = model.loss(Prediction(student, whole.teacher), EMPTY)["loss"]
    loss.backward()
    model.after_step(0, 10)
    found = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1)]
    assert student.grad is not None
    torch.testing.assert_close(found[0]["loss"], loss.detach())
    torch.testing.assert_close(torch.cat([one["grad"] for one in found]) / 2, student.grad)
    for one in found:
        torch.testing.assert_close(one["queue"], model.queue)
