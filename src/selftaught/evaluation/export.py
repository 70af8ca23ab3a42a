"""Weights out, for use without this package, and in: plain torchvision and timm state dicts, safetensors, ONNX."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import torch
import torchvision
from torch import Tensor, nn

from selftaught.core.files import check_out, written_whole
from selftaught.core.tensor_file import write_tensors
from selftaught.encoders.base import Encoder
from selftaught.encoders.names import prefix_of
from selftaught.encoders.spec import COLOURS
from selftaught.encoders.staged import StagedEncoder
from selftaught.encoders.video.clip_image import ClipImageEncoder
from selftaught.encoders.video.mean import MeanEncoder
from selftaught.encoders.weights.load import network_of, stem_of
from selftaught.ops.colour import statistics

Format = Literal["torch", "safetensors", "onnx"]

FRAMES = 16
"""Length of the clips that a video encoder is exported to ONNX with, where `meta` has no "frames"; all but transformers
take others too."""
MELS, STEPS = 64, 100
"""Log-mel image of a sound encoder's ONNX file, where `meta` has no "mels" and "steps": one second, hops of 10 ms."""


FORMATS: dict[str, Format] = {
    ".pt": "torch", ".pth": "torch", ".safetensors": "safetensors", ".onnx": "onnx"
}  # fmt: skip
"""By the ending of the file."""


def resolve_format(out: str | Path, format: Format | None, *, overwrite: bool) -> tuple[Path, Format]:
    """The file that may be written, and its format: as given, or as its ending says; both must not contradict."""
    ending = Path(out).suffix.lower()
    said = FORMATS.get(ending)
    if format is None and said is None:
        known = ", ".join(FORMATS)
        raise ValueError(f"--out {out} does not say the format; end it with one of {known}, or give --format")
    if format is not None and said not in (None, format):
        raise ValueError(f"--out {out} ends with {ending}, which is {said}, but --format is {format}; give one of them")
    chosen = format or said
    assert chosen is not None
    return check_out(out, {}, overwrite=overwrite), chosen


def export_encoder(
    encoder: Encoder,
    path: Path,
    *,
    format: Format,
    size: int,
    meta: Mapping[str, str] | None = None,
    headless: bool = False,
) -> Path:
    """Write `encoder` atomically; the file needs nothing of this package to be loaded.

    Args:
        encoder: any encoder; its mode, device and weights stay as they are.
        path: the file; folders are made.
        format: "torch" and "safetensors" hold the state dict that the library's own model loads with `strict=True`;
            "onnx" maps normalised images (N, channels, size, size) to pooled features (N, num_features).
        size: side of the images, pixels.
        meta: further lines of metadata for safetensors and ONNX.
        headless: leave out the classifier, which is otherwise added with fresh weights because pretraining has none.
    """
    if format not in _WRITERS:
        raise ValueError(f"--format must be one of {', '.join(_WRITERS)}, got {format!r}")
    if path.is_dir():
        raise ValueError(f"--out must be a file, got the folder {path}")
    lines = _describe(encoder, size=size, headless=headless) | dict(meta or {})
    path.parent.mkdir(parents=True, exist_ok=True)
    _WRITERS[format](encoder, path, lines, headless)
    return path


def _describe(encoder: Encoder, *, size: int, headless: bool) -> dict[str, str]:
    lines = {
        "format": "pt",  # what the readers of Hugging Face and timm look for
        "encoder": encoder.name,
        "kind": encoder.kind,
        "num_features": str(encoder.num_features),
        "size": str(size),
    }
    if encoder.kind != "audio" and encoder.channels == COLOURS:
        mean, std = statistics(encoder.channels)
        lines |= {"mean": ", ".join(map(str, mean)), "std": ", ".join(map(str, std))}
    if isinstance(encoder, MeanEncoder | ClipImageEncoder):
        inside = _describe(encoder.image, size=size, headless=headless)
        return inside | lines | _of_clips(encoder, inside)
    if not isinstance(encoder, StagedEncoder):
        stem = f", stem={built!r}" if (built := stem_of(encoder)) else ""
        make = f"model = selftaught.encoders.build_encoder({encoder.name!r}, size={size}{stem})"
        load = f"import selftaught.encoders\n{make}\nmodel.load_state_dict(state_dict)"
        return lines | {"load": load, "features": "model(x)"}
    origin = encoder.origin
    loading = ("model.load_state_dict(state_dict)",)
    ends = (*origin.make_headless, *loading) if headless else (*loading, *origin.make_headless)
    lines |= {
        "stem": encoder.stem,
        "load": "\n".join((f"model = {origin.make}", *origin.changes, *ends)),
        "features": origin.features,
    }
    if encoder.sees:
        see = f"selftaught.encoders.inputs.see_{encoder.sees}"
        lines["sees"] = f"{encoder.sees}: {see} comes before the network"
        lines["load"] = f"import selftaught.encoders.inputs\n{lines['load']}"
        lines["features"] = f"(lambda x: {origin.features})({see}(x))"
    if origin.make.startswith("selftaught."):
        lines["load"] = f"import {origin.make.partition('(')[0].rpartition('.')[0]}\n{lines['load']}"
    if origin.changes:
        lines["note"] = f"the first layers are not the published ones: change those first: {'; '.join(origin.changes)}"
    if origin.make_headless:
        lines["classifier"] = "absent" if headless else "fresh random weights, not pretrained"
    return lines


