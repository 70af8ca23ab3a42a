"""The parts of the detector: maps of known stride, anchors, candidates, what is ignored, batches of pictures."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList

from selftaught.core.randomness import generator
from selftaught.data.annotations.dense_sample import DenseSample
from selftaught.encoders.base import Encoder
from selftaught.encoders.build import build_encoder
from selftaught.evaluation.dense.box_batches import Canvas, canvas_for, read_batch, training_batches
from selftaught.evaluation.dense.detector import Detector, build_detector
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
from selftaught.evaluation.dense.detector_necks import Pyramid, c4_stages, pyramid_stages
from selftaught.evaluation.dense.stage_maps import (
    StageMaps,
    Standardise,
    centre_kernels,
    layers_after,
    read_stages,
    settle_norms,
)
from selftaught.evaluation.dense.stage_maps import _as_map as as_map
from tests.evaluation.drawn_boxes import COLOURS, Squares, TinyEncoder

IMAGES = ImageList(torch.zeros(2, 3, 64, 96), [(64, 96), (60, 90)])


def tiny_detector(encoder: Encoder | None = None, **changes: Any) -> Detector:
    encoder = encoder or TinyEncoder().eval()
    settings: dict[str, Any] = {
        "num_classes": 2,
        "neck": "fpn",
        "stage": None,
        "is_frozen": False,
        "size": 64,
        "channels": 16,
        "hidden": 16,
        "rois": 16,
        "proposals": 20,
        "precision": "32-true",
        "seed": 0,
    }
    return build_detector(encoder, read_stages(encoder), **{**settings, **changes})


@pytest.mark.parametrize(
    ("name", "strides"),
    [
        ("alexnet", [4, 8, 16, 16, 16]),
        ("resnet18", [2, 4, 8, 16, 32]),
        ("googlenet", [2, 4, 8, 16, 32]),
        ("split:alexnet", [4, 8, 16, 16, 16]),
        ("timm:vit_tiny_patch16_224", [16] * 12),
    ],
)
def test_strides_are_those_of_the_network(name: str, strides: list[int]) -> None:
    encoder = build_encoder(name, size=128).eval()
    centre_kernels(encoder)
    found = read_stages(encoder).stages
    assert [stage.stride for stage in found] == strides
    x = torch.randn(1, 3, 64, 128, generator=generator(0))
    with torch.no_grad():
        maps = encoder.forward_stages(x)
    for stage in found:
        value = as_map(maps[stage.name], 64, 128, stage.stride)
        assert value.shape == (1, stage.channels, 64 / stage.stride, 128 / stage.stride)


def test_tokens_lie_row_by_row_behind_class_tokens() -> None:
    tokens = torch.arange(2 + 3 * 5, dtype=torch.float32).view(1, -1, 1)
    value = as_map(tokens, 48, 80, 16)
    assert value.shape == (1, 1, 3, 5)
    assert value[0, 0, 1, 2] == 2 + 5 + 2


@pytest.mark.parametrize("name", ["alexnet", "googlenet"])
def test_the_first_position_looks_at_the_corner(name: str) -> None:
    """Where receptive fields lie, by the arithmetic of convolutions (Dumoulin & Visin 2016)."""
    encoder = build_encoder(name, size=64)
    plain = [m for m in encoder.modules() if isinstance(m, nn.MaxPool2d) and m.padding == 0 and m.kernel_size == 3]
    assert plain
    centre_kernels(encoder)
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d | nn.MaxPool2d):
            kernel, padding = (
                value if isinstance(value, int) else int(value[0]) for value in (module.kernel_size, module.padding)
            )
            assert kernel % 2 == 0 or padding == (kernel - 1) / 2


def test_centred_kernels_see_the_same_inside() -> None:
    """AlexNet's first position of conv1 has its middle at pixel 3 (2 of padding, 11 wide), and now at pixel 0."""
    plain, centred = (build_encoder("alexnet", size=64).eval() for _ in range(2))
    centred.load_state_dict(plain.state_dict())
    centre_kernels(centred)
    x = torch.randn(1, 3, 96, 96, generator=generator(1))
    with torch.no_grad():
        before = plain.forward_stages(x)["conv1"]
        after = centred.forward_stages(x.roll((-3, -3), (2, 3)))["conv1"]
    torch.testing.assert_close(before[..., 4:-4, 4:-4], after[..., 4 : before.shape[2] - 4, 4 : before.shape[3] - 4])


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("resnet18", "layer3"),
        ("resnet18", "conv1"),
        ("alexnet", "conv3"),
        ("googlenet", "inception4"),
        ("vgg11", "conv4"),
    ],
)
def test_layers_after_a_stage_lead_to_the_last(name: str, stage: str) -> None:
    encoder = build_encoder(name, size=64).eval()
    layers = layers_after(encoder, stage)
    assert layers is not None
    with torch.no_grad():
        maps = {key: value.clone() for key, value in encoder.forward_stages(torch.randn(2, 3, 64, 64)).items()}
        torch.testing.assert_close(layers(maps[stage]), maps[encoder.stages[-1]])
    assert layers_after(encoder, encoder.stages[-1]) is None


