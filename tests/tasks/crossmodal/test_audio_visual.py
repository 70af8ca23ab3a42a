"""Audio-visual correspondence: how pairs are drawn, silence, and learning that a colour has a pitch."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from selftaught.data.batch import Batch
from selftaught.data.inputs import Image, Sound
from selftaught.data.loader import Loader
from selftaught.data.sources.open import open_source
from selftaught.data.store.open import open_samples
from selftaught.encoders.audio import AudioConvNet
from selftaught.encoders.base import Encoder
from selftaught.tasks.base import sampling_of
from selftaught.tasks.crossmodal.audio_visual import AudioVisual, Example
from selftaught.tasks.parts.sound_pairs import pair_sounds

Config = AudioVisual.Config
WIDTHS = (16, 32, 64, 128)
"""A quarter of the published ones: this network learns in seconds."""
Task = Callable[..., AudioVisual]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def task(tiny_encoder: Callable[[], Encoder]) -> Task:
    def make(**settings: Any) -> AudioVisual:
        return AudioVisual(tiny_encoder(), Config(**settings), 16, audio_encoder=AudioConvNet("small", WIDTHS))

    return make


def batch_of(index: list[int], time: list[float], silent: tuple[int, ...] = ()) -> Batch:
    n = len(index)
    audio = 0.1 * torch.randn(n, 16000, generator=rng(1))
    audio[list(silent)] = 0.0
    image = torch.randint(256, (n, 3, 20, 20), dtype=torch.uint8, generator=rng(2))
    return Batch(index=torch.tensor(index), inputs={"image": image, "audio": audio}, time=torch.tensor(time))


def pairs(videos: int = 8, silent: tuple[int, ...] = ()) -> Batch:
    index = [video for video in range(videos) for _ in range(2)]
    return batch_of(index, [0.7, 2.4] * videos, silent)


def test_sampling_is_two_seconds_of_each_video_apart() -> None:
    sampling = sampling_of(AudioVisual, Config())
    assert sampling.inputs == {"image": Image(), "audio": Sound(seconds=1.0)}
    assert (sampling.clips_per_video, sampling.min_gap) == (2, 1.0)


def test_pairs_are_what_their_labels_say(task: Task) -> None:
    made, batch = task(), pairs()
    for seed in range(20):
        example = made.pseudo_label(batch, rng(seed))
        assert int(example.target.sum()) == 8
        for n in range(16):
            partner = int(example.partner[n])
            same = int(batch.index[partner]) == int(batch.index[n])
            assert bool(example.same_video[n]) == same
            if example.target[n]:
                assert partner == n
            else:
                assert partner != n
                assert not same or abs(float(batch.time[partner] - batch.time[n])) >= 1  # type: ignore[index]
        assert example.weight.tolist() == [1.0] * 16


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_share_of_negatives_from_the_same_video(task: Task, share: float) -> None:
    made, batch = task(same_video=share), pairs()
    examples = [made.pseudo_label(batch, rng(seed)) for seed in range(60)]
    negative = torch.cat([e.target == 0 for e in examples])
    same = torch.cat([e.same_video for e in examples])[negative].float().mean()
    assert float(same) == pytest.approx(share, abs=0.08)


def test_overlapping_windows_of_one_video_are_no_negatives(task: Task) -> None:
    batch = batch_of([0, 0, 1, 1], [1.0, 1.4, 1.0, 1.4])
    for seed in range(20):
        example = task(same_video=1.0).pseudo_label(batch, rng(seed))
        assert not example.same_video[example.target == 0].any()


def test_one_video_alone_gives_negatives_from_other_times(task: Task) -> None:
    example = task(same_video=0.0).pseudo_label(batch_of([3, 3], [0.5, 2.0]), rng())
    assert example.same_video.all()
    assert example.weight.tolist() == [1, 1]
    alone = task().pseudo_label(batch_of([3, 3], [0.5, 0.6]), rng())
    assert alone.weight.tolist() == [0, 0]


def test_silence_takes_part_in_no_pair(task: Task) -> None:
    silent = (3, 4, 5, 10)
    made, batch = task(), pairs(silent=silent)
    for seed in range(20):
        example = made.pseudo_label(batch, rng(seed))
        counted = example.weight > 0
        assert counted.tolist() == [n not in silent for n in range(16)]
        assert not set(example.partner[counted].tolist()) & set(silent)
    logits = torch.randn(16, 2, requires_grad=True)
    made.loss(logits, example)["loss"].backward()
    assert logits.grad is not None
    assert (logits.grad[list(silent)] == 0).all()
    everything = made.pseudo_label(pairs(silent=tuple(range(16))), rng())
    assert float(made.loss(logits, everything)["loss"].detach()) == 0


def test_no_frame_sound_or_place_gives_away_the_label() -> None:
    """Every frame, every sound and every row is matched half of the time."""
    batch = pairs(silent=(3, 4))
    by_row, by_sound = torch.zeros(16), torch.zeros(16, 2)
    for seed in range(400):
        drawn = pair_sounds(batch, rng(seed), same_video=0.5, apart=1.0, silence=0.003)
        partner, target, weight = drawn.partner, drawn.target, drawn.weight
        by_row += target
        for n in range(16):
            by_sound[partner[n], target[n]] += weight[n]
    assert (by_row / 400 - 0.5).abs().max() < 0.09
    loud = by_sound.sum(1) > 0
    share = by_sound[loud, 1] / by_sound[loud].sum(1)
    assert int(loud.sum()) == 14
    assert float(share.mean()) == pytest.approx(0.5, abs=0.02)
    # A lone loud window of its video is never a same-video negative, so it is matched somewhat more often.
    assert (share - 0.5).abs().max() < 0.2


def test_forward_puts_each_frame_beside_its_sound(task: Task) -> None:
    made = task().eval()
    example = made.pseudo_label(pairs(2), rng())
    with torch.no_grad():
        seen, heard = made.encoder(example.images), made.audio_encoder(example.sounds)
        for n, logits in enumerate(made(example)):
            expected = made.head(torch.cat([seen[n], heard[int(example.partner[n])]])[None])[0]
            assert torch.allclose(logits, expected, atol=1e-4)


@torch.no_grad()
def test_what_is_seen_matches_what_is_heard_by_the_probability_of_the_pair(task: Task) -> None:
    made = task().eval()
    example = made.pseudo_label(pairs(3), rng())
    seen, heard = made.encoder(example.images), made.audio_encoder(example.sounds)
    found = made.matches(seen, heard[:5])
    assert found.shape == (6, 5)
    for n, logits in enumerate(made(example)):
        if (partner := int(example.partner[n])) < 5:
            assert float(found[n, partner]) == pytest.approx(float(logits.softmax(0)[1]), abs=1e-5)


def test_loss_and_accuracy_against_loops(task: Task) -> None:
    made = task()
    logits = torch.randn(6, 2, generator=rng(4))
    target = torch.tensor([1, 1, 0, 0, 0, 1])
    same = torch.tensor([True, True, True, False, False, True])
    weight = torch.tensor([1.0, 0, 1, 1, 1, 1])
    example = Example(torch.zeros(6, 3, 4, 4), torch.zeros(6, 1, 4, 4), torch.arange(6), target, same, weight)
    told = made.loss(logits, example)
    losses, right = [], {0: [], 1: []}  # type: ignore[var-annotated]
    for n in range(6):
        if weight[n]:
            losses.append(math.log(sum(math.exp(v) for v in logits[n].tolist())) - float(logits[n, target[n]]))
            right[int(target[n])].append(bool(logits[n].argmax() == target[n]))
    assert float(told["loss"]) == pytest.approx(float(np.mean(losses)), rel=1e-5)
    assert float(told["accuracy"]) == pytest.approx((np.mean(right[0]) + np.mean(right[1])) / 2)
    assert float(told["accuracy_same_video"]) == float(logits[2].argmax() == 0)


def test_loudness_does_not_reach_the_network(task: Task) -> None:
    made, batch = task(), pairs(2)
    quiet = batch.using(audio=batch["audio"] * 0.2)
    one, other = made.pseudo_label(batch, rng()), made.pseudo_label(quiet, rng())
    assert torch.allclose(one.sounds, other.sounds, atol=1e-3)


def test_shown_samples_are_a_frame_and_a_spectrogram(task: Task) -> None:
    made = task().eval()
    example = made.pseudo_label(pairs(2, silent=(0,)), rng())
    shown = made.show(example, made(example), 4)
    assert [tuple(picture.shape) for picture in shown[1].inputs] == [(3, 16, 16), (1, 64, 100)]
    assert "silent: left out" in str(shown[0].pseudo_label)
    assert all("belong together" in str(sample.pseudo_label) for sample in shown)


@pytest.mark.parametrize("settings", [{"same_video": 1.5}, {"silence": -1.0}, {"min_scale": 0.0}, {"hidden": 0}])
def test_settings_that_cannot_be_are_refused(settings: dict[str, float]) -> None:
    (name,) = settings
    with pytest.raises(ValueError, match=f"--task.{name.replace('_', '-')} must be"):
        Config(**settings)  # type: ignore[arg-type]


def singing(seed: int, rate: int = 16000) -> tuple[np.ndarray, np.ndarray]:
    """Four seconds, each of a colour and the pitch that goes with it, in an order drawn by the seed."""
    draw = np.random.default_rng(seed)
    chosen = draw.permutation(4)
    colours = np.array([[230, 20, 20], [20, 230, 20], [20, 20, 230], [200, 200, 20]], np.uint8)
    frames = colours[chosen].repeat(10, 0)[:, None, None].repeat(24, 1).repeat(24, 2)
    hertz = np.array([200.0, 600.0, 1800.0, 5000.0])[chosen].repeat(rate)
    sound = 0.3 * np.sin(2 * np.pi * np.cumsum(hertz) / rate + draw.random())
    noise = draw.integers(-15, 16, frames.shape)
    return np.clip(frames + noise, 0, 255).astype(np.uint8), sound.astype(np.float32)


def accuracies(made: AudioVisual, batches: list[Batch]) -> dict[str, float]:
    made.eval()
    told: list[dict[str, Tensor]] = []
    with torch.no_grad():
        for k, batch in enumerate(batches):
            example = made.pseudo_label(batch, rng(100 + k))
            told.append(made.loss(made(example), example))
    made.train()
    return {name: float(np.mean([float(t[name]) for t in told])) for name in told[0]}


def test_it_learns_which_pitch_a_colour_has(task: Task, tmp_path: Path, write_video: Any) -> None:
    for seed in range(12):
        frames, sound = singing(seed)
        write_video(tmp_path / f"{seed}.avi", frames, fps=10, sound=sound, rate=16000)
    made = task(same_video=0.5)
    sampling = sampling_of(type(made), made.config)
    source = open_source(str(tmp_path), split="train", needs=frozenset({"video", "audio"}), held_out=0.0)
    samples = open_samples(source, side=20, sampling=sampling, cache_limit_gb=1, workers=1, progress=None)
    loader = Loader(samples, sampling=sampling, batch_size=24, seed=0, device=torch.device("cpu"))
    held = [loader.batch(step) for step in (1000, 1001, 1002)]
    optimizer = torch.optim.AdamW(made.parameters(), lr=3e-3, weight_decay=1e-2)
    for step in range(60):
        example = made.pseudo_label(loader.batch(step), rng(step))
        optimizer.zero_grad()
        made.loss(made(example), example)["loss"].backward()
        optimizer.step()
    loader.close()
    # Windows that straddle two colours hold two pitches, so that not every pair can be told.
    found = accuracies(made, held)
    assert found["accuracy"] > 0.75
    assert found["accuracy_same_video"] > 0.6


def test_real_clips_make_pairs(task: Task, shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    for file in sorted(shared_data("av_clips").glob("grid_*.mpg"))[:3]:
        (tmp_path / file.name).symlink_to(file)
    made = task()
    sampling = sampling_of(type(made), made.config)
    source = open_source(str(tmp_path), split="train", needs=frozenset({"video", "audio"}), held_out=0.0)
    samples = open_samples(source, side=20, sampling=sampling, cache_limit_gb=1, workers=1, progress=None)
    loader = Loader(samples, sampling=sampling, batch_size=6, seed=0, device=torch.device("cpu"))
    batch = loader.batch(0)
    loader.close()
    assert batch.index.tolist() == [batch.index[n // 2 * 2].item() for n in range(6)]
    assert batch.time is not None
    assert float((batch.time[::2] - batch.time[1::2]).abs().min()) >= 1 - 1e-3
    told = made.loss(made(example := made.pseudo_label(batch, rng())), example)
    assert torch.isfinite(told["loss"])
    assert float(example.weight.sum()) == 6
