"""Depth, normals and contours: labels of crops, losses as loops, alignment in turns, and runs on rendered scenes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from selftaught.core.config import RunConfig
from selftaught.data.batch import Batch
from selftaught.encoders.base import Encoder
from selftaught.ops.colour import denormalise
from selftaught.tasks.semantic import synthetic_labels
from selftaught.tasks.semantic.synthetic_labels import (
    Example,
    SyntheticLabels,
    contours_loss,
    depth_loss,
    normals_loss,
)
from selftaught.training.train import train
from tests.data.test_second_source import write_photos
from tests.tasks.clips import check_halves, fit, judge, rng
from tests.training.stopping import assert_same_run, stopped_before

Config = SyntheticLabels.Config
Task = Callable[..., SyntheticLabels]


@pytest.fixture
def task(tiny_encoder: Callable[[], Encoder]) -> Task:
    def make(**settings: Any) -> SyntheticLabels:
        return SyntheticLabels(tiny_encoder(), Config(width=16, **settings), 32)

    return make


def balls(count: int, seed: int = 0, side: int = 32) -> Batch:
    """Spheres of random size and place before a wall, lit from the left; with all of their maps."""
    draw = rng(seed)
    y, x = torch.meshgrid(*(torch.arange(side) + 0.5,) * 2, indexing="ij")
    radius = 5 + 6 * torch.rand(count, 1, 1, generator=draw)
    middle = 10 + 12 * torch.rand(count, 2, 1, 1, generator=draw)
    dx, dy = (x - middle[:, 0]) / radius, (y - middle[:, 1]) / radius
    height = (1 - dx**2 - dy**2).clamp(min=0).sqrt()
    inside = height > 0
    normals = torch.stack([dx * inside, dy * inside, torch.where(inside, -height, -1.0)], 1)
    depth = torch.where(inside, 4 - 2 * height, 8.0)
    light = (0.3 - 0.5 * normals[:, 0]).clamp(0, 1) * torch.where(inside, 1.0, 0.5)
    padded = F.pad(inside.float(), (1, 1, 1, 1))
    near = torch.stack([padded[:, 1:-1, 2:], padded[:, 1:-1, :-2], padded[:, 2:, 1:-1], padded[:, :-2, 1:-1]])
    contours = (near != inside).any(0).byte()
    image = (255 * light)[:, None].expand(-1, 3, -1, -1).byte()
    inputs = {"image": image, "depth": depth, "normals": F.normalize(normals, dim=1), "contours": contours}
    return Batch(index=torch.arange(count), inputs=inputs)


def boxes_of(left: float, width: float) -> Callable[..., Tensor]:
    def boxes(n: int, *sizes: Any, **settings: Any) -> Tensor:
        return torch.tensor([0.0, left, 32, width]).expand(n, 4)

    return boxes


def test_a_mirrored_crop_mirrors_the_normals_too(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    given = balls(3)
    made = task()
    monkeypatch.setattr(synthetic_labels, "random_boxes", boxes_of(0, 32))
    plain = made.pseudo_label(given, rng())
    monkeypatch.setattr(synthetic_labels, "random_boxes", boxes_of(32, -32))
    mirrored = made.pseudo_label(given, rng())
    assert plain.depth.shape == (3, 16, 16)
    assert torch.equal(mirrored.contours, plain.contours.flip(2))
    # The nearest of two pixels is the other one in a mirrored crop.
    assert float((mirrored.depth - plain.depth.flip(2)).abs().mean()) < 0.15
    assert float((mirrored.normals[:, 0] + plain.normals[:, 0].flip(2)).abs().mean()) < 0.05
    assert float((mirrored.normals[:, 1] - plain.normals[:, 1].flip(2)).abs().mean()) < 0.05


def test_maps_are_cut_as_the_image_is_and_never_mixed(task: Task) -> None:
    """Depth is one of the two that there are, and where it is near the image is not the wall."""
    given = balls(8)
    given = given.using(
        depth=torch.where(given["depth"] < 8, 2.0, 0.0),
        image=(given["depth"] < 8)[:, None].expand(-1, 3, -1, -1).byte() * 255,
    )
    example = task(min_scale=0.3).pseudo_label(given, rng())
    assert set(example.depth.unique().tolist()) == {0.0, 2.0}
    bright = F.avg_pool2d(denormalise(example.images)[:, 0], 2)
    assert float(bright[example.depth == 2].mean()) > 0.9
    assert float(bright[example.depth == 0].mean()) < 0.1


def test_the_encoder_sees_one_channel_drawn_at_random(task: Task) -> None:
    given = balls(1)
    image = torch.zeros(40, 3, 32, 32, dtype=torch.uint8)
    image[:, 1], image[:, 2] = 100, 200
    given = Batch(
        index=torch.arange(40),
        inputs={n: image if n == "image" else one.expand(40, *one.shape[1:]) for n, one in given.inputs.items()},
    )
    seen = (255 * denormalise(task().pseudo_label(given, rng()).images)).round()
    assert set(seen.flatten(1).median(1).values.tolist()) == {0.0, 100.0, 200.0}
    colour = 255 * denormalise(task(grey=False).pseudo_label(given, rng()).images)
    assert (colour.mean((2, 3)) - torch.tensor([0.0, 100.0, 200.0])).abs().max() < 1
    assert SyntheticLabels.encoders_for(Config())["encoder"].sees == "grey"
    assert SyntheticLabels.encoders_for(Config(grey=False))["encoder"].sees == ""


def test_depth_loss_against_loops() -> None:
    found, depth = torch.randn(3, 4, 4, generator=rng(1)), 5 * torch.rand(3, 4, 4, generator=rng(2))
    depth[0, :2] = 0
    every = [math.log(d) for d in depth.flatten().tolist() if d > 0]
    constant = float(np.mean(every))
    total, missed = 0.0, []
    for n in range(3):
        d = [
            f - math.log(t)
            for f, t in zip(found[n].flatten().tolist(), depth[n].flatten().tolist(), strict=True)
            if t > 0
        ]
        total += (float(np.mean(np.square(d))) + float(np.mean(d)) ** 2 / 2) / 2
        missed += [abs(one) for one in d]
    loss, gain, more = depth_loss(found, depth)
    assert float(loss) == pytest.approx(total / 3, rel=1e-4)
    trivial = float(np.mean([abs(one - constant) for one in every]))
    assert float(more["depth_error_constant"]) == pytest.approx(trivial, rel=1e-4)
    assert float(gain) == pytest.approx(1 - float(np.mean(missed)) / trivial, rel=1e-4)


def test_normals_loss_against_loops() -> None:
    found, normals = (
        torch.randn(2, 3, 3, 3, generator=rng(1)),
        F.normalize(torch.randn(2, 3, 3, 3, generator=rng(2)), dim=1),
    )
    normals[0, :, 0] = 0
    losses, angles = [], []
    for n in range(2):
        own = []
        for y in range(3):
            for x in range(3):
                wanted, given = normals[n, :, y, x].numpy(), found[n, :, y, x].numpy()
                if np.linalg.norm(wanted) > 0.5:
                    cosine = float(wanted @ given / np.linalg.norm(given))
                    own.append(1 - cosine)
                    angles.append(math.degrees(math.acos(cosine)))
        losses.append(np.mean(own))
    loss, _, more = normals_loss(found, normals)
    assert float(loss) == pytest.approx(np.mean(losses), rel=1e-4)
    assert float(more["normals_angle"]) == pytest.approx(np.mean(angles), rel=1e-4)
    loss, gain, more = normals_loss(5 * normals, normals)
    assert float(loss) == pytest.approx(0, abs=1e-5)
    assert float(gain) == pytest.approx(1, abs=0.01)


def test_contours_loss_against_loops() -> None:
    logits, contours = torch.randn(3, 4, 4, generator=rng(1)), (torch.rand(3, 4, 4, generator=rng(2)) < 0.3).float()
    total = 0.0
    for n in range(3):
        for label in (0, 1):
            chances = [
                1 / (1 + math.exp(-f))
                for f, t in zip(logits[n].flatten().tolist(), contours[n].flatten().tolist(), strict=True)
                if t == label
            ]
            total += float(np.mean([-math.log(p if label else 1 - p) for p in chances])) / 2
    assert float(contours_loss(logits, contours)[0]) == pytest.approx(total / 3, rel=1e-4)
    assert float(contours_loss(20 * (contours - 0.5), contours)[1]) == 1
    assert float(contours_loss(torch.ones_like(logits), contours)[1]) == 0


@pytest.mark.parametrize("alone", ["depth", "normals", "contours"])
def test_each_of_the_three_alone(task: Task, alone: str) -> None:
    settings = {kind: 1.0 if kind == alone else 0.0 for kind in ("depth", "normals", "contours")}
    made = task(**settings)
    assert set(SyntheticLabels.inputs(made.config)) == {"image", alone}
    given = balls(4)
    example = made.pseudo_label(Batch(index=given.index, inputs={n: given[n] for n in ("image", alone)}), rng())
    found = made.loss(made(example), example)
    assert float(found["loss"].detach()) == pytest.approx(float(found[f"loss_{alone}"]))
    assert set(made.read(example.images)) == {alone}


def test_it_learns_the_shape_of_balls(task: Task) -> None:
    made = task(min_scale=0.8)
    given = balls(64)
    fit(made, lambda step: given, steps=40, lr=1e-2)
    assert judge(made, [balls(48, seed=9)]) > 0.2


def test_alignment_is_learned_in_turns(task: Task, tmp_path: Path) -> None:
    """The discriminator alone learns in its turn, from both kinds, and never changes in the other's."""
    made = task(real=str(write_photos(tmp_path / "photos")))
    assert list(made.players()) == ["discriminator", "generator"]
    assert task().players() == {}
    example = made.pseudo_label(balls(4), rng())
    assert example.real.shape == (4, 3, 32, 32)
    prediction = made(example, player="discriminator")
    found = made.loss(prediction, example, player="discriminator")
    real, drawn = prediction.real_logits.flatten().tolist(), prediction.made_logits.flatten().tolist()
    expected = np.mean([math.log(1 + math.exp(-x)) for x in real]) + np.mean([math.log(1 + math.exp(x)) for x in drawn])
    assert float(found["loss"].detach()) == pytest.approx(expected / 2, rel=1e-4)
    found["loss"].backward()
    assert all(p.grad is None for p in made.encoder.parameters())
    plain = made.loss(made(example), example)
    parts = 5 * plain["loss_depth"] + 10 * plain["loss_normals"] + plain["loss_contours"] + 0.05 * plain["alignment"]
    assert float(plain["loss"].detach()) == pytest.approx(float(parts), rel=1e-4)


