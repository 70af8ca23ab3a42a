"""Clips must be as long where an encoder is evaluated as those it was trained on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Generator, Tensor

from selftaught.data.batch import Batch
from selftaught.encoders.base import Encoder
from selftaught.tasks.base import PretextTask
from selftaught.tasks.spec import TaskSpec
from selftaught.training.players import scalars_of

READS = ("forward", "forward_features", "forward_stages", "embed_patches")
"""Methods of an encoder that take clips."""


def check_clip(spec: TaskSpec, task: PretextTask, batch: Batch, rng: Generator) -> None:
    """Refuse a `clip_for` whose number of frames the kept encoder never sees while it is trained."""
    if spec.clip is None or spec.kept not in spec.encoders or spec.kept_spec.kind != "video":
        return
    with torch.no_grad(), lengths_seen(task.eval().kept_encoder()) as seen:
        example = task.pseudo_label(batch, rng)
        for player in task.players() or ("",):
            scalars_of(task, task, example, player)
    if seen and spec.clip.frames not in seen:
        lengths = " or ".join(map(str, sorted(seen)))
        raise ValueError(
            f"task {spec.name!r}: its encoder is trained on clips of {lengths} frames, but would be evaluated on clips "
            f"of {spec.clip.frames}; return the clip that it sees from clip_for, such as Clip(frames={min(seen)})"
        )


@contextmanager
def lengths_seen(encoder: Encoder) -> Iterator[set[int]]:
    """The numbers of frames T of all clips (N, C, T, H, W) that the encoder is given meanwhile."""
    seen: set[int] = set()
    names = [name for name in READS if hasattr(encoder, name)]

    def watched(name: str) -> Any:
        original = getattr(encoder, name)

        def read(x: Tensor, *further: Any, **named: Any) -> Any:
            seen.add(x.shape[2])
            return original(x, *further, **named)

        return read

    try:
        for name in names:
            object.__setattr__(encoder, name, watched(name))
        yield seen
    finally:
        for name in names:
            object.__delattr__(encoder, name)
