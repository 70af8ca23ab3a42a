"""Log-mel images: shapes, tones at their bands, loudness that tells nothing."""

from __future__ import annotations

import math

import pytest
import torch

from selftaught.ops.sound.spectrogram import log_mel, mel_filters, rms

TIME = torch.arange(16000) / 16000


def tone(hertz: float) -> torch.Tensor:
    return torch.sin(2 * math.pi * hertz * TIME)[None]


def test_one_second_is_64_bands_by_100_steps() -> None:
    picture = log_mel(torch.randn(3, 16000))
    assert picture.shape == (3, 1, 64, 100)
    assert picture.dtype == torch.float32


@pytest.mark.parametrize("hertz", [200.0, 1000.0, 3000.0, 7000.0])
def test_a_tone_is_brightest_at_its_own_band(hertz: float) -> None:
    brightest = int(log_mel(tone(hertz)).mean((0, 1, 3)).argmax())
    low, high = (2595 * math.log10(1 + f / 700) for f in (60.0, 8000.0))
    expected = (2595 * math.log10(1 + hertz / 700) - low) / (high - low) * 65 - 1
    assert abs(brightest - expected) <= 1


def test_against_plain_loops() -> None:
    sound = torch.randn(1, 1600)
    picture = log_mel(sound, mels=20, n_fft=256, hop=80)
    scaled = (sound / rms(sound)[:, None])[0]
    padded = torch.cat([scaled[1:89].flip(0), scaled, scaled[-89:-1].flip(0)])
    window = torch.hann_window(256)
    filters = mel_filters(20, 256, 16000)
    for step in (0, 7, 19):
        piece = padded[80 * step : 80 * step + 256] * window
        power = torch.stack(
            [(piece * torch.exp(-2j * math.pi * k * torch.arange(256) / 256)).sum() for k in range(129)]
        )
        bands = filters @ (power.abs() ** 2 / window.square().sum())
        assert torch.allclose(picture[0, 0, :, step] * 3.7 - 2.5, (bands + 1e-4).log(), atol=1e-3)


def test_a_click_lands_at_its_step() -> None:
    click = torch.zeros(1, 16000)
    click[0, 8000] = 1.0
    loudest = log_mel(click).mean((0, 1, 2)).argmax()
    assert abs(int(loudest) - 50) <= 1


def test_loudness_does_not_matter_and_silence_is_finite() -> None:
    sound = torch.randn(2, 16000)
    assert torch.allclose(log_mel(sound), log_mel(sound * 0.01), atol=1e-3)
    assert torch.isfinite(log_mel(torch.zeros(1, 16000))).all()


def test_every_filter_hears_something() -> None:
    filters = mel_filters(64, 512, 16000)
    assert filters.shape == (64, 257)
    assert (filters.sum(1) > 0.5).all()
    assert (filters.argmax(1).diff() >= 0).all()


def test_rms_of_a_sine() -> None:
    assert rms(tone(440.0))[0] == pytest.approx(math.sqrt(0.5), rel=1e-3)
