"""VideoGAN: its streams, its losses, its players, and learning of clips in which something moves."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from selftaught.data.batch import Batch
from selftaught.encoders.base import Encoder
from selftaught.ops.colour import denormalise_clips
from selftaught.tasks.generation.video_gan import TwoStreams, VideoGAN, compose, first_frames
from selftaught.tasks.parts.clips.adversarial_clips import as_seen
from selftaught.training.optimizers import build_optimizer
from selftaught.training.players import only_parameters_of, scalars_of
from tests.tasks.clips import check_run, crossings, rng
from tests.tasks.learning import check_players_move_alone

Task = Callable[..., VideoGAN]


@pytest.fixture
def task(tiny_clip_encoder: Callable[[], Encoder]) -> Task:
    def make(**settings: Any) -> VideoGAN:
        torch.manual_seed(0)
        return VideoGAN(tiny_clip_encoder(), VideoGAN.Config(**{"frames": 4, "width": 16, "code": 4, **settings}), 16)

    return make


def batch(first: int = 0, count: int = 8) -> Batch:
    """Clips (N, 4, 3, 24, 24) in which a white square crosses a dark ground."""
    return Batch(index=torch.arange(count), inputs={"video": crossings(range(first, first + count), frames=4)[0]})


def test_streams_have_the_layers_published() -> None:
    """main.lua of https://github.com/cvondrick/videogan: the foreground doubles 2 frames of 4 x 4 four times."""
    made = TwoStreams(100, frames=32, side=64, width=512)
    assert made.project.weight.shape == (512 * 2 * 4 * 4, 100)
    convs = [module for module in made.trunk if isinstance(module, nn.ConvTranspose3d)]
    assert [(c.in_channels, c.out_channels) for c in convs] == [(512, 256), (256, 128), (128, 64)]
    for conv in (*convs, made.to_pixels, made.to_mask):
        assert (conv.kernel_size, conv.stride, conv.padding) == ((4, 4, 4), (2, 2, 2), (1, 1, 1))
    assert (made.to_pixels.out_channels, made.to_mask.out_channels) == (3, 1)


@pytest.mark.parametrize(
    ("frames", "side", "first"), [(1, 16, 1), (2, 16, 2), (6, 16, 3), (16, 16, 4), (5, 20, 5), (4, 50, 2)]
)
def test_scenes_have_the_shape_asked_for(frames: int, side: int, first: int) -> None:
    assert first_frames(frames, math.ceil(math.log2(side / 4)))[0] == first
    scene = TwoStreams(4, frames=frames, side=side, width=16)(torch.randn(2, 4))
    assert scene.pixels.shape == scene.foreground.shape == (2, 3, frames, side, side)
    assert scene.mask.shape == (2, 1, frames, side, side)
    assert scene.background.shape == (2, 3, 1, side, side)


def test_composition_against_loops() -> None:
    foreground, background = torch.randn(2, 3, 4, 5, 5), torch.randn(2, 3, 1, 5, 5)
    mask = torch.rand(2, 1, 4, 5, 5)
    found = compose(foreground, mask, background)
    for n in range(2):
        for c in range(3):
            for t in range(4):
                for y in range(5):
                    for x in range(5):
                        m = float(mask[n, 0, t, y, x])
                        value = m * float(foreground[n, c, t, y, x]) + (1 - m) * float(background[n, c, 0, y, x])
                        assert float(found[n, c, t, y, x]) == pytest.approx(value, abs=1e-5)


def test_losses_are_the_papers(task: Task) -> None:
    model = task(mask=0.3).eval()
    example = model.pseudo_label(batch(), rng())

    def scores(clips: Tensor) -> list[float]:
        found: list[float] = model.head(model.encoder(clips))[:, 0].tolist()
        return found

    scene, other = model.generator(example.codes), model.generator(example.other_codes)
    expected = passed = pairs = 0.0
    real, made = scores(example.clips), scores(as_seen(scene.pixels))
    for real_score, made_score, other_score in zip(real, made, scores(as_seen(other.pixels)), strict=True):
        expected -= (math.log(1 / (1 + math.exp(-real_score))) + math.log(1 - 1 / (1 + math.exp(-made_score)))) / 8
        passed -= math.log(1 / (1 + math.exp(-other_score))) / 8
        pairs += sum(real_score > one for one in made) / 64
    found = model.loss(model(example), example)
    assert float(found["loss"].detach()) == pytest.approx(expected, rel=1e-4)
    assert float(found["accuracy"]) == pytest.approx(pairs)
    mask = sum(other.mask.flatten().tolist()) / other.mask.numel()
    found = model.loss(model(example, "generator"), example, "generator")
    assert float(found["loss"].detach()) == pytest.approx(passed + 0.3 * mask, rel=1e-4)
    assert model.chance(8) == 0.5


