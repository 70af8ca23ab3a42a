"""Other views of the same samples, by light random changes that keep the content, for label-free metrics."""

from __future__ import annotations

import torch
from torch import Tensor

from selftaught.core.precision import channels_last
from selftaught.core.randomness import generator
from selftaught.data.batch import Batch
from selftaught.data.store.samples import Samples
from selftaught.encoders.modality import input_for, modality_of
from selftaught.encoders.names import Kind
from selftaught.features.encode import encode, sample_batches, samples_at_once
from selftaught.features.reader import Reader


@torch.no_grad()
def view_features(reader: Reader, samples: Samples, *, views: int, seed: int) -> Tensor:
    """Pooled features (n, views, D) float32 on the CPU of random views of all samples in order."""
    encoder, size = channels_last(reader.encoder.to(reader.device).eval()), reader.size
    at_once = samples_at_once(encoder, reader.batch_size)
    batches = sample_batches(samples, batch_size=at_once, device=reader.device, clips=1)
    found = []
    for number, (batch,) in enumerate(batches):
        rng = generator("views", seed, number, device=reader.device)
        seen = [
            encode(encoder, light_view(batch, size, rng, encoder.kind), size, reader.precision) for _ in range(views)
        ]
        found.append(torch.stack(seen, 1).cpu())
    return torch.cat(found)


def light_view(batch: Batch, size: int, rng: torch.Generator, kind: Kind = "image") -> Batch:
    """The batch with a random view of the input that an encoder of that kind takes.

    Images and clips: a crop of at least half of the area, resized to `size`, mirrored half of the time, with other
    colours; (N, [T,] 3, size, size) float32 in [0, 1]. Audio is turned in time, its end coming before its beginning.
    """
    name = input_for(kind, batch.inputs)
    return batch.using(**{name: modality_of(batch[name]).light_view(batch[name], size, rng)})
