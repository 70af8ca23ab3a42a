"""Vectors written to a folder by one process or several, on one node or more; a killed one is gone on with.

Each process computes its own shards, by their number, and none waits for another: what is there is not computed again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from selftaught.core.errors import Launched, launched
from selftaught.core.files import check_out_folder
from selftaught.core.own_folder import LIST, is_own, mark, others_in, record_all, remove_own
from selftaught.core.progress import late_bar, say, say_once
from selftaught.core.settings.groups import Streaming
from selftaught.data.files.file_tree import told_lost
from selftaught.evaluation.query import CLIPS
from selftaught.evaluation.subject import Subject, open_subject
from selftaught.evaluation.vectors.folder import (
    FACTS,
    Facts,
    VectorFolder,
    file_name,
    is_vector_folder,
    read_facts,
    write_facts,
    write_part,
)
from selftaught.evaluation.vectors.work import Work, open_work
from selftaught.features.reader import Reader
from selftaught.training.processes.children import Children

WAIT = 3600.0
"""Seconds that further processes wait for the first one to begin the folder, which packs the data before."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is embedded into which folder, in plain values that can be sent to other processes."""

    run: str
    data: str
    out: str
    split: str = "all"
    shard_size: int | None = None
    stream: Streaming = "auto"
    part: str | None = None
    checkpoint: str = "last"
    size: int | None = None
    download: bool = False

    def opened(self) -> tuple[Subject, Work]:
        """The encoder and the samples."""
        chosen: dict[str, Any] = {"part": self.part, "checkpoint": self.checkpoint, "size": self.size}
        subject = open_subject(self.run, download=self.download, **chosen)
        reading = subject.reading(self.data, download=self.download)
        how: dict[str, Any] = {"split": self.split, "shard_size": self.shard_size, "stream": self.stream}
        return subject, open_work(subject, reading, **how)


def embed_folder(order: Order, *, devices: int = 1, overwrite: bool = False) -> dict[str, Any]:
    """Write the vector of every sample to Parquet files in a folder.

    Where torchrun or srun started several processes, each writes its share.

    Returns:
        "out", how many "files", "samples" and "features", how many files of the data were "skipped"; where other
        processes have not ended yet, how many files are "left" to them instead of samples.
    """
    place = _place(devices, overwrite=overwrite)
    out = Path(order.out)
    check_vector_folder(out)
    subject, work = order.opened()
    facts = facts_of(subject, work, order.split)
    if place.rank == 0:
        begin(out, facts, overwrite=overwrite)
    else:
        _wait_for(out, facts)
    with _further(order, devices):
        write_share(out, subject, work, rank=place.rank, world=place.world, local_rank=place.local_rank)
    return _told(out, facts)


def embed_share(order: Mapping[str, Any], rank: int, world: int) -> None:
    """The share of one of the processes that `embed_folder` started on this node."""
    asked = Order(**order)
    subject, work = asked.opened()
    write_share(Path(asked.out), subject, work, rank=rank, world=world, local_rank=rank, is_shown=False)


def facts_of(subject: Subject, work: Work, split: str) -> Facts:
    """What the vectors of these samples are computed from."""
    return Facts(
        run=subject.name,
        encoder=subject.encoder.name,
        part=subject.part,
        weights=weights_of(subject),
        data=work.reading.path,
        content=work.content,
        value_range=work.reading.value_range,
        split=split,
        shard_size=work.shard_size,
        shards=len(work),
        features=subject.encoder.num_features,
    )


def weights_of(subject: Subject) -> str:
    """Hex digest of the encoder and of how it sees samples, the same on every device."""
    how: dict[str, Any] = {"size": subject.network.size, "precision": subject.precision, "clips": CLIPS}
    return Reader(encoder=subject.encoder, device=torch.device("cpu"), **how).identity


def check_vector_folder(path: Path) -> None:
    """Refuse a folder that cannot be written to, or that holds something else than vectors."""
    check_out_folder(path)
    others = others_in(path) if path.is_dir() else []
    if others and not is_vector_folder(path) and not (others == [LIST] and is_own(path)):
        raise ValueError(f"--out {path} holds other files (such as {others[0]}); give a new or empty folder")


