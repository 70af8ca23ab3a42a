"""Models of boxes and masks: the probes' detector and segmentation network, kept in a folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from selftaught.core.devices import compute_device
from selftaught.core.progress import say_once
from selftaught.core.randomness import numpy_generator
from selftaught.core.settings.groups import DataSettings
from selftaught.data.annotations.dense_sample import IGNORE, DenseSample
from selftaught.evaluation.data.base import Asked
from selftaught.evaluation.data.dense import DENSE, Dense
from selftaught.evaluation.dense.box_batches import Canvas, read_batch
from selftaught.evaluation.dense.detector import Detector
from selftaught.evaluation.dense.segmentation_heads import Segmenter
from selftaught.evaluation.metrics.box_matches import Found, Matches, Truth
from selftaught.evaluation.metrics.intervals import interval_of
from selftaught.evaluation.models.folder import Facts, check_model_out, fill, read_weights, row_of, write_model
from selftaught.evaluation.models.reading import network_of_subject, reading_of
from selftaught.evaluation.models.worth import interval_said
from selftaught.evaluation.parts_of_work import PartsOfWork
from selftaught.evaluation.probes.base import Score
from selftaught.evaluation.probes.catalogue import make_probe
from selftaught.evaluation.probes.detection import Detection, found_in, judge
from selftaught.evaluation.probes.segmentation import Segmentation, predictions
from selftaught.evaluation.subject import Subject
from selftaught.features.reader import Reader

Network = TypeVar("Network", bound=nn.Module)
PROBES: dict[str, str] = {"boxes": "detection", "masks": "segmentation"}
"""Kind of model -> the probe whose network it is."""


ANSWERED = "32-true"
"""Precision of answers, and of what is measured on held-back images, so that any machine and ONNX give the same."""
PIXELS = 20_000
"""Pixels of all held-back images that held_back.csv has at most."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FoundMask:
    """The class (H, W) int64 of each pixel of an image, and its probability (H, W)."""

    labels: NDArray[np.int64]
    confidence: NDArray[np.float32]


class Finder(Protocol):
    """A model of boxes or masks that looks at one image."""

    def __call__(self, sample: DenseSample) -> Found | FoundMask:
        """Boxes in the image's own pixels, or the class of each of them."""
        ...


def fit_dense(
    subject: Subject,
    reading: DataSettings,
    out: str | Path,
    kind: str,
    settings: dict[str, Any],
    *,
    seed: int,
    accelerator: str,
    overwrite: bool,
) -> dict[str, Any]:
    """Fit a model of boxes or masks and write its folder; see `selftaught.fit`.

    Args:
        kind: "boxes" or "masks".
        settings: of the probe of that kind; those that are None are its own.
    """
    path = check_model_out(out, overwrite=overwrite)
    if subject.encoder.kind != "image":
        raise ValueError(
            f"--kind {kind} needs an encoder of images, {subject.encoder.name} takes {subject.encoder.kind}"
        )
    given = {name: value for name, value in settings.items() if value is not None}
    probe = _probe(kind, given, seed)
    device = compute_device(accelerator)
    data = DENSE.open(
        Asked(
            data=reading, size=subject.network.size, run=subject.run, kind="image", needs=probe.needs, skip_broken=True
        )
    )
    assert isinstance(data, Dense)
    work = PartsOfWork("part", 2, is_eager=True)
    work.begin(f"{PROBES[kind]} with the encoder")
    network, own, rows = _trained(probe, _reader(subject, device), data)
    work.begin(f"{PROBES[kind]} with random weights")
    _, random, _ = _trained(probe, _reader(subject, device, is_random=True), data)
    facts = Facts(
        kind=kind,
        classes=data.classes,
        network=network_of_subject(subject),
        reading=reading_of(reading),
        head={"settings": dataclasses.asdict(probe.config), "seed": seed},
        fitted={"method": PROBES[kind], **dataclasses.asdict(probe.config), "loss": own.more["loss"]},
        data={"path": reading.path, "labels": len(data.train), "test": len(data.test), "test_is": data.test_is,
              "skipped": data.skipped, "notes": list(data.notes)},
        encoder_of=subject.name,
        version=version("selftaught"),
        held_back={"is": data.test_is, "rows": len(rows)} | _metrics(probe.metric, own, len(data.test)) | _groups(data),
        random=_metrics(probe.metric, random, len(data.test)),
        gain=_gain(own, random),
    )  # fmt: skip
    write_model(path, network.cpu(), facts, rows)
    if told := interval_said(facts.held_back):
        say_once(told)
    return _result(path, facts, probe.metric)


