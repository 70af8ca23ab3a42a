from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from selftaught.core.randomness import generator
from selftaught.data.batch import Batch
from selftaught.encoders.base import Encoder
from selftaught.ops.colour import denormalise
from selftaught.tasks.joint_embedding.moco import Example, MoCo, Prediction
from selftaught.training.checkpoint import load_checkpoint
from selftaught.training.optimizers import build_optimizer
from selftaught.training.train import train
from tests.tasks.conftest import TinyEncoder
from tests.tasks.learning import scalar_of, synthetic_images
from tests.training.small_run import config
from tests.training.stopping import assert_same_run, stopped_before
from tests.two_processes import in_two_processes, join_group

Make = Callable[[], Encoder]


def task(encoder: Encoder, **settings: Any) -> MoCo:
    torch.manual_seed(0)
    return MoCo(encoder, MoCo.Config(**{"queue": 16, "hidden": 32, "embedding": 8, **settings}), 32)


def batch(n: int = 8) -> Batch:
    images = torch.randint(0, 256, (n, 3, 40, 40), generator=generator("images"), dtype=torch.uint8)
    return Batch(index=torch.arange(n) + 100, inputs={"image": images})


def test_loss_is_the_papers_equation_over_positive_and_queue(tiny_encoder: Make) -> None:
    model = task(tiny_encoder(), temperature=0.3)
    example = model.pseudo_label(batch(5), generator(0))
    rng = generator("embeddings")
    queries, keys = torch.randn(5, 8, generator=rng), torch.randn(5, 8, generator=rng)

    def cosine(a: Tensor, b: Tensor) -> float:
        return float(a @ b / (a.norm() * b.norm()))

    total = 0.0
    for q, k in zip(queries, keys, strict=True):
        terms = [math.exp(cosine(q, k) / 0.3)] + [math.exp(cosine(q, other) / 0.3) for other in model.queue]
        total -= math.log(terms[0] / sum(terms))
    scalars = model.loss(Prediction(queries, keys), example)
    assert float(scalars["loss"]) == pytest.approx(total / 5, rel=1e-5)
    nearest = [max(cosine(q, other) for other in model.queue) for q in queries]
    found = [cosine(q, k) > other for q, k, other in zip(queries, keys, nearest, strict=True)]
    assert float(scalars["accuracy"]) == pytest.approx(sum(found) / 5)


def test_a_key_of_the_query_s_own_sample_is_no_negative(tiny_encoder: Make) -> None:
    model = task(tiny_encoder(), queue=3)
    example = model.pseudo_label(batch(1), generator(0))
    queries = torch.zeros(1, 8).index_fill(1, torch.tensor([0]), 1.0)
    model.queue.copy_(torch.eye(8)[:3])
    model.sample_of.copy_(torch.tensor([100, 7, 9]))
    assert float(model.loss(Prediction(queries, queries), example)["accuracy"]) == 1
    expected = math.log(1 + 2 * math.exp(-1 / 0.2))
    assert float(model.loss(Prediction(queries, queries), example)["loss"]) == pytest.approx(expected, rel=1e-4)
    model.sample_of[0] = 8
    assert float(model.loss(Prediction(queries, queries), example)["accuracy"]) == 0
    # Held-out samples are numbered anew, so the same number is another sample.
    model.sample_of[0] = 100
    expected = math.log(2 + 2 * math.exp(-1 / 0.2))
    assert float(model.eval().loss(Prediction(queries, queries), example)["loss"]) == pytest.approx(expected, rel=1e-4)


def test_random_vectors_of_the_start_are_negatives_until_the_first_keys_come(tiny_encoder: Make) -> None:
    model = task(tiny_encoder(), queue=4)
    example = model.pseudo_label(batch(1), generator(0))
    queries = torch.zeros(1, 8).index_fill(1, torch.tensor([0]), 1.0)
    model.queue.copy_(torch.eye(8)[:4])
    prediction = Prediction(queries, queries)
    expected = math.log(2 + 3 * math.exp(-1 / 0.2))
    assert float(model.loss(prediction, example)["loss"]) == pytest.approx(expected, rel=1e-4)
    model.sample_of[2] = 7
    expected = math.log(1 + math.exp(-1 / 0.2))
    assert float(model.loss(prediction, example)["loss"]) == pytest.approx(expected, rel=1e-4)


