from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from selftaught.core.randomness import generator
from selftaught.data.batch import Batch
from selftaught.encoders.base import Encoder
from selftaught.encoders.build import build_encoder
from selftaught.tasks.generation.autoencoder import Autoencoder, start_side
from selftaught.training.optimizers import build_optimizer


@pytest.fixture
def make(tiny_encoder: Callable[[], Encoder]) -> Callable[..., Autoencoder]:
    def task(size: int = 32, **settings: Any) -> Autoencoder:
        return Autoencoder(tiny_encoder(), Autoencoder.Config(**settings), size)

    return task


def batch(n: int = 4, side: int = 40) -> Batch:
    images = torch.randint(0, 256, (n, 3, side, side), generator=generator("images"), dtype=torch.uint8)
    return Batch(index=torch.arange(n), inputs={"image": images})


def test_loss_and_gain_as_loops(make: Callable[..., Autoencoder]) -> None:
    model = make(code=8)
    example = model.pseudo_label(batch(2), generator(0))
    prediction = model(example).detach()
    scalars = model.loss(prediction, example)
    error, spread = 0.0, 0.0
    for n in range(2):
        for c in range(3):
            clean, made = example.clean[n, c].flatten().tolist(), prediction[n, c].flatten().tolist()
            mean = sum(clean) / len(clean)
            error += sum((p - x) ** 2 for p, x in zip(made, clean, strict=True))
            spread += sum((x - mean) ** 2 for x in clean)
    assert float(scalars["loss"]) == pytest.approx(error / (2 * 3 * 32 * 32), rel=1e-4)
    assert float(scalars["psnr_gain"]) == pytest.approx(10 * math.log10(spread / error), abs=1e-3)


def test_the_mean_colour_gains_nothing(make: Callable[..., Autoencoder]) -> None:
    model = make()
    example = model.pseudo_label(batch(), generator(0))
    mean_colour = example.clean.mean((2, 3), keepdim=True).expand_as(example.clean)
    assert float(model.loss(mean_colour, example)["psnr_gain"]) == pytest.approx(model.chance(4), abs=1e-4)


def test_example_is_a_function_of_the_generator_and_noise_spares_the_label(make: Callable[..., Autoencoder]) -> None:
    model = make(noise=0.5, mask=0.25)
    example = model.pseudo_label(batch(16), generator(0))
    assert torch.equal(model.pseudo_label(batch(16), generator(0)).images, example.images)
    assert not torch.equal(model.pseudo_label(batch(16), generator(1)).images, example.images)
    assert torch.equal(make().pseudo_label(batch(16), generator(0)).clean, example.clean)
    masked = (example.images == 0).all(1)
    assert float(masked.float().mean()) == pytest.approx(0.25, abs=0.02)
    added = (example.images - example.clean)[~masked[:, None].expand_as(example.clean)]
    assert float(added.std()) == pytest.approx(0.5, rel=0.03)
    plain = make().pseudo_label(batch(), generator(0))
    assert plain.images is plain.clean
    assert plain.images.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("source", ["map", "pooled"])
def test_guard_nothing_passes_around_the_code(make: Callable[..., Autoencoder], source: str) -> None:
    model = make(code=8, source=source).eval()
    example = model.pseudo_label(batch(), generator(0))
    codes: list[Tensor] = []

    def keep(_module: object, _args: object, output: Tensor) -> Tensor:
        codes.append(output)
        return torch.zeros_like(output)

    handle = model.code.register_forward_hook(keep)
    pictures = model(example).detach()
    handle.remove()
    assert codes[0].shape == (4, 8)
    assert torch.equal(pictures, pictures[:1].expand_as(pictures)), "without their codes all images must be one"
    assert not torch.allclose(model(example)[0], model(example)[1], atol=1e-4)


def test_guard_a_code_that_could_copy_is_refused(make: Callable[..., Autoencoder]) -> None:
    with pytest.raises(ValueError, match=r"could copy 32 x 32 pixels through a code of 3072 numbers"):
        make(code=3 * 32 * 32)
    make(code=3 * 32 * 32, mask=0.5)


@pytest.mark.parametrize(("size", "start"), [(32, 4), (64, 4), (96, 6), (100, 7), (224, 7), (36, 5), (4, 4)])
def test_the_decoder_starts_small_and_ends_at_the_images_side(size: int, start: int) -> None:
    assert start_side(size) == start
    doublings = math.ceil(math.log2(size / start))
    assert size <= start << doublings < 1.3 * size


@pytest.mark.parametrize(("name", "source"), [("resnet18", "map"), ("timm:vit_tiny_patch16_224", "map")])
def test_every_parameter_learns(name: str, source: str) -> None:
    torch.manual_seed(0)
    config = Autoencoder.Config(code=16, source=source)  # type: ignore[arg-type]
    model = Autoencoder(build_encoder(name, size=32, stem="standard"), config, 32)
    example = model.pseudo_label(batch(), generator(0))
    prediction = model(example)
    assert prediction.shape == example.clean.shape
    model.loss(prediction, example)["loss"].backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"code": 0}, r"--task.code must be at least 1, got 0"),
        ({"source": "both"}, r"--task.source must be map or pooled, got 'both'"),
        ({"noise": -1.0}, r"--task.noise must be at least 0, got -1.0"),
        ({"mask": 1.0}, r"--task.mask must be in \[0, 1\), got 1.0"),
        ({"min_scale": 0.0}, r"--task.min-scale must be in \(0, 1\], got 0.0"),
    ],
)
def test_wrong_settings_are_refused(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Autoencoder.Config(**setting)


def halves(n: int, seed: str) -> Batch:
    """Images of two colours, one beside or above the other: a world of few numbers."""
    rng = generator(seed)
    first, second = torch.rand(2, n, 3, 1, 1, generator=rng) * 255
    right = (torch.arange(32) < 16).expand(32, 32)
    is_first = torch.where(torch.rand(n, 1, 1, generator=rng) < 0.5, right, right.T)[:, None]
    return Batch(index=torch.arange(n), inputs={"image": torch.where(is_first, first, second).round().byte()})


def test_learns_a_world_of_few_numbers_in_seconds(make: Callable[..., Autoencoder]) -> None:
    model = make(code=32, min_scale=1.0)
    optimizer = build_optimizer(model, "adamw", 1e-3, 0.0)
    for step in range(45):
        example = model.pseudo_label(halves(16, f"train {step}"), generator("train", step))
        loss = model.loss(model(example), example)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    example = model.pseudo_label(halves(64, "test"), generator("test"))
    gain = float(model.loss(model(example).detach(), example)["psnr_gain"])
    assert gain > 2, gain


def test_show_gives_images(make: Callable[..., Autoencoder]) -> None:
    model = make(noise=0.3).eval()
    example = model.pseudo_label(batch(), generator(0))
    shown = model.show(example, model(example), 8)
    assert len(shown) == 4
    for picture in (shown[0].inputs[0], shown[0].pseudo_label, shown[0].prediction):
        assert isinstance(picture, Tensor)
        assert picture.shape == (3, 32, 32)
        assert 0 <= float(picture.detach().min()) <= float(picture.detach().max()) <= 1
    assert not torch.equal(shown[0].inputs[0], shown[0].pseudo_label)  # type: ignore[arg-type]
