"""Where weights come from: a file, a run, or what torchvision and timm publish."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import safetensors
from torch import Tensor

from selftaught.core.config import RunConfig
from selftaught.core.names import unknown_name
from selftaught.encoders.names import file_and_choice
from selftaught.encoders.weights.content import Content, read_content
from selftaught.encoders.weights.hub import read_pushed, repository_of
from selftaught.encoders.weights.published import is_published, published_file


@dataclass(frozen=True, kw_only=True)
class Source:
    """Weights that were found and read, for any encoder that they fit.

    Attributes:
        text: as they were asked for.
        choice: which of several networks in the file; "" where the text does not say.
    """

    text: str
    content: Content
    choice: str = ""

    def sha256(self) -> str:
        """Of the file."""
        with self.content.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def find_weights(text: str, encoder: str, *, download: bool = False) -> Source:
    """Read weights by what a user writes.

    Args:
        text: FILE or FILE#PART, a run folder or RUN#ENCODER with one of its encoders, "timm", "torchvision", or
            "timm:MODEL", or "hf:OWNER/NAME".
        encoder: name of the encoder that they are for.
        download: whether published weights may be downloaded.
    """
    if is_published(text) and not Path(text).exists():
        return Source(text=text, content=read_content(published_file(text, encoder, download=download)))
    if not Path(text).exists() and (name := repository_of(text)):
        return Source(text=text, content=read_content(read_pushed(name, download=download)[1]))
    place, choice = file_and_choice(text)
    path = Path(place).expanduser()
    if (path / "config.json").is_file():
        return Source(text=text, content=_of_run(path, choice))
    if not path.is_file():
        what = "is no run folder" if path.is_dir() else "does not exist"
        raise ValueError(
            f"weights {text}: {path} {what}; give a file, a run folder, timm, torchvision or hf:OWNER/NAME"
        )
    return Source(text=text, content=read_content(path), choice=choice)


def _of_run(run: Path, part: str) -> Content:
    """One encoder of a run, the kept one unless named, from its last checkpoint."""
    network = RunConfig.load(run / "config.json").network
    part = part or network.kept
    if part not in network.architectures:
        raise ValueError(unknown_name(f"encoder of the run {run}", part, list(network.architectures)))
    path = run / "checkpoints" / "last.safetensors"
    if not path.is_file():
        raise ValueError(f"weights {run}: the run has no checkpoint yet; finish it first")
    prefix = f"task.{part}."
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118 - it is no dict
            tensors: dict[str, Tensor] = {name.removeprefix(prefix): file.get_tensor(name) for name in names}
    except (safetensors.SafetensorError, OSError) as error:
        raise ValueError(f"weights {path} are damaged: {error}") from None
    return Content(path=path, tables={"": tensors})