def test_held_out_accuracy_is_over_the_keys_of_the_batch(tiny_encoder: Make) -> None:
    model = task(tiny_encoder()).eval()
    example = model.pseudo_label(batch(4), generator(0))
    queries = torch.eye(8)[:4]
    keys = queries[[0, 1, 3, 2]]
    assert float(model.loss(Prediction(queries, keys), example)["accuracy"]) == 0.5
    same = torch.ones(4, 8)
    assert float(model.loss(Prediction(same, same), example)["accuracy"]) == 0, "one embedding for all finds nothing"
    assert model.chance(4) == 1 / 4


def test_the_momentum_encoder_follows_by_the_papers_equation(tiny_encoder: Make) -> None:
    model = task(tiny_encoder(), momentum=0.9)
    pairs = [(model.key_encoder, model.encoder), (model.key_head, model.head)]
    students = [p for _, student in pairs for p in student.parameters()]
    teachers = [p for teacher, _ in pairs for p in teacher.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(students, teachers, strict=True))
    with torch.no_grad():
        for p in students:
            p.add_(torch.randn(p.shape, generator=generator("move")))
    before = [p.clone() for p in teachers]
    model.after_step(0, 100)
    for old, teacher, student in zip(before, teachers, students, strict=True):
        assert torch.allclose(teacher, 0.9 * old + 0.1 * student, atol=1e-6)


@pytest.mark.parametrize(("total", "expected"), [(10, 0.5), (800, 800 / 810), (9990, 0.999), (100_000, 0.999)])
def test_the_momentum_follows_the_length_of_the_run(total: int, expected: float, tiny_encoder: Make) -> None:
    assert task(tiny_encoder()).momentum(total) == pytest.approx(expected)
    assert task(tiny_encoder(), momentum=0.99).momentum(total) == 0.99


def test_the_momentum_encoder_has_no_gradient_and_is_not_optimised(tiny_encoder: Make) -> None:
    model = task(tiny_encoder())
    example = model.pseudo_label(batch(), generator(0))
    prediction = model(example)
    assert prediction.queries.requires_grad
    assert not prediction.keys.requires_grad
    model.loss(prediction, example)["loss"].backward()
    with_gradient = {name for name, p in model.named_parameters() if p.grad is not None and bool(p.grad.any())}
    assert with_gradient == {name for name, _ in model.named_parameters() if not name.startswith("key_")}
    optimised = {id(p) for group in build_optimizer(model, "sgd", 0.1, 0.0).param_groups for p in group["params"]}
    assert optimised == {id(p) for name, p in model.named_parameters() if not name.startswith("key_")}
    assert {name.split(".")[0] for name in model.state_dict()} >= {"key_encoder", "key_head", "queue", "oldest"}


def test_keys_replace_the_oldest_ones_in_turn(tiny_encoder: Make) -> None:
    model = task(tiny_encoder(), queue=5)
    expected = [[-1.0] * 8] * 5
    samples = [-1] * 5
    model.queue.fill_(-1.0)
    place = 0
    for step, count in enumerate((2, 2, 3, 5, 7, 1)):
        keys = torch.arange(count * 8).view(count, 8) + 100.0 * step
        index = torch.arange(count) + 10 * step
        model._enqueue(keys, index)
        for row, sample in zip(keys.tolist(), index.tolist(), strict=True):
            expected = [*expected[:place], row, *expected[place + 1 :]]
            samples = [*samples[:place], sample, *samples[place + 1 :]]
            place = (place + 1) % 5
        assert model.queue.tolist() == expected, step
        assert model.sample_of.tolist() == samples
        assert int(model.oldest) == place


def test_keys_enter_the_queue_after_the_step_and_never_from_held_out_data(tiny_encoder: Make) -> None:
    model = task(tiny_encoder())
    start = model.queue.clone()
    parts = [model.pseudo_label(batch(4), generator(part)) for part in range(2)]
    keys = []
    for example in parts:  # as with --accumulate 2
        prediction = model(example)
        model.loss(prediction, example)
        keys.append(nn.functional.normalize(prediction.keys, dim=1))
        assert torch.equal(model.queue, start)
    model.after_step(0, 10)
    assert torch.equal(model.queue[:8], torch.cat(keys))
    assert torch.equal(model.queue[8:], start[8:])
    assert model.sample_of.tolist() == [100, 101, 102, 103] * 2 + [-1] * 8
    model.eval()
    model.loss(model(parts[0]), parts[0])
    model.after_step(1, 10)
    assert torch.equal(model.queue[:8], torch.cat(keys))


