"""Temporal GAN: its generators, its distance, singular value clipping, its players, and what they learn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from selftaught.data.batch import Batch
from selftaught.encoders.base import Encoder
from selftaught.ops.colour import denormalise_clips
from selftaught.tasks.generation import temporal_gan
from selftaught.tasks.generation.temporal_gan import ImageGenerator, TemporalGAN, TemporalGenerator, limit_slope
from selftaught.training.optimizers import build_optimizer
from selftaught.training.players import only_parameters_of, scalars_of
from tests.tasks.clips import check_run, crossings, rng
from tests.tasks.learning import check_players_move_alone

Task = Callable[..., TemporalGAN]


@pytest.fixture
def task(tiny_clip_encoder: Callable[[], Encoder]) -> Task:
    def make(**settings: Any) -> TemporalGAN:
        torch.manual_seed(0)
        own = {"frames": 4, "width": 16, "code": 4, "frame_code": 3, **settings}
        return TemporalGAN(tiny_clip_encoder(), TemporalGAN.Config(**own), 16)

    return make


def batch(first: int = 0, count: int = 8) -> Batch:
    """Clips (N, 4, 3, 24, 24) in which a white square crosses a dark ground."""
    return Batch(index=torch.arange(count), inputs={"video": crossings(range(first, first + count), frames=4)[0]})


def test_generators_have_the_layers_published() -> None:
    """frame_seed_generator.py and video_generator.py of https://github.com/pfnet-research/tgan."""
    temporal = TemporalGenerator(100, 100, 16, width=512)
    convs = [module for module in temporal.modules() if isinstance(module, nn.ConvTranspose1d)]
    assert [(c.in_channels, c.out_channels) for c in convs] == [(512, 256), (256, 128), (128, 128), (128, 100)]
    image = ImageGenerator(100, 100, side=64, width=512)
    assert [image.of_clip[0].weight.shape, image.of_frame[0].weight.shape] == [(256 * 4 * 4, 100)] * 2
    ups = [module for module in image.modules() if isinstance(module, nn.ConvTranspose2d)]
    assert [(c.in_channels, c.out_channels) for c in ups] == [(512, 256), (256, 128), (128, 64), (64, 32)]
    (last,) = [module for module in image.modules() if isinstance(module, nn.Conv2d)]
    assert (last.in_channels, last.out_channels, last.kernel_size) == (32, 3, (3, 3))


@pytest.mark.parametrize("frames", [1, 2, 5, 12])
def test_every_frame_has_a_code(frames: int) -> None:
    codes = TemporalGenerator(4, 3, frames, width=16)(torch.randn(2, 4)).detach()
    assert codes.shape == (2, frames, 3)
    assert codes.abs().max() <= 1


def test_a_clip_is_put_together_of_frames_from_both_codes(task: Task) -> None:
    model = task().eval()
    codes = torch.rand(3, 4) * 2 - 1
    with torch.no_grad():
        clips, of_frames = model._made(codes), model.temporal_generator(codes)
        assert clips.shape == (3, 3, 4, 16, 16)
        for n in range(3):
            for t in range(4):
                frame = model.image_generator(codes[n : n + 1], of_frames[n, t][None])[0]
                assert torch.allclose(clips[n, :, t], frame, atol=1e-5)


def test_losses_are_the_papers(task: Task) -> None:
    model = task().eval()
    example = model.pseudo_label(batch(), rng())
    assert example.codes.abs().max() <= 1
    assert not torch.equal(example.codes, example.other_codes)

    def mean_score(clips: Tensor) -> float:
        scores: list[float] = model.head(model.encoder(clips))[:, 0].tolist()
        return sum(scores) / len(scores)

    made, other = model.generate(example), model.generate(replace(example, codes=example.other_codes))
    distance = mean_score(example.clips) - mean_score(made)
    found = {name: value.detach() for name, value in model.loss(model(example), example).items()}
    assert float(found["loss"]) == pytest.approx(-distance, abs=1e-5)
    assert float(found["distance"]) == pytest.approx(distance, abs=1e-5)
    passed = model.loss(model(example, "generator"), example, "generator")["loss"].detach()
    assert float(passed) == pytest.approx(-mean_score(other), abs=1e-5)
    assert model.chance(8) == 0.5


def svd_of(weight: Tensor) -> Tensor:
    found: Tensor = torch.linalg.svdvals(weight.detach().double().reshape(len(weight), -1))
    return found