def begin(path: Path, facts: Facts, *, overwrite: bool = False) -> None:
    """Mark the folder and say what it will hold; one that was begun with the same is left as it is.

    Raises:
        ValueError: for a folder of other vectors, unless `overwrite` replaces them.
    """
    if is_vector_folder(path):
        if overwrite:
            remove_own(path)
        elif differs := read_facts(path).differs(facts):
            raise ValueError(
                f"--out {path} holds vectors of {differs}; give another folder, or --overwrite to replace them"
            )
        else:
            return
    elif is_own(path):  # without the file that says of what its vectors are, they may be of anything
        remove_own(path)
    mark(path, "vectors")
    record_all(path, [FACTS, *(file_name(shard) for shard in range(facts.shards))])
    write_facts(path, facts)


def write_share(
    path: Path,
    subject: Subject,
    work: Work,
    *,
    rank: int = 0,
    world: int = 1,
    local_rank: int = 0,
    is_shown: bool = True,
) -> None:
    """Write the shards of one of `world` processes, those that are not there yet."""
    own = range(rank, len(work), world)
    missing = [shard for shard in own if not (path / file_name(shard)).is_file()]
    if len(missing) < len(own):
        say(f"{len(own) - len(missing)} of {len(own)} files of vectors are there already", is_shown=is_shown)
    device = _device(local_rank)
    with late_bar("embedding, files", is_shown=is_shown and len(missing) > 1) as progress:
        for done, shard in enumerate(missing, 1):
            write_part(path / file_name(shard), work.shard(shard, device))
            progress(done, len(missing))


def _place(devices: int, *, overwrite: bool) -> Launched:
    """Which of how many processes this one is."""
    if not 1 <= devices <= 1024:
        raise ValueError(f"--devices must be in [1, 1024], got {devices}")
    started = launched()
    if started is None or started.world == 1:
        return Launched("", 0, 0, devices, 1)
    if devices > 1:
        raise ValueError(
            f"--devices {devices} starts processes, and {started.by} has started {started.world} already; leave "
            "--devices out"
        )
    if overwrite:
        raise ValueError(
            f"--overwrite is not for the processes that {started.by} starts, of which one would remove what another "
            "has written; remove the folder before, or give another one"
        )
    return started


def _device(local_rank: int) -> torch.device:
    count = torch.cuda.device_count()
    return torch.device("cuda", local_rank % count) if count else torch.device("cpu")


def _wait_for(path: Path, facts: Facts) -> None:
    """Wait until the first process has begun the folder."""
    until = time.monotonic() + WAIT
    while not is_vector_folder(path):
        if time.monotonic() > until:
            raise ValueError(f"--out {path} was not begun by the first process; all nodes must share that folder")
        time.sleep(0.1)
    begin(path, facts)  # refuses another one


@contextmanager
def _further(order: Order, devices: int) -> Iterator[None]:
    """The other processes of this node, which end with what is done within; their error is raised here."""
    if devices == 1:
        yield
        return
    threads = max(1, torch.get_num_threads() // devices)
    sent = {"embed": asdict(order), "world": devices, "threads": threads}
    advice = "the same command goes on with the files that are left"
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    children = Children(sent, os.environ, devices, advice=advice)
    try:
        yield
        children.wait_until_done()
    except KeyboardInterrupt as stopped:  # which the end of another process also is
        error = children.error()
        raise stopped if error is None else error from None
    finally:
        children.end()
        torch.set_num_threads(before)


def _told(path: Path, facts: Facts) -> dict[str, Any]:
    left = sum(not (path / file_name(shard)).is_file() for shard in range(facts.shards))
    found: dict[str, Any] = {"out": str(path), "files": facts.shards}
    if left:
        return found | {"left": left, "features": facts.features}
    folder = VectorFolder(path)
    if skipped := folder.skipped:
        say_once(told_lost(sorted(skipped), facts.data))
    return found | {"samples": len(folder), "features": facts.features, "skipped": len(skipped)}