def test_guard_a_query_and_its_key_are_normalised_with_different_images(tiny_encoder: Make) -> None:
    """Which images change an embedding: those of its sub-batch."""
    n = 32

    def neighbours(splits: int) -> tuple[Tensor, Tensor]:
        model = task(tiny_encoder(), splits=splits)
        example = model.pseudo_label(batch(n), generator(0))
        with torch.no_grad():
            before = model(example)
            changed = {"queries": torch.zeros(n, n), "keys": torch.zeros(n, n)}
            for row in range(n):
                for name, matrix in changed.items():
                    views = getattr(example, name).clone()
                    views[row] *= 2
                    after = model(Example(**{**vars(example), name: views}))
                    difference = (getattr(after, name) - getattr(before, name)).abs().amax(1)
                    matrix[:, row] = (difference > 1e-5).float()
        return changed["queries"].bool(), changed["keys"].bool()

    queries, keys = neighbours(8)
    assert queries.sum(1).tolist() == [4] * n
    assert keys.sum(1).tolist() == [4] * n
    shared = (queries & keys).sum(1) - 1
    assert float(shared.float().mean()) < 1
    queries, keys = neighbours(1)
    assert bool((queries & keys).all())


class Statistics(Encoder):
    """Sees nothing but the statistics of its batch: what batch normalisation makes of a black pixel."""

    name, kind, num_features, stages = "statistics", "image", 3, ("norm",)

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)

    def forward_stages(self, x: Tensor) -> dict[str, Tensor]:
        return {"norm": self.norm(nn.functional.pad(x, (1, 0)))[..., :1, :1]}

    def forward_features(self, x: Tensor) -> Tensor:
        return self.forward_stages(x)["norm"]

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_features(x).flatten(1)


def test_guard_statistics_of_the_batch_do_not_find_the_key() -> None:
    images = synthetic_images(300, 40)

    def found_by_statistics(splits: int) -> float:
        model = task(Statistics(), splits=splits, queue=512, jitter=0.0, grey=0.0, blur=0.0)
        accuracies = []
        for step in range(24):
            rows = torch.randperm(len(images), generator=generator("rows", step))[:64]
            example = model.pseudo_label(Batch(index=rows, inputs={"image": images[rows]}), generator("train", step))
            with torch.no_grad():
                accuracies.append(float(model.loss(model(example), example)["accuracy"]))
            model.after_step(step, 24)
        return sum(accuracies[8:]) / 16

    assert found_by_statistics(1) > 0.5
    assert found_by_statistics(8) < 0.1


def test_learns_to_find_the_key_in_seconds(tiny_encoder: Make) -> None:
    images = synthetic_images(200, 40)
    plain = {"min_scale": 0.5, "jitter": 0.3, "grey": 0.0, "blur": 0.0}
    model = task(tiny_encoder(), queue=64, hidden=64, embedding=32, splits=4, momentum=0.9, **plain)
    optimizer = build_optimizer(model, "adamw", 2e-3, 0.0)
    learning, held_out = images[40:], images[:40]

    def look() -> tuple[float, float]:
        model.eval()
        found = [scalar_of(model, held_out, name) for name in ("loss", "accuracy")]
        model.train()
        return found[0], found[1]

    def step(number: int, *, learns: bool) -> None:
        rows = torch.randperm(len(learning), generator=generator("rows", number))[:32]
        example = model.pseudo_label(Batch(index=rows, inputs={"image": learning[rows]}), generator("train", number))
        with torch.set_grad_enabled(learns):
            loss = model.loss(model(example), example)["loss"]
        if learns:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.after_step(number, 60)

    for number in range(20):  # random weights, with a queue full of their keys
        step(number, learns=False)
    loss, accuracy = look()
    for number in range(60):
        step(number, learns=True)
    learned_loss, learned_accuracy = look()
    assert learned_loss < loss - 0.5
    assert learned_accuracy > accuracy + 0.1


