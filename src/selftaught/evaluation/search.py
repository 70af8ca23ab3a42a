"""The samples most like one image, video or sound; what is seen may be searched by what is heard, and the other way."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from selftaught.core.config import RunConfig
from selftaught.core.files import cache_root, digest
from selftaught.core.names import printable
from selftaught.core.own_folder import mark, record
from selftaught.core.plain import at_home
from selftaught.core.progress import say, say_once, working
from selftaught.data.files.file_kinds import is_sound
from selftaught.data.files.file_tree import told_lost
from selftaught.encoders.base import Encoder
from selftaught.encoders.names import encoder_names
from selftaught.evaluation.embed import seen_by
from selftaught.evaluation.query import check_query, query_vector
from selftaught.evaluation.subject import Subject
from selftaught.evaluation.vectors.folder import VectorFolder, alone_in, is_vector_folder, read_facts
from selftaught.evaluation.vectors.nearest import Scores, best_of, most_similar
from selftaught.evaluation.vectors.work import Work, open_work
from selftaught.evaluation.vectors.write import begin, facts_of, weights_of, write_share
from selftaught.tasks.base import PretextTask
from selftaught.tasks.catalogue import list_tasks
from selftaught.training.checkpoint import load_checkpoint
from selftaught.training.encoder_of_run import load_measurable, part_of
from selftaught.training.setup import build_task, spec_for

INDEXES = "search"
"""Sub-folder of a run with the vectors of the data that were searched."""


def search_data(
    subject: Subject,
    data: str,
    query: str | Path,
    top: int = 10,
    *,
    exact: bool = False,
    download: bool = False,
) -> list[dict[str, Any]]:
    """The `top` samples whose vectors have the largest cosine with the query's: rank, path, similarity, label.

    The query is an image; or a video, of which an image encoder sees the middle frame, a clip encoder the same clips
    as of the data; or a sound. It is left out of the results where it is one of the data. Samples are embedded by the
    subject's encoder, once; or the data are a folder of `embed`. Where the encoder hears and the query is seen, or the
    other way, the similarity is what `PretextTask.matches` says of both.
    """
    if top < 1:
        raise ValueError(f"--top must be at least 1, got {top}")
    path, encoder = Path(query).expanduser(), subject.encoder
    other = None if subject.run is None else _other_part(subject.run, encoder, path, subject.name)
    asking = encoder if other is None else load_measurable(subject.name, part=other)
    task = None if other is None or subject.run is None else _matching_task(subject.run, subject.name, path)
    check_query(path, asking, subject.reading(data))  # before these are read
    folder = embedded(subject, data, download=download)
    reading = replace(subject.reading(folder.facts.data), value_range=folder.facts.value_range)
    asked = query_vector(path, asking, reading, **seen_by(subject)).float()
    own = _key_in(path, folder.facts.data)
    wanted = min(top + (own is not None), len(folder))
    if task is None:
        ranked = most_similar(folder, asked.numpy(), wanted, exact=exact)
    else:
        ranked = best_of(folder, _matching(task, asked, is_heard=encoder.kind == "audio"), wanted)
    found = folder.take(np.array([number for number, _ in ranked], np.int64))
    rows = [
        {"path": key, "similarity": round(value, 6)} | ({"label": label} if label else {})
        for key, label, (_, value) in zip(found.keys, found.labels, ranked, strict=True)
        if key != own
    ]
    return [{"rank": rank} | row for rank, row in enumerate(rows[:top], 1)]


def embedded(subject: Subject, data: str, *, download: bool = False) -> VectorFolder:
    """The vectors of the data by this encoder: those of a folder of `embed`, else of those kept beside the run.

    Raises:
        ValueError: for a folder of `embed` with vectors of other weights.
    """
    path = Path(at_home(data))
    if is_vector_folder(path):
        if read_facts(path).weights != weights_of(subject):
            raise ValueError(
                f"{data} holds vectors of another encoder than that of {subject.name}; give the run that embedded it "
                f"({read_facts(path).run}), or embed the data with this one"
            )
        return VectorFolder(path)
    work = open_work(subject, subject.reading(data, download=download))
    kept = _kept_at(subject, data)
    if (folder := _fresh(kept, subject, work)) is not None:
        return folder
    if kept.is_relative_to(subject.folder):
        mark(subject.folder, "evaluations")
    with alone_in(kept):
        folder = _fresh(kept, subject, work) or _embed(kept, subject, work)
    if skipped := folder.skipped:
        say_once(told_lost(sorted(skipped), data))
    return folder


def _fresh(kept: Path, subject: Subject, work: Work) -> VectorFolder | None:
    """The vectors that are kept, where they are all there, and of these data and weights."""
    if not is_vector_folder(kept):
        return None
    before = read_facts(kept)
    if before.weights == weights_of(subject) and before.content == work.content:
        with suppress(ValueError):  # a killed command left some out
            return VectorFolder(kept)
    return None


def _embed(kept: Path, subject: Subject, work: Work) -> VectorFolder:
    """Compute the vectors, or those that a killed command left out, and keep them."""
    facts = facts_of(subject, work, "all")
    is_old = is_vector_folder(kept) and bool(read_facts(kept).differs(facts))
    if is_old:
        what = "the data have" if read_facts(kept).weights == facts.weights else "the weights of the run have"
        say(f"{what} changed since they were embedded for search; they are embedded again")
    begin(kept, facts, overwrite=is_old)
    if kept.is_relative_to(subject.folder):
        record(kept)
    with working(f"embedding {facts.data}, once for all searches"):
        write_share(kept, subject, work)
    return VectorFolder(kept)


def _kept_at(subject: Subject, data: str) -> Path:
    """The folder for the vectors of these data: in that of the run, or in the cache where that cannot be written to."""
    place = Path(at_home(data))
    name = digest([str(place.resolve()) if place.exists() else data, subject.part, subject.checkpoint])[:12]
    there = (folder for folder in (subject.folder, *subject.folder.absolute().parents) if folder.exists())
    if os.access(next(there), os.W_OK):
        return subject.folder / INDEXES / name
    name = digest([str(subject.folder.absolute()), name])[:12]
    say_once(f"{subject.folder} cannot be written to; vectors are kept in {cache_root() / INDEXES / name}")
    return cache_root() / INDEXES / name


def _key_in(query: Path, data: str) -> str | None:
    """The path of the query within the folder of the data; None where it is not in it."""
    with suppress(OSError, ValueError):
        place = Path(at_home(data)).resolve()
        if query.name.startswith(f"{place.name}#") and place.is_file():  # one of several images in the file
            place = place.parent
        return printable(query.resolve().relative_to(place).as_posix())
    return None


def _matching(task: PretextTask, asked: Tensor, *, is_heard: bool) -> Scores:
    """How well vectors (N, D) of sounds, or of what is seen, match the query."""

    @torch.no_grad()
    def scores(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        rows = torch.from_numpy(vectors.copy())
        found = task.matches(asked, rows) if is_heard else task.matches(rows, asked)
        assert found is not None
        return found.flatten().float().numpy()

    return scores


def _other_part(config: RunConfig, encoder: Encoder, path: Path, run: str | Path) -> str | None:
    """The encoder of the query where it is not that of the samples: one hears, the other sees."""
    if is_sound(path.name) == (encoder.kind == "audio"):
        return None
    if not is_sound(path.name):
        kept = part_of(config, None, run=run)
        return None if load_measurable(run, part=kept).kind == "audio" else kept
    audio = {info.name for info in encoder_names() if info.kind == "audio"}
    for name, architecture in config.network.architectures.items():
        if architecture in audio:
            return name
    raise ValueError(
        f"--query {path} is a file of sound, but task {config.task!r} of {run} trains no encoder of audio; give an "
        "image or a video, or a run of audio_visual_sync"
    )


def _matching_task(config: RunConfig, run: str | Path, path: Path) -> PretextTask:
    """The trained task, where it compares what is seen with what is heard."""
    # The run may be of other people: no code is loaded but that of the library.
    is_known = config.task in {info.name for info in list_tasks()}
    spec = spec_for(config) if is_known else None
    if spec is None or spec.cls.matches is PretextTask.matches:
        which = (
            "sound is searched by what is seen" if not is_sound(path.name) else "what is seen is searched by a sound"
        )
        raise ValueError(
            f"{which} (--query {path}), but the encoders of task {config.task!r} of {run} share no space; use a run of "
            "audio_visual_sync or audio_visual, or search sounds by a sound with --part audio_encoder"
        )
    task = build_task(spec, config)
    tensors, _ = load_checkpoint(Path(run) / "checkpoints" / "last.safetensors")
    task.load_state_dict(
        {name.removeprefix("task."): value for name, value in tensors.items() if name.startswith("task.")}
    )
    return task.eval()
