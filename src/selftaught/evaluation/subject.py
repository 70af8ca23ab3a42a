"""What is probed: the encoder of a run, or one whose weights are in a file, and how it is read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from selftaught.core.config import RunConfig
from selftaught.core.files import check_out_folder
from selftaught.core.precision import autocast
from selftaught.core.progress import say_once
from selftaught.core.settings.groups import DataSettings, NetworkSettings, Precision, Stem
from selftaught.core.settings.values import COLOURS
from selftaught.encoders.base import Encoder
from selftaught.encoders.names import GivenWeights
from selftaught.encoders.weights.given import parts_of_text, with_weights
from selftaught.encoders.weights.hub import PREFIX, read_pushed, repository_of
from selftaught.encoders.weights.published import is_published
from selftaught.tasks.base import PretextTask
from selftaught.training.encoder_of_run import (
    load_encoder,
    load_measurable,
    load_task,
    of_colours,
    part_of,
    parts_of,
    random_encoder,
    read_config,
)

USUAL_SIZE = 224
"""Pixels that published weights were trained at."""
SUPERVISED = "supervised"
"""The task that learns from labels, whose classes are those of its data."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Subject:
    """An encoder with its weights.

    Attributes:
        name: as it was asked for.
        network: its architecture, and the size of the images it sees.
        part: its name in `training.encoder_of_run.parts_of`.
        folder: where its metrics and features are kept.
        precision: what its features are computed in.
        seed: of the random weights beside it.
        run: the settings of its run; None for weights in a file.
    """

    name: str
    encoder: Encoder
    network: NetworkSettings
    part: str = "encoder"
    checkpoint: str = "last"
    folder: Path
    precision: Precision = "auto"
    seed: int = 0
    run: RunConfig | None = None

    def random(self) -> Encoder:
        """The same encoder with random weights, a function of the seed."""
        return of_colours(random_encoder(self.network, self.seed, part=self.part), self.part)

    @cached_property
    def _task(self) -> PretextTask | None:
        """The whole task of the run; None where there is none, or where it cannot be made, which is said."""
        if self.run is None or self.part != self.network.kept or SUPERVISED in self.run.task.split("+"):
            return None
        try:
            return load_task(self.name, checkpoint=self.checkpoint)
        except ValueError as error:
            say_once(f"what the task of {self.name} predicts is not measured: {error}")
            return None

    def predict_maps(self, images: Tensor) -> Mapping[str, Tensor]:
        """Maps that the task of the run predicts, as `PretextTask.predict_maps`, float32.

        None of weights in a file, and of another encoder than the one that the task keeps.
        """
        if self._task is None:
            return {}
        task = self._task.to(images.device)
        with torch.no_grad(), autocast(images.device, self.precision):
            return {kind: maps.float() for kind, maps in task.predict_maps(images).items()}

    def cutting(self, *, frames: int | None = None, stride: int | None = None, fps: float | None = None) -> Subject:
        """The same with clips cut so; what is not given stays as the encoder saw it."""
        asked = {"frames": frames, "stride": stride, "fps": fps}
        given = {name: value for name, value in asked.items() if value is not None}
        network = dataclasses.replace(self.network, **given)  # type: ignore[arg-type]  # checks the values
        spaced = {"stride", "fps"} & given.keys()
        seen = {name: value for name, value in self.encoder.clip_seen.items() if not spaced or name == "frames"} | given
        self.encoder.clip_seen = seen
        return dataclasses.replace(self, network=dataclasses.replace(network, clip_seen=seen))

    @property
    def architecture(self) -> str:
        """The encoder's name with all that random weights depend on."""
        return repr((parts_of(self.network)[self.part], self.network.size, self.network.stem, self.seed))

    def reading(self, data: str, *, download: bool = False, **hints: Any) -> DataSettings:
        """How these data are read: as the run read its own, else in the usual way; with `hints` of `DataSettings`."""
        channels = self.encoder.channels if self.encoder.kind == "image" else COLOURS
        known = DataSettings(path=data, channels=channels) if self.run is None else self.run.data
        return known.of(data, download=download, **hints)


