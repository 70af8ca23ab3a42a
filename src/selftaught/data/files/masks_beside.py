"""Masks, depth maps and the like in one folder with their images: `x.jpg` and `x_mask.png`."""

from __future__ import annotations

import re
from collections.abc import Sequence

_MAP = re.compile(
    r"(?P<base>.+?)[ ._-](?P<word>masks?|seg|segm|segmentation|semantic|instances?|panoptic|depth|disparity|normals?"
    r"|gt|ground[ _-]?truth|labels?|label_?ids|annotations?|annot|matte|alpha|trimap|saliency)(?:[ ._-]?\d{1,4})?",
    re.IGNORECASE,
)
_PICTURE_ENDS = ("", "_rgb", "_image", "_img", "_color", "_colour", "_photo", "_leftimg8bit", ".color")


def masks_beside(keys: Sequence[str]) -> set[str]:
    """Of images, those that are the mask, depth map or label of another one in their folder, by their names.

    `x_mask.png`, `x_mask_1.png`, `x.seg.png`, `x-depth.png` beside `x.jpg`, `x_rgb.png` or `x.color.png`; capitals do
    not matter. Without such an image, a file of this name is an image itself.
    """
    stems = {key.rpartition(".")[0].lower() for key in keys}
    found: set[str] = set()
    for key in keys:
        folder, slash, name = key.rpartition("/")
        match = _MAP.fullmatch(name.rpartition(".")[0])
        if match and any(f"{folder}{slash}{match['base']}{end}".lower() in stems for end in _PICTURE_ENDS):
            found.add(key)
    return found
