"""A user's own `nn.Module` as an encoder of images: its features and stages, and a sentence on what it lacks."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from selftaught.core.objects.registry import object_of
from selftaught.encoders.staged import Layout, Origin, StagedEncoder

_TRIED = 2
"""Images that are passed through the module to see what it gives."""


class AsMap(nn.Module):
    """The module with its features as a map (N, C, H, W); a vector is one of 1 x 1."""

    def __init__(self, module: nn.Module, name: str) -> None:
        super().__init__()
        self.module = module
        self.name = name

    def forward(self, x: Tensor) -> Tensor:
        """Normalised images (N, C, H, W) -> features (N, D, h, w)."""
        found: Tensor = self.module(x)
        return found if found.ndim == 4 else found[:, :, None, None]


def build_own_module(name: str, *, size: int, channels: int) -> StagedEncoder:
    """A copy of the module with fresh weights, drawn as its layers draw them in `reset_parameters`.

    Parameters of layers without that method keep the values of the module. `take_own_weights` restores them all.

    Raises:
        ValueError: one sentence on what the module lacks.
    """
    given = object_of(name)
    if given is None:
        raise ValueError(
            f"encoder {name!r} is a module of another process; call selftaught.use_encoder(module) before, with one of "
            "the same class and settings"
        )
    cls = type(checked_module(given)).__name__
    module = copy.deepcopy(given).to("cpu").requires_grad_(True)
    for part in module.modules():
        reset: Any = getattr(part, "reset_parameters", None)
        if callable(reset):
            reset()
    output, outputs = _passed(module, cls, size=size, channels=channels)
    paths = _stages(module, cls, outputs)
    return StagedEncoder(
        AsMap(module, name),
        Layout(stages={**{stage: f"module.{path}" for stage, path in paths.items()}, "features": ""}),
        Origin(
            make=f"{cls}()",
            make_headless=(),
            features="model(x) if model(x).ndim == 2 else model(x).mean((2, 3))",
            changes=(f"# {cls} is a class of your own, in {type(given).__module__}, without the prefix module.",),
        ),
        name=name,
        kind="image",
        num_features=output.shape[1],
        stem="standard",
        size=size,
        channels=channels,
    )


def checked_module(given: object) -> nn.Module:
    """The module itself; a sentence where it is none, such as its class."""
    if isinstance(given, nn.Module):
        return given
    if isinstance(given, type):
        raise ValueError(f"the encoder is the class {given.__name__}; give an object of it, as {given.__name__}() is")
    raise ValueError(f"the encoder must be a name or a torch.nn.Module, got {type(given).__name__}")


def take_own_weights(encoder: nn.Module) -> None:
    """Give each module of a user's own in an encoder the weights and buffers that it was passed with."""
    for part in encoder.modules():
        if isinstance(part, AsMap) and isinstance(given := object_of(part.name), nn.Module):
            part.module.load_state_dict(given.state_dict())


def _passed(module: nn.Module, cls: str, *, size: int, channels: int) -> tuple[Tensor, dict[str, Tensor]]:
    """What the module gives for a few images, and what each of its parts gives on the way, in order."""
    outputs: dict[str, Tensor] = {}

    def keep(path: str) -> Any:
        def hook(_part: nn.Module, _args: object, output: object) -> None:
            if isinstance(output, Tensor):
                outputs[path] = output

        return hook

    handles = [part.register_forward_hook(keep(path)) for path, part in module.named_modules() if path]
    was_training = module.training
    images = torch.zeros(_TRIED, channels, size, size, device="cpu")
    try:
        with torch.no_grad():
            found = module.eval()(images)
    except Exception as error:
        why = " ".join(str(error).split())[:200]
        raise ValueError(
            f"encoder {cls} cannot take images {tuple(images.shape)} ({type(error).__name__}: {why}); change its "
            "forward, or --size"
        ) from None
    finally:
        module.train(was_training)
        for handle in handles:
            handle.remove()
    if not isinstance(found, Tensor) or found.ndim not in (2, 4) or len(found) != _TRIED:
        got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise ValueError(
            f"forward of encoder {cls} must give features (N, D) or a map (N, D, h, w) for images "
            f"(N, {channels}, {size}, {size}), got {got} for N = {_TRIED}; leave its classifier out"
        )
    if not any(parameter.requires_grad for parameter in module.parameters()):
        raise ValueError(f"encoder {cls} has no parameters to train; give a module with some")
    return found, outputs


def _stages(module: nn.Module, cls: str, outputs: Mapping[str, Tensor]) -> dict[str, str]:
    """Stage -> path: those that the attribute `stages` names, else the direct parts that give maps, in their order."""
    declared = getattr(module, "stages", None)
    if declared is not None and not isinstance(declared, nn.Module):
        paths = [str(path) for path in declared]
        unknown = next((path for path in paths if path not in outputs or outputs[path].ndim != 4), None)
        if unknown is not None:
            maps = ", ".join(path for path, output in outputs.items() if output.ndim == 4)
            raise ValueError(
                f"`stages` of encoder {cls} names {unknown!r}, which gives no map (N, C, h, w); choose "
                f"of {maps or 'none'}"
            )
    else:
        paths = [path for path, output in outputs.items() if "." not in path and output.ndim == 4]
    return {path.replace(".", "_"): path for path in paths}
