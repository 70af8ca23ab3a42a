"""Ambient sound: clusters and codes of statistics, silence, a guard, and learning that a colour has a pitch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from selftaught.data.batch import Batch
from selftaught.data.inputs import Image, Sound
from selftaught.encoders.base import Encoder
from selftaught.ops.sound.texture import GROUPS, sound_texture
from selftaught.tasks.base import Known, sampling_of
from selftaught.tasks.crossmodal.ambient_sound import AmbientSound, Example
from tests.tasks.clips import fit, judge
from tests.tasks.crossmodal.singing_clips import of_one_level, rng, singing

Config = AmbientSound.Config
Task = Callable[..., AmbientSound]


@pytest.fixture
def task(tiny_encoder: Callable[[], Encoder]) -> Task:
    def make(**settings: Any) -> AmbientSound:
        return AmbientSound(tiny_encoder(), Config(**{"seconds": 0.5, **settings}), 16)

    return make


def frames(clips: Batch) -> Batch:
    return Batch(index=clips.index, inputs={"image": clips["video"][:, 0], "audio": clips["audio"]}, time=clips.time)


def coloured(seed: int) -> Batch:
    return frames(singing(seed))


def prepared(made: AmbientSound, audio: Tensor) -> AmbientSound:
    known = Known(index=torch.arange(len(audio)), features=sound_texture(audio), labels=None)
    made.before_epoch(known, len(audio), rng())
    return made


def test_sampling_is_a_frame_and_the_sound_around_it() -> None:
    assert sampling_of(AmbientSound, Config()).inputs == {"image": Image(), "audio": Sound(seconds=3.75)}


def test_equal_pitches_are_one_cluster(task: Task) -> None:
    audio = torch.cat([singing(seed)["audio"] for seed in range(3)])
    made = prepared(task(clusters=4), audio)
    pitch = torch.fft.rfft(audio).abs().argmax(1)
    cluster = made._summary((sound_texture(audio) - made.mean) * made.scale)
    pairs = {(int(p), int(c)) for p, c in zip(pitch, cluster, strict=True)}
    assert len(pairs) == 4
    assert made.chance(8) == pytest.approx(float(torch.bincount(cluster).max()) / len(cluster))


def test_bits_are_signs_of_principal_components_of_scaled_statistics(task: Task) -> None:
    audio = singing(0, videos=12)["audio"] + 0.02 * torch.randn(24, 8000, generator=rng(1))
    made = prepared(task(target="binary", bits=3), audio)
    statistics = sound_texture(audio)
    scaled = torch.cat(
        [
            (one - one.mean(0)) / one.std(0, correction=0).clamp(min=1e-4) / size**0.5
            for one, size in zip(statistics.split(GROUPS, 1), GROUPS, strict=True)
        ],
        1,
    ).double()
    components = torch.linalg.svd(scaled, full_matrices=False).Vh[:3]
    expected = scaled @ components.T > 0
    bits = made._summary((statistics - made.mean) * made.scale) > 0.5
    for k in range(3):  # a component has no sign of its own
        agree = (bits[:, k] == expected[:, k]).float().mean()
        assert max(agree, 1 - agree) > 0.95


@pytest.mark.parametrize("target", ["cluster", "binary"])
def test_loss_leaves_out_silence(task: Task, target: str) -> None:
    made = task(target=target)
    logits = torch.randn(3, 4, generator=rng())
    weight = torch.tensor([1.0, 0.0, 1.0])
    labels = torch.tensor([2, 0, 1])
    bits = torch.tensor([[1.0, 0, 0, 1]] * 3)
    told = made.loss(logits, Example(torch.zeros(3, 3, 4, 4), labels if target == "cluster" else bits, weight))
    each = []
    for n in (0, 2):
        if target == "cluster":
            each.append(float(-logits[n].log_softmax(0)[labels[n]]))
        else:
            each.append(sum(float(F.softplus(-x if b else x)) for x, b in zip(logits[n], bits[n], strict=True)) / 4)
    assert float(told["loss"]) == pytest.approx(sum(each) / 2, rel=1e-5)


def test_silent_sounds_neither_count_nor_make_clusters(task: Task) -> None:
    batch = coloured(0)
    batch["audio"][:2] = 0
    made = prepared(task(clusters=2), batch["audio"])
    assert made.pseudo_label(batch, rng()).weight.tolist() == [0, 0] + [1] * 14
    with pytest.raises(ValueError, match="needs at least 2 training samples with different sounds, got 0"):
        prepared(task(), torch.zeros(4, 8000))


@pytest.mark.parametrize("target", ["cluster", "binary"])
def test_it_learns_which_pitch_a_colour_has(task: Task, target: str) -> None:
    made = prepared(task(clusters=4, bits=2, target=target), torch.cat([coloured(k)["audio"] for k in range(3)]))
    fit(made, coloured, steps=15, lr=1e-2)
    assert judge(made, [coloured(k) for k in range(100, 104)]) > 0.9


def test_a_recording_level_and_length_tell_nothing(task: Task) -> None:
    """Frames are as bright as their sound is loud and long: the code of the sound stays at chance."""

    def one_level(seed: int) -> Batch:
        batch = frames(of_one_level(seed))
        bright = batch["image"].float().mean((1, 2, 3))
        batch["audio"][bright < bright.median(), 2500:] = 0
        return batch

    made = prepared(task(target="binary", bits=4), torch.cat([one_level(k)["audio"] for k in range(4)]))
    fit(made, one_level, steps=15, lr=1e-2)
    found = judge(made, [one_level(k) for k in range(100, 110)])
    assert found < made.chance(16) + 3 * 0.5 / (160 * 4) ** 0.5


def test_shown_samples_name_the_cluster_or_the_code(task: Task) -> None:
    batch = coloured(0)
    for target, word in (("cluster", "sound of cluster"), ("binary", "01")):
        made = prepared(task(target=target, clusters=3, bits=5), batch["audio"]).eval()
        shown = made.show(example := made.pseudo_label(batch, rng()), made(example), 2)
        assert len(shown) == 2
        assert set(str(shown[0].pseudo_label)) & set(word)
