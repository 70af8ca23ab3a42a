"""Weights from a file into an encoder: plain state dicts of torchvision and timm, loaded without unpickling code."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from selftaught.encoders.base import Encoder
from selftaught.encoders.staged import StagedEncoder


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
    faults = [f"{what} {_first_few(keys)}" for what, keys in wrong.items() if keys]
    if faults:
        stem = f", stem {encoder.stem}" if isinstance(encoder, StagedEncoder) else ""
        raise ValueError(f"weights {path} do not fit encoder '{encoder.name}'{stem}: the file {' and '.join(faults)}")
    net.load_state_dict(own | weights)


def network_of(encoder: Encoder) -> tuple[nn.Module, tuple[str, ...]]:
    """The module whose keys are the library's, and what its classifier's keys begin with."""
    if isinstance(encoder, StagedEncoder):
        return encoder.net, encoder.layout.classifier
    return encoder, ()


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors, .pth or .pt file, on the CPU."""
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ValueError(f"weights {path} cannot be read: {error.strerror or error}") from error
    except (safetensors.SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise ValueError(
            f"weights {path} are damaged or hold more than tensors; give a state dict of torch.save or safetensors"
        ) from error
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ValueError(f"weights {path} are not a plain state dict; save model.state_dict() and nothing around it")
    return dict(content)


def _first_few(keys: list[str]) -> str:
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return ", ".join(keys[:3]) + more
