"""What is probed: the encoder of a run, or one whose weights are in a file, and how it is read."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch

from selftaught.core.config import RunConfig
from selftaught.core.files import check_out_folder
from selftaught.core.progress import say_once
from selftaught.core.settings.groups import DataSettings, NetworkSettings, Precision, Stem
from selftaught.encoders.base import Encoder
from selftaught.encoders.build import build_encoder
from selftaught.encoders.names import GivenWeights, given_weights
from selftaught.encoders.weights.content import Content, read_content
from selftaught.encoders.weights.load import Taken, take_weights
from selftaught.training.encoder_of_run import load_measurable, part_of, parts_of, random_encoder, read_config

USUAL_SIZE = 224
"""Pixels that published weights were trained at."""
STEMS: tuple[Stem, ...] = ("standard", "small")
"""First layers that weights in a file may have."""


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
        return random_encoder(self.network, self.seed, part=self.part)

    def cutting(self, *, frames: int | None = None, stride: int | None = None, fps: float | None = None) -> Subject:
        """The same with clips cut so; what is not given stays as the encoder saw it."""
        asked = {"frames": frames, "stride": stride, "fps": fps}
        given = {name: value for name, value in asked.items() if value is not None}
        network = dataclasses.replace(self.network, **given)  # type: ignore[arg-type]  # checks the values
        spaced = {"stride", "fps"} & given.keys()
        seen = {name: value for name, value in network.clip_seen.items() if not spaced or name == "frames"} | given
        self.encoder.clip_seen = seen
        return dataclasses.replace(self, network=dataclasses.replace(network, clip_seen=seen))

    @property
    def architecture(self) -> str:
        """The encoder's name with all that random weights depend on."""
        return repr((parts_of(self.network)[self.part], self.network.size, self.network.stem, self.seed))

    def reading(self, data: str, *, download: bool = False, **hints: Any) -> DataSettings:
        """How these data are read: as the run read its own, else in the usual way; with `hints` of `DataSettings`."""
        known = DataSettings(path=data) if self.run is None else self.run.data
        return known.of(data, download=download, **hints)


def open_subject(
    what: str | Path,
    *,
    part: str | None = None,
    checkpoint: str = "last",
    size: int | None = None,
    stem: Stem | None = None,
    out: str | Path | None = None,
) -> Subject:
    """A run folder, or ENCODER:FILE with a state dict of torchvision or timm, such as resnet18:weights.safetensors.

    Args:
        what: one of the two.
        part: name of one of the run's encoders; None is the one that the task keeps.
        checkpoint: "last" or "best" of a run.
        size: pixels, for weights in a file; 224 unless given. A run's is its own.
        stem: first layers, for weights in a file; as these have them unless given.
        out: folder for metrics and features; the run's, or one beside the file.
    """
    if out is not None:
        check_out_folder(out)
    if not Path(what).exists() and (given := given_weights(str(what))):
        return _from_file(str(what), given, size=size, stem=stem, out=out)
    if not Path(what).is_dir():
        raise ValueError(
            f"{what} is no run folder; give the --out of a pretrain command, or ENCODER:FILE with weights of "
            "torchvision or timm, such as resnet18:weights.safetensors"
        )
    config = read_config(what)
    for flag, value in (("size", size), ("stem", stem)):
        trained = getattr(config.network, flag)
        if value not in (None, trained):
            raise ValueError(f"--{flag} is for weights in a file; {what} was trained with {trained}")
    part = part_of(config, part, run=what)
    return Subject(
        name=str(what),
        encoder=load_measurable(what, part=part, checkpoint=checkpoint),
        network=config.network,
        part=part,
        checkpoint=checkpoint,
        folder=Path(what if out is None else out),
        precision=config.machine.precision,
        seed=config.seed,
        run=config,
    )


def _from_file(
    what: str, given: GivenWeights, *, size: int | None, stem: Stem | None, out: str | Path | None
) -> Subject:
    file = Path(given.file).expanduser()
    if not file.is_file():
        raise ValueError(f"{what}: there is no file {file}")
    folder = file.with_name(f"{file.stem}-evaluated") if out is None else Path(out)
    network = NetworkSettings(encoder=given.encoder, size=size or USUAL_SIZE, stem=stem or "auto")
    encoder, network, taken = _with_weights(network, file, given.choice)
    say_once(str(taken))
    return Subject(name=what, encoder=encoder.eval(), network=network, folder=folder)


def _with_weights(network: NetworkSettings, file: Path, choice: str) -> tuple[Encoder, NetworkSettings, Taken]:
    """The encoder with the weights of the file, and the settings with the stem that these fit if none is asked for.

    The file is read after an encoder was built, so that an unknown one is said first.
    """
    content: Content | None = None
    stems = dict.fromkeys((network.stem, *STEMS)) if network.stem == "auto" else (network.stem,)
    wrong: ValueError | None = None
    for stem in stems:
        tried = dataclasses.replace(network, stem=stem)
        try:
            encoder = _untrained(tried)
            content = content or read_content(file)
            taken = take_weights(encoder, content, choice=choice)
        except ValueError as error:
            wrong = wrong or error
        else:
            return encoder, tried, taken
    assert wrong is not None
    raise wrong


def _untrained(network: NetworkSettings) -> Encoder:
    with torch.random.fork_rng(devices=[]):
        return build_encoder(network.encoder, size=network.size, stem=network.stem)
