"""The verb by which networks leave the library."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from selftaught.core.plain import plain_arguments

Json = dict[str, Any]
File = str | Path
Checkpoint = Literal["last", "best"]


@plain_arguments
def export(
    run: File,
    *,
    out: File,
    format: Literal["torch", "safetensors", "onnx", "card"] | None = None,
    part: str | None = None,
    checkpoint: Checkpoint = "last",
    headless: bool = False,
    overwrite: bool = False,
) -> Json:
    """Export an encoder with the parameter names of torchvision or timm, or a whole model of fit.

    Args:
        run: run folder written by pretrain, or model folder written by fit.
        out: file to write.
        format: torch and safetensors contain a plain state dict, onnx the network itself; of a model onnx takes uint8
            images and gives probabilities, and card is its model card (default: by the extension of --out: .pt or
            .pth, .safetensors, .onnx, .md).
        part: one of the run's encoders, such as audio_encoder, or image inside lstm:resnet18 (default: the kept one).
        checkpoint: the last checkpoint, or the best one by the held-out pretext metric.
        headless: leave out the untrained classifier, without which torchvision cannot load the file with strict=True.
        overwrite: replace an existing file.
    """
    from selftaught.evaluation.models.folder import is_model

    if is_model(Path(run)):
        from selftaught.evaluation.models.export_model import export_model

        if part is not None or headless:
            raise ValueError("--part and --headless are for the encoder of a run; a model is exported whole")
        return export_model(run, out, format, overwrite=overwrite)
    if format == "card" or Path(out).suffix.lower() == ".md":
        raise ValueError(f"--format card is for models of fit, and {run} is none; give the folder of a model")
    from selftaught.evaluation.export import export_encoder, resolve_format
    from selftaught.training.encoder_of_run import load_encoder, read_config

    path, form = resolve_format(out, format, overwrite=overwrite)
    encoder, network = load_encoder(run, part=part, checkpoint=checkpoint), read_config(run).network
    written = export_encoder(encoder, path, format=form, size=network.size, headless=headless)
    return {"out": str(written), "format": form, "part": part or network.kept, "encoder": encoder.name}
