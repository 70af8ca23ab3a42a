"""Alignment: the fused network against loops, the loss, guards, and learning what flashes when a noise is heard."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Sound
from selftaught.encoders.audio import AudioConvNet
from selftaught.encoders.base import Encoder
from selftaught.encoders.build import build_encoder
from selftaught.tasks.base import sampling_of
from selftaught.tasks.crossmodal.audio_visual_alignment import AudioVisualAlignment, Example, _shares
from tests.tasks.clips import check_halves, fit
from tests.tasks.conftest import TinyClipEncoder
from tests.tasks.crossmodal.singing_clips import batch_of, of_one_level, rng, singing

Config = AudioVisualAlignment.Config
Task = Callable[..., AudioVisualAlignment]


@pytest.fixture
def task(tiny_clip_encoder: Callable[[], Encoder]) -> Task:
    def make(**settings: Any) -> AudioVisualAlignment:
        config = Config(**{"frames": 2, "seconds": 0.5, "hidden": 24, "fuse_after": 1, **settings})
        return AudioVisualAlignment(
            tiny_clip_encoder(), config, 16, audio_encoder=AudioConvNet("small", (8, 16, 32, 32))
        )

    return make


def test_sampling_is_two_moments_that_may_overlap_by_half() -> None:
    sampling = sampling_of(AudioVisualAlignment, Config(frames=8))
    assert sampling.inputs == {"video": Clip(frames=8, stride=2), "audio": Sound(seconds=1.25)}
    assert (sampling.clips_per_video, sampling.min_gap) == (2, 0.65)


def test_the_shares_of_time_are_those_of_the_intervals() -> None:
    for steps, times in ((6, 4), (3, 8), (5, 5)):
        found = _shares(steps, times)
        for s in range(steps):
            for t in range(times):
                shared = min((s + 1) / steps, (t + 1) / times) - max(s / steps, t / times)
                assert float(found[s, t]) == pytest.approx(max(shared, 0) * times, abs=1e-6)


@torch.no_grad()
def test_the_fused_network_against_loops(task: Task) -> None:
    """Early stages of both encoders, two layers at every position, later stages, mean, linear."""
    made = task().eval()
    for norm in made.merge.modules():
        if isinstance(norm, torch.nn.BatchNorm1d):
            torch.nn.init.uniform_(norm.weight, 0.5, 2)
            torch.nn.init.uniform_(norm.bias, -0.1, 0.1)
    example = made.pseudo_label(singing(0, videos=2), rng())
    found, maps = made(example), made.where(example)
    assert maps is None  # the features of this encoder are pooled on a grid
    blocks = made.encoder.get_submodule("blocks")
    assert isinstance(blocks, torch.nn.ModuleList)
    first, second = blocks
    early = first(example.clips)
    heard = made.audio_encoder.forward_features(example.sounds).amax(2)
    for row, partner in enumerate(example.partner.tolist()):
        for kind, sound in ((0, heard[row]), (1, heard[partner])):
            times = torch.stack([(sound * _shares(sound.shape[1], 2)[:, t]).sum(1) for t in range(2)], 1)
            spoken = made.merge.sound(times[None])[0]
            fused = early[row].clone()
            for t in range(2):
                for y in range(fused.shape[2]):
                    for x in range(fused.shape[3]):
                        both = torch.cat([early[row, :, t, y, x], spoken[:, t]])
                        weights = torch.cat([made.merge.of_clip.weight, made.merge.of_sound.weight], 1)
                        hidden = made.merge.hidden((weights @ both)[None])
                        fused[:, t, y, x] += made.merge.out(hidden)[0]
            pooled = torch.nn.functional.adaptive_avg_pool3d(second(fused[None]), (1, 2, 2)).flatten(1)
            assert float(found[kind, row]) == pytest.approx(float(made.joint(pooled)), abs=1e-4)


@torch.no_grad()
def test_the_video_encoder_runs_alone(task: Task) -> None:
    made = task().eval()
    example = made.pseudo_label(singing(0, videos=2), rng())
    before = made.encoder(example.clips)
    made(example)
    assert torch.equal(made.encoder(example.clips), before)
    assert not any(module._forward_hooks for module in made.modules())


def test_loss_and_metrics_against_loops(task: Task) -> None:
    own, shifted = [0.5, -1.0, 2.0, 0.1], [0.7, -2.0, -1.0, 9.0]
    weight = [1.0, 1.0, 1.0, 0.0]
    example = Example(torch.zeros(4, 3, 2, 4, 4), torch.zeros(4, 1, 4, 4), torch.arange(4), torch.tensor(weight))
    told = task().loss(torch.tensor([own, shifted]), example)

    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    losses = [-math.log(sigmoid(own[n])) / 2 - math.log(1 - sigmoid(shifted[n])) / 2 for n in range(3)]
    assert float(told["loss"]) == pytest.approx(sum(losses) / 3)
    assert float(told["accuracy"]) == pytest.approx(((1 + 0) + (0 + 1) + (1 + 1)) / 6)
    assert float(told["accuracy_ranked"]) == pytest.approx(2 / 3)


def test_every_sound_is_heard_once_aligned_and_once_shifted(task: Task) -> None:
    example = task().pseudo_label(singing(0), rng())
    assert example.partner.tolist() == [n + 1 - 2 * (n % 2) for n in range(16)]
    assert example.weight.all()


def test_silent_and_near_moments_do_not_count(task: Task) -> None:
    batch = singing(0, videos=3)
    batch["audio"][0] = 0
    assert batch.time is not None
    batch.time[3] = batch.time[2] + 0.6  # nearer than the shift
    assert task().pseudo_label(batch, rng()).weight.tolist() == [0, 0, 0, 0, 1, 1]
    alone = Batch(index=torch.arange(6), inputs=batch.inputs, time=batch.time)
    assert not task().pseudo_label(alone, rng()).weight.any()


def metrics(made: AudioVisualAlignment, batch: Callable[[int], Any], count: int = 6) -> dict[str, float]:
    with torch.no_grad():
        examples = [made.pseudo_label(batch(k), rng(k)) for k in range(1000, 1000 + count)]
        told = [made.loss(made(one), one) for one in examples]
    return {name: sum(float(one[name]) for one in told) / count for name in told[0]}


class Averaged(TinyClipEncoder):
    """With the mean over all positions, of which a map can be drawn."""

    num_features = 16

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_features(x).mean((2, 3, 4))


def flashing(seed: int, *, videos: int = 8, frames: int = 8, side: int = 16) -> Batch:
    """Clips in which a corner flashes when a noise is heard; both moments of a video differ in when and where alone."""
    draw, n = rng(seed), 2 * videos
    when = torch.stack([torch.randperm(frames, generator=draw)[:2] for _ in range(videos)]).flatten()
    clips = torch.randint(20, 80, (n, frames, 3, side, side), generator=draw, dtype=torch.uint8)
    corners = torch.randint(2, (2, n), generator=draw)
    high, low = (torch.arange(side)[None] // (side // 2) == corner[:, None] for corner in corners)
    clips[torch.arange(n), when] += 150 * (high[:, :, None] & low[:, None])[:, None].to(torch.uint8)
    loud = torch.arange(16000)[None] * frames // 16000 == when[:, None]
    return batch_of(clips, torch.randn(n, 16000, generator=draw) * (0.02 + 0.3 * loud))


def test_it_learns_what_flashes_when_a_noise_is_heard_and_where() -> None:
    torch.manual_seed(0)
    config = Config(frames=8, seconds=1.0, hidden=24, fuse_after=1, min_scale=1.0)
    made = AudioVisualAlignment(Averaged(), config, 16, audio_encoder=AudioConvNet("small", (8, 16, 32, 32)))
    fit(made, flashing, steps=30, lr=4e-3)
    assert metrics(made, flashing, 3)["accuracy"] > 0.9
    example = made.pseudo_label(flashing(2000), rng())
    maps = made.where(example)
    assert maps is not None
    flashes, found = (
        nn.functional.adaptive_avg_pool2d(one.amax(1), 2).flatten(1).argmax(1)
        for one in (example.clips.mean(1), maps[0])
    )
    # A guess is right for a quarter of 16.
    assert int((flashes == found).sum()) >= 12


def test_a_recording_level_tells_nothing(task: Task) -> None:
    """Where brightness and loudness alone go together, it stays at chance."""
    made = task()
    fit(made, of_one_level, steps=12, lr=4e-3)
    found = metrics(made, of_one_level, 8)
    # 128 clips, of which the two of a video are not independent.
    assert abs(found["accuracy"] - 0.5) < 3 * 0.5 / math.sqrt(64)
    assert abs(found["accuracy_ranked"] - 0.5) < 3 * 0.5 / math.sqrt(64)


def test_halves_of_a_batch_have_the_value_and_gradient_of_the_whole(task: Task) -> None:
    made = task().eval()
    whole = made.pseudo_label(singing(0, videos=4), rng())
    rows = (slice(0, 4), slice(4, 8))
    halves = [
        Example(whole.clips[s], whole.sounds[s], whole.partner[s] - (s.start or 0), whole.weight[s]) for s in rows
    ]
    check_halves(made, whole, halves)


def test_shown_samples_are_a_clip_a_spectrogram_and_where_it_sounds() -> None:
    encoder = build_encoder("mean:timm:test_resnet", size=32)
    made = AudioVisualAlignment(
        encoder, Config(frames=2, seconds=0.5), 32, audio_encoder=AudioConvNet("small", (8, 16, 32, 32))
    ).eval()
    batch = singing(0, videos=2)
    batch["audio"][0] = 0
    example = made.pseudo_label(batch, rng())
    prediction = made(example)
    maps = made.where(example)
    assert maps is not None
    # The mean of the map is the logit, as the last layer is linear.
    assert torch.allclose(maps.mean((2, 3, 4)), prediction, atol=1e-4)
    shown = made.show(example, prediction, 4)
    assert [tuple(one.shape) for one in shown[1].inputs] == [(2, 3, 32, 32), (1, 64, 50), (2, 3, 32, 32)]
    assert [str(one.pseudo_label).split(" ")[0] for one in shown] == ["aligned", "shifted", "aligned", "shifted"]
    assert "silent: left out" in str(shown[0].pseudo_label)
    assert all(float(value.min()) >= 0 and float(value.max()) <= 1 for one in shown for value in one.inputs)


def test_what_cannot_be_fused_is_said() -> None:
    ear = AudioConvNet("small", (8, 16, 32, 32))
    with pytest.raises(ValueError, match=r"--task\.fuse_after must be below 5, the number of stages .*, got 5"):
        AudioVisualAlignment(
            build_encoder("mean:timm:test_resnet", size=32), Config(fuse_after=5), 32, audio_encoder=ear
        )
    with pytest.raises(ValueError, match="no module that gives its stage 'block2' alone; choose another --encoder"):
        AudioVisualAlignment(build_encoder("videovit_tiny", size=32), Config(), 32, audio_encoder=ear)
