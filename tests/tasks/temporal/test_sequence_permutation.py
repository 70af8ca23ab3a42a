"""Permutation of sequences: which frames are shown, states of an LSTM, guards, and learning from what moves."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from selftaught.encoders.base import Encoder
from selftaught.encoders.video.lstm import LstmEncoder
from selftaught.ops.colour import denormalise
from selftaught.ops.sheet import lay_strip
from selftaught.tasks.temporal.sequence_permutation import Example, SequencePermutation, permuted
from tests.tasks.clip_guards import (
    BORDER_AND_CODEC,
    ForensicEncoder,
    assert_at_chance,
    noise_clips,
)
from tests.tasks.clips import batch, check_halves, crossings, fit, judge, rng

Config = SequencePermutation.Config
Task = Callable[..., SequencePermutation]
SMALL: dict[str, Any] = {"frames": 5, "dropout": 0.0}


@pytest.fixture
def task(tiny_encoder: Callable[[], Encoder]) -> Task:
    def make(**settings: Any) -> SequencePermutation:
        return SequencePermutation(LstmEncoder("lstm:tiny", tiny_encoder()), Config(**{**SMALL, **settings}), 16)

    return make


def test_all_orders_but_the_real_one_and_its_reverse_are_drawn() -> None:
    found = Counter(map(tuple, permuted(24000, 4, rng()).tolist()))
    others = set(itertools.permutations(range(4))) - {(0, 1, 2, 3), (3, 2, 1, 0)}
    assert set(found) == others
    # One swap of the real order, and one of its reverse, take their place.
    doubled = {(1, 0, 2, 3), (2, 3, 1, 0)}
    assert all(count == pytest.approx(2000 if order in doubled else 1000, rel=0.15) for order, count in found.items())


def test_both_sequences_of_a_clip_have_the_very_same_frames(task: Task) -> None:
    example = task().pseudo_label(batch(noise_clips(6, frames=5)), rng())
    assert example.clips.shape == (12, 3, 5, 16, 16)
    for n, order in enumerate(example.order.tolist()):
        for place, number in enumerate(order):
            assert torch.equal(example.clips[6 + n, :, place], example.clips[n, :, number])
    grey = torch.arange(5, dtype=torch.uint8)[:, None, None, None] * 20 + 40
    plain = task(degrade=0.0).pseudo_label(batch(grey.expand(2, 5, 3, 24, 24)), rng())
    value = denormalise(plain.clips[0].transpose(0, 1)).mean((1, 2, 3)) * 255
    assert torch.allclose(value, torch.tensor([40.0, 60, 80, 100, 120]), atol=0.6)


def test_logits_are_those_of_the_last_state_and_loss_against_loops(task: Task) -> None:
    made = task().eval()
    example = made.pseudo_label(batch(noise_clips(3, frames=5)), rng())
    total, hits = 0.0, [0, 0]
    with torch.no_grad():
        logits = made(example)
        for row in range(6):
            encoder = made.get_submodule("encoder")
            assert isinstance(encoder, LstmEncoder)
            frames = torch.stack([encoder.image(example.clips[row, :, t][None])[0] for t in range(5)])
            last = encoder.lstm(frames[None])[1][0][0]
            assert torch.allclose(logits[row], made.head(last)[0], atol=1e-5)
            scores, label = logits[row].tolist(), int(row < 3)
            total -= scores[label] - math.log(sum(math.exp(score) for score in scores))
            hits[label] += max(range(2), key=scores.__getitem__) == label
    found = made.loss(logits, example)
    assert float(found["loss"]) == pytest.approx(total / 6, rel=1e-4)
    assert float(found["accuracy"]) == pytest.approx(sum(hits) / 6)
    assert float(found["accuracy_real"]) == pytest.approx(hits[1] / 3)
    assert float(found["accuracy_permuted"]) == pytest.approx(hits[0] / 3)
    assert made.chance(8) == 0.5


def test_an_encoder_without_states_gives_its_pooled_features(tiny_clip_encoder: Callable[[], Encoder]) -> None:
    made = SequencePermutation(tiny_clip_encoder(), Config(**SMALL), 16).eval()
    example = made.pseudo_label(batch(noise_clips(2, frames=5)), rng())
    with torch.no_grad():
        assert torch.equal(made(example), made.head(made.encoder(example.clips)))


def test_it_is_a_function_of_the_generator_and_halves_are_the_whole(task: Task) -> None:
    made = task()
    videos = batch(noise_clips(4, frames=5))
    one, same = (made.pseudo_label(videos, rng(3)) for _ in range(2))
    assert torch.equal(one.clips, same.clips)
    real, shuffled = (part.chunk(2) for part in one.clips.chunk(2))
    halves = zip(real, shuffled, one.order.chunk(2), strict=True)
    check_halves(made, one, [Example(torch.cat([a, b]), order) for a, b, order in halves])


def test_shown_sequences_are_real_and_permuted_in_turn(task: Task) -> None:
    made = task().eval()
    example = made.pseudo_label(batch(noise_clips(2, frames=5)), rng())
    samples = made.show(example, made(example), 4)
    assert [str(sample.pseudo_label).split(":")[0] for sample in samples] == ["real", "permuted"] * 2
    clip, strip = samples[1].inputs
    assert torch.equal(clip, denormalise(example.clips[2].transpose(0, 1)))
    assert torch.equal(strip, lay_strip(clip, (example.order[0] + 1).tolist()))
    assert torch.equal(samples[0].inputs[1], lay_strip(samples[0].inputs[0], (1, 2, 3, 4, 5)))


def test_it_learns_how_a_square_moves(task: Task) -> None:
    videos = crossings(range(0, 120, 2), frames=5)[0]
    made = task(degrade=0.1, least_side=0.9)
    fit(made, lambda step: batch(videos[:45]), steps=50, lr=5e-3)
    assert judge(made, [batch(videos[45:])] * 4) > 0.75


@pytest.mark.parametrize("clips_of", BORDER_AND_CODEC.values(), ids=BORDER_AND_CODEC)
def test_guard_what_is_no_motion_is_no_sequence(clips_of: Callable[..., Tensor]) -> None:
    assert_at_chance(SequencePermutation(ForensicEncoder(5), Config(**SMALL), 16), clips_of)