def _of_clips(encoder: MeanEncoder | ClipImageEncoder, inside: Mapping[str, str]) -> dict[str, str]:
    """How its network of images is made, and the pooled features of clips `x`, given the lines of that network."""
    of_images = f"(lambda x: {inside['features']})"
    if isinstance(encoder, MeanEncoder):
        return {"features": f"{of_images}(x.transpose(1, 2).flatten(0, 1)).unflatten(0, (len(x), -1)).mean(1)"}
    modules = ["selftaught.ops.clip_images", *(["selftaught.encoders.inputs"] if encoder.sees else [])]
    imports = "".join(f"import {module}\n" for module in modules)
    return {"load": f"{imports}{inside['load']}", "features": f"{of_images}({encoder.expression})"}


def _write_torch(encoder: Encoder, path: Path, lines: dict[str, str], headless: bool) -> None:
    with written_whole(path) as draft:
        torch.save(_plain_state_dict(encoder, headless), draft)


def _write_safetensors(encoder: Encoder, path: Path, lines: dict[str, str], headless: bool) -> None:
    with written_whole(path) as draft:
        tensors = {name: value.cpu().contiguous() for name, value in _plain_state_dict(encoder, headless).items()}
        write_tensors(draft, tensors, lines)


def _write_onnx(encoder: Encoder, path: Path, lines: dict[str, str], headless: bool) -> None:
    absent = [package for package in ("onnx", "onnxscript") if find_spec(package) is None]
    if absent:
        raise ValueError(f"--format onnx needs {' and '.join(absent)}: pip install 'selftaught[onnx]'")
    # A copy: training mode, device and channels_last of the encoder itself are not to change.
    model = copy.deepcopy(encoder).cpu().float().eval().to(memory_format=torch.contiguous_format)
    size = int(lines["size"])
    shape: tuple[int, ...] = (2, encoder.channels, size, size)
    axes = {0: torch.export.Dim("batch", min=1)}
    if encoder.kind == "video":
        shape = (2, encoder.channels, int(lines.get("frames", FRAMES)), size, size)
        if not (isinstance(encoder, StagedEncoder) and encoder.layout.one_length):
            axes[2] = torch.export.Dim.AUTO
    elif encoder.kind == "audio":
        shape = (2, 1, int(lines.get("mels", MELS)), int(lines.get("steps", STEPS)))
        axes[3] = torch.export.Dim.AUTO
    with warnings.catch_warnings():
        # Of torch's own code, such as the cells of an LSTM; a user can do nothing about them.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            model,
            (torch.zeros(shape),),
            input_names=["input"],
            output_names=["features"],
            dynamic_shapes=(axes,),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    program.model.metadata_props.update(lines)
    with written_whole(path) as draft:
        program.save(draft, external_data=False)


_WRITERS: dict[str, Callable[[Encoder, Path, dict[str, str], bool], None]] = {
    "torch": _write_torch,
    "safetensors": _write_safetensors,
    "onnx": _write_onnx,
}


def _plain_state_dict(encoder: Encoder, headless: bool) -> dict[str, Tensor]:
    """Tensors on the CPU under the library's keys, in its order, each with memory of its own."""
    if isinstance(encoder, MeanEncoder | ClipImageEncoder):
        return _plain_state_dict(encoder.image, headless)
    net, classifier = network_of(encoder)
    weights = net.state_dict()
    if isinstance(encoder, StagedEncoder) and encoder.origin.make_headless and not headless:
        published = _published(encoder.name).state_dict()
        weights = {key: value if key.startswith(classifier) else weights[key] for key, value in published.items()}
    return {key: value.detach().cpu().contiguous().clone() for key, value in weights.items()}


def _published(name: str) -> nn.Module:
    """torchvision's own model; its fresh weights are the same each time and leave the global generator alone."""
    while prefix := prefix_of(name):
        name = name.removeprefix(prefix)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        arguments = {"init_weights": True} if name == "googlenet" else {}
        model: nn.Module = torchvision.models.get_model(name, weights=None, **arguments)
    return model
