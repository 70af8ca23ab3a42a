"""Encoders of a run that start from given weights instead of random ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch

from selftaught.core.config import RunConfig
from selftaught.core.options import flag_of
from selftaught.core.settings.groups import Stem
from selftaught.encoders.base import Encoder
from selftaught.encoders.build import build_encoder
from selftaught.encoders.names import given_weights
from selftaught.encoders.own_module import take_own_weights
from selftaught.encoders.weights.load import stem_of, take_weights
from selftaught.encoders.weights.source import Source, find_weights
from selftaught.tasks.named_encoders import with_encoders
from selftaught.tasks.spec import TaskSpec


@dataclass(frozen=True, kw_only=True)
class Starts:
    """The weights that encoders start from, by the name of the encoder; none for an ordinary run.

    Attributes:
        config: the settings with the hash of each file, and the stem that the weights have.
        sources: by the encoder's name.
        said: a line for each, on what was read.
    """

    config: RunConfig
    sources: Mapping[str, Source] = field(default_factory=dict)
    said: tuple[str, ...] = ()

    def into(self, encoders: Mapping[str, Encoder]) -> None:
        """Give the encoders their weights; modules of the user's own have those that they were passed with."""
        for encoder in encoders.values():
            take_own_weights(encoder)
        for name, source in self.sources.items():
            take_weights(encoders[name], source.content, choice=source.choice)


def name_starts(asked: RunConfig, spec: TaskSpec) -> RunConfig:
    """The settings with plain architectures, and with what is to be read for each encoder in `network.started`.

    `--weights` is for the kept encoder; a copy that is kept starts as its original does. ENCODER:FILE names the weights
    of any encoder, as in `--flow-encoder flow:resnet18:FILE`.
    """
    network = asked.network
    given: dict[str, str] = {}
    encoders = {"encoder": network.encoder} | network.encoders
    for name, architecture in encoders.items():
        if found := given_weights(architecture):
            encoders[name] = found.encoder
            given[name] = f"{found.file}#{found.choice}" if found.choice else found.file
    if network.weights is not None:
        kept = spec.kept if spec.kept in spec.encoders else "encoder"
        if kept in given:
            raise ValueError(
                f"--weights {network.weights} and {flag_of(kept)} {network.architectures[kept]} both name weights; "
                "give one of them"
            )
        given[kept] = network.weights
    encoder = encoders.pop("encoder")
    started = {name: {"weights": text} for name, text in given.items()}
    return asked.replace(encoder=encoder, encoders=encoders, started=started)


def read_starts(asked: RunConfig, spec: TaskSpec) -> Starts:
    """Read the weights that `name_starts` names, and see that they fit.

    Raises:
        ValueError: in one sentence, where they cannot be read or do not fit.
    """
    started = asked.network.started
    if not started and asked.optim.encoder_lr is not None:
        raise ValueError(
            f"--encoder-lr {asked.optim.encoder_lr:g} is for an encoder that starts from weights; give --weights, or "
            "leave it out and give --lr"
        )
    if not started:
        return Starts(config=asked)
    architectures = with_encoders(asked, spec).network.architectures
    download = asked.data.download
    sources = {
        name: find_weights(entry["weights"], architectures[name], download=download) for name, entry in started.items()
    }
    stem, said = _tried(asked, {name: architectures[name] for name in sources}, sources)
    known = {
        name: {"weights": source.text, "file": str(source.content.path), "sha256": source.sha256(), "read": said[name]}
        for name, source in sources.items()
    }
    several = len(spec.encoders) > 1
    lines = tuple(f"{name}: {line}" if several else line for name, line in said.items())
    return Starts(config=asked.replace(stem=stem, started=known), sources=sources, said=lines)


def _tried(
    asked: RunConfig, architectures: Mapping[str, str], sources: Mapping[str, Source]
) -> tuple[Stem, dict[str, str]]:
    """The stem with which all weights fit, and what was read of each; the one asked for if any was."""
    network = asked.network
    stems: tuple[Stem, ...] = ("auto", "standard", "small") if network.stem == "auto" else (network.stem,)
    wrong: ValueError | None = None
    for stem in stems:
        said, built = {}, network.stem
        try:
            for name, source in sources.items():
                with torch.random.fork_rng(devices=[]):
                    encoder = build_encoder(architectures[name], size=network.size, stem=stem)
                said[name] = str(take_weights(encoder, source.content, choice=source.choice))
                found = stem_of(encoder)
                built = "small" if found == "small" else "standard" if found == "standard" else built
        except ValueError as error:
            wrong = wrong or error
        else:
            return built, said
    assert wrong is not None
    raise wrong


def without_starts(config: RunConfig) -> RunConfig:
    """The settings of the same run from random weights."""
    network = replace(config.network, weights=None, started={})
    return replace(config, network=network, optim=replace(config.optim, encoder_lr=None))
