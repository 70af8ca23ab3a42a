"""Any timm model by name: convolutional networks by their `feature_info`, transformers by their blocks."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import timm
import torch
from torch import Tensor

from selftaught.core.names import unknown_name
from selftaught.encoders.names import TIMM
from selftaught.encoders.spec import COLOURS
from selftaught.encoders.staged import Layout, Origin, StagedEncoder, check_side
from selftaught.encoders.vit import VitEncoder, has_patch_tokens

LEAST_TOKENS_A_SIDE = 8
"""Of a transformer with the small stem: 64 tokens are about what an 8 x 8 last map offers."""

Shapes = tuple[Tensor, int, dict[str, Tensor]]
_KNOWN: dict[tuple[Any, ...], Shapes] = {}
"""What `_pass_without_numbers` found, by the function that makes the model, the size, and its arguments."""


def build_timm_encoder(
    name: str, *, size: int, stem: str, small_by_default: bool, channels: int = COLOURS
) -> StagedEncoder:
    """A timm model for (N, channels, H, W) images with fresh weights.

    Args:
        name: with its prefix, e.g. "timm:vit_small_patch16_224".
        size: side of the images, pixels; transformers are built for it.
        stem: "small" gives transformers patches small enough for 64 tokens; "auto" does so where it can.
        small_by_default: what "auto" asks for.
        channels: of the images.
    """
    model = name.removeprefix(TIMM)
    if not timm.is_model(model):
        known = timm.list_models()
        near = unknown_name("timm model", model, known).partition(" Known: ")[0]
        raise ValueError(f"{near} timm.list_models() gives the {len(known)} names of timm {timm.__version__}")
    taken = {} if channels == COLOURS else {"in_chans": channels}
    try:
        made = _create(model, [{"img_size": size, "dynamic_img_size": True} | taken, {"img_size": size} | taken, taken])
    except TypeError:
        if not taken:
            raise
        raise ValueError(f"encoder '{name}' takes images of {COLOURS} channels only; choose another") from None
    resolved = "standard"
    if (stem == "small" or (stem == "auto" and small_by_default)) and _has_tokens(made[0]):
        patches = {"img_size": size, "patch_size": _patch_for(size)} | taken
        try:
            made = _create(model, [{**patches, "dynamic_img_size": True}, patches])
            resolved = "small"
        except (TypeError, ValueError, AssertionError):
            pass  # patches of this size are beyond the model; said below where they were asked for
    if stem == "small" and resolved != "small":
        raise ValueError(f"encoder '{name}' has no small stem; use --stem standard, or an encoder of torchvision")
    return _wrap(name, model, *made, size=size, stem=resolved)


def _create(model: str, choices: list[dict[str, Any]]) -> tuple[Any, dict[str, Any]]:
    """The first choice of arguments the model knows; timm raises TypeError at an argument it does not."""
    for arguments in choices[:-1]:
        try:
            return timm.create_model(model, pretrained=False, num_classes=0, **arguments), arguments
        except TypeError:
            continue
    return timm.create_model(model, pretrained=False, num_classes=0, **choices[-1]), choices[-1]


def _wrap(name: str, model: str, net: Any, arguments: dict[str, Any], *, size: int, stem: str) -> StagedEncoder:
    patch = _patch_sides(net)[0] if _has_tokens(net) else 1
    check_side(name, Layout(stages={}, patch=patch), height=size, width=size)
    channels = int(arguments.get("in_chans", COLOURS))
    # It takes longer than to build a small network, and a comparison builds the same one many times.
    key = (timm.model_entrypoint(model), size, *sorted(arguments.items()))
    if key not in _KNOWN:
        _KNOWN[key] = _pass_without_numbers(name, net, size, channels)
    output, num_features, outputs = _KNOWN[key]
    channel_axis = 3 if output.ndim == 4 and getattr(net, "output_fmt", "NCHW") == "NHWC" else 1
    written = "".join(f", {key}={value!r}" for key, value in arguments.items())
    origin = Origin(make=f"timm.create_model({model!r}, num_classes=0{written})", make_headless=(), features="model(x)")
    stages = _stages(net, list(outputs), output, channel_axis)
    layout = Layout(
        stages=stages,
        classifier=_classifier_keys(net),
        patch=patch,
        timm_pool=True,
        channel_axis=channel_axis,
        tokens=_token_strides(net, stages, {**outputs, "": output}, size),
    )
    encoder = VitEncoder if has_patch_tokens(net) else StagedEncoder
    return encoder(
        net,
        layout,
        origin,
        name=name,
        kind="image",
        num_features=num_features,
        stem=stem,
        size=size,
        channels=channels,
    )


def _pass_without_numbers(name: str, net: Any, size: int, channels: int) -> Shapes:
    """The last features, the length of the pooled ones, and outputs of the modules that give one tensor.

    Runs a copy that holds shapes only, so nothing is computed; refuses what the model cannot take.
    """
    shapes = copy.deepcopy(net).to("meta").eval()
    modules = dict(shapes.named_modules())
    seen: dict[str, object] = {}
    for entry in _feature_info(net):
        if entry["module"] in modules:
            keep = partial(_keep, seen, entry["module"])
            modules[entry["module"]].register_forward_hook(keep)
    try:
        with torch.no_grad():
            output = shapes.forward_features(torch.empty(1, channels, size, size, device="meta"))
            num_features = int(shapes.forward_head(output, pre_logits=True).flatten(1).shape[1])
    except (RuntimeError, AssertionError, AttributeError, TypeError, ValueError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"encoder '{name}' cannot take {size} x {size} pixels ({why}); change --size") from error
    if not isinstance(output, Tensor):
        raise ValueError(
            f"encoder '{name}' gives {type(output).__name__} instead of one map of features; choose another"
        )
    return output, num_features, {path: value for path, value in seen.items() if isinstance(value, Tensor)}


def _keep(seen: dict[str, object], path: str, _module: object, _args: object, output: object) -> None:
    seen[path] = output


def _stages(net: Any, readable: list[str], output: Tensor, channel_axis: int) -> dict[str, str]:
    """Transformers: block1 ... blockL, the last after the final norm. Others: the modules of `feature_info`.

    Where a network ends in more convolutions after the last of these (EfficientNet), its own end is a further stage.
    """
    info = [entry for entry in _feature_info(net) if entry["module"] in readable]
    if _has_tokens(net):
        paths = {f"block{i + 1}": entry["module"] for i, entry in enumerate(info)}
    else:
        paths = {entry["module"]: entry["module"] for entry in info}
    width = output.shape[2] if output.ndim == 3 else output.shape[channel_axis]
    ends_in_stage = bool(info) and info[-1]["num_chs"] == width
    paths[list(paths)[-1] if ends_in_stage else "features"] = ""
    return paths


def _token_strides(
    net: Any, stages: Mapping[str, str], outputs: Mapping[str, Tensor], size: int
) -> dict[str, tuple[float, float]]:
    """Pixels between neighbouring patches of every stage that is tokens (N, L, D), of square images of `size`."""
    known = {entry["module"]: entry.get("reduction") for entry in _feature_info(net)}
    last = list(known.values())[-1] if known else None
    strides: dict[str, tuple[float, float]] = {}
    for stage, path in stages.items():
        if outputs[path].ndim != 3:
            continue
        count, stride = outputs[path].shape[1], known.get(path, last)
        if _has_tokens(net):
            strides[stage] = _patch_sides(net)
        elif isinstance(stride, int | float) and stride > 0 and math.ceil(size / stride) ** 2 <= count:
            strides[stage] = (stride, stride)
        else:  # timm does not say: the largest square of patches behind the other tokens
            strides[stage] = (size / math.isqrt(count),) * 2
    return strides


def _feature_info(net: Any) -> list[dict[str, Any]]:
    return list(getattr(net, "feature_info", None) or [])


def _has_tokens(net: Any) -> bool:
    """A transformer of one resolution: blocks behind a patch embedding."""
    info = _feature_info(net)
    embedding = getattr(net, "patch_embed", None)
    return bool(info) and hasattr(embedding, "patch_size") and all(e["module"].startswith("blocks.") for e in info)


def _patch_sides(net: Any) -> tuple[int, int]:
    side = net.patch_embed.patch_size
    return (side, side) if isinstance(side, int) else (int(side[0]), int(side[1]))


def _patch_for(size: int) -> int:
    """The largest patch that divides `size` and leaves at least 8 of them a side."""
    return max((p for p in range(1, size // LEAST_TOKENS_A_SIDE + 1) if size % p == 0), default=1)


def _classifier_keys(net: Any) -> tuple[str, ...]:
    named = (getattr(net, "default_cfg", None) or {}).get("classifier") or ()
    return tuple(f"{path}." for path in ((named,) if isinstance(named, str) else named))
