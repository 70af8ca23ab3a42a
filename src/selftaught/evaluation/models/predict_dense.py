"""A model of boxes or masks on new images: COCO JSON, or a folder of PNG masks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from PIL import Image

from selftaught.core.devices import compute_device
from selftaught.core.files import check_out, check_out_folder, written_whole
from selftaught.core.names import printable
from selftaught.core.own_folder import is_kind, others_in, record, write_json, written_folder
from selftaught.core.progress import late_bar, say_once
from selftaught.core.settings.groups import DataSettings
from selftaught.data.annotations.dense_sample import DenseSample
from selftaught.data.decode.image import decode_image
from selftaught.data.files.file_tree import told_lost
from selftaught.data.files.splits import EmptyPart
from selftaught.data.sources.base import Source
from selftaught.data.sources.open import open_part
from selftaught.data.sources.value_range import decoding_of
from selftaught.data.store.parts import LEAST_SHARE
from selftaught.evaluation.embed import SPLITS
from selftaught.evaluation.metrics.box_matches import Found
from selftaught.evaluation.models.dense_model import FoundMask, load_finder
from selftaught.evaluation.models.folder import Facts
from selftaught.evaluation.models.predict import CANNOT_TELL, check_list, said_of, threshold_of, write_skipped
from selftaught.evaluation.models.semantics import UNSURE
from selftaught.ops.draw_maps import palette

Json = dict[str, Any]
_MASKS, _CLASSES = "masks", "classes.json"
"""The kind of the folder, and the file that is written to it last."""


def predict_dense(
    model: str | Path,
    facts: Facts,
    reading: DataSettings,
    out: str | Path,
    *,
    error: float | None = None,
    accelerator: str,
    overwrite: bool,
) -> Json:
    """Write the boxes of all images as one COCO JSON file, or the masks as PNG files; see `selftaught.predict`."""
    path = Path(out)
    if facts.kind == "boxes":
        path = check_out(out, {".json": "json"}, overwrite=overwrite)
    else:
        _check_masks(path, overwrite=overwrite)
    check_list(path, overwrite=overwrite)
    threshold = threshold_of(model, error, facts)
    find = load_finder(model, facts, compute_device(accelerator))
    skipped: dict[str, str] = {}
    least = 0.0 if threshold is None else threshold.confidence
    place = written_folder(path, _MASKS) if facts.kind == "masks" else nullcontext(path)
    with place as draft, late_bar("predicting") as progress:
        written = (_Boxes if facts.kind == "boxes" else _Masks)(draft, facts.classes, least)
        for key, sample in _images(reading, skipped, progress):
            written.add(key, sample, find(sample))
        found = written.close()
    if skipped:
        say_once(told_lost(sorted(skipped.items()), reading.path))
    listed = write_skipped(path, skipped)
    found |= {} if threshold is None else said_of(threshold)
    return {"out": str(path), **found, "skipped": len(skipped), "skipped_list": listed}


def _check_masks(path: Path, *, overwrite: bool) -> None:
    """Raise a `ValueError` where masks would replace files of others, such as the images themselves."""
    check_out_folder(path)
    if not path.exists() or not (others := others_in(path)):
        return
    if not is_kind(path, _MASKS):
        raise ValueError(
            f"--out {path} holds other files, which are no masks of predict (such as {others[0]}); give a new or empty "
            "folder"
        )
    if not overwrite and (path / _CLASSES).is_file():
        raise ValueError(f"--out {path} already holds masks; give another folder, or --overwrite to replace them")


class _Boxes:
    """Boxes of many images as one COCO file; each annotation has its score, which is `least` or more."""

    def __init__(self, path: Path, classes: tuple[str, ...], least: float = 0.0) -> None:
        self.path, self.least = path, least
        self.images: list[Json] = []
        self.annotations: list[Json] = []
        self.categories = [{"id": i, "name": name} for i, name in enumerate(classes, 1)]

    def add(self, key: str, sample: DenseSample, found: Any) -> None:
        assert isinstance(found, Found)
        height, width = sample.image.shape[1:]
        number = len(self.images) + 1
        self.images.append({"id": number, "file_name": printable(key), "width": width, "height": height})
        for (left, top, right, bottom), score, label in zip(found.boxes, found.scores, found.labels, strict=True):
            if round(float(score), 6) < self.least:
                continue
            box = [round(float(value), 2) for value in (left, top, right - left, bottom - top)]
            self.annotations.append(
                {"id": len(self.annotations) + 1, "image_id": number, "category_id": int(label) + 1, "bbox": box,
                 "area": round(box[2] * box[3], 2), "iscrowd": 0, "score": round(float(score), 4)}
            )  # fmt: skip

    def close(self) -> Json:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        value = {"images": self.images, "annotations": self.annotations, "categories": self.categories}
        with written_whole(self.path) as draft:
            draft.write_text(json.dumps(value) + "\n")
        return {"images": len(self.images), "boxes": len(self.annotations)}


class _Masks:
    """One PNG for each image, whose pixels are class numbers with a palette, and the names of the classes.

    Pixels of a probability below `least` are 255, which has no class in masks of PASCAL VOC and Cityscapes too.
    """

    def __init__(self, path: Path, classes: tuple[str, ...], least: float = 0.0) -> None:
        if len(classes) > UNSURE:
            raise ValueError(
                f"masks are written with 8 bits for at most {UNSURE} classes, the model has {len(classes)}; fit one on "
                "labels of fewer classes"
            )
        self.path, self.classes, self.least = path, classes, least
        self.names: set[str] = set()
        self.pixels = self.unsure = 0

    def add(self, key: str, sample: DenseSample, found: Any) -> None:
        name = PurePosixPath(key).with_suffix(".png").as_posix()
        name = f"{key}.png" if name in self.names else name  # a.jpg and a.png are two images
        self.names.add(name)
        place = self.path / printable(name).lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        assert isinstance(found, FoundMask)
        # The threshold is of probabilities as held_back.csv has them.
        unsure = found.confidence.astype(np.float64).round(6) < self.least
        self.pixels, self.unsure = self.pixels + unsure.size, self.unsure + int(unsure.sum())
        image = Image.fromarray(np.where(unsure, UNSURE, found.labels).astype(np.uint8)).convert("P")
        image.putpalette(palette(UNSURE + 1).tobytes())
        with written_whole(record(place), flush=False) as draft:
            image.save(draft, "PNG")

    def close(self) -> Json:
        told = {UNSURE: CANNOT_TELL} if self.least else {}
        write_json(self.path / _CLASSES, dict(enumerate(self.classes)) | told)
        share = round(100 * self.unsure / max(1, self.pixels), 3)
        return {"masks": len(self.names)} | ({"cannot_tell_pixels": share} if told else {})


def _images(reading: DataSettings, skipped: dict[str, str], progress: Any) -> Iterator[tuple[str, DenseSample]]:
    """Every image of the data in the order of the paths, as stored; what cannot be read goes to `skipped`."""
    places = sorted(
        ((entry.key, source, i) for source in _sources(reading) for i, entry in enumerate(source.entries)),
        key=lambda place: place[0],
    )
    none = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    decoding = decoding_of(reading)
    for done, (key, source, i) in enumerate(places, 1):
        try:
            payload = source.read(i)
            pixels = decode_image(payload, upright=False, decoding=decoding) if isinstance(payload, bytes) else payload
        except (OSError, ValueError) as broken:
            skipped[key] = str(broken)
            continue
        image = torch.from_numpy(np.ascontiguousarray(np.asarray(pixels).transpose(2, 0, 1)))
        yield key, DenseSample(image=image, ignore=torch.zeros(0, dtype=torch.bool), **none)
        progress(done, len(places))


def _sources(reading: DataSettings) -> list[Source]:
    """The parts of the data, each once."""
    found: dict[str, Source] = {}
    for split in SPLITS:
        try:
            source = open_part(reading, split=split, needs=frozenset({"image"}), held_out=LEAST_SHARE)
        except EmptyPart:  # of a single image, all but one part
            if not found and split == SPLITS[-1]:
                raise
            continue
        found.setdefault(source.fingerprint, source)
    return list(found.values())
