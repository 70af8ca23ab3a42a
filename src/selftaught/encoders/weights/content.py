"""The tensors in a weights file, whatever is around them; nothing in it is run."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

Tables = Mapping[str, Mapping[str, Tensor]]
"""Where in the file, such as "state_dict" or "classy_state_dict.base_model.model.trunk" -> tensors by name."""
_DEPTH = 6
"""Dictionaries within each other that are searched; VISSL keeps its weights in the fifth."""


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a weights file holds.

    Attributes:
        path: the file.
        tables: every dictionary with tensors in it, by its keys in the file; "" is the file's own.
        others: names of the classes in it that were not read, such as argparse.Namespace.
    """

    path: Path
    tables: Tables
    others: tuple[str, ...] = ()


class Unread:
    """Stands for an object of a class that is not read; takes whatever a file gives it, and does nothing with it."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def read_content(path: Path) -> Content:
    """The tensors of a safetensors file or of one of `torch.save`, on the CPU.

    Checkpoints often hold arguments or hyperparameters beside the weights. Objects of such classes are replaced by
    `Unread`, so that no code of theirs is looked up or run.

    Raises:
        ValueError: for a file that cannot be read, is damaged, or holds no tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return Content(path=path, tables={"": safetensors.torch.load_file(path)})
        others = _others(path)
        with torch.serialization.safe_globals([(type("Unread", (Unread,), {}), name) for name in others]):
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ValueError(f"weights {path} cannot be read: {error.strerror or error}") from error
    except pickle.UnpicklingError as error:
        refused = re.search(r"GLOBAL (\S+)", str(error))
        raise ValueError(_more_than_tensors(path, refused[1]) if refused else _damaged(path)) from error
    except (safetensors.SafetensorError, RuntimeError, EOFError, ValueError, KeyError, TypeError) as error:
        raise ValueError(_damaged(path)) from error
    tables = dict(_tables(content, "", _DEPTH)) if isinstance(content, Mapping) else {}
    if not tables:
        raise ValueError(
            _more_than_tensors(path, others[0])
            if others
            else f"weights {path} hold no tensors by name; save the state dict: torch.save(model.state_dict(), 'w.pth')"
        )
    return Content(path=path, tables=tables, others=others)


def _others(path: Path) -> tuple[str, ...]:
    """Names of classes in a file that torch does not read by itself; files of torch before 1.6 do not list theirs."""
    with path.open("rb") as file:
        is_zip = file.read(2) == b"PK"
    return tuple(sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))) if is_zip else ()


def _tables(content: Mapping[Any, Any], place: str, depth: int) -> Iterator[tuple[str, dict[str, Tensor]]]:
    own = {key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, Tensor)}
    if own:
        yield place, own
    for key, value in content.items():
        if depth and isinstance(key, str) and isinstance(value, Mapping):
            yield from _tables(value, f"{place}.{key}" if place else key, depth - 1)


def _more_than_tensors(path: Path, name: str) -> str:
    return (
        f"weights {path} hold more than tensors: {name}, which is not read, as that could run code; save the tensors "
        "alone: torch.save(model.state_dict(), 'plain.pth')"
    )


def _damaged(path: Path) -> str:
    return f"weights {path} are damaged or hold more than tensors; give a state dict of torch.save or safetensors"
