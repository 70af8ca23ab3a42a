"""Annotations of the images that `coco` writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.data.trees import coco

BOXES, MASKS = frozenset({"box"}), frozenset({"mask"})


SQUARE = [[10, 10, 20, 10, 20, 20, 10, 20]]


def note(image: int, category: int, box: list[float], **more: Any) -> dict[str, Any]:
    return {"image_id": 7 + image, "category_id": category, "bbox": box, "segmentation": SQUARE, **more}


def both(root: Path, notes: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    coco(root, "val", [])
    return coco(root, "train", [note(0, 5, [0, 0, 5, 5])] if notes is None else notes)