def test_clipping_leaves_no_singular_value_above_one_and_brings_gains_to_the_deviation(
    tiny_clip_encoder: Callable[[], Encoder],
) -> None:
    """Against the updater published: an SVD of every weight as a matrix, and loops over the gains."""
    encoder = tiny_clip_encoder()
    encoder(torch.randn(4, 3, 4, 16, 16, generator=rng()))
    for parameter in encoder.parameters():
        parameter.data.mul_(3).add_(0.1 * torch.randn(parameter.shape, generator=rng(1)))
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    limit_slope(encoder)
    after = encoder.state_dict()
    kernels = [name for name, value in before.items() if value.ndim == 5]
    gains = [name for name in before if name.endswith("weight") and name not in kernels]
    assert (len(kernels), len(gains)) == (2, 2)
    for name in kernels:
        value = before[name]
        u, s, v = torch.linalg.svd(value.double().reshape(len(value), -1), full_matrices=False)
        assert float(s.max()) > 1.1
        expected = (u @ torch.diag(s.clamp(max=1)) @ v).reshape(value.shape)
        assert torch.allclose(after[name].double(), expected, atol=1e-5)
        assert float(svd_of(after[name]).max()) == pytest.approx(1, abs=1e-5)
    for name in gains:
        variance = before[name.replace("weight", "running_var")]
        for gain, found, square in zip(before[name].tolist(), after[name].tolist(), variance.tolist(), strict=True):
            deviation = square**0.5
            assert found == pytest.approx(max(min(gain, deviation), 0.01 * deviation), abs=1e-6)


def test_groups_of_a_convolution_are_matrices_of_their_own() -> None:
    conv = nn.Conv2d(4, 6, 3, groups=2)
    conv.weight.data.mul_(10)
    limit_slope(conv)
    for group in conv.weight.detach().chunk(2):
        assert float(svd_of(group).max()) == pytest.approx(1, abs=1e-5)


def test_weights_are_clipped_after_every_fifth_step(task: Task) -> None:
    model = task(clip_every=5)
    weights = [next(model.encoder.parameters()), model.head.weight]
    largest = []
    for step in range(10):
        for weight in weights:
            weight.data.mul_(3)
        model.after_step(step, 10)
        largest.append(max(float(svd_of(weight).max()) for weight in weights))
    assert [round(value, 3) <= 1 for value in largest] == [False] * 4 + [True] + [False] * 4 + [True]
    assert int(model.state_dict()["steps"]) == 10


def test_players_move_alone(task: Task) -> None:
    check_players_move_alone(task(), batch())


def test_both_players_learn_in_seconds(task: Task) -> None:
    """The critic puts real clips above generated ones; the generator makes them as dark as the ground."""
    model = task(width=32)
    optimizer = build_optimizer(model, "adamw", 3e-3, 0.0, (0.0, 0.99))
    test = model.pseudo_label(batch(100, 16), rng(1))
    real = float(denormalise_clips(test.clips).mean())

    def apart() -> float:
        return abs(float(denormalise_clips(model.generate(test)).mean()) - real)

    before, distances = apart(), []
    for step in range(40):
        example = model.pseudo_label(batch(8 * (step % 6), 8), rng(step))
        for player in model.turns(step):
            with only_parameters_of(player, model):
                scalars = scalars_of(model, model, example, player)
                scalars["loss"].backward()
                optimizer.step()
                optimizer.zero_grad()
            distances += [float(scalars["distance"])] if player == "discriminator" else []
        model.after_step(step, 40)
    assert max(distances) > distances[0]
    model.eval()
    with torch.no_grad():
        assert float(model.loss(model(test), test)["accuracy"]) > 0.8
    assert apart() < before


def test_two_processes_clip_to_the_same_weights(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each has seen other clips, the gains are those of the first one's running statistics."""
    first, second = task(clip_every=1), task(clip_every=1)
    for seed, model in enumerate((first, second)):
        model.encoder(4 * torch.randn(4, 3, 2, 16, 16, generator=rng(seed)))

    def buffers_of_the_first(network: nn.Module) -> None:
        for own, other in zip(network.buffers(), first.encoder.buffers(), strict=True):
            own.copy_(other)

    monkeypatch.setattr(temporal_gan, "is_distributed", lambda: True)
    monkeypatch.setattr(temporal_gan, "same_buffers", buffers_of_the_first)
    for model in (first, second):
        for parameter in model.encoder.parameters():
            parameter.data.add_(2)
        model.after_step(0, 1)
    assert all(torch.equal(*pair) for pair in zip(first.parameters(), second.parameters(), strict=True))


def test_generated_clips_are_shown_as_animations(task: Task) -> None:
    model = task().eval()
    example = model.pseudo_label(batch(), rng())
    shown = model.show(example, model(example), 5)
    assert len(shown) == 5
    assert shown[1].inputs[0].shape == (4, 3, 16, 16)


def test_a_run_is_resumed_exactly_and_compares_its_clips_with_held_out_ones(tmp_path: Path, write_video: Any) -> None:
    settings: dict[str, Any] = {"encoder": "mean:timm:test_resnet", "batch_size": 2}
    own = {"frames": 2, "width": 16, "code": 4, "clip_every": 2}
    run = check_run(tmp_path, write_video, "temporal_gan", task_settings=own, **settings)
    header, *rows = (run / "heldout.csv").read_text().splitlines()
    assert float(rows[-1].split(",")[header.split(",").index("frechet")]) > 0
