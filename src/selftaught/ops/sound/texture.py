"""Statistics that summarise what a sound is like, not when what is heard (McDermott, Simoncelli, Neuron 2011)."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from selftaught.ops.sound.spectrogram import SAMPLE_RATE

BANDS = 32
"""Cochlear filters, half cosines evenly spaced on the ERB scale from 20 Hz to 8 kHz."""
MODULATIONS = 10
"""Filters of the envelopes of each band, evenly spaced in octaves from 0.5 to 200 Hz."""
OFFSETS = (1, 2, 3, 4)
"""Bands so far apart are correlated."""
_LOW, _HIGH = 20.0, SAMPLE_RATE / 2
_FINE, _COARSE = 2000, 400
"""Samples per second of the envelopes before and after they are smoothed."""
_HOP = SAMPLE_RATE // _COARSE
_COMPRESSION = 0.3
_ERB_SCALE, _ERB_STEP = 9.265, 228.8
GROUPS = (BANDS, BANDS, BANDS * MODULATIONS, sum(BANDS - offset for offset in OFFSETS))
"""Statistics of each group, in order: means, deviations, modulation powers, correlations."""


def sound_texture(waveform: Tensor) -> Tensor:
    """Audio (N, S) at 16 kHz -> statistics (N, 502) float32; zeros where it is silent.

    The audio is brought to one loudness and split into bands; the Hilbert envelope of each is raised to the power 0.3
    and sampled 400 times a second. Then, for each band, the mean and the standard deviation of the envelope, and its
    power in each modulation band as a share of its variance; for each pair of near bands their correlation.

    Zeros at the ends, with which audio shorter than S is padded, take no part, so that the statistics do not tell how
    long a recording is.
    """
    with torch.autocast(waveform.device.type, enabled=False):
        sound = waveform.float()[:, : waveform.shape[1] // _HOP * _HOP]
        heard = _between_zeros(sound)
        power = sound.square().sum(1) / heard.sum(1).clamp(min=1)
        envelopes = _envelopes(sound / power.sqrt().clamp(min=1e-6)[:, None])
        # Of each step of the envelopes, where all of its samples are heard.
        weight = heard.view(len(heard), 1, -1, _HOP).all(3).float()
        found = torch.cat(_statistics(envelopes, weight), 1)
        return torch.where((power.sqrt() > 1e-5)[:, None], found, 0.0)


def _between_zeros(sound: Tensor) -> Tensor:
    """(N, S) bool, False in the zeros at both ends."""
    is_sound = sound != 0
    forth, back = is_sound.int().cummax(1).values, is_sound.flip(1).int().cummax(1).values.flip(1)
    return (forth * back).bool()


def _envelopes(sound: Tensor) -> Tensor:
    """Compressed envelopes (N, BANDS, S / 40) of the bands."""
    length = sound.shape[1]
    first, filters = _cochlear_filters(length)
    bins = first.to(sound.device)[:, None] + torch.arange(filters.shape[1], device=sound.device)
    spectrum = torch.fft.rfft(sound)
    # Moving a band to frequency 0 leaves the magnitude of its analytic signal, which then needs few samples.
    moved = spectrum[:, bins.clamp(max=spectrum.shape[1] - 1)] * filters.to(sound.device)
    analytic = torch.fft.ifft(moved) * (2 * filters.shape[1] / length)
    compressed = analytic.abs() ** _COMPRESSION
    coarse: Tensor = compressed.unflatten(2, (-1, _FINE // _COARSE)).mean(3)
    return coarse


def _statistics(envelopes: Tensor, weight: Tensor) -> list[Tensor]:
    """The `GROUPS` (N, G) of envelopes (N, BANDS, T), means over the steps of weight 1 (N, 1, T)."""
    total = weight.sum(2).clamp(min=1)
    mean = (envelopes * weight).sum(2) / total
    centred = (envelopes - mean[:, :, None]) * weight
    variance = centred.square().sum(2) / total
    # By Parseval the mean square of a filtered envelope is a sum over its spectrum.
    steps = centred.shape[2]
    spectrum = torch.fft.rfft(centred).abs().square() * 2 / steps
    modulation = spectrum @ _modulation_filters(steps).square().T.to(spectrum.device) / total[:, :, None]
    modulation = modulation / variance.clamp(min=1e-8)[:, :, None]
    unit = centred / (variance * total).clamp(min=1e-8).sqrt()[:, :, None]
    near = [(unit[:, :-offset] * unit[:, offset:]).sum(2) for offset in OFFSETS]
    return [mean, variance.sqrt(), modulation.flatten(1), torch.cat(near, 1)]


@lru_cache(maxsize=4)
def _cochlear_filters(length: int) -> tuple[Tensor, Tensor]:
    """First bin (BANDS,) of each filter, and its response (BANDS, L) from there on, at the bins of an FFT of `length`.

    L bins are the `_FINE` samples a second of the envelopes; the widest band has fewer.
    """
    ends = torch.linspace(_erb(_LOW), _erb(_HIGH), BANDS + 2, dtype=torch.float64)
    hertz_per_bin = SAMPLE_RATE / length
    first = (_ERB_STEP * (torch.exp(ends[:-2] / _ERB_SCALE) - 1) / hertz_per_bin).ceil().long()
    hertz = (first[:, None] + torch.arange(length * _FINE // SAMPLE_RATE)) * hertz_per_bin
    erbs = _ERB_SCALE * torch.log1p(hertz.double() / _ERB_STEP)
    away = (erbs - ends[1:-1, None]) / (ends[1] - ends[0])
    return first, torch.where(away.abs() < 1, torch.cos(math.pi / 2 * away), 0.0).float()


@lru_cache(maxsize=4)
def _modulation_filters(steps: int) -> Tensor:
    """Half cosines over two octaves in log frequency: (MODULATIONS, steps // 2 + 1)."""
    octaves = torch.linspace(math.log2(0.5), math.log2(_COARSE / 2), MODULATIONS, dtype=torch.float64)
    hertz = torch.fft.rfftfreq(steps, 1 / _COARSE, dtype=torch.float64)
    away = (hertz.clamp(min=1e-6).log2() - octaves[:, None]) / (octaves[1] - octaves[0])
    return torch.where(away.abs() < 1, torch.cos(math.pi / 2 * away), 0.0).float()


def _erb(hertz: float) -> float:
    """Place on the ERB-rate scale (Glasberg, Moore 1990)."""
    return _ERB_SCALE * math.log1p(hertz / _ERB_STEP)
