from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import selftaught
from selftaught.core.randomness import generator
from selftaught.data.batch import Batch
from selftaught.encoders.base import Encoder
from selftaught.tasks.base import Known, Refreshed
from selftaught.tasks.context.clustering import Clustering, balanced_order
from selftaught.training.optimizers import build_optimizer
from tests.tasks.clips import check_run, crossings

Make = Callable[[], Encoder]


def whole(pictures: torch.Tensor) -> Batch:
    """A batch of all images."""
    return Batch(index=torch.arange(len(pictures)), inputs={"image": pictures})


def images(n: int = 60, kinds: int = 3, side: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    """Stripes of `kinds` widths and directions under noise, and the kind of each."""
    kind = torch.arange(n) % kinds
    place = torch.arange(side).float()
    waves = [torch.sin(place / 1.5)[:, None], torch.sin(place / 1.5)[None], torch.sin(place / 4)[:, None]]
    pictures = torch.stack([127 + 90 * waves[k].expand(side, side) for k in kind.tolist()])[:, None]
    noise = torch.randn(n, 3, side, side, generator=generator("noise")) * 12
    return (pictures + noise).clamp(0, 255).byte(), kind


def task(make: Make, **settings: Any) -> Clustering:
    return Clustering(make(), Clustering.Config(**{"clusters": 3, "min_scale": 0.5, **settings}), 32)


@torch.no_grad()
def known_of(model: Clustering, pictures: torch.Tensor, kind: torch.Tensor | None) -> Known:
    model.eval()
    features = model.embed(whole(pictures))
    model.train()
    return Known(index=torch.arange(len(pictures)) * 2, features=features, labels=kind)


def refreshed(model: Clustering, pictures: torch.Tensor, kind: torch.Tensor | None = None, seed: int = 0) -> Refreshed:
    """Samples have even numbers."""
    with torch.no_grad():
        return model.before_epoch(known_of(model, pictures, kind), 200, generator("epoch", seed))


def test_the_label_is_the_cluster_of_the_sample(tiny_encoder: Make) -> None:
    pictures, kind = images()
    model = task(tiny_encoder)
    made = refreshed(model, pictures, kind)
    assert set(made.scalars) == {"clusters", "largest_share", "nmi_before", "nmi_labels"}
    assert made.scalars["clusters"] == 3
    assert made.scalars["nmi_before"] == 0
    assert model.cluster_of.tolist()[1::2] == [-1] * 59  # numbers of no sample
    rows = torch.tensor([4, 0, 9])
    batch = Batch(index=rows * 2, inputs={"image": pictures[rows]})
    example = model.pseudo_label(batch, generator(0))
    assert example.images.shape == (3, 3, 32, 32)
    white = (known_of(model, pictures, None).features - model.mean) @ model.whitening
    white = white / white.norm(dim=1, keepdim=True)
    expected = [min(range(3), key=lambda k: float((white[r] - model.centroids[k]).norm())) for r in rows.tolist()]
    assert example.cluster.tolist() == expected
    assert torch.equal(example.images, model.pseudo_label(batch, generator(0)).images)
    assert not torch.equal(example.images, model.pseudo_label(batch, generator(1)).images)


def test_loss_is_the_mean_cross_entropy_over_the_clusters_there_are(tiny_encoder: Make) -> None:
    pictures, _ = images(100)
    model = task(tiny_encoder, clusters=50)
    refreshed(model, pictures)
    assert len(model.centroids) == 5  # 20 samples each
    assert model.chance(8) == 1 / 5
    example = model.pseudo_label(Batch(index=torch.arange(6) * 2, inputs={"image": pictures[:6]}), generator(0))
    logits = model(example).detach()
    assert logits.shape == (6, 5)
    total = 0.0
    for row, cluster in zip(logits.tolist(), example.cluster.tolist(), strict=True):
        total -= row[cluster] - math.log(sum(math.exp(x) for x in row))
    assert float(model.loss(logits, example)["loss"]) == pytest.approx(total / 6, rel=1e-5)


def test_guard_clusters_come_equally_often_whatever_their_size() -> None:
    labels = torch.tensor([0] * 90 + [2] * 7 + [3] * 3)  # cluster 1 is empty
    order = balanced_order(labels, 60, generator(0))
    assert torch.bincount(labels[order]).tolist() == [20, 0, 20, 20]
    often = torch.bincount(order, minlength=100)
    assert often[:90].max() == 1
    assert set(often[90:97].tolist()) == {2, 3}
    assert not torch.equal(order, balanced_order(labels, 60, generator(1)))
    # In random order: not one cluster after the other.
    assert int((labels[order].diff() != 0).sum()) > 20


def test_guard_the_order_that_is_read_is_balanced(tiny_encoder: Make) -> None:
    pictures, kind = images(80, kinds=2)
    lopsided = torch.cat([pictures[kind == 0], pictures[kind == 1][:4]])
    model = task(tiny_encoder, clusters=2)
    order = refreshed(model, lopsided).order
    assert order is not None
    assert len(order) == 200
    assert torch.bincount(model.cluster_of[order]).tolist() == [100, 100]


def test_guard_the_head_starts_anew(tiny_encoder: Make) -> None:
    pictures, _ = images()
    model = task(tiny_encoder, pca=4)
    refreshed(model, pictures)
    before = model.head.weight.detach().clone()
    with torch.no_grad():
        model.head.weight.fill_(7)
        model.head.bias.fill_(7)
    made = refreshed(model, pictures, seed=1)
    assert float(model.head.weight.detach().std()) == pytest.approx(0.01, rel=0.2)
    assert not bool(model.head.bias.any())
    assert not torch.equal(before, model.head.weight)
    assert made.scalars["nmi_before"] > 0.9  # the same features give the same groups


def test_held_out_samples_have_the_cluster_of_the_nearest_centroid(tiny_encoder: Make) -> None:
    pictures, _ = images()
    model = task(tiny_encoder)
    refreshed(model, pictures)
    expected = model.cluster_of[::2]
    model.eval()
    # Numbers of held-out samples are numbers of another list: they must not be looked up.
    example = model.pseudo_label(Batch(index=torch.zeros(60).long(), inputs={"image": pictures}), generator(0))
    assert example.cluster.tolist() == expected.tolist()


def test_learns_the_groups_of_held_out_images(tiny_encoder: Make) -> None:
    pictures, kind = images(160)
    model = task(tiny_encoder, pca=4)
    optimizer = build_optimizer(model, "sgd", 0.05, 0.0)
    made = refreshed(model, pictures[:120], kind[:120])
    assert made.order is not None
    for step in range(60):
        rows = made.order[torch.arange(step * 16, step * 16 + 16) % 200] // 2
        example = model.pseudo_label(Batch(index=rows * 2, inputs={"image": pictures[rows]}), generator("train", step))
        loss = model.loss(model(example), example)["loss"]
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            assert all(p.grad is not None and bool(p.grad.any()) for p in model.parameters())
        optimizer.step()
    again = refreshed(model, pictures[:120], kind[:120], seed=1)
    assert again.scalars["nmi_labels"] > 0.5, again
    for step in range(20):
        example = model.pseudo_label(
            Batch(index=torch.arange(32) * 2, inputs={"image": pictures[:32]}), generator("more", step)
        )
        optimizer.zero_grad()
        model.loss(model(example), example)["loss"].backward()
        optimizer.step()
    model.eval()
    example = model.pseudo_label(Batch(index=torch.arange(40), inputs={"image": pictures[120:]}), generator("test"))
    assert float(model.loss(model(example), example)["accuracy"]) > 0.6


def test_show_gives_images_and_words(tiny_encoder: Make) -> None:
    pictures, _ = images()
    model = task(tiny_encoder)
    refreshed(model, pictures)
    example = model.eval().pseudo_label(Batch(index=torch.arange(3), inputs={"image": pictures[:3]}), generator(0))
    shown = model.show(example, model(example), 8)
    assert len(shown) == 3
    assert str(shown[0].pseudo_label).startswith("cluster ")
    assert 0 <= float(shown[0].inputs[0].min()) <= float(shown[0].inputs[0].max()) <= 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"clusters": 1}, "--task.clusters must be at least 2, got 1"),
        ({"pca": 0}, "--task.pca must be at least 1, got 0"),
        ({"every": 0.0}, "--task.every must be above 0, got 0"),
        ({"min_scale": 2.0}, r"--task.min-scale must be in \(0, 1\], got 2"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Clustering.Config(**settings)


def test_clips_are_clustered_by_an_encoder_of_clips(tiny_clip_encoder: Make) -> None:
    """Upright and falling squares over one ground, which only their motion tells apart."""
    across = crossings(range(0, 48, 2), frames=4, side=32, square=10)[0]
    clips = torch.cat([across, across.transpose(-1, -2)])
    batch = Batch(index=torch.arange(48), inputs={"clip": clips})
    model = task(tiny_clip_encoder, frames=4, clusters=2).eval()
    features = model.embed(batch)
    with torch.no_grad():
        model.before_epoch(Known(index=batch.index, features=features, labels=None), 48, generator(0))
    model.train()
    example = model.pseudo_label(batch, generator(0))
    assert example.images.shape == (48, 3, 4, 32, 32)
    assert torch.equal(example.cluster, model.cluster_of[batch.index])
    assert sorted(example.cluster.unique().tolist()) == [0, 1]
    (shown,) = model.show(example, model(example), 1)
    assert shown.inputs[0].shape == (4, 3, 32, 32)


def test_a_folder_of_videos_is_clustered_and_embedded(tmp_path: Path, write_video: Any) -> None:
    run = check_run(
        tmp_path, write_video, "clustering",
        encoder="mean:timm:test_resnet", size=32, batch_size=2, task_settings={"frames": 2, "clusters": 2},
    )  # fmt: skip
    rows = list(csv.DictReader((run / "refresh.csv").read_text().splitlines()))
    assert {row["clusters"] for row in rows} <= {"1.0", "2.0"}
    found = selftaught.embed(run, tmp_path / "videos", out=tmp_path / "vectors.npz")
    assert (found["samples"], found["features"]) == (8, 96)
    with np.load(tmp_path / "vectors.npz", allow_pickle=False) as vectors:
        assert any(values.shape == (8, 96) for values in vectors.values())


def test_clips_need_an_encoder_of_clips(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="trains an encoder for clips, but 'resnet18' takes images"):
        selftaught.check_task("clustering", encoder="resnet18", size=32, task_settings={"frames": 2})
