"""A repository of the Hugging Face hub that holds one encoder: its name, its files, and what config.json says."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

from selftaught.core.files import read_object
from selftaught.core.settings.groups import Stem

PREFIX = "hf:"
CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
ENCODER = "encoder that 'selftaught push' wrote; give timm:MODEL or ENCODER:FILE"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_OURS = "selftaught"
"""Key of config.json under which what is ours stands; other programs have others."""


@dataclass(frozen=True, kw_only=True)
class Pushed:
    """What config.json of a repository says of its encoder.

    Attributes:
        encoder: its name, as --encoder takes it.
        size: side of the images that it sees, pixels.
        stem: its first layers.
        clip_seen: how clips are cut for it.
        task, data: what it learned from.
    """

    encoder: str
    size: int
    stem: Stem
    clip_seen: dict[str, float] = field(default_factory=dict)
    task: str = ""
    data: str = ""
    version: str = ""

    def to_config(self) -> dict[str, Any]:
        """As config.json has it."""
        return {"library_name": _OURS, _OURS: dict(self.__dict__)}

    @classmethod
    def from_config(cls, found: Mapping[str, Any], *, name: str) -> Pushed:
        """Of a config.json; a ValueError where it is no encoder that was pushed."""
        given = found.get(_OURS)
        fields = cls.__dataclass_fields__
        wrong = f"{PREFIX}{name} holds no {ENCODER}"
        if not isinstance(given, Mapping) or not {"encoder", "size", "stem"} <= given.keys():
            raise ValueError(wrong)
        known = {key: value for key, value in given.items() if key in fields}
        texts = all(isinstance(known.get(key, ""), str) for key in ("encoder", "stem", "task", "data", "version"))
        is_size = isinstance(known["size"], int) and not isinstance(known["size"], bool) and 8 <= known["size"] <= 8192
        seen = known.get("clip_seen", {})
        is_seen = isinstance(seen, dict) and not seen.keys() - {"frames", "stride", "fps"}
        is_seen = is_seen and all(isinstance(value, int | float) for value in seen.values())
        if not texts or not is_size or not is_seen or known["stem"] not in ("auto", "standard", "small"):
            raise ValueError(wrong)
        return cls(**known)


def repository_of(text: str) -> str | None:
    """OWNER/NAME of "hf:OWNER/NAME"; None for anything else."""
    if not text.startswith(PREFIX):
        return None
    return checked(text.removeprefix(PREFIX))


def checked(name: str) -> str:
    """OWNER/NAME, or a ValueError."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name on the Hugging Face hub; give OWNER/NAME")
    return name


def endpoint() -> str | None:
    """The server that HF_ENDPOINT names; the hub itself where it names none."""
    return os.environ.get("HF_ENDPOINT") or None


def fetch(name: str, file: str, *, download: bool, what: str = ENCODER) -> Path:
    """A file of a repository, from the cache of huggingface_hub or, where that is allowed, over the network.

    `what` says of what the file should be, and what to give instead.

    Raises:
        ValueError: in one sentence, where it is not there.
    """
    try:
        return Path(huggingface_hub.hf_hub_download(name, file, local_files_only=not download, endpoint=endpoint()))
    except LocalEntryNotFoundError as error:
        if not download:
            raise ValueError(f"{PREFIX}{name} is not on this machine; allow its download with --download") from None
        raise ValueError(f"{PREFIX}{name} cannot be downloaded: {first_line(error)}") from None
    except EntryNotFoundError:
        raise ValueError(f"{PREFIX}{name} has no file {file}, so that it holds no {what}") from None
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError) as error:
        raise ValueError(f"{PREFIX}{name} cannot be downloaded: {first_line(error)}") from None


def read_pushed(name: str, *, download: bool) -> tuple[Pushed, Path]:
    """What a repository holds, and the file of its weights."""
    pushed = Pushed.from_config(read_object(fetch(name, CONFIG, download=download)), name=name)
    return pushed, fetch(name, WEIGHTS, download=download)


def first_line(error: Exception) -> str:
    """What went wrong, on one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