def test_pseudo_label_is_a_function_of_the_generator(task: Task) -> None:
    first, again, other = (task().pseudo_label(batch(), rng(seed)) for seed in (0, 0, 1))
    for name, value in vars(first).items():
        assert torch.equal(value, vars(again)[name])
        assert not torch.equal(value, vars(other)[name])
    assert not torch.equal(first.codes, first.other_codes)
    assert first.clips.is_contiguous(memory_format=torch.channels_last_3d)


def test_players_move_alone(task: Task) -> None:
    check_players_move_alone(task(), batch())


def test_guard_the_background_is_at_rest_in_real_and_generated_clips(task: Task) -> None:
    """Where the camera moves over a scene at rest, real clips show a scene at rest."""
    view = 255 * torch.nn.functional.interpolate(torch.rand(4, 3, 20, 20, generator=rng(2)), size=(56, 56))
    videos = torch.stack([view[:, :, 4:44, 4 + move : 44 + move] for move in (0, 2, 4, 6)], 1).to(torch.uint8)
    moving = Batch(index=torch.arange(4), inputs={"video": videos})

    def movement(clips: Tensor) -> float:
        return float((clips - clips[:, :, :1]).abs().mean())

    still, loose = (task(stabilised=on).pseudo_label(moving, rng()).clips for on in (True, False))
    assert movement(still) < 0.3 * movement(loose)
    model = task()
    with torch.no_grad():
        scene = model.generator(torch.randn(3, 4))
    assert movement(compose(scene.foreground, torch.zeros_like(scene.mask), scene.background)) == 0


def test_both_players_learn_in_seconds(task: Task) -> None:
    """The discriminator finds what moves; the generator, whose clips were grey, makes them as dark as the ground."""
    model = task(width=32)
    optimizer = build_optimizer(model, "adamw", 4e-3, 0.0, (0.5, 0.999))
    test = model.pseudo_label(batch(100, 16), rng(1))
    real = float(denormalise_clips(test.clips).mean())

    def brightness() -> float:
        return float(denormalise_clips(model.generate(test)).mean())

    before = abs(brightness() - real)
    losses: dict[str, list[float]] = {player: [] for player in model.players()}
    for step in range(30):
        example = model.pseudo_label(batch(8 * (step % 6), 8), rng(step))
        for player in model.turns(step):
            with only_parameters_of(player, model):
                loss = scalars_of(model, model, example, player)["loss"]
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
            losses[player].append(float(loss.detach()))
    assert losses["discriminator"][-1] < losses["discriminator"][0]
    model.eval()
    with torch.no_grad():
        assert float(model.loss(model(test), test)["accuracy"]) > 0.8
    assert abs(brightness() - real) < before


def test_generated_clips_are_shown_as_animations_and_taken_apart(task: Task) -> None:
    model = task().eval()
    example = model.pseudo_label(batch(), rng())
    shown = model.show(example, model(example), 8)
    assert len(shown) == 8
    clip, apart = shown[1].inputs[0], shown[1].prediction
    assert isinstance(apart, Tensor)
    assert clip.shape == (4, 3, 16, 16)
    assert apart.shape == (4, 3, 16, 3 * 18)
    assert torch.equal(apart[0, :, :, 36:52], apart[3, :, :, 36:52])
    foreground, mask, background = apart[:, :, :, :16], apart[:, :, :, 18:34], apart[:, :, :, 36:52]
    assert torch.allclose(clip, mask * foreground + (1 - mask) * background, atol=1e-4)
    for count in (1, 2, 3):
        assert len(model.show(example, model(example), count)) == count


def test_a_run_is_resumed_exactly_and_compares_its_clips_with_held_out_ones(tmp_path: Path, write_video: Any) -> None:
    settings: dict[str, Any] = {"frames": 2, "width": 8, "code": 4}
    run = check_run(
        tmp_path,
        write_video,
        "video_gan",
        encoder="mean:timm:test_resnet",
        size=32,
        batch_size=2,
        task_settings=settings,
    )
    header, *rows = (run / "heldout.csv").read_text().splitlines()
    assert float(rows[-1].split(",")[header.split(",").index("frechet")]) > 0
    assert list((run / "pictures").glob("sample1_prediction.webp"))
