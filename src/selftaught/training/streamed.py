"""Which runs read shards in order instead of packing them, and both halves of their data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric

from selftaught.core.config import RunConfig
from selftaught.core.settings.groups import DataSettings
from selftaught.core.settings.values import COLOURS
from selftaught.core.threads import usable_cores
from selftaught.data.sources.shards import Shards, estimate, find_shards
from selftaught.data.sources.value_range import decoding_of, with_range
from selftaught.data.store.first_samples import first_images, in_memory
from selftaught.data.store.image_pack import look_ahead
from selftaught.data.store.image_samples import LiveImages
from selftaught.data.store.open import store_side
from selftaught.data.stream import Stream
from selftaught.tasks.spec import TaskSpec

KEPT = 1024
"""Held-out images in memory: as many as are looked at."""


@dataclass(frozen=True, kw_only=True)
class Streamed:
    """Shards to train on, held-out images, and what was found out of them."""

    stream: Stream
    held_out: LiveImages
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
    if config.data.stream == "always":
        return shards
    if len(shards) < 2 and not shards.is_compressed:  # none could be held out
        return None
    return (
        shards
        if shards.is_remote or shards.is_compressed or exceeds_limit(shards, config.data, config.network.size)
        else None
    )


def open_streamed(shards: Shards, config: RunConfig, fabric: Fabric, *, names: Sequence[str]) -> Streamed:
    """Both halves of the data: shards are held out whole, and their first images are kept in memory.

    `names` are those of the task's inputs, which are images.
    """
    train, rest = (shards.part(split, held_out=config.data.held_out) for split in ("train", "held_out"))
    workers = config.data.workers or max(1, usable_cores() // config.machine.devices)
    images = first_images(rest, KEPT)
    count = estimate(len(images) + len(images.skipped), images.end, train)
    reading = with_range(config.data, images)
    decoding = decoding_of(reading)
    side, _ = look_ahead(images, side=reading.store_size or store_side(config.network.size))

    def exchange(numbers: Sequence[int]) -> list[list[int]]:
        rows = fabric.all_gather(torch.tensor(list(numbers), dtype=torch.int64, device=fabric.device))
        assert isinstance(rows, torch.Tensor)
        return [[int(number) for number in row] for row in rows.view(fabric.world_size, -1).tolist()]

    stream = Stream(
        train,
        count=count,
        side=side,
        decoding=decoding,
        batch_size=config.optim.batch,
        seed=config.seed,
        device=fabric.device,
        rank=fabric.global_rank,
        world=fabric.world_size,
        workers=workers,
        exchange=exchange,
        names=names,
    )
    note = (
        f"{len(train)} shards with about {count:,} images are read in order while training, {len(rest)} are held out; "
        "nothing is packed (--stream never packs them)"
    )
    held_out = in_memory(images, side=side, decoding=decoding, workers=workers)
    held_out.names = names
    return Streamed(stream=stream, held_out=held_out, value_range=reading.value_range, note=note)


def _refusal(config: RunConfig, spec: TaskSpec) -> str:
    """Why the task cannot read shards in order; "" where it can."""
    advice = "leave --stream out, which packs the data, or choose another task"
    if further := sorted(spec.needs - {"image"}):
        return f"--stream always gives images only, but task {spec.short!r} needs {' and '.join(further)} too; {advice}"
    if spec.labels_all_samples:
        return (
            f"--stream always gives samples in the order of their shards, but task {spec.short!r} needs all of them at "
            f"once to make its pseudo-labels; {advice}"
        )
    if config.data.channels != COLOURS or config.data.tile is not None:
        flag = "tile" if config.data.tile else "channels"
        return f"--{flag} is for folders of images, which --stream always does not read; leave one of them out"
    if config.data.limit is not None:
        return (
            "--limit chooses among all samples, which are not known where --stream always reads them in order; "
            "leave one of them out"
        )
    return ""


def exceeds_limit(shards: Shards, data: DataSettings, size: int) -> bool:
    """Whether a packed store would be larger than the cache may be; images are a third longer than high.

    `size` is that of the images that the encoder sees, pixels.
    """
    side = data.store_size or store_side(size)
    most = data.cache_limit * 1e9
    # An image is rarely packed to less than a kilobyte, nor to more than it takes in the store.
    if sum(shards.sizes) / 1000 * 4 * side * side <= most:
        return False
    return shards.about() * 4 * side * side > most