def test_alignment_hides_what_tells_photos_from_drawings(task: Task, tmp_path: Path) -> None:
    """Statistics of the encoder are those of rendered images alone, in both turns."""
    made = task(real=str(write_photos(tmp_path / "photos"))).train()
    example = made.pseudo_label(balls(4), rng())
    before = {name: buffer.clone() for name, buffer in made.encoder.named_buffers()}
    made(example, player="discriminator")
    assert all(torch.equal(before[name], buffer) for name, buffer in made.encoder.named_buffers())


def test_two_processes_are_one(task: Task) -> None:
    made = task()
    example = made.pseudo_label(balls(6), rng())
    parts = [Example(*(getattr(example, name)[rows] for name in vars(example))) for rows in (slice(0, 3), slice(3, 6))]
    check_halves(made, example, parts)


def test_maps_of_images_of_any_size(task: Task) -> None:
    found = task().read(torch.randn(2, 3, 48, 80))
    assert found["depth"].shape == found["contours"].shape == (2, 24, 40)
    assert bool((found["depth"] > 0).all())
    assert torch.allclose(found["normals"].norm(dim=1), torch.ones(2, 24, 40), atol=1e-5)


def test_a_run_on_scenes_with_photos_is_resumed_exactly(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos")

    def run(name: str, **more: Any) -> Path:
        return train(
            RunConfig.of(
                data="world:scenes=8,frames=2,side=32,least=2,most=4",
                out=str(tmp_path / name),
                task="synthetic_labels",
                task_settings={"real": str(tmp_path / "photos"), "width": 16},
                encoder="timm:test_resnet",
                size=32,
                batch_size=4,
                steps=3,
                checkpoint_every=1,
                **more,
            )
        )

    pytest.importorskip("mujoco")
    whole = run("whole")
    with stopped_before(2):
        run("stopped")
    assert_same_run(whole, run("stopped", resume=True), "metrics.csv", "heldout.csv")
    samples = json.loads((whole / "pictures" / "pictures.json").read_text())["samples"]
    assert all((whole / "pictures" / one[part]).is_file() for one in samples for part in ("pseudo_label", "prediction"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"depth": 0, "normals": 0, "contours": 0},
            r"one of --task\.depth, --task\.normals and --task\.contours must be",
        ),
        ({"alignment": 0}, r"--task\.alignment must be above 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Config(**settings)


def test_a_stage_that_is_not_there_is_refused(task: Task, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"--task\.stage must be one of conv1, conv2, conv3, got 'conv5'"):
        task(real=str(write_photos(tmp_path / "photos")), stage="conv5")
