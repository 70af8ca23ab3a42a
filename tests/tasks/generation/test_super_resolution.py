from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch

from selftaught.core.randomness import generator
from selftaught.data.batch import Batch
from selftaught.encoders.base import Encoder
from selftaught.encoders.build import build_encoder
from selftaught.tasks.generation.super_resolution import ContentNetwork, PixelShuffleDecoder, SuperResolution
from tests.tasks.learning import check_players_move_alone, scalar_of, synthetic_images, train

Make = Callable[[], Encoder]


def task(make: Make, size: int = 32, **settings: object) -> SuperResolution:
    return SuperResolution(make(), SuperResolution.Config(width=64, **settings), size)  # type: ignore[arg-type]


def batch(n: int = 4, side: int = 64) -> Batch:
    images = torch.randint(0, 256, (n, 3, side, side), generator=generator("images"), dtype=torch.uint8)
    return Batch(index=torch.arange(n), inputs={"image": images})


def test_the_same_generator_gives_the_same_example(tiny_encoder: Make) -> None:
    model = task(tiny_encoder)
    first, again, other = (model.pseudo_label(batch(), generator(seed)) for seed in (0, 0, 1))
    assert first.images.shape == first.originals.shape == (4, 3, 32, 32)
    assert first.small.shape == (4, 3, 8, 8)
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.originals, again.originals)
    assert not torch.equal(first.images, other.images)


def test_loss_is_pixel_content_and_adversarial_error(tiny_encoder: Make) -> None:
    """Pixels in [-1, 1], the discriminator's map as content, -log D of the made images; as plain sums."""
    model = task(tiny_encoder).eval()
    example = model.pseudo_label(batch(2), generator(0))
    assert model.discriminator is not None
    with torch.no_grad():
        prediction = model(example)
        maps = [model.discriminator.forward_features(2 * x - 1) for x in (prediction.made, example.originals)]
        logits = model.discriminator(2 * prediction.made - 1)
    pairs = list(zip(prediction.made.flatten().tolist(), example.originals.flatten().tolist(), strict=True))
    pixel = sum(((2 * a - 1) - (2 * b - 1)) ** 2 for a, b in pairs) / len(pairs)
    values = list(zip(maps[0].flatten().tolist(), maps[1].flatten().tolist(), strict=True))
    content = sum((a - b) ** 2 for a, b in values) / len(values)
    adversarial = sum(-math.log(1 / (1 + math.exp(-x))) for x in logits.tolist()) / 2
    expected = pixel + 0.006 * content + 1e-3 * adversarial
    assert float(model.loss(prediction, example)["loss"]) == pytest.approx(expected, rel=1e-4)


def test_the_metric_is_the_gain_over_bicubic_interpolation(tiny_encoder: Make) -> None:
    model = task(tiny_encoder, adversarial=0.0).eval()
    torch.nn.init.zeros_(model.head.picture.weight)
    example = model.pseudo_label(batch(), generator(0))
    scalars = model.loss(model(example), example)
    assert float(scalars["psnr_gain"]) == pytest.approx(model.chance(4), abs=1e-4)
    assert float(scalars["ssim"]) == pytest.approx(float(scalars["ssim_bicubic"]), abs=1e-4)
    prediction = model(example)
    prediction.made = example.originals.clone()
    assert float(model.loss(prediction, example)["psnr"]) == 50.0


def test_guard_what_was_left_out_does_not_show_as_moire(tiny_encoder: Make) -> None:
    """A fine pattern that is grey on average is grey in the small image, whatever pixels it begins with."""
    y, x = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    for pattern in ((x + y) % 2, x % 2, (x + 1) % 2):
        example = task(tiny_encoder).reduce(pattern.float().expand(1, 3, 32, 32).contiguous())
        assert float((example.small - 0.5)[..., 1:-1, 1:-1].abs().max()) <= 2 / 255
        assert float((example.small - 0.5).abs().max()) <= 0.05  # at the edge the filter has one side only
        assert torch.equal((example.small * 255).round() / 255, example.small)


def test_guard_crops_are_never_enlarged(tiny_encoder: Make) -> None:
    """Detail of one pixel is still there: a crop of less than S x S pixels would have smoothed it everywhere."""
    model = task(tiny_encoder, min_scale=0.01)
    noise = torch.randint(0, 2, (64, 3, 40, 40), generator=generator("noise"), dtype=torch.uint8) * 255
    originals = model.pseudo_label(Batch(index=torch.arange(64), inputs={"image": noise}), generator(0)).originals
    # Neighbours of an enlarged crop share pixels; of a reduced one they are nearly independent.
    centred = originals - originals.mean((2, 3), keepdim=True)
    for shifted in (centred[..., 1:] * centred[..., :-1], centred[..., 1:, :] * centred[..., :-1, :]):
        correlation = shifted.mean((1, 2, 3)) / centred.square().mean((1, 2, 3))
        assert float(correlation.max()) < 0.6


def test_every_player_moves_its_own_parameters_alone(tiny_encoder: Make) -> None:
    model = task(tiny_encoder)
    check_players_move_alone(model, batch())


