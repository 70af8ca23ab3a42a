"""From samples to features with the preprocessing of the encoder's training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from selftaught.data.batch import Batch, Sampling
from selftaught.data.inputs import Clip, Image, Sound
from selftaught.encoders.build import build_encoder
from selftaught.encoders.modality import encoder_view
from selftaught.features.encode import (
    all_features,
    encode,
    probe_sampling,
    sample_batches,
    samples_at_once,
)
from selftaught.ops.crop import centre_view
from tests.evaluation.drawn_classes import DrawnSamples, TwoStages

CPU = torch.device("cpu")


def video(count: int, frames: int) -> Batch:
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, frames, 3, 8, 8), dtype=np.uint8))
    return Batch(index=torch.arange(count), inputs={"video": pixels})


def test_samples_are_cut_as_the_kind_of_encoder_asks() -> None:
    clips, sound = (build_encoder(name, size=16) for name in ("r3d_18", "audio_convnet"))
    assert probe_sampling(TwoStages()) == Sampling()
    assert probe_sampling(clips) == Sampling(inputs={"video": Clip(frames=16, whole=False)})
    assert probe_sampling(sound) == Sampling(inputs={"audio": Sound(seconds=1.0), "image": Image()})
    assert (samples_at_once(TwoStages(), 64), samples_at_once(clips, 64), samples_at_once(clips, 8)) == (64, 4, 1)
    batch = video(2, 4)
    x = encoder_view(clips, batch.inputs, 8)
    assert x.shape == (2, 3, 4, 8, 8)
    assert torch.equal(x[1, :, 2], centre_view(batch["video"][1, 2:3], 8)[0])
    with pytest.raises(ValueError, match=r"^this encoder takes audio, but the data give video$"):
        encoder_view(sound, batch.inputs, 8)


def test_features_of_a_clips_frames_are_averaged() -> None:
    encoder, batch = TwoStages().eval(), video(3, 4)
    expected = torch.stack([encoder(centre_view(clip, 8)).mean(0) for clip in batch["video"]])
    assert torch.allclose(encode(encoder, batch, 8, "32-true"), expected, atol=1e-6)


def test_all_samples_come_in_order_whatever_the_batch() -> None:
    samples = DrawnSamples("all", 10)
    batches = list(sample_batches(samples, batch_size=4, device=CPU))
    assert torch.cat([views[0].index for views in batches]).tolist() == list(range(10))
    assert "label" not in batches[2][0]
    whole = all_features(TwoStages(), samples, size=8, device=CPU, precision="32-true")
    parts = all_features(TwoStages(), samples, size=8, device=CPU, precision="32-true", batch_size=3)
    assert whole.shape == (10, 8)
    assert torch.allclose(whole, parts, atol=1e-6)
