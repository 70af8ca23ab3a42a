"""Small trees of annotated images, drawn: a VOC tree, COCO's JSON files, folders of masks."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Tree = Callable[[Path, dict[str, bytes]], Path]
"""Writes files below a folder, as the fixture `tree` does."""
Object = tuple[str, tuple[float, float, float, float], int]
"""Class, first and last pixel counted from 1 (left, top, right, bottom), difficult."""


def picture(number: int, width: int = 40, height: int = 30) -> NDArray[np.uint8]:
    return np.random.default_rng(number).integers(0, 255, (height, width, 3), dtype=np.uint8)


def write(path: Path, pixels: NDArray[Any], *, palette: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    if palette:
        image = image.convert("P") if image.mode != "L" else Image.fromarray(pixels, "L")
        image.putpalette([i // 3 for i in range(768)])
    image.save(path)


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def xml(objects: Sequence[Object], *, width: int = 40, height: int = 30) -> str:
    written = "".join(
        f"<object><name>{name}</name><difficult>{difficult}</difficult><part><name>head</name><bndbox><xmin>1</xmin>"
        f"</bndbox></part><bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax>"
        "</bndbox></object>"
        for name, box, difficult in objects
    )
    return f"<annotation><size><width>{width}</width><height>{height}</height></size>{written}</annotation>"


DOG: Object = ("dog", (1, 1, 10, 20), 0)
CAT: Object = ("cat", (11, 5, 40, 30), 0)
HARD: Object = ("dog", (3, 3, 6, 6), 1)
OBJECTS: dict[str, Sequence[Object]] = {"000001": [DOG, CAT], "000002": [HARD], "000003": [DOG, HARD], "000004": []}


def voc(root: Path, parts: dict[str, str], *, objects: Mapping[str, Sequence[Object]] | None = None) -> Path:
    """A year's folder `root`; `parts` are its lists, names with spaces between."""
    for number, (name, found) in enumerate((objects or OBJECTS).items()):
        write(root / "JPEGImages" / f"{name}.png", picture(number))
        text(root / "Annotations" / f"{name}.xml", xml(found))
        mask = np.zeros((30, 40), np.uint8)
        mask[5:10, 5:10], mask[20:, 20:], mask[0] = 8, 12, 255
        write(root / "SegmentationClass" / f"{name}.png", mask, palette=True)
    for part, names in parts.items():
        for kind in ("Main", "Segmentation"):
            text(root / "ImageSets" / kind / f"{part}.txt", "\n".join(names.split()) + "\n")
    return root


def coco(root: Path, part: str, notes: Sequence[dict[str, Any]], *, count: int = 2) -> dict[str, Any]:
    """Images of 40 x 30 pixels and their JSON file; returns what is in it, to be changed and written again."""
    for number in range(count):
        write(root / "images" / part / f"{number:03d}.png", picture(number))
    content = {
        "images": [{"id": 7 + n, "file_name": f"{n:03d}.png", "width": 40, "height": 30} for n in range(count)],
        "annotations": [{"id": i, "iscrowd": 0, **note} for i, note in enumerate(notes)],
        "categories": [{"id": 5, "name": "dog"}, {"id": 2, "name": "cat"}],
    }
    text(root / "annotations" / f"instances_{part}.json", json.dumps(content))
    return content


def encoded(pixels: NDArray[Any], kind: str = "PNG", **settings: Any) -> bytes:
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, kind, **settings)
    return written.getvalue()


PNG = encoded(picture(0))


def folder(path: Path, *keys: str) -> Path:
    """A folder that holds the same small image under each of these relative paths."""
    for key in keys:
        (path / key).parent.mkdir(parents=True, exist_ok=True)
        (path / key).write_bytes(PNG)
    return path
