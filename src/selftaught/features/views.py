"""Other views of the same samples, by light random changes that leave what they show: for figures without labels."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from selftaught.core.precision import channels_last
from selftaught.core.randomness import generator
from selftaught.data.batch import Batch
from selftaught.data.store.samples import Samples
from selftaught.features.encode import encode, sample_batches, samples_at_once
from selftaught.features.reader import Reader
from selftaught.ops.colour import colour_jitter
from selftaught.ops.crop import crop_resize, random_boxes

AREA = (0.5, 1.0)
"""Share of a picture that a crop keeps."""
COLOUR = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1, "grey": 0.0}
"""Half the strengths of SimCLR's colour distortion, and never grey."""


@torch.no_grad()
def view_features(reader: Reader, samples: Samples, *, views: int, seed: int) -> Tensor:
    """Pooled features (n, views, D) float32 on the CPU of random views of all samples in order."""
    encoder, size = channels_last(reader.encoder.to(reader.device).eval()), reader.size
    at_once = samples_at_once(encoder, reader.batch_size)
    batches = sample_batches(samples, batch_size=at_once, device=reader.device, clips=1)
    found = []
    for number, (batch,) in enumerate(batches):
        rng = generator("views", seed, number, device=reader.device)
        seen = [encode(encoder, light_view(batch, size, rng), size, reader.precision) for _ in range(views)]
        found.append(torch.stack(seen, 1).cpu())
    return torch.cat(found)


def light_view(batch: Batch, size: int, rng: torch.Generator) -> Batch:
    """A random view of every sample of a batch.

    Pictures: a crop of at least half of the area, resized to `size`, mirrored half of the time, with other colours;
    (N, 3, size, size) float32 in [0, 1]. All frames of a clip change alike. Sound is turned in time, its end coming
    before its beginning.
    """
    if batch.audio is not None:
        return dataclasses.replace(batch, audio=_turned(batch.audio, rng))
    if batch.image is not None:
        return dataclasses.replace(batch, image=_changed(batch.image[:, None], size, rng)[:, 0])
    assert batch.video is not None
    return dataclasses.replace(batch, video=_changed(batch.video, size, rng))


def _changed(frames: Tensor, size: int, rng: torch.Generator) -> Tensor:
    """(N, T, 3, H, W) uint8 -> (N, T, 3, size, size) in [0, 1]."""
    n, t, _, height, width = frames.shape
    boxes = random_boxes(n, height, width, rng, scale=AREA).repeat_interleave(t, 0)
    cut = crop_resize(frames.flatten(0, 1), boxes, size).unflatten(0, (n, t))
    # Frames one above the other are one tall picture, so one change of colours serves them all.
    tall = colour_jitter(cut.transpose(1, 2).flatten(2, 3), rng, **COLOUR)
    views: Tensor = tall.unflatten(2, (t, size)).transpose(1, 2)
    return views


def _turned(sound: Tensor, rng: torch.Generator) -> Tensor:
    n, length = sound.shape
    start = torch.randint(length, (n, 1), generator=rng, device=sound.device)
    return sound.gather(1, (torch.arange(length, device=sound.device) + start) % length)
