"""Colours of a clip by a 3-D U-net: error, baseline, and that lightness alone is seen."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from selftaught.core.randomness import generator
from selftaught.encoders.base import Encoder
from selftaught.ops.colour_spaces import lab_to_rgb, rgb_to_lab
from selftaught.tasks.generation.video_colorization_direct import Example, VideoColorizationDirect
from selftaught.tasks.resolve import resolve_task
from tests.tasks.clip_guards import noise_clips
from tests.tasks.clips import batch, check_halves, check_run, fit, judge, rng

Make = Callable[..., VideoColorizationDirect]


@pytest.fixture
def task(tiny_clip_encoder: Callable[[], Encoder]) -> Make:
    def make(**settings: Any) -> VideoColorizationDirect:
        config = VideoColorizationDirect.Config(**{"frames": 3, "width": 16, "least_side": 1.0, **settings})
        return VideoColorizationDirect(tiny_clip_encoder(), config, 16)

    return make


def sky_and_grass(n: int, seed: int = 0) -> Tensor:
    """Bright blue above a dark green ground whose height changes with time: colour follows from lightness and place."""
    draw = generator("sky", seed)
    height = torch.randint(6, 11, (n, 1), generator=draw) + torch.arange(3)
    above = (torch.arange(16) < height[:, :, None])[:, :, None, :, None]
    colours = torch.where(
        above, torch.tensor([120, 180, 250])[:, None, None], torch.tensor([30, 90, 20])[:, None, None]
    )
    noise = torch.randint(-15, 16, (n, 3, 1, 16, 16), generator=draw)
    return (colours.expand(n, 3, 3, 16, 16) + noise).clamp(0, 255).byte()


def test_colours_are_those_of_each_voxel_and_their_mean_is_kept(task: Make) -> None:
    model = task(least_side=0.5).train()
    videos = sky_and_grass(4)
    example = model.pseudo_label(batch(videos), rng())
    assert example.grey.shape == example.pictures.shape == (4, 3, 3, 16, 16)
    torch.testing.assert_close(example.colours[1, :, 2], rgb_to_lab(example.pictures[1, 2])[1:])
    first = example.colours.mean((0, 2, 3, 4))
    torch.testing.assert_close(model.mean_colour, first)
    second = model.pseudo_label(batch(videos.flip(2)), rng(1)).colours.mean((0, 2, 3, 4))
    torch.testing.assert_close(model.mean_colour, (first + second) / 2)
    model.eval().pseudo_label(batch(videos), rng())
    torch.testing.assert_close(model.mean_colour, (first + second) / 2)


def test_guard_colours_do_not_change_the_prediction(task: Make) -> None:
    model = task().eval()
    coarse = torch.rand(2, 9, 3, 3, generator=generator("frames"))
    frames = F.interpolate(coarse, (16, 16), mode="bilinear").unflatten(1, (-1, 3))
    lab = rgb_to_lab(frames)
    other = lab_to_rgb(torch.cat([lab[:, :, :1], lab[:, :, 1:] * 0.5], 2))
    first, second = (model.pseudo_label(batch((x * 255).round().byte()), rng()) for x in (frames, other))
    assert float((first.colours - second.colours).abs().max()) > 10
    torch.testing.assert_close(first.grey, second.grey, atol=0.03, rtol=0)
    with torch.no_grad():
        found = model(first)
        assert found.shape == (2, 2, 3, 16, 16)
        assert torch.equal(found, model(Example(first.grey, second.pictures, second.colours)))


def test_the_kept_encoder_sees_grey_wherever_it_is_used() -> None:
    spec = resolve_task("video_colorization_direct", {})
    seen = [spec.seen_as(name) for name in ("r3d_18", "mean:resnet18", "flow:resnet18")]
    assert seen == ["grey:r3d_18", "mean:grey:resnet18", "flow:grey:resnet18"]
    short = resolve_task("video_colorization", {"clip": 4})
    assert (short.kept_spec.kind, short.seen_as("c3d")) == ("video", "grey:c3d")


def test_loss_and_gain_as_loops(task: Make) -> None:
    model = task()
    model.mean_colour = torch.tensor([3.0, -7.0])
    draw = generator("loops")
    colours, found = 40 * torch.randn(1, 2, 2, 3, 3, generator=draw), torch.randn(1, 2, 2, 3, 3, generator=draw)
    nothing = torch.zeros(1, 2, 3, 3, 3)
    scalars = model.loss(found, Example(nothing, nothing, colours))
    error = trivial = 0.0
    for channel, mean in enumerate((3.0, -7.0)):
        for true, guess in zip(
            colours[0, channel].flatten().tolist(), found[0, channel].flatten().tolist(), strict=True
        ):
            error += (guess - true / 100) ** 2 / 36
            trivial += ((true - mean) / 100) ** 2 / 36
    assert float(scalars["loss"]) == pytest.approx(error, rel=1e-5)
    assert float(scalars["psnr_gain"]) == pytest.approx(10 * math.log10(trivial / error), abs=1e-4)


def test_it_learns_that_bright_is_blue_and_dark_is_green(task: Make) -> None:
    model = task()
    fit(model, lambda step: batch(sky_and_grass(8, step)), steps=30, lr=1e-2)
    assert judge(model, [batch(sky_and_grass(8, 100))]) > 3


def test_guard_nothing_is_gained_on_noise_and_by_a_constant_tint(task: Make) -> None:
    model = task()
    videos = noise_clips(16, frames=3, side=16)
    fit(model, lambda step: batch(noise_clips(16, frames=3, side=16, seed=step)), steps=20, lr=1e-2)
    gains = torch.tensor([judge(model, [batch(videos[n : n + 2])]) for n in range(0, 16, 2)])
    assert float(gains.mean()) < 3 * float(gains.std()) / 8**0.5
    example = model.pseudo_label(batch(videos), rng())
    tint = (model.mean_colour / 100).view(1, 2, 1, 1, 1).expand_as(example.colours)
    assert float(model.loss(tint, example)["psnr_gain"]) == pytest.approx(model.chance(16), abs=1e-4)


def test_two_processes_are_one(task: Make) -> None:
    model = task()
    whole = model.pseudo_label(batch(sky_and_grass(4)), rng())
    halves = [Example(**{name: x[own] for name, x in vars(whole).items()}) for own in (slice(2), slice(2, 4))]
    check_halves(model, whole, halves)


def test_people_see_the_grey_clip_the_clip_and_the_coloured_one(task: Make) -> None:
    model = task().eval()
    example = model.pseudo_label(batch(sky_and_grass(3)), rng())
    first, second = model.show(example, example.colours / 100, 2)
    for shown, n in ((first, 0), (second, 1)):
        assert isinstance(shown.prediction, Tensor)
        torch.testing.assert_close(shown.prediction, example.pictures[n], atol=1e-2, rtol=0)
        assert torch.equal(shown.inputs[0], example.grey[n])


def test_clips_of_one_frame_and_encoders_without_places(task: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model = task(frames=1)
    example = model.pseudo_label(batch(sky_and_grass(2)[:, :1]), rng())
    assert model(example).shape == (2, 2, 1, 16, 16)
    monkeypatch.setattr(type(model.encoder), "stage_kind", lambda self, stage: "sequence")
    with pytest.raises(ValueError, match="ends in a sequence, without a place for each feature"):
        task()


def test_a_run_is_resumed_exactly(tmp_path: Path, write_video: Any) -> None:
    settings: dict[str, Any] = {"encoder": "mean:timm:test_resnet", "size": 16, "batch_size": 2}
    check_run(tmp_path, write_video, "video_colorization_direct", task_settings={"frames": 2, "width": 16}, **settings)
