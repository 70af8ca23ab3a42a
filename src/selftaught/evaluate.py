"""What a run's encoder is worth on labelled data, beside random weights and, where asked, supervised training."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from selftaught.config import RunConfig
from selftaught.encode import CLIPS, NEEDS, probe_sampling
from selftaught.encoders.base import Encoder
from selftaught.prepare import make_fabric, pack
from selftaught.probes import knn, linear
from selftaught.probes.stages import Reader
from selftaught.randomness import numpy_generator
from selftaught.run import load_encoder, part_name, random_encoder, read_config, write_json
from selftaught.sources import open_source
from selftaught.store import Samples
from selftaught.store_folder import cache_root
from selftaught.subset import Subset

Probe = Literal["linear", "knn"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Labelled:
    """Training and test samples with one list of classes, and an identity for the cache."""

    train: Samples
    test: Samples
    classes: tuple[str, ...]
    key: str


def evaluate_run(
    run: str | Path,
    labelled: str,
    *,
    probe: Probe = "linear",
    fraction: float = 1.0,
    supervised: bool = False,
    part: str = "encoder",
    checkpoint: str = "last",
    dims: int = 9000,
    k: int = 20,
    limit: int | None = None,
    seed: int = 0,
    accelerator: str = "auto",
    download: bool = False,
) -> dict[str, Any]:
    """See `selftaught.evaluate`."""
    begin = time.monotonic()
    if not 0 < fraction <= 1:
        raise ValueError(f"--fraction must be in (0, 1], got {fraction}")
    config = read_config(run)
    encoder = load_encoder(run, part=part, checkpoint=checkpoint)
    data = open_labelled(config, encoder, labelled, fraction=fraction, limit=limit, seed=seed, download=download)
    device = make_fabric(dataclasses.replace(config, accelerator=accelerator, devices=1, num_nodes=1)).device  # type: ignore[arg-type]
    score = _prober(probe, data, config, device, dims=dims, k=k, seed=seed)
    result = {
        "probe": probe,
        "metric": "top1",
        **dataclasses.asdict(score(encoder)),
        "chance": round(100 / len(data.classes), 3),
        "train_samples": len(data.train),
        "test_samples": len(data.test),
        "fraction": fraction,
        "random": _random_score(score, config, part, data, (probe, dims, k, seed)),
        "supervised": _supervised_score(score, run, config, labelled, encoder) if supervised else None,
        "labelled": str(labelled),
        "encoder": encoder.name,
        "part": part,
        "checkpoint": checkpoint,
        "run": str(run),
        "seconds": round(time.monotonic() - begin, 1),
    }
    folder = Path(run) / "evaluations"
    folder.mkdir(exist_ok=True)
    name = probe if fraction == 1 else f"{probe}-{fraction:g}"
    name = name if part == "encoder" else f"{name}-{part}"
    write_json(folder / f"{name}-{data.key[:8]}.json", result)
    return result


def open_labelled(
    config: RunConfig,
    encoder: Encoder,
    labelled: str,
    *,
    fraction: float = 1.0,
    limit: int | None = None,
    seed: int = 0,
    download: bool = False,
) -> Labelled:
    """Both splits of labelled data as the encoder reads them; a fraction is balanced over the classes."""
    sampling = probe_sampling(encoder)
    needs = NEEDS[encoder.kind] | {"label"}
    halves, keys = [], [repr(sampling)]
    for split in ("train", "test"):
        source = open_source(
            labelled, split=split, needs=needs, download=download, seed=0, held_out=config.held_out or 0.1
        )
        keys.append(source.fingerprint)
        halves.append(pack(source, config, sampling, title=f"packing {split}"))
    train, test = halves
    if train.labels is None or test.labels is None or not train.classes:
        raise ValueError(f"{labelled} has no labels; a probe needs sub-folders per class, a label column or labels.csv")
    classes = train.classes
    test = _with_classes(test, classes, labelled)
    rows = balanced_rows(train.labels, fraction, limit, seed)
    keys += [str(fraction), str(limit), str(seed), str(config.held_out)]
    key = hashlib.sha256("\n".join(keys).encode()).hexdigest()
    known = np.flatnonzero(test.labels >= 0) if test.labels is not None else np.arange(len(test))
    return Labelled(train=Subset(train, rows), test=Subset(test, known), classes=classes, key=key)


def balanced_rows(labels: np.ndarray, fraction: float, limit: int | None, seed: int) -> np.ndarray:
    """Rows of a class-balanced, seeded share of the samples that have a label; at least one of every class."""
    rows = np.flatnonzero(labels >= 0)
    share = min(fraction, 1.0 if limit is None else limit / len(rows))
    if share >= 1:
        return rows
    rng = numpy_generator(seed, "fraction")
    chosen = []
    for label in np.unique(labels[rows]):
        members = rng.permutation(rows[labels[rows] == label])
        chosen.append(members[: max(1, round(share * len(members)))])
    return np.sort(np.concatenate(chosen))


def _with_classes(test: Samples, classes: tuple[str, ...], labelled: str) -> Samples:
    """Number the test classes as the training classes are; a class that was not trained on is an error."""
    if test.classes is None or test.classes == classes:
        return test
    unseen = sorted(set(test.classes) - set(classes))
    if unseen:
        raise ValueError(
            f"{labelled}: classes {', '.join(unseen[:5])} are in the test split but not in the training split"
        )
    numbers = np.array([classes.index(name) for name in test.classes])
    assert test.labels is not None
    return Subset(test, np.arange(len(test)), labels=np.where(test.labels < 0, -1, numbers[test.labels]))


def _prober(
    probe: str, data: Labelled, config: RunConfig, device: torch.device, *, dims: int, k: int, seed: int
) -> Callable[[Encoder], linear.Score]:
    def score(encoder: Encoder) -> linear.Score:
        reader = Reader(encoder=encoder, size=config.size, device=device, precision=config.precision, clips=CLIPS)
        if probe == "linear":
            return linear.probe(reader, data.train, data.test, dims=dims, seed=seed)
        if probe == "knn":
            return knn.probe(reader, data.train, data.test, k=k)
        raise ValueError(f"--probe must be linear or knn, got {probe!r}")

    return score


def _random_score(
    score: Callable[[Encoder], linear.Score], config: RunConfig, part: str, data: Labelled, settings: tuple[Any, ...]
) -> dict[str, Any]:
    """The same encoder with random weights; it depends on no run, so it is computed once and kept in the cache."""
    identity = (
        part_name(config, part),
        config.size,
        config.stem,
        config.seed,
        config.store_size,
        config.precision,
        data.key,
        settings,
    )
    key = hashlib.sha256(repr((torch.__version__, 1, identity)).encode()).hexdigest()[:24]
    path = cache_root() / "random" / f"{key}.json"
    if path.is_file():
        known: dict[str, Any] = json.loads(path.read_text())
        return known
    result = dataclasses.asdict(score(random_encoder(config, part=part)))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, result)
    return result


def _supervised_score(
    score: Callable[[Encoder], linear.Score], run: str | Path, config: RunConfig, labelled: str, encoder: Encoder
) -> dict[str, Any]:
    """The same encoder trained on the labels for the same steps and batch size, in the run's folder supervised/."""
    from selftaught.train import train

    if encoder.kind != "image":
        raise ValueError(f"--supervised trains encoders for images, but this one takes {encoder.kind}s")
    out = Path(run) / "supervised"
    if not (out / "summary.json").exists():
        asked = dataclasses.replace(
            config,
            data=labelled,
            out=str(out),
            task="supervised",
            task_settings={},
            optimizer="auto",
            lr=None,
            weight_decay=None,
            resume=True,
        )
        train(asked)
    return dataclasses.asdict(score(load_encoder(out)))
