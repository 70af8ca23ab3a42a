from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from selftaught import pretrain
from selftaught.core.randomness import generator
from selftaught.data.batch import Batch
from selftaught.encoders.base import Encoder
from selftaught.tasks.base import Known, Refreshed
from selftaught.tasks.context.deep_embedded_clustering import (
    DeepEmbeddedClustering,
    kappa,
    log_soft_assignment,
    target_distribution,
)
from selftaught.training.optimizers import build_optimizer

Make = Callable[[], Encoder]


def whole(pictures: torch.Tensor) -> Batch:
    """A batch of all images."""
    return Batch(index=torch.arange(len(pictures)), inputs={"image": pictures})


def images(n: int = 48, kinds: int = 3, side: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    """Images of one colour each, of three, under noise; and the kind of each."""
    kind = torch.arange(n) % kinds
    base = torch.tensor([[200.0, 60, 60], [60, 200, 60], [60, 60, 200]])[kind][:, :, None, None]
    pictures = base.expand(n, 3, side, side) + torch.randn(n, 3, side, side, generator=generator("noise")) * 10
    return pictures.clamp(0, 255).byte(), kind


def task(make: Make, **settings: Any) -> DeepEmbeddedClustering:
    chosen = {"clusters": 3, "embedding": 4, "width": 32, "restarts": 3, **settings}
    torch.manual_seed(0)
    return DeepEmbeddedClustering(make(), DeepEmbeddedClustering.Config(**chosen), 32)


@torch.no_grad()
def refreshed(model: DeepEmbeddedClustering, pictures: torch.Tensor, kind: torch.Tensor | None = None) -> Refreshed:
    """Samples have even numbers."""
    model.eval()
    features = model.embed(whole(pictures))
    model.train()
    known = Known(index=torch.arange(len(pictures)) * 2, features=features, labels=kind)
    return model.before_epoch(known, 100, generator("epoch"))


def clustering(make: Make, pictures: torch.Tensor, **settings: Any) -> DeepEmbeddedClustering:
    model = task(make, **settings)
    model.after_step(9, 10)
    refreshed(model, pictures)
    assert model.has_clusters
    return model


def test_soft_assignment_target_and_divergence_are_the_papers_equations(tiny_encoder: Make) -> None:
    z = torch.randn(7, 4, generator=generator(0)).tolist()
    mu = torch.randn(3, 4, generator=generator(1)).tolist()
    kernel = [[1 / (1 + sum((a - b) ** 2 for a, b in zip(x, m, strict=True))) for m in mu] for x in z]
    q = [[value / sum(row) for value in row] for row in kernel]
    f = [sum(row[j] for row in q) for j in range(3)]
    weight = [[row[j] ** 2 / f[j] for j in range(3)] for row in q]
    p = [[value / sum(row) for value in row] for row in weight]
    divergence = sum(p[i][j] * math.log(p[i][j] / q[i][j]) for i in range(7) for j in range(3))
    log_share = log_soft_assignment(torch.tensor(z), torch.tensor(mu))
    share = log_share.exp()
    target = target_distribution(share, share.sum(0))
    assert torch.allclose(share, torch.tensor(q), atol=1e-6)
    assert torch.allclose(target, torch.tensor(p), atol=1e-6)
    pictures, _ = images()
    model = clustering(tiny_encoder, pictures)
    example = model.pseudo_label(Batch(index=torch.arange(7) * 2, inputs={"image": pictures[:7]}), generator(0))
    example.target = target
    prediction = model(example)
    prediction.log_share = log_share
    assert float(model.loss(prediction, example)["loss"].detach()) == pytest.approx(divergence / 7, rel=1e-4)


def test_the_autoencoder_comes_first_and_does_not_see_all(tiny_encoder: Make) -> None:
    pictures, kind = images()
    model = task(tiny_encoder, corruption=0.3)
    made = refreshed(model, pictures, kind)
    assert not model.has_clusters
    assert made.order is None
    assert made.scalars == {"changed": 0, "largest_share": 0, "nmi_labels": 0}
    batch = Batch(index=torch.arange(6) * 2, inputs={"image": pictures[:6]})
    one, same, other = (model.pseudo_label(batch, generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(one.seen, same.seen)
    assert not torch.equal(one.seen, other.seen)
    hidden = one.seen == 0
    assert float(hidden.float().mean()) == pytest.approx(0.3, abs=0.02)
    assert torch.equal(one.seen[~hidden], one.picture[~hidden])
    prediction = model(one)
    scalars = model.loss(prediction, one)
    assert prediction.reconstruction is not None
    expected = (prediction.reconstruction - one.picture).square().mean()
    assert float(scalars["loss"].detach()) == pytest.approx(float(expected.detach()))
    assert float(scalars["agreement"]) == 0


def test_clusters_begin_at_the_first_epoch_after_the_autoencoders_share(tiny_encoder: Make) -> None:
    pictures, kind = images()
    model = task(tiny_encoder, autoencoder=0.5)
    model.after_step(3, 10)
    refreshed(model, pictures)
    assert len(model.targets) == 0
    model.after_step(4, 10)
    made = refreshed(model, pictures, kind)
    assert set(made.scalars) == {"changed", "largest_share", "nmi_labels"}
    assert model.targets.shape == (95, 3)
    assert torch.allclose(model.targets[::2].sum(1), torch.ones(48), atol=1e-5)
    assert model.centroids.detach().any()
    kept = model.centroids.detach().clone()
    assert refreshed(model, pictures).scalars["changed"] == 0
    assert torch.equal(kept, model.centroids)  # k-means gives the start, the gradient the rest


@pytest.mark.parametrize(
    ("steps", "settings"), [(6, {}), (6, {"autoencoder": 0.75}), (2, {}), (3, {"autoencoder": 0.0})]
)
def test_a_run_of_less_than_an_epoch_has_both_parts(steps: int, settings: dict[str, Any], tmp_path: Path) -> None:
    """51 of 60 samples are trained with, 8 in a step: an epoch has more than 6 steps."""
    settings = {"clusters": 3, "width": 32, "restarts": 2, **settings}
    out = tmp_path / "run"
    pretrain(
        "synthetic:N=60,side=32", task="deep_embedded_clustering", task_settings=settings, encoder="timm:test_resnet",
        size=32, batch_size=8, steps=steps, log_every=1, precision="32-true", accelerator="cpu", out=out,
    )  # fmt: skip
    with (out / "metrics.csv").open() as file:
        divergences = [float(row["divergence"]) for row in csv.DictReader(file)]
    begin = math.ceil(settings.get("autoencoder", 0.5) * steps)
    assert [value > 0 for value in divergences] == [step >= begin for step in range(steps)]
    with (out / "refresh.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == sorted({1, begin + 1})
    assert float(rows[-1]["changed"]) == 1
    assert 0 < float(rows[-1]["largest_share"]) <= 1


@pytest.mark.parametrize("reconstruction", [0.0, 10.0])
def test_every_parameter_has_a_gradient_in_both_parts(tiny_encoder: Make, reconstruction: float) -> None:
    """DistributedDataParallel waits for all of them; what rests has a gradient of 0."""
    pictures, _ = images()
    for model in (
        task(tiny_encoder, reconstruction=reconstruction),
        clustering(tiny_encoder, pictures, reconstruction=reconstruction),
    ):
        example = model.pseudo_label(Batch(index=torch.arange(16) * 2, inputs={"image": pictures[:16]}), generator(0))
        model.loss(model(example), example)["loss"].backward()
        assert all(p.grad is not None for p in model.parameters())
        moved = {
            name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None and bool(p.grad.any())
        }
        decoded = not model.has_clusters or reconstruction > 0
        assert moved == {"encoder", "head"} | ({"decoder"} if decoded else set()) | (
            {"centroids"} if model.has_clusters else set()
        )


def test_guard_targets_are_those_of_the_last_refresh_and_divide_by_the_clusters_size(tiny_encoder: Make) -> None:
    pictures, _ = images()
    model = clustering(tiny_encoder, pictures)
    batch = Batch(index=torch.tensor([4, 0]), inputs={"image": pictures[[2, 0]]})
    before = model.pseudo_label(batch, generator(0)).target
    assert torch.equal(before, model.targets[[4, 0]])
    with torch.no_grad():
        model.head.weight.mul_(-1)
    assert torch.equal(model.pseudo_label(batch, generator(0)).target, before)
    share = torch.tensor([[0.6, 0.4]])
    assert float(target_distribution(share, torch.tensor([90.0, 10.0]))[0, 0]) < 0.5  # the large cluster loses it


def test_guard_one_cluster_for_all_is_worth_nothing() -> None:
    first = torch.tensor([0, 0, 1, 1, 2, 2, 2, 0])
    second = torch.tensor([0, 1, 1, 1, 2, 0, 2, 0])
    observed = sum(int(a == b) for a, b in zip(first.tolist(), second.tolist(), strict=True)) / 8
    expected = sum(first.tolist().count(k) / 8 * second.tolist().count(k) / 8 for k in range(3))
    assert float(kappa(first, second, 3)) == pytest.approx((observed - expected) / (1 - expected))
    assert float(kappa(first, first, 3)) == pytest.approx(1)
    same = torch.zeros(8, dtype=torch.int64)
    assert float(kappa(same, same, 3)) == 0


def test_learns_clusters_that_hold_on_new_images(tiny_encoder: Make) -> None:
    pictures, kind = images(96)
    model = task(tiny_encoder, autoencoder=0.5)
    optimizer = build_optimizer(model, "sgd", 0.05, 0.0)
    scalars: dict[str, torch.Tensor] = {}
    errors, made = [], Refreshed(scalars={})
    for step in range(60):
        if step % 10 == 0:
            made = refreshed(model, pictures[:64], kind[:64])
        rows = torch.randperm(64, generator=generator("rows", step))[:16]
        example = model.pseudo_label(Batch(index=rows * 2, inputs={"image": pictures[rows]}), generator("train", step))
        scalars = model.loss(model(example), example)
        errors.append(float(scalars["reconstruction"]))
        optimizer.zero_grad()
        scalars["loss"].backward()
        optimizer.step()
        model.after_step(step, 60)
    assert errors[29] < errors[0] / 2
    assert errors[-1] == 0  # the decoder rests
    assert made.scalars["nmi_labels"] > 0.7, made
    model.eval()
    example = model.pseudo_label(Batch(index=torch.arange(32), inputs={"image": pictures[64:]}), generator("test"))
    with torch.no_grad():
        assert float(model.loss(model(example), example)["agreement"]) > 0.5


def test_show_gives_images_then_words(tiny_encoder: Make) -> None:
    pictures, _ = images()
    batch = Batch(index=torch.arange(3), inputs={"image": pictures[:3]})
    for model in (task(tiny_encoder).eval(), clustering(tiny_encoder, pictures).eval()):
        example = model.pseudo_label(batch, generator(0))
        with torch.no_grad():
            shown = model.show(example, model(example), 8)
        assert len(shown) == 3
        assert isinstance(shown[0].prediction, str if model.has_clusters else torch.Tensor)
        assert 0 <= float(shown[0].inputs[0].min()) <= float(shown[0].inputs[0].max()) <= 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"clusters": 1}, "--task.clusters must be at least 2, got 1"),
        ({"autoencoder": 1.0}, r"--task.autoencoder must be in \[0, 1\), got 1"),
        ({"corruption": -0.1}, "--task.corruption must be in"),
        ({"reconstruction": -1.0}, "--task.reconstruction must be at least 0, got -1"),
        ({"every": 0.0}, "--task.every must be above 0, got 0"),
        ({"min_scale": 0.0}, "--task.min-scale must be in"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DeepEmbeddedClustering.Config(**settings)


def test_more_clusters_than_samples_are_refused(tiny_encoder: Make) -> None:
    model = task(tiny_encoder, clusters=20)  # at the start, not when the autoencoder has had its share
    with pytest.raises(ValueError, match=r"--task.clusters 20 is more than the 5 training samples"):
        refreshed(model, images(5)[0])
