"""The verbs by which networks leave the library."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from selftaught.core.objects.kinds import File
from selftaught.core.plain import plain_arguments

Json = dict[str, Any]
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
    size: int | None = None,
    error: float | None = None,
    download: bool = False,
    overwrite: bool = False,
) -> Json:
    """Export an encoder with the parameter names of torchvision or timm, or a whole model of fit.

    Args:
        run: run folder, ENCODER:FILE, timm:MODEL, torchvision:MODEL or hf:OWNER/NAME, or model folder written by fit;
            hf:OWNER/NAME may be a model that was pushed.
        out: file to write.
        format: torch and safetensors contain a plain state dict, onnx the network itself; of a model onnx takes uint8
            images as they are and gives probabilities, the class of each pixel or boxes, and card is its model card
            (default: by the extension of --out: .pt or .pth, .safetensors, .onnx, .md).
        part: one of the run's encoders, such as audio_encoder, or image inside lstm:resnet18 (default: the kept one).
        checkpoint: the last checkpoint, or the best one by the held-out pretext metric.
        headless: leave out the untrained classifier, without which torchvision cannot load the file with strict=True.
        size: image size in pixels, only for given weights (default 224); a run uses its own.
        error: only for ONNX of a model: keep to this share of wrong answers on held-back labels, as predict does.
            Pixels of masks below the threshold are 255, boxes are left out; for classes the file states the threshold.
        download: allow published weights, and a model, to be downloaded.
        overwrite: replace an existing file.
    """
    from selftaught.evaluation.models.on_hub import model_among

    if (model := model_among(run, download=download)) is not None:
        from selftaught.evaluation.models.export_model import export_model

        if part is not None or headless or checkpoint != "last" or size is not None:
            raise ValueError(
                "--part, --checkpoint, --headless and --size are for the encoder of a run; a model is exported whole"
            )
        return export_model(model, out, format, error=error, overwrite=overwrite)
    if error is not None:
        raise ValueError(f"--error is for models of fit, and {run} is none; give the folder of a model")
    if format == "card" or Path(out).suffix.lower() == ".md":
        raise ValueError(f"--format card is for models of fit, and {run} is none; give the folder of a model")
    from selftaught.evaluation.export import export_encoder, resolve_format
    from selftaught.evaluation.subject import open_subject

    path, form = resolve_format(out, format, overwrite=overwrite)
    chosen: Json = {"part": part, "checkpoint": checkpoint, "size": size, "download": download}
    found = open_subject(run, is_measured=False, **chosen)
    written = export_encoder(found.encoder, path, format=form, size=found.network.size, headless=headless)
    return {"out": str(written), "format": form, "part": found.part, "encoder": found.encoder.name}


@plain_arguments
def push(
    run: File, name: str, *, private: bool = False, part: str | None = None, checkpoint: Checkpoint = "last"
) -> Json:
    """Push the encoder of a run, or a model of fit, to the Hugging Face hub, with a card of data, metrics, intervals.

    Everything that takes an encoder then takes hf:OWNER/NAME, and predict takes that of a model. The token is that of
    `hf auth login` or HF_TOKEN.

    Args:
        run: run folder, or model folder written by fit.
        name: OWNER/NAME of the repository, which is created where it is absent.
        private: create the repository as a private one.
        part: one of the run's encoders, such as audio_encoder, or image inside lstm:resnet18 (default: the kept one).
        checkpoint: the last checkpoint, or the best one by the held-out pretext metric.

    Returns:
        "repository", its "url", the "files" and the "encoder".
    """
    from selftaught.encoders.weights.hub import PREFIX, checked
    from selftaught.evaluation.models.folder import is_model
    from selftaught.evaluation.push import push_run
    from selftaught.evaluation.subject import open_subject
    from selftaught.report.run_card import run_card

    checked(name)
    if not Path(run).exists() and str(run).startswith(PREFIX):
        raise ValueError(f"push writes runs and models of this machine to the hub, where {run} is; give a folder")
    if is_model(Path(run)):
        from selftaught.evaluation.models.on_hub import push_model

        if part is not None or checkpoint != "last":
            raise ValueError("--part and --checkpoint are for the encoder of a run; a model is pushed whole")
        return push_model(run, name, private=private)
    subject = open_subject(run, part=part, checkpoint=checkpoint, is_measured=False)
    if subject.run is None:
        raise ValueError(f"push is for runs and models, and {run} are weights of others; give the folder of one")
    return push_run(subject, name, card=run_card(Path(run), name=name, encoder=subject.encoder.name), private=private)
