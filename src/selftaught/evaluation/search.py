"""The samples most like one image, video or sound; what is seen may be searched by what is heard, and the other way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from selftaught.core.config import RunConfig
from selftaught.core.names import printable
from selftaught.data.files.file_kinds import is_sound
from selftaught.data.modality import MODALITIES
from selftaught.data.sources.open import open_part
from selftaught.data.sources.value_range import with_range
from selftaught.encoders.base import Encoder
from selftaught.encoders.names import encoder_names
from selftaught.evaluation.embed import SPLITS, features_of, seen_by
from selftaught.evaluation.query import check_query, query_vector
from selftaught.evaluation.subject import Subject
from selftaught.features.neighbours import Neighbours
from selftaught.tasks.base import PretextTask
from selftaught.tasks.catalogue import list_tasks
from selftaught.training.checkpoint import load_checkpoint
from selftaught.training.encoder_of_run import load_measurable, part_of
from selftaught.training.setup import build_task, spec_for


def search_data(
    subject: Subject,
    data: str,
    query: str | Path,
    top: int = 10,
    *,
    download: bool = False,
) -> list[dict[str, Any]]:
    """The `top` samples whose vectors have the largest cosine with the query's: rank, path, similarity, label.

    The query is an image; or a video, of which an image encoder sees the middle frame, a clip encoder the same clips
    as of the data; or a sound. Samples are embedded by the subject's encoder. Where that hears and the query is seen,
    or the other way, the similarity is what `PretextTask.matches` says of both.
    """
    if top < 1:
        raise ValueError(f"--top must be at least 1, got {top}")
    path, encoder = Path(query).expanduser(), subject.encoder
    other = None if subject.run is None else _other_part(subject.run, encoder, path, subject.name)
    asking = encoder if other is None else load_measurable(subject.name, part=other)
    task = None if other is None or subject.run is None else _matching_task(subject.run, subject.name, path)
    check_query(path, asking)  # before the data are read
    reading = subject.reading(data, download=download)
    source = open_part(reading, split=SPLITS[0], needs=MODALITIES[encoder.kind].needs, held_out=0.1)
    reading = with_range(reading, source)
    asked = query_vector(path, asking, reading, **seen_by(subject)).float()
    found = features_of(encoder, reading, split="all", **seen_by(subject))
    if task is None:
        # One query: an index would take longer than all cosines.
        known = Neighbours(found.vectors.float().numpy(), "exact")
        values, nearest = known.search(asked.numpy(), min(top, len(found.keys)))
        ranked = list(zip(nearest[0].tolist(), values[0].tolist(), strict=True))
    else:
        ranked = _matched(task, asked, found.vectors.float(), top, is_heard=encoder.kind == "audio")
    return [
        {"rank": rank, "path": printable(found.keys[i]), "similarity": round(value, 6)}
        | ({"label": found.labels[i]} if found.labels[i] else {})
        for rank, (i, value) in enumerate(ranked, 1)
    ]


@torch.no_grad()
def _matched(task: PretextTask, asked: Tensor, vectors: Tensor, top: int, *, is_heard: bool) -> list[tuple[int, float]]:
    """Row and score of the best of the vectors (N, D), which are those of sounds or of what is seen."""
    scores = task.matches(asked, vectors) if is_heard else task.matches(vectors, asked)
    assert scores is not None
    values, rows = scores.flatten().float().sort(descending=True, stable=True)
    return list(zip(rows[:top].tolist(), values[:top].tolist(), strict=True))


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
