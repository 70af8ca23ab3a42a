"""The supervised encoder that stands beside a pretrained one: same network, steps and batch size, but with labels."""

from __future__ import annotations

from pathlib import Path

from selftaught.core.own_folder import record
from selftaught.core.progress import say_once
from selftaught.core.settings.groups import HINTS, DataSettings
from selftaught.data.modality import WORDS, clip_of
from selftaught.encoders.names import Kind
from selftaught.evaluation.subject import Subject
from selftaught.tasks.starting_weights import without_starts
from selftaught.training.encoder_of_run import parts_of
from selftaught.training.run_folder import OtherRun

FOLDER = "supervised"
"""Within the folder of the run."""


def check_supervised(subject: Subject) -> None:
    """Refuse an encoder that has no supervised counterpart."""
    check_supervised_kind(subject.encoder.kind)
    if subject.run is None:
        raise ValueError(f"--supervised trains for as many steps as a run, and {subject.name} is none")


def check_supervised_kind(kind: Kind) -> None:
    """Refuse an encoder of a kind that no supervised run trains."""
    if kind == "audio":
        raise ValueError(
            f"--supervised trains encoders of images or clips, but this one takes {WORDS[kind]}; leave it out"
        )


def supervised_run(subject: Subject, data: DataSettings) -> Path:
    """The run folder of that encoder; trained again where the one that is there learned from other data or settings."""
    from selftaught.training.resume import has_other_length
    from selftaught.training.train import train

    check_supervised(subject)
    assert subject.run is not None
    clip = clip_of(subject.encoder.clip_seen)
    is_of_clips = subject.encoder.kind == "video"
    out = subject.folder / FOLDER
    asked = without_starts(subject.run).replace(
        data=data.path,
        out=str(out),
        task="supervised",
        task_settings={},
        encoder=parts_of(subject.network)[subject.part],
        encoders={},
        frames=clip.frames if is_of_clips else None,
        stride=clip.stride if is_of_clips and clip.fps is None else None,
        fps=clip.fps if is_of_clips else None,
        kept="encoder",
        optimizer="auto",
        lr=None,
        weight_decay=None,
        stream="auto",
        download=data.download,
        **{name: getattr(data, name) for name in HINTS},
        resume=True,
    )
    is_other = has_other_length(out, asked)  # a longer baseline would not be trained as one of its length
    if not is_other:
        try:
            train(asked)
        except OtherRun:
            is_other = True
    if is_other:
        say_once(f"the supervised encoder in {out} learned from other data or settings; it is trained again")
        train(asked.replace(resume=False, overwrite=True))
    record(out)
    return out
