"""Anchors, candidates and what is ignored."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from torch import nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList

from selftaught.core.randomness import generator
from selftaught.evaluation.dense.detector_heads import (
    SHAPES,
    Anchors,
    Drawn,
    ProposalNetwork,
    anchor_sizes,
    covered,
    last_side,
    make_pooler,
    make_proposals,
)

IMAGES = ImageList(torch.zeros(2, 3, 64, 96), [(64, 96), (60, 90)])


def test_published_anchors_at_the_published_side() -> None:
    assert anchor_sizes(800, (4, 8, 16, 32, 64)) == [[32], [64], [128], [256], [512]]
    assert anchor_sizes(800, (16,)) == [[32, 64, 128, 256, 512]]
    small = anchor_sizes(128, (4, 8, 16, 32, 64))
    assert [len(sizes) for sizes in small] == [4, 4]
    assert small[0] == pytest.approx([5.12, 10.24, 20.48, 40.96])
    assert max(small[-1]) == pytest.approx(81.92)
    for size, strides in product((32, 128, 300, 800), ((2, 4, 8), (4, 8, 16, 32, 64), (16, 32), (8,))):
        every = anchor_sizes(size, strides)
        assert 1 <= len(every) <= len(strides)
        assert len({len(sizes) for sizes in every}) == 1
        assert {s for sizes in every for s in sizes} == {a * size / 800 for a in (32, 64, 128, 256, 512)}


def test_anchors_equal_torchvisions_but_for_its_rounding() -> None:
    sizes, strides = [[16.0, 32.0], [32.0, 64.0]], [8, 16]
    maps = [torch.zeros(2, 1, 8, 12), torch.zeros(2, 1, 4, 6)]
    theirs = AnchorGenerator(tuple(tuple(s) for s in sizes), (SHAPES,) * 2)
    theirs.cell_anchors = [
        torch.tensor(
            [[-s / math.sqrt(r), -s * math.sqrt(r), s / math.sqrt(r), s * math.sqrt(r)] for r in SHAPES for s in level]
        )
        / 2
        for level in sizes
    ]
    ours = Anchors(sizes, strides)(IMAGES, maps)
    for mine, wanted in zip(ours, theirs(IMAGES, maps), strict=True):
        torch.testing.assert_close(mine, wanted)
    assert len(ours[0]) == (8 * 12 + 4 * 6) * 6


def test_candidates_are_drawn_as_asked_and_by_the_generator_alone() -> None:
    labels = [torch.tensor([1.0] * 5 + [0.0] * 50 + [-1.0] * 9), torch.tensor([2, 0, 0, 3] * 10)]
    before = torch.get_rng_state()
    positive, negative = Drawn(20, 0.5, generator(0))(labels)
    again = Drawn(20, 0.5, generator(0))(labels)
    assert torch.equal(before, torch.get_rng_state())
    assert [int(mask.sum()) for mask in positive] == [5, 10]
    assert [int(mask.sum()) for mask in negative] == [15, 10]
    for each, right, wrong in zip(labels, positive, negative, strict=True):
        assert bool((each[right] >= 1).all())
        assert bool((each[wrong] == 0).all())
    assert all(torch.equal(a, b) for a, b in zip(positive + negative, again[0] + again[1], strict=True))
    assert not torch.equal(negative[0], Drawn(20, 0.5, generator(1))(labels)[1][0])


def test_what_is_covered() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [5, 0, 15, 10], [40, 40, 50, 50], [0, 0, 100, 100]])
    assert covered(boxes, torch.tensor([[0.0, 0, 12, 12], [41, 40, 60, 60]])).tolist() == [True, False, True, False]
    assert covered(boxes, torch.zeros(0, 4)).tolist() == [False] * 4


def test_what_is_in_a_region_to_be_ignored_is_neither_object_nor_background() -> None:
    network = make_proposals(nn.Identity(), Anchors([[8.0]], [8]), generator(0), 10, "32-true")
    assert isinstance(network, ProposalNetwork)
    anchors = Anchors([[8.0]], [8])(IMAGES, [torch.zeros(2, 1, 8, 12)])
    target = {"boxes": torch.tensor([[4.0, 4, 12, 12]]), "labels": torch.tensor([1])}
    plain = target | {"ignore": torch.zeros(0, 4)}
    region = torch.tensor([[30.0, 10, 90, 60]])
    (without, spared), _ = network.assign_targets_to_anchors(anchors, [plain, target | {"ignore": region}])
    inside = covered(anchors[1], region)
    assert 20 < inside.sum() < len(inside) - 20
    assert without.max() == spared.max() == 1
    assert bool((without[inside] == 0).all())
    assert bool((spared[inside] == -1).all())
    assert torch.equal(without[~inside], spared[~inside])


def test_candidates_are_pooled_from_the_map_of_their_size() -> None:
    """FPN's equation 1: at stride 4, up to twice 56 pixels; its 224 belong to stride 16."""
    mapper = make_pooler([4, 8, 16, 32], 7).map_levels
    assert mapper is not None
    sides = torch.tensor([5.0, 56, 111, 113, 223, 225, 447, 449, 2000])
    boxes = torch.stack([torch.zeros(9), torch.zeros(9), sides, sides], 1)
    assert mapper([boxes]).tolist() == [0, 0, 0, 1, 1, 2, 2, 3, 3]


def test_candidates_for_the_last_layers_are_in_proportion_to_the_map() -> None:
    assert last_side(800, 16) == 14
    assert [last_side(size, 16) for size in (64, 128, 400, 600, 1600)] == [4, 4, 8, 10, 14]
    assert last_side(128, 4) == 8