def load_network(folder: str | Path, facts: Facts) -> tuple[Detector, Canvas] | tuple[Segmenter, int]:
    """The network of a folder with its weights, on the CPU in evaluation mode, and how it sees images.

    That is the canvas of a detector, and the side of the windows of a segmentation network, pixels.
    """
    probe = _probe(facts.kind, facts.head["settings"], facts.head["seed"])
    reader = Reader(encoder=facts.encoder(), size=facts.network["size"], device=torch.device("cpu"), precision=ANSWERED)
    found = probe.build(reader, len(facts.classes), None)
    fill(found[0], read_weights(folder), folder)
    return found


def load_finder(folder: str | Path, facts: Facts, device: torch.device) -> Finder:
    """The model of a folder, ready to look at images."""
    network, seen = load_network(folder, facts)
    network.to(device)
    if isinstance(network, Detector):
        assert isinstance(seen, Canvas)
        return _finder_of_boxes(network, seen, facts.classes, device)
    assert isinstance(seen, int)
    return _finder_of_masks(network, seen, facts.classes, device)


def _finder_of_boxes(detector: Detector, canvas: Canvas, classes: tuple[str, ...], device: torch.device) -> Finder:
    @torch.no_grad()
    def boxes(sample: DenseSample) -> Found:
        batch = read_batch(_One(sample, classes), [0], canvas, [False])
        return found_in(detector.detect(batch.images.to(device), batch.sizes)[0], batch.scales[0])

    return boxes


def _finder_of_masks(network: Segmenter, side: int, classes: tuple[str, ...], device: torch.device) -> Finder:
    @torch.no_grad()
    def mask(sample: DenseSample) -> FoundMask:
        ((_, found, confidence),) = predictions(network, _One(sample, classes), side, device)
        return FoundMask(labels=found, confidence=confidence)

    return mask


class _One:
    """A single image as `DenseSamples`."""

    def __init__(self, sample: DenseSample, classes: tuple[str, ...]) -> None:
        self.classes, self.fingerprint, self.keys = classes, "", ["image"]
        self.skipped: list[tuple[str, str]] = []
        self._sample = sample

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[DenseSample]:
        yield self._sample

    def read(self, i: int) -> DenseSample:
        return self._sample


def _probe(kind: str, settings: dict[str, Any], seed: int) -> Detection | Segmentation:
    probe = make_probe(PROBES[kind], settings, seed=seed)
    assert isinstance(probe, Detection | Segmentation)
    return probe


def _reader(subject: Subject, device: torch.device, *, is_random: bool = False) -> Reader:
    encoder = subject.random() if is_random else subject.encoder
    return Reader(
        encoder=encoder, size=subject.network.size, device=device, precision=subject.precision, is_random=is_random
    )


def _trained(
    probe: Detection | Segmentation, reader: Reader, data: Dense
) -> tuple[nn.Module, Score, list[dict[str, Any]]]:
    """The network, what it reaches on the test images, and the boxes or pixels there, as held_back.csv has them.

    It learns in the run's precision, and is judged as `load_finder` answers: in 32 bits, one image at a time.
    """
    if isinstance(probe, Detection):
        detector, canvas, loss = probe.train(reader, data)
        found, truth = judge(_in_32_bits(detector), data.test, canvas, reader.device, at_once=1)
        return detector, probe.scored(detector, data, found, truth, loss), _box_rows(data, found, truth)
    network, size, loss = probe.train(reader, data)
    _in_32_bits(network)
    pixels = _Pixels(data)
    score = probe.judged(network, data, size, reader.device, loss, pixels.add)
    return network, score, pixels.rows


