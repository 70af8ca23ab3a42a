"""Video colorization: colours are copied by attention, and nothing but lightness is seen."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from selftaught.core.randomness import generator
from selftaught.encoders.base import Encoder
from selftaught.ops.colour_spaces import lab_to_rgb, rgb_to_lab
from selftaught.tasks.base import Known
from selftaught.tasks.generation.video_colorization import Example, Prediction, VideoColorization
from tests.tasks.clip_guards import noise_clips, still_clips
from tests.tasks.clips import batch, check_halves, check_run, fit, judge, rng

Make = Callable[..., VideoColorization]
SMALL: dict[str, Any] = {"width": 16, "temporal": 2, "least_side": 1.0, "stride": 1}


@pytest.fixture
def task(tiny_encoder: Callable[[], Encoder], tiny_clip_encoder: Callable[[], Encoder]) -> Make:
    def make(size: int = 32, **settings: Any) -> VideoColorization:
        config = VideoColorization.Config(**(SMALL | settings))
        made = VideoColorization(tiny_clip_encoder() if config.clip > 1 else tiny_encoder(), config, size)
        made.centroids = torch.randn(config.clusters, 2, generator=generator("colours")) * 40
        return made

    return make


def patches(n: int, seed: int = 0, side: int = 32) -> Tensor:
    """Squares of 8 x 8 pixels, each with a lightness and a colour of its own, which change places from frame to frame.

    The colours of a video belong to its lightness, by a rule of its own.
    """
    draw = generator("patches", seed)
    cells = (side // 8) ** 2
    lightness = torch.stack([torch.randperm(cells, generator=draw) for _ in range(n)]) / cells * 60 + 20
    ab = (torch.rand(n, 2, cells, generator=draw) - 0.5) * 80
    lab = torch.cat([lightness[:, None], ab], 1)
    orders = torch.stack([torch.stack([torch.randperm(cells, generator=draw) for _ in range(4)]) for _ in range(n)])
    frames = torch.stack([lab[:, :, :].gather(2, orders[:, t, None].expand(-1, 3, -1)) for t in range(4)], 1)
    images = lab_to_rgb(frames.view(n, 4, 3, side // 8, side // 8))
    return (images.repeat_interleave(8, 3).repeat_interleave(8, 4) * 255).round().byte()


def test_frames_are_cut_alike_and_have_the_nearest_cluster(task: Make) -> None:
    model = task(least_side=0.5)
    still = patches(3, side=40)[:, :1].expand(-1, 4, -1, -1, -1)
    example = model.pseudo_label(batch(still), rng())
    assert example.grey.shape == (3, 4, 1, 3, 32, 32)
    assert torch.equal(example.clusters, example.clusters[:, :1].expand_as(example.clusters))
    example = model.pseudo_label(batch(patches(3)), rng())
    assert not torch.equal(example.clusters[:, 0], example.clusters[:, 1])
    for f in range(4):
        for y in range(4):
            for x in range(4):
                a, b = example.colours[1, f, :, y, x].tolist()
                away = [(a - c) ** 2 + (b - d) ** 2 for c, d in model.centroids.tolist()]
                assert int(example.clusters[1, f, y, x]) == away.index(min(away))


def test_clusters_are_those_of_all_videos_colours(task: Make) -> None:
    model = task(clusters=4)
    centres = torch.tensor([[40.0, 0.0], [-40.0, 0.0], [0.0, 40.0], [0.0, -40.0]])
    lab = torch.cat([torch.full((4, 1), 60.0), centres], 1)
    images = (lab_to_rgb(lab[:, :, None, None]) * 255).round().byte()
    videos = images[:, None].expand(4, 4, 3, 32, 32)
    features = model.embed(batch(videos))
    assert features.shape == (4, 128)
    made = model.before_epoch(Known(index=torch.arange(4), features=features, labels=None), 4, generator(0))
    assert made.scalars["largest_cluster"] == 0.25
    found = sorted(model.centroids.round().tolist())
    assert torch.tensor(found).sub(torch.tensor(sorted(centres.tolist()))).abs().max() < 3
    grey = torch.full((4, 128), 1.0)
    with pytest.raises(ValueError, match="'video_colorization' needs videos in colour, but those that were read are"):
        model.before_epoch(Known(index=torch.arange(4), features=grey, labels=None), 4, generator(0))


@pytest.mark.parametrize("clip", [1, 2])
def test_guard_colours_of_any_frame_do_not_change_the_embeddings(task: Make, clip: int) -> None:
    model = task(clip=clip).eval()
    coarse = torch.rand(2, (3 + clip) * 3, 3, 3, generator=generator("frames"))
    frames = F.interpolate(coarse, (32, 32), mode="bilinear").unflatten(1, (-1, 3))
    lab = rgb_to_lab(frames)
    other = lab_to_rgb(torch.cat([lab[:, :, :1], lab[:, :, 1:] * 0.5], 2))
    first, second = (model.pseudo_label(batch((x * 255).round().byte()), rng()) for x in (frames, other))
    assert not torch.equal(first.colours, second.colours)
    torch.testing.assert_close(first.grey, second.grey, atol=0.03, rtol=0)
    with torch.no_grad():
        found = model(first)
        changed = Example(first.grey, first.pictures, first.colours.clone(), first.clusters.clone())
        changed.colours[:, -1], changed.clusters[:, -1] = 99.0, 0
        again = model(changed)
    assert found.shares.shape == (2, 16, 4, 4)
    assert torch.equal(again.shares, found.shares)
    assert torch.equal(again.colours, found.colours)
    torch.testing.assert_close(found.shares.sum(1), torch.ones(2, 4, 4))


def test_loss_and_metric_as_loops(task: Make) -> None:
    model = task().eval()
    example = model.pseudo_label(batch(patches(2)), rng())
    with torch.no_grad():
        features = model.head(model.encoder, example.grey).double()
        prediction = model(example)
        scalars = model.loss(prediction, example)
    total, hits, still = 0.0, 0, 0
    places = [(y, x) for y in range(4) for x in range(4)]
    for n in range(2):
        for y, x in places:
            share = [0.0] * 16
            for r in range(3):
                for a, b in places:
                    weight = math.exp(float(features[n, 3, :, y, x] @ features[n, r, :, a, b]))
                    share[int(example.clusters[n, r, a, b])] += weight
            target = int(example.clusters[n, 3, y, x])
            total -= math.log(max(share[target] / sum(share), 1e-6)) / 32
            hits += share.index(max(share)) == target
            still += int(example.clusters[n, 2, y, x]) == target
    assert float(scalars["loss"]) == pytest.approx(total, rel=1e-3)
    assert float(scalars["accuracy"]) == pytest.approx(hits / 32)
    assert float(scalars["accuracy_gain"]) == pytest.approx((hits - still) / 32)


@pytest.mark.parametrize(("size", "dilations"), [(256, [1, 2, 4, 8, 16]), (32, [1, 2, 2, 2, 2])])
def test_convolutions_over_space_reach_over_the_whole_frame(task: Make, size: int, dilations: list[int]) -> None:
    layers = [layer for layer in task(size, temporal=5, width=4).head.over_time if isinstance(layer, torch.nn.Conv3d)]
    assert [(layer.kernel_size, layer.dilation) for layer in layers[::2]] == [((1, 3, 3), (1, d, d)) for d in dilations]
    assert {layer.kernel_size for layer in layers[1::2]} == {(3, 1, 1)}


def test_it_learns_to_find_where_a_patch_was(task: Make) -> None:
    model = task(temporal=0)
    with torch.no_grad():
        model.before_epoch(
            Known(index=torch.arange(32), features=model.embed(batch(patches(32))), labels=None), 32, generator(0)
        )
    before = judge(model.eval(), [batch(patches(16, 1))])
    fit(model, lambda step: batch(patches(16, 2 + step)), steps=30, lr=1e-2)
    assert judge(model, [batch(patches(16, 1))]) > max(0.3, before + 0.2)


def test_guard_still_clips_and_noise_gain_nothing(task: Make) -> None:
    """Copying from the same place is right on the first; nothing says where a colour of the second was."""
    model = task()
    for clips, most in ((still_clips, 0.0), (noise_clips, 0.1)):
        videos = clips(16, frames=4)
        model.before_epoch(
            Known(index=torch.arange(16), features=model.embed(batch(videos)), labels=None), 16, generator(0)
        )
        fit(model.train(), lambda step, of=videos: batch(of), steps=10, lr=5e-3)  # type: ignore[misc]
        assert judge(model, [batch(clips(16, frames=4, seed=1))]) <= most


def test_two_processes_are_one(task: Make) -> None:
    model = task()
    whole = model.pseudo_label(batch(patches(4)), rng())
    halves = [Example(**{name: x[own] for name, x in vars(whole).items()}) for own in (slice(2), slice(2, 4))]
    check_halves(model, whole, halves)


def test_people_see_references_the_grey_target_and_copied_colours(task: Make) -> None:
    model = task().eval()
    example = model.pseudo_label(batch(patches(3)), rng())
    perfect = Prediction(torch.zeros(3, 16, 4, 4), example.colours[:, -1])
    first, _ = model.show(example, perfect, 2)
    assert [x.shape for x in first.inputs] == [(3, 3, 32, 32), (3, 32, 32)]
    assert torch.equal(first.inputs[1], first.inputs[1][:1].expand(3, -1, -1))
    assert isinstance(first.prediction, Tensor)
    assert isinstance(first.pseudo_label, Tensor)
    inner = (slice(None), slice(2, 6), slice(2, 6))
    torch.testing.assert_close(first.prediction[inner], first.pseudo_label[inner], atol=0.12, rtol=0)


def coloured(seed: int) -> np.ndarray:
    return patches(1, seed, 48)[0].repeat(5, 1, 1, 1).permute(0, 2, 3, 1).numpy()


def test_a_run_is_resumed_exactly(tmp_path: Path, write_video: Any) -> None:
    settings: dict[str, Any] = {"size": 16, "batch_size": 2, "task_settings": {"width": 8, "temporal": 1, "stride": 1}}
    run = check_run(tmp_path, write_video, "video_colorization", video=coloured, **settings)
    assert (run / "refresh.csv").exists()
