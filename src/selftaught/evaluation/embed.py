"""The vector of every sample with the right preprocessing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from selftaught.core.files import check_out
from selftaught.core.progress import say_once
from selftaught.core.settings.groups import DataSettings, Precision
from selftaught.data.files.file_tree import lost_files, told_lost
from selftaught.data.files.splits import EmptyPart
from selftaught.data.modality import MODALITIES
from selftaught.data.sources.base import Source
from selftaught.data.sources.open import open_part
from selftaught.data.sources.value_range import with_range
from selftaught.data.store.open import pack
from selftaught.data.store.parts import LEAST_SHARE, OpenPart, open_halves
from selftaught.data.store.samples import NothingReadable, Samples
from selftaught.encoders.base import Encoder
from selftaught.evaluation.features_file import FORMS, write_features
from selftaught.evaluation.query import CLIPS
from selftaught.evaluation.subject import Subject
from selftaught.features.encode import all_features, probe_sampling

SPLITS = ("train", "held_out", "test")


@dataclass(frozen=True, kw_only=True)
class Features:
    """Vectors (N, D) float32 of samples, with what was left out."""

    keys: list[str]
    labels: list[str | None]
    vectors: torch.Tensor
    skipped: int
    notes: tuple[str, ...]


def check_file(out: str | Path, *, overwrite: bool) -> Path:
    """The file that features are written to, of a form of `features_file`, before any work is done."""
    return check_out(out, FORMS, overwrite=overwrite)


def embed_data(
    subject: Subject,
    data: str,
    out: Path,
    *,
    split: str = "all",
    download: bool = False,
) -> dict[str, Any]:
    """Write the vector of every sample to a file of the form that its ending says (`features_file`).

    Returns:
        "out", how many "samples" and "features", how many files were "skipped", and "notes" on how the data were read.
    """
    reading = subject.reading(data, download=download)
    found = features_of(subject.encoder, reading, split=split, **seen_by(subject))
    write_features(out, found.keys, found.labels, found.vectors.numpy())
    return {
        "out": str(out),
        "samples": len(found.keys),
        "features": found.vectors.shape[1],
        "skipped": found.skipped,
        "notes": list(found.notes),
    }


def seen_by(subject: Subject) -> dict[str, Any]:
    """How its encoder sees images."""
    return {"size": subject.network.size, "precision": subject.precision}


def features_of(encoder: Encoder, reading: DataSettings, *, split: str, size: int, precision: Precision) -> Features:
    """The vectors of a part of the data, or of all; those of videos and sounds are means over `CLIPS` clips."""
    keys: list[str] = []
    labels: list[str | None] = []
    vectors = []
    skipped: dict[str, str] = {}
    notes: dict[str, None] = {}
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for samples, told in all_samples(encoder, reading, split, size):
        keys += samples.keys
        skipped |= {key: why for key, why in samples.skipped if lost_files([(key, why)])}
        notes |= dict.fromkeys(told)
        labels += label_names(samples)
        vectors.append(all_features(encoder, samples, size=size, device=device, precision=precision, clips=CLIPS))
    if skipped:
        say_once(told_lost(sorted(skipped.items()), reading.path))
    return Features(keys=keys, labels=labels, vectors=torch.cat(vectors), skipped=len(skipped), notes=tuple(notes))


def all_samples(encoder: Encoder, reading: DataSettings, split: str, size: int) -> list[tuple[Samples, Sequence[str]]]:
    """The split asked for, or every sample of the data once; each with the notes on how it was read."""
    return packed_samples(encoder, split_sources(encoder, reading, split), reading, split, size)


def split_sources(encoder: Encoder, reading: DataSettings, split: str) -> list[Source]:
    """The source of the split asked for, or for "all" one of each split, without those that have the same samples."""
    if split not in (*SPLITS, "all"):
        raise ValueError(f"--split must be one of {', '.join(SPLITS)} or all, got {split!r}")
    found: dict[str, Source] = {}
    for name in SPLITS if split == "all" else (split,):
        try:
            source = _source(encoder, reading, name)
        except EmptyPart:
            if split != "all" or (not found and name == SPLITS[-1]):
                raise
            continue
        if split == "all":
            source.notes = [note for note in source.notes if note not in source.split_notes]
        found.setdefault(source.fingerprint, source)
    return list(found.values())


def packed_samples(
    encoder: Encoder, sources: Sequence[Source], reading: DataSettings, split: str, size: int
) -> list[tuple[Samples, Sequence[str]]]:
    """The samples of `split_sources`, each with the notes on how it was read."""

    def packed(source: Source) -> Samples:
        return pack(source, with_range(reading, source), probe_sampling(encoder), size=size, title="packing")

    opened: list[tuple[Samples, Sequence[str]]] = []
    empty: list[NothingReadable] = []
    for source in sources:
        try:
            opened.append((packed(source), source.notes))
        except NothingReadable as nothing:
            if split != "all":
                share = reading.held_out or LEAST_SHARE
                return [_instead(split, source, lambda name: _source(encoder, reading, name), packed, share)]
            empty.append(nothing)
    lost = [one for nothing in empty for one in nothing.skipped]
    if opened:
        opened[0][0].skipped += lost
    elif len(empty) > 1 and lost:
        (key, why), count = lost[0], len({key for key, _ in lost})
        raise NothingReadable(f"none of the {count} files of {reading.path} can be read; the first, {key}: {why}", lost)
    else:
        raise empty[0]
    return opened


def _source(encoder: Encoder, reading: DataSettings, name: str) -> Source:
    share = reading.held_out or LEAST_SHARE
    return open_part(reading, split=name, needs=MODALITIES[encoder.kind].needs, held_out=share)


def _instead(
    split: str, source: Source, source_of: Callable[[str], Source], packed: OpenPart, share: float
) -> tuple[Samples, Sequence[str]]:
    """The samples that a run takes in place of a part of which nothing can be read."""
    other = source_of("held_out" if split == "train" else "train")
    pair = (source, other) if split == "train" else (other, source)
    halves = open_halves(*pair, packed, share=share)
    for note in halves.notes:
        say_once(note)
    return halves.train if split == "train" else halves.held_out, (*source.notes, *halves.notes)


def label_names(samples: Samples) -> list[str | None]:
    """The class of each sample, None where the data do not say."""
    if samples.labels is None or samples.classes is None:
        return [None] * len(samples)
    return [samples.classes[i] if i >= 0 else None for i in samples.labels]
