"""The verbs that end with labels: fit a model, predict with it, and suggest what to label next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

from selftaught.core.objects.kinds import Data, File
from selftaught.core.plain import plain_arguments
from selftaught.core.settings.groups import Accelerator, Stem
from selftaught.core.settings.keywords import DataHints

if TYPE_CHECKING:
    from selftaught.core.settings.groups import DataSettings
    from selftaught.evaluation.subject import Subject

Json = dict[str, Any]
Checkpoint = Literal["last", "best"]
RATES = (0.01, 0.1)
"""Learning rates of fine-tuning unless others are asked for."""


@plain_arguments
def fit(
    encoder: File,
    labelled: Data,
    *,
    out: File,
    kind: Literal["classes", "boxes", "masks"] = "classes",
    method: Literal["auto", "linear", "finetune"] = "auto",
    class_weights: Literal["none", "balanced"] = "none",
    steps: int | None = None,
    batch_size: int | None = None,
    lr: Sequence[float] = RATES,
    part: str | None = None,
    checkpoint: Checkpoint = "last",
    size: int | None = None,
    stem: Stem | None = None,
    seed: int = 0,
    accelerator: Accelerator = "auto",
    download: bool = False,
    overwrite: bool = False,
    **hints: Unpack[DataHints],
) -> Json:
    """Fit a model to labels: the better of a linear layer on the best stage and fine-tuning, with calibrated output.

    Args:
        encoder: run folder, ENCODER:FILE, timm:MODEL, torchvision:MODEL or hf:OWNER/NAME.
        labelled: data with one class for each image or video, or with boxes or masks, as evaluate reads them.
        out: folder to write the model to.
        kind: what is predicted: one class for each image or video, boxes of objects, or masks.
        method: linear for a linear layer on the best frozen stage, finetune for the whole encoder, auto for the better
            of both on held-back labels; of boxes and masks, whether the encoder is frozen (auto) or trained (finetune).
        class_weights: balanced weighs rare classes up, so that each counts alike.
        steps: steps of fine-tuning (default: 30 passes over the labels within 100 to 2000 steps; 500 of boxes, masks).
        batch_size: images or clips per step (default 32 below 1,000 labels, else 128; 8 for boxes, 16 for masks).
        lr: learning rates of fine-tuning to choose from; boxes and masks have their own.
        part: one of the run's encoders, such as audio_encoder, or image inside lstm:resnet18 (default: the kept one).
        checkpoint: the last checkpoint, or the best one by the held-out pretext metric.
        size: image size in pixels, for weights in a file (default 224); a run uses its own. Of boxes and masks the
            short side of the images (default 128).
        stem: type of the first layers, only for weights in a file (default: taken from the weights).
        seed: seed for the labels that are held back, and for fine-tuning.
        accelerator: device type to compute on.
        download: allow torchvision and Hugging Face data sets, and published weights, to be downloaded.
        overwrite: replace an existing model.
        hints: fields of `DataHints`.

    Returns:
        What the model reaches on labels that it did not learn from, beside random weights, and the calibration error
        before and after the temperature, as also written to model.json.
    """
    from selftaught.evaluation.subject import open_subject

    rates = (lr,) if isinstance(lr, int | float) else tuple(lr)
    asked: Json = {"method": method, "class_weights": class_weights, "steps": steps, "batch_size": batch_size}
    # A detector sees larger images than the run.
    own_size = None if kind != "classes" and Path(encoder).is_dir() else size
    how: Json = {"part": part, "checkpoint": checkpoint, "size": own_size, "stem": stem, "download": download}
    subject = open_subject(encoder, **how)
    reading = subject.reading(str(labelled), download=download, **hints)
    places: Json = {"out": Path(out), "accelerator": accelerator, "overwrite": overwrite}
    return _fit(kind, subject, reading, asked | {"lr": rates, "seed": seed}, size, places)


@plain_arguments
def predict(
    model: File,
    data: Data,
    *,
    out: File,
    error: float | None = None,
    per_file: bool = False,
    split: Literal["all", "train", "held_out", "test"] = "all",
    accelerator: Accelerator = "auto",
    download: bool = False,
    overwrite: bool = False,
    **hints: Unpack[DataHints],
) -> Json:
    """Write the class and its probability of every image or video, or boxes or masks, by a model of fit.

    Args:
        model: folder written by fit, or hf:OWNER/NAME of one that was pushed.
        data: data to predict, in any format that pretrain reads.
        out: file to write, .csv or .parquet, with the columns path, class, probability, and label where the data have
            labels; files that cannot be read are listed beside it, in a file whose name ends with -skipped.csv. Boxes
            are written as a COCO .json file, masks as a folder of PNG files.
        error: answer 'cannot tell' where the model is less sure than the threshold at which this share of its answers
            on held-back labels is wrong, such as 0.05 (default: always answer); boxes below it are left out, pixels of
            masks below it are 255, and the share is that of wrong pixels.
        per_file: one row for each file: the mean probabilities of its images (a TIFF stack) or tiles (--tile).
        split: split of the data to predict.
        accelerator: device type to compute on.
        download: allow torchvision and Hugging Face data sets, and a model, to be downloaded.
        overwrite: replace an existing file.
        hints: fields of `DataHints`.

    Returns:
        "out", number of "samples" of each of the "classes" and "skipped"; with `error` the "threshold" with its error
        on held-back labels; "accuracy" where the data have labels.
    """
    from selftaught.evaluation.models.folder import read_facts
    from selftaught.evaluation.models.on_hub import model_folder
    from selftaught.evaluation.models.predict import predict_classes

    model = model_folder(model, download=download)
    facts = read_facts(model)
    reading = facts.read(str(data), download=download, **hints)
    if facts.kind != "classes":
        from selftaught.evaluation.models.predict_dense import predict_dense

        if split != "all" or per_file:
            flag = "per-file" if per_file else "split"
            raise ValueError(f"--{flag} is for models of classes, and {model} finds {facts.kind}; leave it out")
        return predict_dense(model, facts, reading, out, error=error, accelerator=accelerator, overwrite=overwrite)
    how: Json = {
        "error": error,
        "per_file": per_file,
        "split": split,
        "accelerator": accelerator,
        "overwrite": overwrite,
    }
    return predict_classes(model, facts, reading, out, **how)


@plain_arguments
def suggest(
    encoder: File,
    data: Data,
    *,
    out: File,
    count: int = 50,
    way: Literal["typical", "k_centre"] = "typical",
    model: File | None = None,
    part: str | None = None,
    checkpoint: Checkpoint = "last",
    size: int | None = None,
    stem: Stem | None = None,
    seed: int = 0,
    accelerator: Accelerator = "auto",
    download: bool = False,
    overwrite: bool = False,
    **hints: Unpack[DataHints],
) -> Json:
    """Suggest what to label next, and list near duplicates, outliers and likely label errors, with thumbnails.

    Args:
        encoder: run folder, ENCODER:FILE, timm:MODEL, torchvision:MODEL or hf:OWNER/NAME.
        data: data in any format that pretrain reads; samples that have a label already are not suggested.
        out: folder to write, with a table for each list and report.html.
        count: number of samples to suggest.
        way: typical for typical samples of clusters without a label, which suits few labels; k_centre for those that
            are farthest from all labelled ones.
        model: folder of a model of fit, or hf:OWNER/NAME; the samples are then chosen among those of which it is least
            sure.
        part: one of the run's encoders, such as audio_encoder, or image inside lstm:resnet18 (default: the kept one).
        checkpoint: the last checkpoint, or the best one by the held-out pretext metric.
        size: image size in pixels, only for weights in a file (default 224); a run uses its own.
        stem: type of the first layers, only for weights in a file (default: taken from the weights).
        seed: seed of the clusters, and of the folds by which label errors are found.
        accelerator: device type to compute on.
        download: allow torchvision and Hugging Face data sets, and published weights, to be downloaded.
        overwrite: replace earlier suggestions.
        hints: fields of `DataHints`.

    Returns:
        The "lists" next, duplicates, outliers and label_errors, the number of entries of each, and the page under
        "report".
    """
    from selftaught.evaluation.models.on_hub import model_folder
    from selftaught.evaluation.subject import open_subject
    from selftaught.evaluation.suggest.find import suggest_labels
    from selftaught.report.suggestions_page import write_suggestions_page

    chosen: Json = {"part": part, "checkpoint": checkpoint, "size": size, "stem": stem, "download": download}
    subject = open_subject(encoder, **chosen)
    reading = subject.reading(str(data), download=download, **hints)
    found_model = None if model is None else model_folder(model, download=download)
    how: Json = {"count": count, "way": way, "model": found_model, "seed": seed, "accelerator": accelerator}
    return suggest_labels(subject, reading, out, **how, overwrite=overwrite, page=write_suggestions_page)


@plain_arguments
def explore(
    run: File,
    data: Data,
    *,
    out: File,
    count: int = 3000,
    method: Literal["tsne", "umap", "pca"] = "tsne",
    clusters: int = 10,
    part: str | None = None,
    checkpoint: Checkpoint = "last",
    size: int | None = None,
    seed: int = 0,
    accelerator: Accelerator = "auto",
    download: bool = False,
    overwrite: bool = False,
    **hints: Unpack[DataHints],
) -> Json:
    """Write a page with a map of the data: neighbours of a sample, selections saved as a list, thumbnails, colours.

    Args:
        run: run folder, ENCODER:FILE, timm:MODEL, torchvision:MODEL or hf:OWNER/NAME.
        data: data to explore, in any format that pretrain reads.
        out: HTML file to write; it needs no other file and no network.
        count: samples on the page, drawn at random where there are more; at most 20,000, which take about 25 MB.
        method: how the map is made; umap needs selftaught[umap].
        clusters: number of clusters by k-means, which are one of the colours.
        part: one of the run's encoders, such as audio_encoder, or image inside lstm:resnet18 (default: the kept one).
        checkpoint: the last checkpoint, or the best one by the held-out pretext metric.
        size: image size in pixels, only for given weights (default 224); a run uses its own.
        seed: seed of the sample, the map and the clusters.
        accelerator: device type to compute on.
        download: allow torchvision and Hugging Face data sets, and published weights, to be downloaded.
        overwrite: replace an existing file that is no earlier page.
        hints: fields of `DataHints`.

    Returns:
        "out", the page; "samples" of the data and how many of them are "shown"; "skipped" files; and in
        "neighbours_kept" how many percent of the ten nearest neighbours are near on the map.
    """
    from selftaught.evaluation.subject import open_subject
    from selftaught.evaluation.suggest.explore import explore_data
    from selftaught.report.explore_page import write_explore_page
    from selftaught.report.writers.place import check_file

    path = Path(out).expanduser()
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"--out {out} must end with .html, as it is a page")
    check_file(path, overwrite=overwrite)
    subject = open_subject(run, part=part, checkpoint=checkpoint, size=size, download=download)
    reading = subject.reading(str(data), download=download, **hints)
    asked: Json = {"count": count, "method": method, "clusters": clusters, "seed": seed, "accelerator": accelerator}
    facts = explore_data(subject, reading, **asked)
    write_explore_page(facts, path)
    shown = {"samples": facts["samples"], "shown": len(facts["keys"]), "skipped": facts["skipped"]}
    return {"out": str(path), **shown, "neighbours_kept": facts["kept"]}


def _fit(kind: str, subject: Subject, reading: DataSettings, asked: Json, size: int | None, places: Json) -> Json:
    """A model of that kind; `asked` are the fields of `HowToFit`, of which boxes and masks heed some."""
    if kind == "classes":
        from selftaught.evaluation.models.fit_classes import fit_classes
        from selftaught.evaluation.models.settings import HowToFit

        return fit_classes(subject, reading, how=HowToFit(**asked), **places)
    from selftaught.evaluation.models.dense_model import fit_dense

    if asked["class_weights"] != "none" or asked["lr"] != RATES:
        raise ValueError(f"--class-weights and --lr are for --kind classes; leave them out for {kind}")
    settings = {"frozen": asked["method"] != "finetune", "size": size} | {n: asked[n] for n in ("steps", "batch_size")}
    return fit_dense(subject, reading, kind=kind, settings=settings, seed=asked["seed"], **places)
