from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from selftaught.core.randomness import generator
from selftaught.data.batch import Batch
from selftaught.encoders.base import Encoder
from selftaught.tasks.base import Known, Refreshed
from selftaught.tasks.context import graph_constraint
from selftaught.tasks.context.graph_constraint import GraphConstraint, in_turn, mine
from selftaught.tasks.parts.graph import cycle_pairs, geodesic_distances, nearest_neighbours
from selftaught.training.optimizers import build_optimizer

Make = Callable[[], Encoder]


def whole(pictures: torch.Tensor) -> Batch:
    """A batch of all images."""
    return Batch(index=torch.arange(len(pictures)), inputs={"image": pictures})


def images(n: int = 80, kinds: int = 3, side: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    """Stripes at 0, 45 or 90 degrees, which a mirror does not mix up, phases at random; and the kind of each."""
    kind = torch.arange(n) % kinds
    y, x = torch.meshgrid(torch.arange(side).float(), torch.arange(side).float(), indexing="ij")
    angle = kind[:, None, None] * math.pi / 4
    phase = torch.rand(n, 1, 1, generator=generator("phase")) * 2 * math.pi
    waves = torch.sin((x * angle.cos() + y * angle.sin()) / 1.6 + phase)
    noise = torch.randn(n, 3, side, side, generator=generator("noise")) * 20
    return (127 + 80 * waves[:, None] + noise).clamp(0, 255).byte(), kind


def task(make: Make, **settings: Any) -> GraphConstraint:
    torch.manual_seed(0)
    chosen = {"neighbours": 5, "hidden": 32, "min_scale": 0.6, **settings}
    return GraphConstraint(make(), GraphConstraint.Config(**chosen), 32)


@torch.no_grad()
def refreshed(
    model: GraphConstraint, pictures: torch.Tensor, kind: torch.Tensor | None = None, count: int = 160, seed: int = 0
) -> Refreshed:
    """Samples have even numbers."""
    model.eval()
    features = model.embed(whole(pictures))
    model.train()
    known = Known(index=torch.arange(len(pictures)) * 2, features=features, labels=kind)
    return model.before_epoch(known, count, generator("epoch", seed))


def batch_of(order: torch.Tensor, pictures: torch.Tensor) -> Batch:
    return Batch(index=order, inputs={"image": pictures[order // 2]})


def test_the_order_is_pairs_and_their_label_is_found_by_number(tiny_encoder: Make) -> None:
    pictures, kind = images()
    model = task(tiny_encoder)
    made = refreshed(model, pictures, kind)
    assert made.order is not None
    assert len(made.order) == 160
    example = model.pseudo_label(batch_of(made.order[:32], pictures), generator(0))
    assert example.views.shape == (32, 3, 32, 32)
    assert example.first.tolist() == list(range(0, 32, 2))
    assert example.second.tolist() == list(range(1, 32, 2))
    codes = {(min(a, b), max(a, b)) for a, b in made.order.view(-1, 2).tolist()}
    positive = {(code // 2**31, code % 2**31) for code in model.positives.tolist()}
    expected = [int((min(a, b), max(a, b)) in positive) for a, b in made.order[:32].view(-1, 2).tolist()]
    assert example.same.tolist() == expected
    every = torch.tensor([int(pair in positive) for pair in codes]).float().mean()
    assert 0.4 < float(every) < 0.6
    assert made.scalars["positives_of_one_class"] > 0.9
    assert made.scalars["images_in_pairs"] == len(made.order.unique()) / 80
    assert made.scalars["negatives_of_one_class"] < 0.2
    same = model.pseudo_label(batch_of(made.order[:32], pictures), generator(0))
    other = model.pseudo_label(batch_of(made.order[:32], pictures), generator(1))
    assert torch.equal(example.views, same.views)
    assert not torch.equal(example.views, other.views)
    again = refreshed(model, pictures, seed=1).order
    assert again is not None
    assert not torch.equal(made.order, again)


def test_loss_is_the_cross_entropy_of_both_features_of_a_pair(tiny_encoder: Make) -> None:
    pictures, _ = images()
    model = task(tiny_encoder)
    made = refreshed(model, pictures)
    assert made.order is not None
    model.encoder.eval()
    example = model.pseudo_label(batch_of(made.order[:8], pictures), generator(0))
    logits = model(example).detach()
    total = 0.0
    with torch.no_grad():
        for pair in range(4):
            z = [model.encoder(example.views[row : row + 1])[0] for row in (2 * pair, 2 * pair + 1)]
            scores = model.head(torch.cat(z)).tolist()
            assert scores == pytest.approx(logits[pair].tolist(), abs=1e-4)
            total -= scores[int(example.same[pair])] - math.log(sum(math.exp(s) for s in scores))
    assert float(model.loss(logits, example)["loss"]) == pytest.approx(total / 4, rel=1e-3)


def test_guard_an_image_comes_as_often_in_either_kind_of_pair() -> None:
    features = torch.randn(80, 6, generator=generator("features"))
    config = GraphConstraint.Config(neighbours=5)
    pairs = mine(features, 4000, config, generator(0))
    assert torch.equal(pairs.positive[:, 0], pairs.negative[:, 0])
    often = [torch.bincount(rows[:, 1], minlength=80).double() for rows in (pairs.positive, pairs.negative)]
    assert float(torch.corrcoef(torch.stack(often))[0, 1]) > 0.5
    assert bool((often[1][often[0] == 0] == 0).all())
    positive = {tuple(sorted(pair)) for pair in pairs.positive.tolist()}
    assert not positive & {tuple(sorted(pair)) for pair in pairs.negative.tolist()}
    assert bool((pairs.negative[:, 0] != pairs.negative[:, 1]).all())


def test_pairs_begin_with_every_image_that_has_one() -> None:
    """2,000 images, more than there are landmarks; half as many positive pairs as images begin with as many images."""
    features = torch.randn(2000, 6, generator=generator("features"))
    members = torch.from_numpy(cycle_pairs(nearest_neighbours(features, 5)[0], 4)).unique()
    pairs = mine(features, 1000, GraphConstraint.Config(neighbours=5), generator(0))
    assert len(members) > 1500
    assert len(pairs.positive[:, 0].unique()) == len(pairs.positive)
    assert len(pairs.positive) > 950
    every = mine(features, len(members), GraphConstraint.Config(neighbours=5), generator(0))
    assert len(every.positive[:, 0].unique()) > 0.95 * len(members)


def test_negatives_of_large_graphs_are_farther_than_most() -> None:
    """Distances from the nearest landmark say which images are in the farther half, seen from the image itself."""
    features = torch.randn(1500, 4, generator=generator("features"))
    neighbours, distances = nearest_neighbours(features, 6)
    pairs = mine(features, 300, GraphConstraint.Config(neighbours=6), generator(0))
    exact = torch.from_numpy(geodesic_distances(neighbours, distances, pairs.negative[:, 0].numpy()))
    middle = exact.median(1).values
    rows = torch.arange(len(exact))
    assert float((exact[rows, pairs.negative[:, 1]] >= middle).double().mean()) > 0.9
    assert float((exact[rows, pairs.positive[:, 1]] < middle).double().mean()) > 0.95


def test_images_take_turns() -> None:
    pairs = torch.tensor([[1, 5], [1, 6], [2, 7], [1, 8], [4, 9], [2, 3]])
    assert in_turn(pairs).tolist() == [[1, 5], [2, 7], [4, 9], [1, 6], [2, 3], [1, 8]]


def test_an_island_without_a_landmark_has_its_negatives_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_constraint, "LANDMARKS", 1)
    features = torch.cat([torch.randn(20, 3, generator=generator(i)) + 1000 * i for i in range(2)])
    pairs = mine(features, 400, GraphConstraint.Config(neighbours=4), generator(0))
    island = (pairs.negative >= 20).long()
    landmark = torch.bincount(island[:, 0][island[:, 0] == island[:, 1]], minlength=2)
    assert int((landmark > 0).sum()) == 1  # only on the landmark's own island two images can be far from each other
    assert len(island[:, 0].unique()) == 2


def test_guard_neighbours_are_found_without_colour(tiny_encoder: Make) -> None:
    pictures, _ = images(8)
    model = task(tiny_encoder)
    grey = (pictures.float() * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
    same_grey = grey.expand(-1, 3, -1, -1).round().byte()
    assert (
        torch.nn.functional.cosine_similarity(model.embed(whole(pictures)), model.embed(whole(same_grey))).min() > 0.99
    )


def test_larger_data_are_cut_into_graphs(tiny_encoder: Make) -> None:
    pictures, kind = images(160)
    model = task(tiny_encoder, part=60)
    made = refreshed(model, pictures, kind, count=120)
    assert made.order is not None
    assert len(made.order) == 120
    assert made.scalars["positives_of_one_class"] > 0.7


def test_learned_features_can_be_the_descriptor(tiny_encoder: Make) -> None:
    pictures, _ = images(12)
    model = task(tiny_encoder, descriptor="features").eval()
    assert model.embed(whole(pictures)).shape == (12, 64)
    assert task(tiny_encoder).embed(whole(pictures)).shape == (12, 324)


def test_an_odd_share_of_a_batch_would_tear_pairs(tiny_encoder: Make) -> None:
    pictures, _ = images()
    model = task(tiny_encoder)
    refreshed(model, pictures)
    with pytest.raises(ValueError, match="a device got 7 samples of a batch; give a --batch-size"):
        model.pseudo_label(batch_of(torch.arange(7) * 2, pictures), generator(0))
    held_out = model.eval().pseudo_label(batch_of(torch.arange(7) * 2, pictures), generator(0))
    assert held_out.same.tolist() == [1] * 7 + [0] * 7
    assert held_out.first.tolist() == list(range(7)) * 2
    assert held_out.second.tolist() == [7, 8, 9, 10, 11, 12, 13, 8, 9, 10, 11, 12, 13, 7]


def test_no_cycles_are_an_error(tiny_encoder: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model = task(tiny_encoder, neighbours=1, cycle=2)
    spread = torch.tensor([[0.0], [4.0], [7.0], [9.0], [10.0]])
    assert mine(spread, 4, model.config, generator(0)).found == 1
    monkeypatch.setattr(graph_constraint, "cycle_pairs", lambda *_: np.zeros((0, 2), np.int64))
    with pytest.raises(ValueError, match=r"no two of 5 images are on a cycle of at most 2 edges; raise --task.neigh"):
        mine(spread, 4, model.config, generator(0))


def test_learns_what_belongs_together(tiny_encoder: Make) -> None:
    pictures, kind = images(160)
    model = task(tiny_encoder)
    optimizer = build_optimizer(model, "sgd", 0.05, 0.0)
    made = refreshed(model, pictures[:120], kind[:120], count=640)
    assert made.order is not None
    for step in range(90):
        rows = made.order[torch.arange(step * 32, step * 32 + 32) % 640]
        example = model.pseudo_label(batch_of(rows, pictures), generator("train", step))
        loss = model.loss(model(example), example)["loss"]
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            assert all(p.grad is not None and bool(p.grad.any()) for p in model.parameters())
        optimizer.step()
    model.eval()
    example = model.pseudo_label(Batch(index=torch.arange(40), inputs={"image": pictures[120:]}), generator("test"))
    assert float(model.loss(model(example), example)["accuracy"]) > 0.75


def test_show_gives_both_images_and_words(tiny_encoder: Make) -> None:
    pictures, _ = images()
    model = task(tiny_encoder).eval()
    example = model.pseudo_label(Batch(index=torch.arange(8), inputs={"image": pictures[:8]}), generator(0))
    shown = model.show(example, model(example), 6)
    assert len(shown) == 6
    assert {s.pseudo_label for s in shown} == {"same", "different"}
    assert len(shown[0].inputs) == 2
    assert 0 <= float(shown[0].inputs[0].min()) <= float(shown[0].inputs[0].max()) <= 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cycle": 5}, "--task.cycle must be 2, 3 or 4, got 5"),
        ({"neighbours": 0}, "--task.neighbours must be at least 1, got 0"),
        ({"far": 1.0}, r"--task.far must be in \(0, 1\), got 1"),
        ({"every": 0.0}, "--task.every must be above 0, got 0"),
        ({"min_scale": 0.0}, "--task.min-scale must be in"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GraphConstraint.Config(**settings)
