"""A source becomes samples, packed or decoded while they are read."""

from __future__ import annotations

from pathlib import Path

from selftaught.core.progress import late_bar, say_once
from selftaught.core.settings.groups import DataSettings
from selftaught.data.batch import Sampling
from selftaught.data.decode.image import Decoding
from selftaught.data.inputs import Image, needs_of
from selftaught.data.sources.base import Source
from selftaught.data.sources.value_range import decoding_of
from selftaught.data.store.cache import META, stores_root
from selftaught.data.store.samples import Progress, Samples, notes_of


def open_samples(
    source: Source,
    *,
    side: int,
    sampling: Sampling,
    cache_limit_gb: float,
    workers: int | None,
    progress: Progress | None = None,
    decoding: Decoding | None = None,
) -> Samples:
    """Find or build the packed store of `source` and open it.

    Args:
        source: one split of one data set.
        side: largest short side of the packed images, pixels; smaller where nearly all of the data are smaller.
        sampling: what one sample is; only videos heed it.
        cache_limit_gb: a store that would be larger is not built, its samples are decoded each time they are read.
        workers: decoding threads; None is all cores to pack, one to decode while reading.
        progress: called with (done, total) while the store is built.
        decoding: how deep images are shown and how large one may be; only images heed it.

    Raises:
        NothingReadable: where no sample can be used.
    """
    if source.provides & {"video", "audio"}:
        from selftaught.data.store.video_samples import open_video_samples

        return open_video_samples(
            source,
            side=side,
            sampling=sampling,
            cache_limit_gb=cache_limit_gb,
            workers=workers,
            progress=progress,
        )
    if needs_of(sampling.inputs) & {"video", "audio"}:
        raise ValueError("the task asks for clips or sound, but the source holds images; give a folder of videos")
    from selftaught.data.store.image_samples import open_image_samples

    return open_image_samples(
        source,
        side=side,
        cache_limit_gb=cache_limit_gb,
        workers=workers,
        progress=progress,
        decoding=decoding or Decoding(),
        names=[name for name, one in sampling.inputs.items() if isinstance(one, Image)],
    )


def store_side(size: int) -> int:
    """Short side of stored images for an encoder at `size`: twice as large for small images, as crops enlarge.

    256 for 224, the field's habit; at most 160 up to size 140, so that a store stays small.
    """
    return max(round(size * 8 / 7), min(2 * size, 160))


def is_packed(source: Source, data: DataSettings, *, size: int, cache: Path) -> bool:
    """Whether `pack` would find the store of a source in this cache folder instead of building it."""
    side = data.store_size or store_side(size)
    if source.provides & {"video", "audio"}:
        from selftaught.data.store.video_samples import video_keys

        keys = video_keys(source, side)
    else:
        from selftaught.data.store.image_samples import image_keys

        keys = image_keys(source, side, decoding_of(data))
    return any((stores_root(cache) / key / META).is_file() for key in keys.values())


def pack(
    source: Source, data: DataSettings, sampling: Sampling, *, size: int, title: str, is_shown: bool = True
) -> Samples:
    """Open the packed store of a source as a run reads it, building it with a progress bar where it is absent.

    `size` is that of the images that the encoder sees, pixels.
    """
    for note in source.notes:
        say_once(note, is_shown=is_shown)
    with late_bar(title, is_shown=is_shown) as progress:
        samples = open_samples(
            source,
            side=data.store_size or store_side(size),
            sampling=sampling,
            cache_limit_gb=data.cache_limit,
            workers=data.workers,
            progress=progress,
            decoding=decoding_of(data),
        )
    for note in notes_of(samples):
        say_once(note, is_shown=is_shown)
    return samples