def test_a_resumed_run_goes_on_with_the_same_queue(tmp_path: Path) -> None:
    settings = {"task": "moco", "task_settings": {"queue": 20, "hidden": 8, "embedding": 8}}
    whole = train(config(tmp_path / "whole", **settings))
    with stopped_before(5):
        train(config(tmp_path / "run", **settings))
    assert_same_run(whole, train(config(tmp_path / "run", **settings, resume=True)), "metrics.csv", "heldout.csv")
    tensors, _ = load_checkpoint(whole / "checkpoints" / "last.safetensors")
    assert int(tensors["task.oldest"]) == 6 * 8 % 20
    assert int(tensors["task.sample_of"].min()) >= 0


def small_task() -> MoCo:
    torch.manual_seed(0)
    return task(TinyEncoder(), splits=4).double()


def whole_example() -> Example:
    """Of the 16 images of both processes."""
    example = small_task().pseudo_label(batch(16), generator("views"))
    return Example(example.queries.double(), example.keys.double(), example.draws.double(), example.index)


def two_steps(model: MoCo, forward: Callable[[Example], Prediction], example: Example) -> tuple[Tensor, Tensor]:
    """The losses (2,) of two steps, between which the queue and the momentum encoder change, and the last gradient."""
    losses = []
    for step in range(2):
        model.zero_grad()
        loss = model.loss(forward(example), example)["loss"]
        loss.backward()
        losses.append(loss.detach())
        with torch.no_grad():
            for p in model.parameters():
                if p.grad is not None:
                    p.sub_(0.1 * p.grad)
        model.after_step(step, 10)
    return torch.stack(losses), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def work(rank: int, port: int, out: str) -> None:
    join_group(rank, port)
    model = small_task()
    part = Example(**{name: rows[8 * rank : 8 * rank + 8] for name, rows in vars(whole_example()).items()})
    losses, gradient = two_steps(model, DistributedDataParallel(model), part)
    dist.all_reduce(losses)
    torch.save({"losses": losses / 2, "gradient": gradient, "queue": model.queue}, f"{out}{rank}")
    dist.destroy_process_group()


def test_two_processes_give_the_loss_gradient_and_queue_of_one(tmp_path: Path) -> None:
    """Sub-batches are of the global batch, so keys of one process are encoded by the other."""
    in_two_processes(work, str(tmp_path / "of"))
    model = small_task()
    losses, gradient = two_steps(model, model, whole_example())
    for rank in range(2):
        found = torch.load(tmp_path / f"of{rank}", weights_only=True)
        assert torch.allclose(found["losses"], losses, rtol=1e-6)
        assert torch.allclose(found["gradient"], gradient, rtol=1e-4, atol=1e-8)
        assert torch.allclose(found["queue"], model.queue, atol=1e-8)


def test_show_gives_the_key_and_what_was_found(tiny_encoder: Make) -> None:
    model = task(tiny_encoder()).eval()
    example = model.pseudo_label(batch(6), generator(0))
    shown = model.show(example, Prediction(torch.eye(6, 8), torch.eye(6, 8)[[1, 0, 2, 3, 4, 5]]), 4)
    assert len(shown) == 4
    first, second = denormalise(example.queries), denormalise(example.keys)
    for number, found in enumerate((1, 0, 2, 3)):
        assert torch.equal(shown[number].inputs[0], first[number])
        assert torch.equal(shown[number].pseudo_label, second[number])  # type: ignore[arg-type]
        assert torch.equal(shown[number].prediction, second[found])  # type: ignore[arg-type]


def test_version_1_has_a_linear_head(tiny_encoder: Make) -> None:
    assert isinstance(task(tiny_encoder(), hidden=0).head, nn.Linear)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"queue": 0}, "--task.queue must be at least 1, got 0"),
        ({"momentum": 1.0}, r"--task.momentum must be in \[0, 1\), got 1"),
        ({"temperature": 0.0}, "--task.temperature must be above 0, got 0"),
        ({"splits": 0}, "--task.splits must be at least 1, got 0"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MoCo.Config(**settings)