def open_subject(
    what: str | Path,
    *,
    part: str | None = None,
    checkpoint: str = "last",
    size: int | None = None,
    stem: Stem | None = None,
    out: str | Path | None = None,
    download: bool = False,
    is_measured: bool = True,
) -> Subject:
    """A run folder, ENCODER:FILE with weights of any program, or published ones: timm:, torchvision: or hf:OWNER/NAME.

    Args:
        what: one of these.
        part: name of one of the run's encoders; None is the one that the task keeps.
        checkpoint: "last" or "best" of a run.
        size: pixels, for weights in a file; 224 unless given. A run's is its own.
        stem: first layers, for weights in a file; as these have them unless given.
        out: folder for metrics and features; the run's, or one beside the file.
        download: whether published weights may be downloaded.
        is_measured: whether it must take what data give; one of flow can be exported alone.
    """
    if out is not None:
        check_out_folder(out)
    name = None if Path(what).exists() else repository_of(str(what))
    given = None if name or Path(what).exists() else parts_of_text(str(what))
    if name or given:
        if part is not None or checkpoint != "last":
            flag = "--checkpoint" if part is None else "--part"
            raise ValueError(f"{flag} is for a run, and {what} are weights; leave it out")
        if given is None:
            return _from_hub(str(name), size=size, out=out, download=download)
        return _from_file(str(what), given, size=size, stem=stem, out=out, download=download)
    if not Path(what).is_dir():
        raise ValueError(
            f"{what} is no run folder; give the --out of a pretrain command, ENCODER:FILE with weights, such as "
            "resnet18:weights.safetensors, or published weights, such as torchvision:resnet18 or hf:OWNER/NAME"
        )
    _refuse_model(what)
    config = read_config(what)
    for flag, value in (("size", size), ("stem", stem)):
        trained = getattr(config.network, flag)
        if value not in (None, trained):
            raise ValueError(f"--{flag} is for weights in a file; {what} was trained with {trained}")
    part = part_of(config, part, run=what)
    return Subject(
        name=str(what),
        encoder=(load_measurable if is_measured else load_encoder)(what, part=part, checkpoint=checkpoint),
        network=config.network,
        part=part,
        checkpoint=checkpoint,
        folder=Path(what if out is None else out),
        precision=config.machine.precision,
        seed=config.seed,
        run=config,
    )


def _refuse_model(folder: str | Path) -> None:
    if (Path(folder) / "model.json").is_file():
        raise ValueError(
            f"{folder} is a model of fit, and an encoder is needed here; give the run or the weights that it was "
            "fitted from, or use the model with predict, export, push or suggest --model"
        )


def folder_of(what: str | Path) -> Path:
    """Where metrics of this are kept if no other folder was asked for: the run's, or one beside the weights."""
    if not Path(what).exists() and (name := repository_of(str(what))):
        return Path(f"{name.replace('/', '-')}-evaluated")
    given = None if Path(what).exists() else parts_of_text(str(what))
    if given is None:
        return Path(what)
    if is_published(given.file):
        return Path(f"{str(what).replace(':', '-')}-evaluated")
    file = Path(given.file).expanduser()
    return file.with_name(f"{file.stem}{f'-{given.choice}' if given.choice else ''}-evaluated")


def _from_hub(name: str, *, size: int | None, out: str | Path | None, download: bool) -> Subject:
    """An encoder that `push` wrote to the Hugging Face hub, with what its config.json says of it."""
    what = f"{PREFIX}{name}"
    pushed, file = read_pushed(name, download=download)
    size = size or pushed.size
    found = with_weights(pushed.encoder, str(file), size=size, stem=pushed.stem, download=False)
    found.encoder.clip_seen = pushed.clip_seen
    network = NetworkSettings(encoder=pushed.encoder, size=size, stem=found.stem, clip_seen=pushed.clip_seen)
    folder = folder_of(what) if out is None else Path(out)
    return Subject(name=what, encoder=found.encoder, network=network, folder=folder)


def _from_file(
    what: str,
    given: GivenWeights,
    *,
    size: int | None,
    stem: Stem | None,
    out: str | Path | None,
    download: bool,
) -> Subject:
    text = f"{given.file}#{given.choice}" if given.choice else given.file
    found = with_weights(given.encoder, text, size=size or USUAL_SIZE, stem=stem or "auto", download=download)
    say_once(str(found.taken))
    network = NetworkSettings(encoder=given.encoder, size=size or USUAL_SIZE, stem=found.stem)
    folder = folder_of(what) if out is None else Path(out)
    return Subject(name=what, encoder=found.encoder, network=network, folder=folder)