def test_stages_that_are_read() -> None:
    resnet = build_encoder("resnet18", size=64).eval()
    reading = read_stages(resnet)
    assert [stage.name for stage in pyramid_stages(reading, 128)] == ["layer1", "layer2", "layer3", "layer4"]
    assert [stage.name for stage in pyramid_stages(reading, 1600)] == ["layer2", "layer3", "layer4"]
    assert [stage.name for stage in c4_stages(resnet, reading, None)] == ["layer3", "layer4"]
    assert [stage.name for stage in c4_stages(resnet, reading, "layer4")] == ["layer4"]
    with pytest.raises(ValueError, match=r"--probe.stage: unknown stage 'layer5'; did you mean"):
        c4_stages(resnet, reading, "layer5")
    alexnet = build_encoder("alexnet", size=64).eval()
    centre_kernels(alexnet)
    assert [stage.name for stage in pyramid_stages(read_stages(alexnet), 128)] == ["conv1", "conv2", "conv5"]
    assert [stage.name for stage in c4_stages(alexnet, read_stages(alexnet), None)] == ["conv5"]


def test_encoders_of_clips_are_refused() -> None:
    with pytest.raises(ValueError, match="encoder 'r3d_18' takes video, but this probe needs one that takes pictures"):
        read_stages(build_encoder("r3d_18", size=32))


def test_channels_are_standardised_by_what_they_have_on_pictures() -> None:
    encoder = TinyEncoder().eval()
    maps = StageMaps(encoder, read_stages(encoder).stages, is_frozen=True, precision="32-true").eval()
    batches = [5 + 3 * torch.randn(4, 3, 32, 32, generator=generator(i)) for i in range(3)]
    maps.calibrate(batches)
    found = [maps(x) for x in batches]
    for name in encoder.stages:
        values = torch.cat([each[name] for each in found]).transpose(0, 1).flatten(1)
        raw = torch.cat([encoder.forward_stages(x)[name] for x in batches]).transpose(0, 1).flatten(1)
        lively = raw.std(1) > 0.1 * raw.std(1).mean()
        assert lively.sum() >= 4
        torch.testing.assert_close(values.mean(1), torch.zeros(len(values)), atol=1e-3, rtol=0)
        torch.testing.assert_close(
            values[lively].std(1, correction=0), torch.ones(int(lively.sum())), atol=1e-2, rtol=0
        )
        standardise = maps.standardise[encoder.stages.index(name)]
        assert isinstance(standardise, Standardise)
        torch.testing.assert_close(standardise.undo(found[0][name]), encoder.forward_stages(batches[0])[name])


def test_norms_of_random_weights_settle_on_the_pictures() -> None:
    encoder = TinyEncoder().eval()
    x = 5 + 3 * torch.randn(16, 3, 32, 32, generator=generator(0))
    settle_norms(encoder, [x])
    value = encoder.layers[0][:2](x)  # type: ignore[index]
    torch.testing.assert_close(value.mean((0, 2, 3)), torch.zeros(8), atol=1e-3, rtol=0)
    torch.testing.assert_close(value.std((0, 2, 3)), torch.ones(8), atol=1e-2, rtol=0)
    assert not any(module.training for module in encoder.modules())


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


def test_what_lies_in_a_region_to_be_ignored_is_neither_object_nor_background() -> None:
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


def test_no_candidate_of_an_ignored_region_teaches_the_boxes() -> None:
    heads = tiny_detector().roi_heads
    proposals = [torch.tensor([[30.0, 10, 50, 30], [0, 0, 20, 20], [35, 15, 60, 40]])]
    target = {"boxes": torch.tensor([[0.0, 0, 18, 18]]), "labels": torch.tensor([2])}
    region = torch.tensor([[28.0, 8, 70, 70]])
    kept, _, labels, _ = heads.select_training_samples(list(proposals), [target | {"ignore": region}])
    assert kept[0].tolist() == [[0, 0, 20, 20], [0, 0, 18, 18]]
    assert labels[0].tolist() == [2, 2]
    kept, _, labels, _ = heads.select_training_samples(list(proposals), [target | {"ignore": torch.zeros(0, 4)}])
    assert len(kept[0]) == 4


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


def test_an_encoder_of_one_stride_gives_four_maps() -> None:
    encoder = build_encoder("timm:vit_tiny_patch16_224", size=64).eval()
    (stage,) = pyramid_stages(read_stages(encoder), 64)
    pyramid = Pyramid([stage], 8, "32-true")
    maps = pyramid({stage.name: torch.randn(1, 192, 4, 6)})
    assert {name: tuple(value.shape[1:]) for name, value in maps.items()} == {
        "0": (8, 16, 24),
        "1": (8, 8, 12),
        "2": (8, 4, 6),
        "3": (8, 2, 3),
        "pool": (8, 1, 2),
    }
    assert pyramid.all_strides == (4, 8, 16, 32, 64)


