"""Which probes fit the data, where none is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from selftaught.core.settings.groups import DataSettings
from selftaught.data.annotations.find import find_annotations
from selftaught.data.files.zip_tree import open_tree
from selftaught.data.modality import clip_of
from selftaught.evaluation.data.base import Asked
from selftaught.evaluation.data.open_labelled import EVERY_SPLIT
from selftaught.evaluation.data.sequences import open_sequences
from selftaught.evaluation.evaluate import evaluate_encoder
from selftaught.evaluation.subject import Subject

AUTO = "auto"
"""As --probe: the probes that fit the data."""
USUAL = "linear"
OF_VIDEOS = ("action", "clip_retrieval")
OF_MASKED_VIDEOS = "mask_propagation"


def evaluate_fitting(
    subject: Subject, labelled: DataSettings, *, probe: str, settings: dict[str, Any] | None = None, **how: Any
) -> dict[str, Any]:
    """`evaluate_encoder` by that probe; "auto" measures by all probes that fit, by the first alone with `settings`.

    The result is that of the first probe; "further" has those of the others.
    """
    names: Sequence[str] = (probe,)
    if probe == AUTO:
        names = fitting_probes(
            Asked(
                data=labelled,
                size=subject.network.size,
                kind=subject.encoder.kind,
                clip=clip_of(subject.encoder.clip_seen),
                needs=frozenset({"label"}),
            )
        )
    first, *others = [
        evaluate_encoder(subject, labelled, probe=name, settings=settings, **how)
        for name in (names[:1] if settings else names)
    ]
    return first | {"further": others} if others else first


def fitting_probes(asked: Asked) -> tuple[str, ...]:
    """The probes for labelled data: of videos, of the frames of videos with masks, or else of images.

    What the data lack is not said here, but by the probe that is chosen.
    """
    if asked.kind == "audio":
        return (USUAL,)
    if asked.kind == "image" and _are_masked_videos(asked):
        return (OF_MASKED_VIDEOS,)
    if asked.data.split_number == EVERY_SPLIT:
        asked = replace(asked, data=replace(asked.data, split_number=1))
    try:
        source = asked.source("train")
    except ValueError:
        return OF_VIDEOS[:1] if asked.kind == "video" else (USUAL,)
    return OF_VIDEOS if "video" in source.provides else (USUAL,)


def _are_masked_videos(asked: Asked) -> bool:
    """Whether the data are frames with masks of objects; masks of classes come with a list of these."""
    try:
        open_sequences(asked)
    except (ValueError, OSError):
        return False
    try:
        find_annotations(open_tree(asked.data.path), frozenset({"mask"}))
    except ValueError:
        return True
    return False
