"""Synchronisation: the contrastive loss, the curriculum, a guard, and learning that a colour has a pitch."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch

from selftaught.data.inputs import Clip, Sound
from selftaught.encoders.audio import AudioConvNet
from selftaught.encoders.base import Encoder
from selftaught.tasks.base import sampling_of
from selftaught.tasks.crossmodal.audio_visual_sync import AudioVisualSync, Example
from selftaught.tasks.parts.sound_pairs import SoundPairs
from tests.tasks.clips import fit
from tests.tasks.crossmodal.singing_clips import of_one_level, rng, singing

Config = AudioVisualSync.Config
Task = Callable[..., AudioVisualSync]


@pytest.fixture
def task(tiny_clip_encoder: Callable[[], Encoder]) -> Task:
    def make(**settings: Any) -> AudioVisualSync:
        config = Config(**{"frames": 2, "seconds": 0.5, "embedding": 16, **settings})
        return AudioVisualSync(tiny_clip_encoder(), config, 16, audio_encoder=AudioConvNet("small", (8, 16, 32, 32)))

    return make


def test_sampling_is_two_moments_whose_sounds_do_not_overlap() -> None:
    sampling = sampling_of(AudioVisualSync, Config(frames=8, stride=2))
    assert sampling.inputs == {"video": Clip(frames=8, stride=2), "audio": Sound(seconds=1.0)}
    assert (sampling.clips_per_video, sampling.min_gap) == (2, 1.5)


def test_the_distance_is_that_of_the_pair(task: Task) -> None:
    made = task().eval()
    example = made.pseudo_label(singing(0, videos=3), rng())
    with torch.no_grad():
        seen, heard = made.head(made.encoder(example.clips)), made.audio_head(made.audio_encoder(example.sounds))
        for n, distance in enumerate(made(example)):
            a, b = seen[n], heard[int(example.pairs.partner[n])]
            assert float(distance) == pytest.approx(float((a / a.norm() - b / b.norm()).norm()), abs=1e-5)


def test_loss_and_metrics_against_loops(task: Task) -> None:
    distance = torch.tensor([0.1, 0.6, 1.2, 0.3, 0.9, 0.2])
    target, same = torch.tensor([1, 1, 0, 0, 0, 1]), torch.tensor([True, True, False, True, False, True])
    weight = torch.tensor([1.0, 1, 1, 1, 1, 0])
    pairs = SoundPairs(torch.arange(6), target, same, weight)
    told = task(margin=1.0).loss(distance, Example(torch.zeros(6, 3, 2, 4, 4), torch.zeros(6, 1, 4, 4), pairs))
    losses, nearer = [], {True: [], False: []}  # type: ignore[var-annotated]
    for n in range(5):
        d = float(distance[n])
        losses.append(d**2 if target[n] else max(1.0 - d, 0) ** 2)
    for p, n in itertools.product((0, 1), (2, 3, 4)):
        nearer[bool(same[n])].append(float(distance[p] < distance[n]))
    assert float(told["loss"]) == pytest.approx(sum(losses) / 5)
    assert float(told["accuracy"]) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert float(told["auc_hard"]) == pytest.approx(sum(nearer[True]) / 2)
    assert float(told["auc_easy"]) == pytest.approx(sum(nearer[False]) / 4)


def test_pairs_become_hard_after_a_share_of_the_steps(task: Task) -> None:
    made, batch = task(hard=1.0, hard_after=0.5), singing(0)
    hard = []
    for step in range(4):
        pairs = made.pseudo_label(batch, rng(step)).pairs
        hard.append(float(pairs.same_video[pairs.target == 0].float().mean()))
        made.after_step(step, 4)
    assert hard == [0, 0, 1, 1]
    never = task(hard_after=1.0)
    never.after_step(3, 4)
    assert not never.is_hard
    held = [never.eval().pseudo_label(batch, rng(seed)).pairs for seed in range(40)]
    share = torch.cat([pairs.same_video[pairs.target == 0].float() for pairs in held]).mean()
    assert float(share) == pytest.approx(0.5, abs=0.1)


def metrics(made: AudioVisualSync, batch: Callable[[int], Any], count: int = 4) -> dict[str, float]:
    with torch.no_grad():
        examples = [made.pseudo_label(batch(k), rng(k)) for k in range(1000, 1000 + count)]
        told = [made.loss(made(one), one) for one in examples]
    return {name: sum(float(one[name]) for one in told) / count for name in told[0]}


def test_it_learns_which_pitch_a_colour_has(task: Task) -> None:
    made = task(hard_after=0.0, hard=0.5)
    fit(made, singing, steps=25, lr=3e-3)
    found = metrics(made, singing)
    # Of other videos a quarter has the same colour and pitch.
    assert found["auc_hard"] > 0.9
    assert found["auc_easy"] > 0.75
    assert found["accuracy"] > 0.7


def test_a_recording_level_tells_nothing(task: Task) -> None:
    """Where brightness and loudness alone go together, pairs stay at chance."""
    made = task(hard_after=0.0, hard=0.5)
    fit(made, of_one_level, steps=20, lr=3e-3)
    found = metrics(made, of_one_level, 8)
    for name in ("auc_easy", "auc_hard"):
        # 64 pairs in sync and about 32 of each kind out of sync.
        assert abs(found[name] - 0.5) < 3 * 0.065


def test_shown_samples_are_a_clip_and_a_spectrogram(task: Task) -> None:
    made = task().eval()
    batch = singing(0, videos=2)
    batch["audio"][0] = 0
    example = made.pseudo_label(batch, rng())
    shown = made.show(example, made(example), 4)
    assert [tuple(one.shape) for one in shown[1].inputs] == [(2, 3, 16, 16), (1, 64, 50)]
    assert "silent: left out" in str(shown[0].pseudo_label)
    assert all("sync" in str(one.prediction) for one in shown)


@torch.no_grad()
def test_what_is_seen_matches_what_is_heard_by_the_cosine_of_the_embeddings(task: Task) -> None:
    made = task().eval()
    example = made.pseudo_label(singing(0, videos=3), rng())
    seen, heard = made.encoder(example.clips), made.audio_encoder(example.sounds)
    cosine = made.matches(seen, heard[:4])
    assert cosine.shape == (6, 4)
    # Of embeddings of unit length d^2 = 2 - 2 cos.
    for n, distance in enumerate(made(example)):
        if (partner := int(example.pairs.partner[n])) < 4:
            assert float(distance) ** 2 == pytest.approx(2 - 2 * float(cosine[n, partner]), abs=1e-4)