def test_without_an_adversary_there_are_no_turns(tiny_encoder: Make) -> None:
    model = task(tiny_encoder, adversarial=0.0)
    assert not model.players()
    assert not model.turns(0)
    assert task(tiny_encoder).players()
    example = model.pseudo_label(batch(), generator(0))
    scalars = model.loss(model(example), example)
    assert set(scalars) == {"loss", "pixel", "psnr", "psnr_gain"}
    scalars["loss"].backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_first_the_generator_learns_alone_from_pixels_also_when_resumed(tiny_encoder: Make) -> None:
    model = task(tiny_encoder, alone=0.5)
    example = model.pseudo_label(batch(), generator(0))
    both, turns, seen = tuple(model.players()), [], []
    for step in range(10):
        turns.append(tuple(model.turns(step)))
        seen.append(set(model.loss(model(example), example)))
        model.after_step(step, 10)
        if step == 2:
            resumed = task(tiny_encoder, alone=0.5)
            resumed.load_state_dict(model.state_dict())
            model = resumed
    assert turns == [both, *[("generator",)] * 4, *[both] * 5]
    pixels = {"loss", "pixel", "psnr", "psnr_gain"}
    whole = pixels | {"content", "adversarial"}
    assert seen == [whole, *[pixels] * 4, *[whole] * 5]
    model.turns(0)
    model.eval()
    held_out = set(model.loss(model(example), example))
    assert held_out == whole | {"ssim", "ssim_bicubic"}, "the metrics of held-out data do not change on the way"


@pytest.mark.parametrize(
    ("shapes", "side", "sides"),
    [([(4, 16), (8, 2)], 32, [2, 4, 8, 16, 32]), ([(8, 3)], 75, [3, 5, 10, 19, 38, 75])],
)
def test_the_decoder_reaches_the_side_and_reads_every_map(
    shapes: list[tuple[int, int]], side: int, sides: list[int]
) -> None:
    decoder = PixelShuffleDecoder(shapes, side, 64)
    assert decoder.sides == sides
    maps = [torch.rand(2, channels, own, own, requires_grad=True) for channels, own in shapes]
    residual = decoder(maps)
    assert residual.shape == (2, 3, side, side)
    residual.square().sum().backward()
    assert all(m.grad is not None and m.grad.abs().sum() > 0 for m in maps)


def test_content_comes_from_a_file_and_never_learns(tiny_encoder: Make, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    torch.manual_seed(7)
    state = {name: value + 0.1 for name, value in tiny_encoder().state_dict().items() if value.is_floating_point()}
    counts = {name: value for name, value in tiny_encoder().state_dict().items() if not value.is_floating_point()}
    safetensors.torch.save_file(state | counts, path)
    model = task(tiny_encoder, adversarial=0.0, content=str(path), content_weight=1.0)
    content = model.content
    assert isinstance(content, ContentNetwork)
    assert all(torch.equal(content.network.state_dict()[name], value) for name, value in state.items())
    example = model.pseudo_label(batch(), generator(0))
    scalars = model.loss(model(example), example)
    assert float(scalars["loss"].detach()) == pytest.approx(float(scalars["pixel"] + scalars["content"]), rel=1e-5)
    scalars["loss"].backward()
    assert not any(module.training for module in content.modules())
    assert all(p.grad is None for p in content.parameters())
    assert all(torch.equal(content.network.state_dict()[name], value) for name, value in state.items())


def test_weights_of_vgg19_are_known_by_their_layers(tiny_encoder: Make, tmp_path: Path) -> None:
    network = build_encoder("vgg19", size=32, stem="standard")
    path = tmp_path / "vgg19.pth"
    torch.save({k.removeprefix("net."): v for k, v in network.state_dict().items()}, path)
    content = ContentNetwork(tiny_encoder(), path, 32)
    pictures = torch.rand(1, 3, 32, 32)
    assert content(pictures).shape == (1, 512, 2, 2)
    name = "net.features.34.weight"
    assert torch.equal(content.network.state_dict()[name], network.state_dict()[name])


def test_wrong_settings_are_refused(tiny_encoder: Make, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"--task.stages must be all or last, got 'first'"):
        SuperResolution.Config(stages="first")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"--task.content-weight must be at least 0, got -1"):
        SuperResolution.Config(content_weight=-1)
    with pytest.raises(ValueError, match=r"needs images of at least 64 x 64 pixels to reduce them by 16, got 32 x 32"):
        task(tiny_encoder, factor=16)
    with pytest.raises(ValueError, match=r"--task.content: weights .*absent.pth cannot be read"):
        task(tiny_encoder, content=str(tmp_path / "absent.pth"))


def test_learns_more_than_interpolation_in_seconds(tiny_encoder: Make) -> None:
    images = synthetic_images(240, 64, held_out=0.05)
    model = task(tiny_encoder, adversarial=0.0)
    train(model, images[:180], optimizer="adamw", lr=3e-3, steps=45, batch_size=24)
    gain = scalar_of(model, images[180:220], "psnr_gain")
    assert gain > 0.2, gain


def test_show_gives_images(tiny_encoder: Make) -> None:
    model = task(tiny_encoder)
    example = model.pseudo_label(batch(), generator(0))
    shown = model.show(example, model(example), 8)
    assert len(shown) == 4
    assert [picture.shape for picture in shown[0].inputs] == [(3, 8, 8), (3, 32, 32)]
    for picture in (shown[0].pseudo_label, shown[0].prediction):
        assert isinstance(picture, torch.Tensor)
        assert picture.shape == (3, 32, 32)
        assert 0 <= float(picture.min()) <= float(picture.max()) <= 1
