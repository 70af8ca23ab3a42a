"""Which runs read shards in order instead of packing them, and both halves of their data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric

from selftaught.core.config import RunConfig
from selftaught.core.progress import late_bar
from selftaught.core.settings.groups import DataSettings
from selftaught.core.threads import usable_cores
from selftaught.data.batch import Sampling
from selftaught.data.decode.containers.opening import Reading
from selftaught.data.inputs import Computed, needs_of
from selftaught.data.modality import WORDS
from selftaught.data.passing_samples import PassingClips, PassingImages, PassingSamples, image_bytes
from selftaught.data.sources.shards import Shards, estimate, find_shards
from selftaught.data.sources.tars.tar_stream import NOUNS, Kind
from selftaught.data.sources.value_range import decoding_of, with_range
from selftaught.data.store.first_samples import first_samples, in_memory, indexed
from selftaught.data.store.image_pack import look_ahead
from selftaught.data.store.image_samples import LiveImages
from selftaught.data.store.open import store_side
from selftaught.data.store.video_pack import estimated_bytes, packed_side, read_headers
from selftaught.data.store.video_samples import JPEG_SHARE, VideoSamples
from selftaught.data.stream import Stream
from selftaught.tasks.spec import TaskSpec

KEPT = 1024
"""Held-out images in memory: as many as are looked at."""
KEPT_VIDEOS = 256
"""Held-out videos that are looked at, of which every clip is decoded each time."""
LOOKED_AT = 16
"""Videos from which the size of a packed store is estimated."""


@dataclass(frozen=True, kw_only=True)
class Streamed:
    """Shards to train on, held-out samples, and what was found out of them."""

    stream: Stream
    held_out: LiveImages | VideoSamples
    value_range: str
    note: str


def shards_to_stream(config: RunConfig, spec: TaskSpec) -> Shards | None:
    """The shards that a run reads in order; None where it packs its data, or decodes them while training.

    Raises:
        ValueError: where --stream always asks for what cannot be.
    """
    if config.data.stream == "never":
        return None
    refused = _refusal(config, spec)
    if config.data.stream == "always" and refused:
        raise ValueError(refused)
    shards = None if refused else find_shards(config.data.path)
    if shards is None:
        if config.data.stream == "always":
            raise ValueError(
                f"--stream always reads tar shards (paths, {{000..005}} ranges, URLs or a folder of .tar, .tar.gz, "
                f".tgz, .tar.bz2 or .tar.xz files), and {config.data.path} is none; give such, or leave --stream out"
            )
        return None
    if shards.kind_for(spec.needs) is None:
        if config.data.stream == "always":
            what = " and ".join(WORDS[need] for need in WORDS if need in spec.needs)
            raise ValueError(
                f"task {spec.short!r} needs {what}, but the shards of {config.data.path} hold none in their first "
                "samples; give shards of videos, or choose another task"
            )
        return None
    if config.data.stream == "always":
        return shards
    if len(shards) < 2 and not shards.is_compressed:  # none could be held out
        return None
    return (
        shards
        if shards.is_remote
        or shards.is_compressed
        or exceeds_limit(shards, config.data, config.network.size, needs=spec.needs)
        else None
    )


def open_streamed(shards: Shards, config: RunConfig, fabric: Fabric, sampling: Sampling) -> Streamed:
    """Both halves of the data: shards are held out whole, and their first samples are kept, images in memory."""
    kind = shards.kind_for(needs_of(sampling.inputs)) or "image"
    train, rest = (shards.part(split, held_out=config.data.held_out) for split in ("train", "held_out"))
    workers = config.data.workers or max(1, usable_cores() // config.machine.devices)
    side = config.data.store_size or store_side(config.network.size)
    taken = Reading(config.data.channels, max_pixels=config.data.max_image_pixels)
    first = first_samples(rest, KEPT if kind in ("image", "array") else KEPT_VIDEOS, kind=kind, reading=taken)
    count = estimate(len(first) + len(first.skipped), first.end, train)
    held_out: LiveImages | VideoSamples
    if kind in ("image", "array"):
        reading = with_range(config.data, first)
        side, _ = look_ahead(first, side=side)
        held_out = in_memory(first, side=side, decoding=decoding_of(reading), workers=workers)
        held_out.names = names = list(sampling.inputs)
        passing: PassingSamples = PassingImages(side=side, decoding=decoding_of(reading), names=names, kind=kind)
        value_range = reading.value_range
    else:
        with late_bar("indexing held-out videos", is_shown=fabric.is_global_zero) as progress:
            held_out = indexed(first, side=side, sampling=sampling, workers=workers, progress=progress)
        passing = PassingClips(side=held_out.side, sampling=sampling, kind=kind)
        value_range = config.data.value_range

    def exchange(numbers: Sequence[int]) -> list[list[int]]:
        rows = fabric.all_gather(torch.tensor(list(numbers), dtype=torch.int64, device=fabric.device))
        assert isinstance(rows, torch.Tensor)
        return [[int(number) for number in row] for row in rows.view(fabric.world_size, -1).tolist()]

    stream = Stream(
        train,
        passing,
        count=count,
        batch_size=config.optim.batch,
        seed=config.seed,
        device=fabric.device,
        rank=fabric.global_rank,
        world=fabric.world_size,
        workers=workers,
        exchange=exchange,
    )
    note = (
        f"{len(train)} shards with about {count:,} {NOUNS[kind]}s are read in order while training, {len(rest)} are "
        "held out; nothing is packed (--stream never packs them)"
    )
    return Streamed(stream=stream, held_out=held_out, value_range=value_range, note=note)


def _refusal(config: RunConfig, spec: TaskSpec) -> str:
    """Why the task cannot read shards in order; "" where it can."""
    advice = "leave --stream out, which packs the data, or choose another task"
    computed = [one.program for one in spec.inputs.values() if isinstance(one, Computed)]
    if computed:
        return (
            f"--stream always packs nothing, but task {spec.short!r} learns from what the program {computed[0]} "
            f"computes of packed data; {advice}"
        )
    if further := sorted(spec.needs - {"image", "video", "audio"}):
        return (
            f"--stream always gives images, clips and sound only, but task {spec.short!r} needs "
            f"{' and '.join(further)} too; {advice}"
        )
    if spec.labels_all_samples:
        return (
            f"--stream always gives samples in the order of their shards, but task {spec.short!r} needs all of them at "
            f"once to make its pseudo-labels; {advice}"
        )
    if config.data.tile is not None:
        return "--tile is for folders of images, which --stream always does not read; leave one of them out"
    if config.data.limit is not None:
        return (
            "--limit chooses among all samples, which are not known where --stream always reads them in order; "
            "leave one of them out"
        )
    return ""


def exceeds_limit(shards: Shards, data: DataSettings, size: int, *, needs: frozenset[str]) -> bool:
    """Whether a packed store, of videos with frames as JPEG, would be larger than the cache may be.

    `size` is that of the images that the encoder sees, pixels; they are taken to be a third longer than high.
    """
    side = data.store_size or store_side(size)
    most = data.cache_limit * 1e9
    if (kind := shards.kind_for(needs)) in ("video", "still"):
        return JPEG_SHARE * look_at_videos(shards, side, kind)[1] > most
    # An image is rarely packed to less than a kilobyte, nor to more than it takes in the store.
    each = image_bytes(side, data.channels)
    if sum(shards.sizes) / 1000 * each <= most:
        return False
    return shards.about() * each > most


def look_at_videos(shards: Shards, side: int, kind: Kind = "video") -> tuple[int, float]:
    """The short side of stored frames, at most `side` pixels, and about how many bytes all raw ones take.

    The latter are 0 where none of these can be read.
    """
    first = first_samples(shards.first(LOOKED_AT), LOOKED_AT, kind=kind)
    headers = read_headers(first.videos, 1)[0].values()
    if not headers:
        return side, 0.0
    stored = packed_side(headers, side)
    each = estimated_bytes(headers, stored) / len(headers)
    return stored, each * estimate(len(first), first.end, shards)
