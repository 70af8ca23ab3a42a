"""An encoder with its weights, by what a user writes: a run folder, ENCODER:FILE, or published weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from selftaught.core.config import RunConfig
from selftaught.core.settings.groups import Stem
from selftaught.encoders.base import Encoder
from selftaught.encoders.build import build_encoder
from selftaught.encoders.names import TIMM, GivenWeights, file_and_choice, given_weights
from selftaught.encoders.weights.load import Taken, take_weights
from selftaught.encoders.weights.published import is_published
from selftaught.encoders.weights.source import Source, find_weights

STEMS: tuple[Stem, ...] = ("standard", "small")
"""First layers that weights may have."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """An encoder with given weights.

    Attributes:
        stem: its first layers; "auto" where the weights fit without a choice.
        source: where its weights are from.
        taken: what was read of them.
    """

    encoder: Encoder
    stem: Stem
    source: Source
    taken: Taken


def parts_of_text(text: str) -> GivenWeights | None:
    """An encoder and its weights, in a file or published; None for anything else, such as a run folder."""
    if (given := given_weights(text)) or not (is_published(text) and ":" in text):
        return given
    library, _, model = text.partition(":")
    return GivenWeights(encoder=text if text.startswith(TIMM) else model, file=library)


def open_given(text: str, *, size: int, stem: Stem = "auto", download: bool = False) -> Given:
    """An encoder with given weights, on the CPU; the global random state stays as it was.

    Args:
        text: ENCODER:FILE or ENCODER:FILE#PART, timm:MODEL, torchvision:MODEL, or a run folder.
        size: side of the images it will see, pixels.
        stem: its first layers; "auto" takes those of the weights.
        download: whether published weights may be downloaded.

    Raises:
        ValueError: in one sentence, where there is no such encoder, or its weights cannot be read or do not fit.
    """
    run = Path(file_and_choice(text)[0]).expanduser()
    if (run / "config.json").is_file():
        network, part = RunConfig.load(run / "config.json").network, file_and_choice(text)[1]
        name = network.architectures.get(part or network.kept, network.encoder)
        return with_weights(name, text, size=size, stem=network.stem, download=download)
    given = parts_of_text(text)
    if given is None:
        raise ValueError(
            f"{text} is neither a run folder nor an encoder with weights; give ENCODER:FILE, such as "
            "resnet50:moco.pth.tar, or published weights, such as torchvision:resnet50"
        )
    file = f"{given.file}#{given.choice}" if given.choice else given.file
    return with_weights(given.encoder, file, size=size, stem=stem, download=download)


def with_weights(name: str, text: str, *, size: int, stem: Stem, download: bool) -> Given:
    """The encoder `name` with the weights that `text` says, as `find_weights` reads it.

    They are read after an encoder was built, so that an unknown one is said first.
    """
    source: Source | None = None
    wrong: ValueError | None = None
    for tried in dict.fromkeys((stem, *STEMS)) if stem == "auto" else (stem,):
        try:
            encoder = _untrained(name, size=size, stem=tried)
            source = source or find_weights(text, name, download=download)
            taken = take_weights(encoder, source.content, choice=source.choice)
        except ValueError as error:
            wrong = wrong or error
        else:
            return Given(encoder=encoder.eval(), stem=tried, source=source, taken=taken)
    assert wrong is not None
    raise wrong


def _untrained(name: str, *, size: int, stem: Stem) -> Encoder:
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):  # a task may be made of shapes alone
        return build_encoder(name, size=size, stem=stem)