def test_weights_are_drawn_by_the_seed() -> None:
    before = torch.get_rng_state()
    first, second, other = (tiny_detector(seed=seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert not torch.equal(first["roi_heads.box_head.head.fc6.weight"], other["roi_heads.box_head.head.fc6.weight"])


@pytest.mark.parametrize("neck", ["fpn", "c4"])
def test_losses_reach_what_is_trained_and_nothing_else(neck: str) -> None:
    encoder = build_encoder("resnet18", size=64).eval()
    detector = tiny_detector(encoder, neck=neck, is_frozen=True).train()
    assert not encoder.training
    target = {"boxes": torch.tensor([[4.0, 4, 30, 30]]), "labels": torch.tensor([1]), "ignore": torch.zeros(0, 4)}
    losses = detector.losses(torch.randn(1, 3, 64, 64), [(64, 64)], [target])
    assert sorted(losses) == ["loss_box_reg", "loss_classifier", "loss_objectness", "loss_rpn_box_reg"]
    torch.stack(list(losses.values())).sum().backward()
    trained = {name for name, p in detector.named_parameters() if p.requires_grad}
    assert {name for name, p in detector.named_parameters() if p.grad is not None} == trained
    assert not any(name.startswith("maps.") for name in trained)
    last = {name for name in trained if ".layers." in name}
    assert bool(last) == (neck == "c4")
    assert not any(".bn" in name for name in trained)


def test_pictures_and_boxes_are_resized_and_mirrored_together() -> None:
    samples = Squares(4, 0)
    canvas = Canvas(size=120, multiple=32, least=1)
    batch = read_batch(samples, [0, 1, 2], canvas, [False, True, True])
    assert batch.sizes == [(120, 160)] * 3
    assert batch.images.shape == (3, 3, 128, 160)
    assert batch.scales[0] == (2.0, 2.0)
    assert bool((batch.images[:, :, 120:] == 0).all())
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    for image, target in zip(batch.images, batch.targets, strict=True):
        rows: list[list[int]] = target["boxes"].long().tolist()
        for (left, top, right, bottom), label in zip(rows, target["labels"], strict=True):
            colour = (COLOURS[label - 1] / 255 - mean) / deviation
            inside = image[:, top + 3 : bottom - 3, left + 3 : right - 3]
            around = image[:, top - 4 : top - 2, left:right]
            torch.testing.assert_close(inside, colour[:, None, None].expand_as(inside))
            assert around.numel() == 0 or bool((around - colour[:, None, None]).abs().amax(0).min() > 0.3)


def test_boxes_to_ignore_are_apart() -> None:
    class One(Squares):
        def read(self, i: int) -> DenseSample:
            return DenseSample(
                image=torch.zeros(3, 60, 80, dtype=torch.uint8),
                boxes=torch.tensor([[0.0, 0, 10, 10], [20, 20, 40, 40]]),
                labels=torch.tensor([1, 0]),
                ignore=torch.tensor([True, False]),
            )

    (target,) = read_batch(One(1, 0), [0], Canvas(size=60, multiple=1, least=1), [True]).targets
    assert target["boxes"].tolist() == [[40, 20, 60, 40]]
    assert target["labels"].tolist() == [1]
    assert target["ignore"].tolist() == [[70, 0, 80, 10]]


def test_long_pictures_are_made_smaller_and_one_sided_encoders_get_a_square() -> None:
    canvas = Canvas(size=120, multiple=32, least=1)
    assert canvas.scale(100, 100) == 1.2
    assert 100 * 10 * canvas.scale(100, 1000) == pytest.approx(120 * 1333 / 800)
    square = Canvas(size=96, multiple=1, least=96, side=96)
    assert square.scale(48, 192) == 0.5
    assert square.shape([(24, 96), (96, 50)]) == (96, 96)


def test_every_picture_comes_once_before_any_comes_twice() -> None:
    canvas = Canvas(size=60, multiple=1, least=1)
    samples = Squares(6, 0)

    def shown(seed: int) -> list[Tensor]:
        return [batch.images for batch in training_batches(samples, canvas, steps=5, batch_size=2, seed=seed)]

    plain = [read_batch(samples, [i], canvas, [False]).images[0] for i in range(6)]

    def which(images: Tensor) -> list[int]:
        same = [[torch.equal(image, p) or torch.equal(image.flip(2), p) for p in plain] for image in images]
        assert all(sum(row) == 1 for row in same)
        return [row.index(True) for row in same]

    first = shown(0)
    assert sorted(i for images in first[:3] for i in which(images)) == list(range(6))
    assert all(torch.equal(a, b) for a, b in zip(first, shown(0), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, shown(1), strict=True))
    mirrored = [not any(torch.equal(image, p) for p in plain) for images in first for image in images]
    assert len(set(mirrored)) == 2


def test_canvas_has_whole_positions() -> None:
    resnet, vit = (build_encoder(name, size=64).eval() for name in ("resnet18", "timm:vit_tiny_patch16_224"))
    for encoder in (resnet, vit):
        assert canvas_for(encoder, read_stages(encoder), 64).multiple == 32
    alexnet = build_encoder("alexnet", size=64).eval()
    reading = read_stages(alexnet)
    with pytest.raises(ValueError, match=r"encoder 'alexnet' needs pictures of at least 31 pixels, got --probe.size"):
        canvas_for(alexnet, reading, 20)
