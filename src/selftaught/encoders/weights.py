"""Weights from a file into an encoder: plain state dicts of torchvision and timm, loaded without unpickling code."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from selftaught.encoders.base import Encoder
from selftaught.encoders.staged import StagedEncoder
from selftaught.encoders.video.clip_image import ClipImageEncoder
from selftaught.encoders.video.mean import MeanEncoder

WRAPPERS = ("state_dict", "model_state_dict", "model", "teacher", "student", "net", "encoder", "backbone", "module")
"""Keys under which training programs keep the state dict in their checkpoints; the first one found is named."""


def load_state_dict_into(encoder: Encoder, path: Path) -> None:
    """Load weights of the library's own model: all of them, except those of its classifier.

    Args:
        encoder: gets the weights; stays as it was when anything does not fit.
        path: a safetensors file, or a .pth or .pt file with tensors only (other pickled content is refused).
    """
    given = read_state_dict(path)
    net, classifier = network_of(encoder)
    weights = {key: value for key, value in given.items() if not (classifier and key.startswith(classifier))}
    own = net.state_dict()
    wrong = {
        "lacks": [key for key in own if key not in weights and not key.endswith("num_batches_tracked")],
        "has unknown": [key for key in weights if key not in own],
        "has other shapes for": [
            f"{key} ({tuple(weights[key].shape)} instead of {tuple(own[key].shape)})"
            for key in own
            if key in weights and weights[key].shape != own[key].shape
        ],
    }
    if wrong["lacks"] and (prefix := _prefix_of(given, own)):
        raise ValueError(
            f"weights {path} do not fit encoder '{encoder.name}': the names of its own begin with {prefix!r} in the "
            f"file; save them without: torch.save({{k.removeprefix({prefix!r}): v for k, v in state_dict.items() if "
            f"k.startswith({prefix!r})}}, 'plain.pth')"
        )
    faults = [f"{what} {_first_few(keys)}" for what, keys in wrong.items() if keys]
    if faults:
        stem = f", stem {built}" if (built := stem_of(encoder)) else ""
        raise ValueError(f"weights {path} do not fit encoder '{encoder.name}'{stem}: the file {' and '.join(faults)}")
    net.load_state_dict(own | weights)


def network_of(encoder: Encoder) -> tuple[nn.Module, tuple[str, ...]]:
    """The module whose keys are the library's, and what its classifier's keys begin with.

    All weights of an encoder of clips that is one network of images are of that network.
    """
    if isinstance(encoder, MeanEncoder | ClipImageEncoder):
        return network_of(encoder.image)
    if isinstance(encoder, StagedEncoder):
        return encoder.net, encoder.layout.classifier
    return encoder, ()


def stem_of(encoder: Encoder) -> str:
    """ "standard" or "small", as the networks in it were built; "" for one that has no choice."""
    return next((str(module.stem) for module in encoder.modules() if hasattr(module, "stem")), "")


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors, .pth or .pt file, on the CPU."""
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ValueError(f"weights {path} cannot be read: {error.strerror or error}") from error
    except pickle.UnpicklingError as error:
        refused = re.search(r"GLOBAL (\S+)", str(error))
        if refused is None:
            raise ValueError(_damaged(path)) from error
        raise ValueError(
            f"weights {path} hold more than tensors: {refused[1]}, which is not read, as that could run code; save the "
            "tensors alone: torch.save(model.state_dict(), 'plain.pth')"
        ) from error
    except (safetensors.SafetensorError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise ValueError(_damaged(path)) from error
    if isinstance(content, Mapping) and (within := next((k for k in WRAPPERS if _is_plain(content.get(k))), None)):
        raise ValueError(
            f"weights {path} are not a plain state dict: it is under {within!r}; save it alone: "
            f"torch.save(torch.load({str(path)!r}, weights_only=True)[{within!r}], 'plain.pth')"
        )
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ValueError(f"weights {path} are not a plain state dict; save model.state_dict() and nothing around it")
    return dict(content)


def _is_plain(content: Any) -> bool:
    """Whether it is a state dict with something in it."""
    return isinstance(content, Mapping) and bool(content) and all(isinstance(v, Tensor) for v in content.values())


def _damaged(path: Path) -> str:
    return f"weights {path} are damaged or hold more than tensors; give a state dict of torch.save or safetensors"


def _prefix_of(given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> str:
    """What most of the network's names have before them in the file, such as "module."; "" where nothing does."""
    first = next(iter(own))
    prefixes = [key.removesuffix(first) for key in given if key.endswith(f".{first}")]
    known = [sum(f"{prefix}{key}" in given for key in own) for prefix in prefixes]
    return next((prefix for prefix, n in zip(prefixes, known, strict=True) if n > len(own) / 2), "")


def _first_few(keys: list[str]) -> str:
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return ", ".join(keys[:3]) + more