def _in_32_bits(network: Network) -> Network:
    """The network itself, no part of which computes in fewer bits from here on."""
    for module in network.modules():
        if hasattr(module, "precision"):
            setattr(module, "precision", ANSWERED)  # noqa: B010  # of modules of several classes
    return network


def _box_rows(data: Dense, found: list[Found], truth: list[Truth]) -> list[dict[str, Any]]:
    """Every box found; its label is empty where nothing of its class overlaps it by half."""
    matches = Matches(len(data.classes), "voc")
    for one, there in zip(found, truth, strict=True):
        matches.add(one, there)
    return [
        row_of(data.test.keys[image], data.classes[label] if right else "", data.classes[label], score,
               _group(data, image))
        for score, right, label, image in zip(*(values.tolist() for values in matches.answers()), strict=True)
    ]  # fmt: skip


def _group(data: Dense, image: int) -> int:
    """What a test image belongs to: its group, else itself."""
    return image if data.groups is None else int(data.groups[image])


class _Pixels:
    """Pixels of the test images at random places, as held_back.csv has them.

    As many places are drawn in each image; those without a class are left out.
    """

    def __init__(self, data: Dense) -> None:
        self.data, self.each = data, max(1, PIXELS // len(data.test))
        self.rows: list[dict[str, Any]] = []

    def add(
        self, row: int, truth: NDArray[np.int64], found: NDArray[np.int64], confidence: NDArray[np.float32]
    ) -> None:
        """Those of the next image; all arrays are (H, W)."""
        rng = numpy_generator("pixels", row)
        places = np.sort(rng.choice(truth.size, min(self.each, truth.size), replace=False))
        places = places[truth.flat[places] != IGNORE]
        key, names, group = self.data.test.keys[row], self.data.classes, _group(self.data, row)
        shown = zip(
            truth.flat[places].tolist(), found.flat[places].tolist(), confidence.flat[places].tolist(), strict=True
        )
        self.rows += [row_of(key, names[label], names[k], min(1.0, value), group) for label, k, value in shown]


def _metrics(name: str, score: Score, samples: int) -> dict[str, Any]:
    interval = None if score.interval is None else list(score.interval)
    more = {key: score.more[key] for key in ("rule", "coco", "boxes", "pixel_accuracy", "commonest_class")
            if key in score.more}  # fmt: skip
    return {name: score.value, "interval": interval, "samples": samples, "by_class": score.more["per_class"]} | more


def _groups(data: Dense) -> dict[str, int]:
    """How many groups the intervals are over, where the data name some."""
    found = 0 if data.groups is None else len(np.unique(data.groups))
    return {"groups": found} if 0 < found < len(data.test) else {}


def _gain(own: Score, random: Score) -> dict[str, Any]:
    if own.resampled is None or random.resampled is None:
        return {}
    return {
        "value": round(own.value - random.value, 3),
        "interval": list(interval_of(own.resampled - random.resampled)),
    }


def _result(path: Path, facts: Facts, metric: str) -> dict[str, Any]:
    return {
        "model": str(path),
        "method": facts.fitted["method"],
        "labels": facts.data["labels"],
        "classes": len(facts.classes),
        "measured_on": facts.data["test_is"],
        metric: facts.held_back[metric],
        "interval": facts.held_back["interval"],
        "random": facts.random[metric],
        "gain": facts.gain.get("value"),
        "gain_interval": facts.gain.get("interval"),
        "skipped": facts.data["skipped"],
        "facts": {"held_back": facts.held_back, "fitted": facts.fitted, "data": facts.data},
    }
