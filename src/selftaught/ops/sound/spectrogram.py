"""Batched log-mel spectrograms of audio windows with equal loudness."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

SAMPLE_RATE = 16_000
"""Samples per second of all audio in a batch."""
_FLOOR = 1e-4
"""Added to the mel powers of a window of unit loudness: 20 to 40 dB below its loud bands."""
_MEAN, _STD = -2.5, 3.7
"""Approximate mean and deviation of the logarithms over real clips, so that encoders see numbers around 0."""


def log_mel(
    waveform: Tensor, *, mels: int = 64, n_fft: int = 512, hop: int = 160, sample_rate: int = SAMPLE_RATE
) -> Tensor:
    """Log-mel spectrogram of windows brought to the same loudness: (N, S) in [-1, 1] -> (N, 1, mels, S // hop) float32.

    Every window is divided by its RMS, so that the recording level does not matter; silence stays silent. Power
    spectra by `torch.stft` (Hann window of `n_fft` samples), triangular filters even on the mel scale
    2595 log10(1 + f / 700), natural logarithm, then a fixed shift and scale to about zero mean and unit spread.
    """
    sound = waveform.float() / rms(waveform).clamp(min=1e-4)[:, None]
    # Exactly S // hop steps, each centred on its hop.
    padded = F.pad(sound[:, None], ((n_fft - hop) // 2, (n_fft - hop) - (n_fft - hop) // 2), mode="reflect")[:, 0]
    window = torch.hann_window(n_fft, device=sound.device)
    spectrum = torch.stft(padded, n_fft, hop, window=window, center=False, return_complex=True)
    power = spectrum.abs().square() / window.square().sum()
    filters = mel_filters(mels, n_fft, sample_rate).to(sound.device)
    return ((torch.matmul(filters, power) + _FLOOR).log()[:, None] - _MEAN) / _STD


def rms(waveform: Tensor) -> Tensor:
    """Root mean square of each window: (N, S) -> (N,)."""
    return waveform.float().square().mean(1).sqrt()


@lru_cache(maxsize=8)
def mel_filters(mels: int, n_fft: int, sample_rate: int) -> Tensor:
    """Triangles of unit height, evenly spaced in mel from 60 Hz to half the sample rate: (mels, n_fft // 2 + 1)."""
    low, high = _to_mel(60.0), _to_mel(sample_rate / 2)
    edges = torch.linspace(low, high, mels + 2, dtype=torch.float64)
    edges = 700 * (10 ** (edges / 2595) - 1)
    bins = torch.arange(n_fft // 2 + 1, dtype=torch.float64) * sample_rate / n_fft
    # A triangle narrower than two bins may fall between them and stay empty: it is widened.
    width = torch.full((mels,), sample_rate / n_fft, dtype=torch.float64)
    rise = torch.maximum(edges[1:-1] - edges[:-2], width)[:, None]
    fall = torch.maximum(edges[2:] - edges[1:-1], width)[:, None]
    offset = bins[None] - edges[1:-1, None]
    return torch.minimum(1 + offset / rise, 1 - offset / fall).clamp(min=0).float()


def _to_mel(hertz: float) -> float:
    return 2595 * math.log10(1 + hertz / 700)
