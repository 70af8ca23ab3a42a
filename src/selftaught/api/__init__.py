"""The public functions, which are also the verbs of the command line: same arguments, same defaults.

Names are the same too, but for those that a folder of the package has: `list_tasks`, `list_encoders`, `list_probes`
and `write_report` are the verbs tasks, encoders, probes and report.

The first line of a docstring is the verb's help, each line under Args the help of its flag. Everything heavy is
imported inside the functions, so that importing this module does not import torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Unpack

from selftaught.api.exporting import export as export
from selftaught.api.exporting import push as push
from selftaught.api.labels import explore as explore
from selftaught.api.labels import fit as fit
from selftaught.api.labels import predict as predict
from selftaught.api.labels import suggest as suggest
from selftaught.api.python import check_task as check_task
from selftaught.api.python import load_encoder as load_encoder
from selftaught.api.python import use_encoder as use_encoder
from selftaught.api.vectors import embed as embed
from selftaught.api.vectors import search as search
from selftaught.core import threads
from selftaught.core.config import RunConfig
from selftaught.core.objects.kinds import Data, File
from selftaught.core.options import with_settings
from selftaught.core.plain import plain_arguments
from selftaught.core.settings.groups import Accelerator, Stem
from selftaught.core.settings.keywords import EvaluationHints, RunSettings
from selftaught.data.rendered.world import world as world  # the verb is as light as this module

Json = dict[str, Any]
Checkpoint = Literal["last", "best"]


def list_tasks() -> list[Json]:
    """List the pretext tasks."""
    from selftaught.tasks.catalogue import list_tasks

    return [task.to_dict() for task in list_tasks()]


def list_encoders() -> list[Json]:
    """List the encoders; timm:MODEL selects any timm model."""
    from selftaught.encoders.names import encoder_names

    return [{"name": e.name, "kind": e.kind, "family": e.family, "stages": list(e.stages)} for e in encoder_names()]


@with_settings
@plain_arguments
def pretrain(
    data: Data, *, out: File | None = None, task: str = "simclr", dry_run: bool = False, **settings: Unpack[RunSettings]
) -> Json:
    """Train an encoder on unlabelled data with a pretext task.

    Args:
        data: folder, zip, Parquet, WebDataset tars, torchvision data set name, hf:OWNER/NAME, folder of videos,
            or demo.
        out: run folder to write; only a dry run does without.
        task: a name from `selftaught tasks`, your own package.module or path/to/file.py, or several joined by +.
        dry_run: say what would be read and how much time, memory and disk it takes, by a few samples and steps; writes
            nothing.
        settings: fields of `RunConfig`; also task_settings={"angles": 2} and encoders={"audio_encoder": "..."}.

    Returns:
        The run's summary.json, and its folder under "run"; of a dry run what it would read, take and write.
    """
    begin = threads.began()
    if out is None and not dry_run:
        raise ValueError("pretrain needs --out, the run folder to write; only --dry-run does without")
    config = RunConfig.of(data=str(data), out="" if out is None else str(out), task=task, **_named(settings))
    if dry_run:
        from selftaught.training.budget.dry_run import dry_run as rehearse

        return rehearse(config, begin=begin)
    from selftaught.training.train import train

    return _summary(train(config, begin=begin))


@plain_arguments
def evaluate(
    encoder: File,
    data: Data,
    *,
    probe: str = "auto",
    probe_settings: dict[str, Any] | None = None,
    fraction: Sequence[float] = (1.0,),
    draws: int = 1,
    supervised: bool = False,
    part: str | None = None,
    checkpoint: Checkpoint = "last",
    size: int | None = None,
    stem: Stem | None = None,
    limit: int | None = None,
    seed: int = 0,
    out: File | None = None,
    accelerator: Accelerator = "auto",
    download: bool = False,
    skip_broken: bool = False,
    test_share: float | None = None,
    folds: int | None = None,
    **hints: Unpack[EvaluationHints],
) -> Json:
    """Evaluate an encoder with a probe, next to the same encoder with random weights.

    Args:
        encoder: run folder, ENCODER:FILE (resnet18:a.pth), timm:MODEL, torchvision:MODEL or hf:OWNER/NAME.
        data: data with the labels, boxes or masks that the probe needs, in any format that pretrain reads.
        probe: a name from `selftaught probes`, or your own package.module or path/to/file.py (default: those that fit:
            linear for images, action and clip_retrieval for videos, mask_propagation for video frames with masks).
        probe_settings: settings of the probe.
        fraction: fractions of the training labels to use, such as 0.01,0.1,1; with --limit, of those that remain.
        draws: number of random draws of each fraction below 1, to measure the spread.
        supervised: also train the same encoder on the labels, for as many steps as the run.
        part: one of the run's encoders, such as audio_encoder, or image inside lstm:resnet18 (default: the kept one).
        checkpoint: the last checkpoint, or the best one by the held-out pretext metric.
        size: image size in pixels, only for weights in a file (default 224); a run uses its own.
        stem: type of the first layers, only for weights in a file (default: taken from the weights).
        limit: use about this many training samples, the same fraction of every class and at least one of each.
        seed: seed for the choice of labels and for the probe; the supervised encoder uses the seed of the run.
        out: folder for metrics and features (default: the run folder, or a folder next to the weights file).
        accelerator: device type to compute on.
        download: allow torchvision and Hugging Face data sets, and published weights, to be downloaded.
        skip_broken: skip and count images with missing or invalid boxes or masks instead of stopping.
        test_share: fraction of each class to test on, without a test split (default 0.2 below 2,000 labels, else 0.1).
        folds: number of cross-validation folds, for data without a test split (default 5 for linear, knn, mlp, svm,
            action and clip_retrieval below 500 labels, else 1, which means a single test split).
        hints: how clips are cut (default: as the encoder saw them), and the fields of `DataHints`.
    """
    from selftaught.evaluation.fitting_probes import evaluate_fitting
    from selftaught.evaluation.subject import open_subject

    clip: Json = {name: hints.pop(name, None) for name in ("frames", "stride", "fps")}  # type: ignore[misc]
    chosen: Json = {"part": part, "checkpoint": checkpoint, "size": size, "stem": stem, "out": out}
    subject = open_subject(encoder, download=download, **chosen).cutting(**clip)
    shares = [fraction] if isinstance(fraction, int | float) else list(fraction)
    split: Json = {"test_share": test_share, "folds": folds, "fractions": shares, "draws": draws, "limit": limit}
    how: Json = {"supervised": supervised, "accelerator": accelerator, "skip_broken": skip_broken, "seed": seed}
    reading = subject.reading(str(data), download=download, **hints)
    return evaluate_fitting(subject, reading, probe=probe, settings=probe_settings, **split, **how)


def list_probes() -> list[Json]:
    """List the probes, which are the evaluation protocols."""
    from selftaught.evaluation.probes.catalogue import list_probes

    return [{"name": p.name, "needs": list(p.needs), "summary": p.summary} for p in list_probes()]


@plain_arguments
def agreement(folder: File, *, by: str = "linear") -> Json:
    """Measure whether label-free metrics rank runs in the same order as a probe with labels.

    Args:
        folder: folder of runs or of a comparison; each run must be evaluated with that probe and with label_free.
        by: the probe that ranks the runs, a name from `selftaught probes`.

    Returns:
        The correlations, which are also written to label_free_agreement.json in the folder.
    """
    from selftaught.core.own_folder import write_json
    from selftaught.evaluation.rank_agreement import check_kept, folder_agreement

    path = check_kept(Path(folder))
    found = folder_agreement(Path(folder), probe=by)
    write_json(path, found)
    return found


@with_settings
@plain_arguments
def compare(
    data: Data,
    *,
    tasks: Sequence[str],
    out: File,
    labelled: Data | None = None,
    probe: str = "auto",
    probe_settings: dict[str, Any] | None = None,
    fraction: float = 1.0,
    supervised: bool = False,
    given: Sequence[str] = (),
    parallel: str | None = None,
    **settings: Unpack[RunSettings],
) -> Json:
    """Train several pretext tasks with the same encoder, data and budget, and rank them in one report.

    Args:
        data: data to train on, in any format that pretrain reads.
        tasks: names separated by commas, such as rotation,simclr; image, video or audio-visual for all tasks that learn
            from such data; or a family, such as temporal. Of these, tasks that need what the data lack, such as poses,
            are left out and listed.
        out: folder to write, with one run folder per task and report.html.
        labelled: data with labels to rank the tasks by (default: rank them by label-free metrics).
        probe: a name from `selftaught probes`, or your own module or file (default: the first that fits the data).
        probe_settings: settings of the probe.
        fraction: fraction of the training labels to use, such as 0.01.
        supervised: also train the same encoder on the labels, as a row of the table.
        given: encoders to rank beside the tasks, separated by commas: run folders, ENCODER:FILE with weights,
            timm:MODEL or torchvision:MODEL.
        parallel: train tasks side by side: local:N in N processes of this machine, ray or ray:ADDRESS on a Ray cluster,
            slurm or slurm:NAME=VALUE,... as jobs, with parameters of submitit such as timeout_min=600 (default: one
            after the other).
        settings: fields of `RunConfig`; task settings apply to every task that has them.
    """
    config = RunConfig.of(data=str(data), out=str(out), **_named(settings))
    from selftaught.evaluation.compare import compare_tasks
    from selftaught.report import write_report
    from selftaught.report.writers.place import check_page
    from selftaught.tasks.catalogue import named_tasks

    check_page(Path(out))
    text = ",".join(name.strip() for name in (tasks.split(",") if isinstance(tasks, str) else tasks))
    names = named_tasks(text)
    result = compare_tasks(
        config,
        names,
        labelled=None if labelled is None else str(labelled),
        probe=probe,
        probe_settings=probe_settings,
        fraction=fraction,
        supervised=supervised,
        given=given.split(",") if isinstance(given, str) else list(given),
        parallel=parallel,
        if_possible=set(names).difference(text.split(",")),
    )
    return result | {"report": str(write_report(Path(out)))}


@plain_arguments
def write_report(
    folder: File,
    *,
    out: File | None = None,
    format: Literal["html", "markdown", "csv", "latex"] = "html",
    overwrite: bool = False,
) -> Json:
    """Write the report of a run, of a folder of runs or of a comparison as one HTML file.

    Args:
        folder: run folder, folder of runs, folder of a comparison, or weights that were evaluated.
        out: file to write, or folder for csv (default: report.html, report.md, report.tex or report-csv in the
            folder).
        format: html for the whole report; markdown, latex or csv for its tables alone, csv with one file per table.
        overwrite: replace existing files even if they are not an earlier report, which is always replaced.
    """
    from selftaught.evaluation.subject import folder_of
    from selftaught.report import write_report

    written = write_report(folder_of(folder), Path(out) if out else None, format=format, overwrite=overwrite)
    return {"out": str(written)}


@plain_arguments
def cache(keys: Sequence[str] = (), *, clear: bool = False, prune: bool = False) -> list[Json]:
    """List the packed stores in the cache folder: size, last use, and whether their data have changed.

    Args:
        keys: keys of the stores to list or remove, or prefixes of keys (default: all stores).
        clear: remove the stores.
        prune: remove stores whose data are missing or have changed, and leftover files of killed processes.
    """
    from selftaught.data.store.store_care import list_or_remove

    chosen = keys.split(",") if isinstance(keys, str) else list(keys)
    return list_or_remove(chosen, clear=clear, prune=prune)


@plain_arguments
def demo(*, out: str = "selftaught-demo") -> Json:
    """Pretrain on the photographs that come with the package and compare with random weights, within 5 minutes.

    Args:
        out: run folder to write; replaces an earlier demo.

    Returns:
        "run" and "report" (paths), "few_labels" and "all_labels" (results of `evaluate`), "seconds" (total time).
    """
    import time

    from selftaught.evaluation.evaluate import evaluate_encoder
    from selftaught.evaluation.subject import open_subject
    from selftaught.report import write_report
    from selftaught.training.run_folder import check_demo
    from selftaught.training.train import train

    begin = time.monotonic()
    check_demo(Path(out))
    network: Json = {"encoder": "resnet18", "size": 32, "stem": "standard"}
    # With imports, probes and page this budget makes at most 5 minutes on 2 cores.
    run = train(RunConfig.of(data="demo", out=out, overwrite=True, budget="160s", evaluate_every=5.0, **network))
    few = evaluate_encoder(open_subject(run), "demo", fractions=[0.02])  # four patches of each photograph
    whole = evaluate_encoder(open_subject(run), "demo")
    found: Json = {"run": str(run), "report": str(write_report(run)), "few_labels": few, "all_labels": whole}
    return found | {"seconds": round(time.monotonic() - begin, 1)}


def _named(settings: RunSettings) -> Json:
    """The settings as they reach a verb: an encoder of Python is a name by then."""
    return dict(settings)


def _summary(run: Path) -> Json:
    from selftaught.core.files import read_object

    return read_object(run / "summary.json") | {"run": str(run)}
