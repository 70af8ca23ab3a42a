"""What people say of data that the files themselves do not."""

from __future__ import annotations

from dataclasses import dataclass


class UnfitHint(ValueError):  # noqa: N818 - reads as what is the case
    """What was said of data is not so: a column or list that they do not have."""


@dataclass(frozen=True, kw_only=True)
class Hints:
    """Of data whose layout leaves a choice; the defaults are right for all others."""

    frame_rate: float = 25.0
    """Frames a second of videos that are folders of numbered images."""
    split_file: str | None = None
    """Lists of an official split: their folder or one of them."""
    split_number: int | None = None
    """Which of several official splits; None is the first."""
    groups: str | None = None
    """Column of `labels.csv`, or CSV file, that says which samples belong together."""
    label_column: str | None = None
    """Column of `labels.csv` that holds the class; None is "label"."""
    channels: int = 3
    """Of each image in files."""
    tile: int | None = None
    """Side of the tiles that larger images are cut into, pixels."""
    overlap: float = 0.0
    """Share of a tile's side that it has in common with the next one."""
    max_image_pixels: int = 64_000_000
    """Of an image that must be decoded whole."""


NO_HINTS = Hints()
