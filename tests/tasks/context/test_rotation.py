from __future__ import annotations

import math

import pytest
import torch

from selftaught.core.randomness import generator
from selftaught.data.batch import Batch
from selftaught.encoders.build import build_encoder
from selftaught.ops.colour import denormalise
from selftaught.tasks.context.rotation import Rotation
from tests.tasks.learning import scalar_of, synthetic_images, train


def task(angles: int = 4, size: int = 32, encoder: str = "timm:test_resnet") -> Rotation:
    torch.manual_seed(0)
    return Rotation(build_encoder(encoder, size=size), Rotation.Config(angles=angles), size)  # type: ignore[arg-type]


def batch(n: int = 4, side: int = 40) -> Batch:
    images = torch.randint(0, 256, (n, 3, side, side), generator=generator("images"), dtype=torch.uint8)
    return Batch(index=torch.arange(n), inputs={"image": images})


@pytest.mark.parametrize("angles", [2, 4])
def test_every_image_appears_under_every_angle_with_its_index(angles: int) -> None:
    example = task(angles).pseudo_label(batch(), generator(0))
    assert example.images.shape == (angles * 4, 3, 32, 32)
    for row in range(angles * 4):
        turns = int(example.angle[row]) * (4 // angles)
        upright = example.images[row % 4]
        pixels = upright.tolist()
        for _ in range(turns):  # a quarter turn counter-clockwise: row r of the result is column -1 - r of the image
            pixels = [[[plane[j][31 - i] for j in range(32)] for i in range(32)] for plane in pixels]
        assert example.images[row].tolist() == pixels


def test_loss_is_the_papers_mean_over_images_and_angles() -> None:
    model = task().eval()
    example = model.pseudo_label(batch(), generator(0))
    logits = model(example).detach()
    total = 0.0
    for i in range(4):
        for r in range(4):
            scores = logits[r * 4 + i].tolist()
            total -= scores[r] - math.log(sum(math.exp(s) for s in scores))
    assert float(model.loss(logits, example)["loss"]) == pytest.approx(total / 16, rel=1e-4)


def test_guard_resampling_leaves_no_trace_of_the_angle() -> None:
    """Detail along the two axes of a crop has the same strength over many crops, so a turned one looks no different."""
    noise = torch.randint(0, 256, (256, 3, 48, 48), generator=generator("noise"), dtype=torch.uint8)
    model = task()
    example = model.pseudo_label(Batch(index=torch.arange(256), inputs={"image": noise}), generator(1))
    upright, turned = example.images[:256], example.images[256:512]
    across = [float(x.diff(dim=3).abs().mean() / x.diff(dim=2).abs().mean()) for x in (upright, turned)]
    assert across[0] == pytest.approx(across[1], rel=0.05)


def test_guard_borders_do_not_give_away_the_angle() -> None:
    """No padding: an image of one grey level stays one grey level under every angle, up to its last pixel."""
    flat = torch.full((4, 3, 48, 48), 77, dtype=torch.uint8)
    pictures = denormalise(
        task().pseudo_label(Batch(index=torch.arange(4), inputs={"image": flat}), generator(0)).images
    )
    assert float((pictures - 77 / 255).abs().max()) < 0.01


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match=r"--task.angles must be 2 or 4, got 3"):
        Rotation.Config(angles=3)  # type: ignore[arg-type]


def test_learns_the_synthetic_world_in_seconds() -> None:
    images = synthetic_images(400, 32)
    model = task()
    train(model, images[:300], optimizer="sgd", lr=0.02, steps=40, batch_size=16)
    accuracy = scalar_of(model, images[300:357], "accuracy")
    assert accuracy > 0.5, accuracy


def test_show_gives_images_and_words() -> None:
    model = task()
    example = model.pseudo_label(batch(), generator(0))
    shown = model.show(example, model(example), 8)
    assert len(shown) == 8
    assert {s.pseudo_label for s in shown} == {"0°", "90°", "180°", "270°"}
    assert 0 <= float(shown[0].inputs[0].min()) <= float(shown[0].inputs[0].max()) <= 1
