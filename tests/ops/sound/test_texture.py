"""Sound texture: against an FFT of each band and loops, modulation where it is, and padding that tells nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from selftaught.ops.sound.texture import BANDS, GROUPS, MODULATIONS, sound_texture

SAMPLES = 16000


def noise(n: int, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(n, SAMPLES, generator=torch.Generator().manual_seed(seed))


def slow_envelope(sound: np.ndarray, band: int) -> np.ndarray:
    """At the full rate: the magnitude of the analytic signal of one band, to the power 0.3, in steps of 40 samples."""
    spectrum = np.fft.fft(sound)
    ends = np.linspace(9.265 * math.log(1 + 20 / 228.8), 9.265 * math.log(1 + 8000 / 228.8), BANDS + 2)
    for k in range(len(sound)):
        hertz = k * 16000 / len(sound)
        away = (9.265 * math.log(1 + hertz / 228.8) - ends[band + 1]) / (ends[1] - ends[0])
        spectrum[k] *= 2 * math.cos(math.pi / 2 * away) if abs(away) < 1 and hertz <= 8000 else 0
    magnitude: np.ndarray = np.abs(np.fft.ifft(spectrum)) ** 0.3
    # Five samples at 2 kHz are averaged.
    averaged: np.ndarray = magnitude[::8].reshape(-1, 5).mean(1)
    return averaged


def test_statistics_of_bands_against_loops() -> None:
    sound = noise(1)
    mean, deviation, modulation, correlation = sound_texture(sound)[0].split(GROUPS)
    wave = (sound / sound.square().mean().sqrt())[0].double().numpy()
    bands = {k: slow_envelope(wave, k) for k in (3, 12, 13)}
    for k, envelope in bands.items():
        assert float(mean[k]) == pytest.approx(envelope.mean(), rel=1e-3)
        assert float(deviation[k]) == pytest.approx(envelope.std(), rel=1e-3)
    assert float(correlation[12]) == pytest.approx(np.corrcoef(bands[12], bands[13])[0, 1], abs=1e-3)
    # One modulation filter, at 0.5 * 400 ** (5 / 9) Hz, applied to the envelope of a band.
    envelope = bands[12] - bands[12].mean()
    octave = math.log2(400) / 9
    spectrum = np.fft.fft(envelope)
    for k in range(len(envelope)):
        hertz = min(k, len(envelope) - k) * 400 / len(envelope)
        away = (math.log2(max(hertz, 1e-6) / 0.5) - 5 * octave) / octave
        spectrum[k] *= math.cos(math.pi / 2 * away) if abs(away) < 1 else 0
    power = np.square(np.abs(np.fft.ifft(spectrum))).mean() / bands[12].var()
    assert float(modulation.view(BANDS, MODULATIONS)[12, 5]) == pytest.approx(power, rel=2e-2)


def test_a_beat_is_found_at_its_rate() -> None:
    t = torch.arange(2 * SAMPLES) / SAMPLES
    beating = torch.cat([noise(1), noise(1, 1)], 1) * (1 + torch.cos(2 * math.pi * 4 * t))
    modulation = sound_texture(beating).split(GROUPS, 1)[2].view(BANDS, MODULATIONS)
    octave = math.log2(400) / 9
    assert int(modulation.mean(0).argmax()) == round(math.log2(4 / 0.5) / octave)


def test_neither_loudness_nor_padding_is_told() -> None:
    sound = noise(4)
    whole = sound_texture(sound)
    assert torch.allclose(sound_texture(sound * 0.3), whole, atol=1e-4)
    padded = sound.clone()
    padded[:, :3000] = padded[:, -4000:] = 0
    part, other = sound_texture(padded), sound_texture(noise(4, 5))
    for a, b, c in zip(whole.split(GROUPS, 1), part.split(GROUPS, 1), other.split(GROUPS, 1), strict=True):
        # It changes less than another noise of the same kind does.
        assert float((a - b).abs().mean()) < float((a - c).abs().mean())


def test_silence_has_no_statistics() -> None:
    found = sound_texture(torch.cat([torch.zeros(1, SAMPLES), noise(1)]))
    assert found.shape == (2, sum(GROUPS)) == (2, 502)
    assert not found[0].any()
    assert torch.isfinite(found).all()
