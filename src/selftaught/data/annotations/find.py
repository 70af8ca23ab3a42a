"""Which format the boxes or masks of a folder or zip are in."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from selftaught.data.annotations.base import Annotations
from selftaught.data.annotations.coco import open_coco
from selftaught.data.annotations.drawn_contours import open_drawn_contours
from selftaught.data.annotations.mask_folder import open_mask_folder
from selftaught.data.annotations.voc import open_voc
from selftaught.data.annotations.yolo import open_yolo
from selftaught.data.files.file_kinds import is_picture
from selftaught.data.files.file_tree import FileTree


def find_annotations(tree: FileTree, needs: frozenset[str]) -> Annotations:
    """The annotations of the kind that is needed, in the first format that has them."""
    if "drawn" in needs:
        drawn = open_drawn_contours(tree)
        if drawn is None:
            raise ValueError(
                f"contours that people drew are needed, but {tree.where} holds none; give the Berkeley data, images/ "
                "with groundTruth/ of .mat files of the same names"
            )
        return drawn
    for opened in (open_voc, open_coco, open_mask_folder, open_yolo):
        found: Annotations | None = opened(tree, masks="mask" in needs)
        if found is not None:
            return found
    kind, folders = ("masks", ", or folders images and masks with a classes.txt") if "mask" in needs else ("boxes", "")
    raise ValueError(
        f"{kind} are needed, but {tree.where} holds none; {_other_form(tree.keys)}give a VOC tree (JPEGImages, "
        f"Annotations, ImageSets), images with COCO's JSON files, labelImg's XML or YOLO's text files{folders}"
    )


def _other_form(keys: Sequence[str]) -> str:
    """Advice on annotations of other tools in the folder, or ""."""
    pictures = {key.rpartition(".")[0] for key in keys if is_picture(key)}
    stems = pictures | {re.sub(r"(^|/)images/", r"\1labels/", stem) for stem in pictures}
    beside = [key for key in keys if key.endswith((".txt", ".xml", ".json")) and key.rpartition(".")[0] in stems]
    kinds = Counter(key.rpartition(".")[2] for key in beside)
    if not kinds or 2 * max(kinds.values()) < len(pictures):
        return ""
    kind = kinds.most_common(1)[0][0]
    first = next(key for key in beside if key.endswith(kind))
    if kind != "json":
        return ""
    return f"{first} and the like are LabelMe's, which are not read: have their tool write COCO's JSON; or "
