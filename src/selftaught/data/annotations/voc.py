"""The tree of PASCAL VOC: JPEGImages, Annotations, ImageSets, SegmentationClass, of one year or several side by side.

(Everingham et al., IJCV 2010; the layout of VOC2007 and VOC2012.)
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
import xml.parsers.expat as expat
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from selftaught.data.annotations.base import FAR, Annotations, Boxes, inside, with_boxes, with_mask
from selftaught.data.annotations.dense_sample import IGNORE, DenseSample
from selftaught.data.annotations.mask_folder import translate
from selftaught.data.decode.image import decode_indices
from selftaught.data.files.file_kinds import is_picture
from selftaught.data.files.file_tree import FileTree
from selftaught.data.files.folder_names import read_folder_names

CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
_IMAGES = re.compile(r"(^|/)(?:images|imgs)/", re.IGNORECASE)
_ANNOTATIONS = ("annotations", "Annotations", "labels", "xmls", "annotations/xmls")
"""Folders beside one of images in which XML files are looked for."""
_LARGEST_XML = 8 << 20
_PARTS = ("train", "val", "trainval", "test")


class VocObject(NamedTuple):
    """An object of an annotation; its box as VOC writes it: first and last pixel, counted from 1."""

    name: str
    box: tuple[float, float, float, float]
    difficult: bool


class VocAnnotation(NamedTuple):
    """What an XML file says of its image; width and height are 0 where it does not say."""

    width: int
    height: int
    objects: tuple[VocObject, ...]


class VocTree:
    """The files of a VOC tree by image. An image's name is that of its file without folders and suffix.

    `beside` are images with XML files of VOC's form in plain folders, as labelImg writes them; then there are no years.
    """

    def __init__(self, tree: FileTree, years: tuple[str, ...], beside: Mapping[str, str] | None = None) -> None:
        self.tree = tree
        self.years = years
        self._xml_of = beside or {}
        photos = [key for year in years for key in tree.keys if key.startswith(f"{year}JPEGImages/")]
        self.photos = sorted([*photos, *self._xml_of])

    @classmethod
    def find(cls, tree: FileTree) -> VocTree | None:
        """The tree, below any folder; None where there is none."""
        years = {key.partition("JPEGImages/")[0] for key in tree.keys if "JPEGImages/" in key}
        if not years:
            return None
        # Other data sets use this folder name too; VOC also has XML files or lists of images.
        texts = [key for key in tree.keys if key.endswith((".xml", ".txt"))]
        years &= {key.partition(mark)[0] for mark in ("Annotations/", "ImageSets/") for key in texts if mark in key}
        return cls(tree, tuple(sorted(years))) if years else None

    @classmethod
    def find_beside(cls, tree: FileTree) -> VocTree | None:
        """Images with XML files of their names, in the same folder or in one for annotations; or None.

        The first file decides whether they are VOC's.
        """
        pictures = [key for key in tree.keys if is_picture(key)]
        beside = {}
        for key in pictures:
            stem = key.rpartition(".")[0]
            moved = [_IMAGES.sub(rf"\1{folder}/", stem) for folder in _ANNOTATIONS]
            file = next((f"{name}.xml" for name in (stem, *moved) if f"{name}.xml" in tree), None)
            if file is not None:
                beside[key] = file
        if not beside or b"<annotation" not in tree.start(next(iter(beside.values()))):
            return None
        return cls(tree, (), beside)

    @cached_property
    def is_annotated(self) -> bool:
        """Whether there are XML files."""
        return any(self.annotation(photo) in self.tree for photo in self.photos)

    def annotation(self, photo: str) -> str:
        """Key of the XML file of an image."""
        if photo in self._xml_of:
            return self._xml_of[photo]
        return self._beside(photo, "Annotations", "xml")

    def mask(self, photo: str) -> str:
        """Key of the mask of an image."""
        return self._beside(photo, "SegmentationClass", "png")

    def _beside(self, photo: str, folder: str, suffix: str) -> str:
        year, _, name = photo.partition("JPEGImages/")
        return f"{year}{folder}/{name.rpartition('.')[0]}.{suffix}"

    def parts(self, kind: str) -> dict[str, str]:
        """Part of each image by the lists in ImageSets/`kind` (Main, Segmentation); empty where there are none.

        With a list of test images that are annotated, train and val are both for training (VOC2007); else val tests
        (VOC2012, whose test part is not public). An image that a list names but that is not there keeps its key.
        """
        if self._xml_of:
            return dict(read_folder_names(self.photos).splits)
        listed = {part: self._listed(kind, part) for part in _PARTS}
        annotated = self.mask if kind == "Segmentation" else self.annotation
        tests = listed["test"] if any(annotated(photo) in self.tree for photo in listed["test"]) else []
        train = {photo: "train" for part in ("trainval", "train") for photo in listed[part]}
        if tests:
            return train | dict.fromkeys(listed["val"], "train") | dict.fromkeys(tests, "test")
        return train | dict.fromkeys(listed["val"], "val")

    def _listed(self, kind: str, part: str) -> list[str]:
        photos = []
        for year in self.years:
            text = self.tree.text(f"{year}ImageSets/{kind}/{part}.txt") or ""
            names = [line.split()[0] for line in text.splitlines() if line.strip()]
            photos += [self._photo_of.get((year, name), f"{year}JPEGImages/{name}.jpg") for name in names]
        return photos

    @cached_property
    def _photo_of(self) -> dict[tuple[str, str], str]:
        split = [(photo, photo.partition("JPEGImages/")) for photo in self.photos]
        return {(year, name.rpartition(".")[0]): photo for photo, (year, _, name) in split}

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """VOC's own, or those of classes.txt or of the lists of each class, or all that the annotations name."""
        for year in self.years:
            own = self.tree.text(f"{year}classes.txt") or self.tree.text("classes.txt")
            if own:
                return tuple(line.strip() for line in own.splitlines() if line.strip())
        lists = {key.rpartition("/")[2] for key in self.tree.keys if "ImageSets/Main/" in key}
        named = {name.rpartition("_")[0] for name in lists if name.endswith(tuple(f"_{part}.txt" for part in _PARTS))}
        found = named or {thing.name for note in self.annotations.values() if note for thing in note.objects}
        return CLASSES if found <= set(CLASSES) and not self._xml_of else tuple(sorted(found))

    @cached_property
    def annotations(self) -> dict[str, VocAnnotation | None]:
        """What the XML files say, by image; None where one cannot be read."""
        photos = [photo for photo in self.photos if self.annotation(photo) in self.tree]

        def read(photo: str) -> VocAnnotation | None:
            try:
                return parse_annotation(self.tree.read(self.annotation(photo)))
            except (OSError, ValueError, LookupError, RecursionError):  # LookupError: an unknown encoding
                return None

        with ThreadPoolExecutor(8) as pool:
            return dict(zip(photos, pool.map(read, photos), strict=True))

    def targets(self) -> dict[str, NDArray[np.int8]]:
        """(K,) of each image: 1 where it shows the class, 0 where not, -1 where all it shows of it is difficult."""
        number = {name: i for i, name in enumerate(self.classes)}
        found = {}
        for photo, note in self.annotations.items():
            if note is None:
                continue
            row = found[photo] = np.zeros(len(number), np.int8)
            for thing in sorted(note.objects, key=lambda thing: not thing.difficult):  # an easy one overrules
                if thing.name not in number:
                    raise ValueError(
                        f"{self.tree.where}: {self.annotation(photo)} {_unknown(thing.name, self.classes)}"
                    )
                row[number[thing.name]] = -1 if thing.difficult else 1
        return found


def _unknown(name: str, classes: tuple[str, ...]) -> str:
    return f"names the class {name!r}, which is not one of the {len(classes)} ({', '.join(classes[:3])} ...)"


def parse_annotation(data: bytes) -> VocAnnotation:
    """An XML file; parts of objects are left out. A ValueError says what is wrong."""
    root = _parse(data)
    size = [_side(root.findtext(f"size/{side}")) for side in ("width", "height")]
    objects = []
    for node in root.findall("object"):
        name = (node.findtext("name") or "").strip()
        corners = [node.findtext(f"bndbox/{edge}") for edge in ("xmin", "ymin", "xmax", "ymax")]
        if not name or None in corners:
            raise ValueError("an object has no name or no whole bndbox")
        left, top, right, bottom = (float(corner or "nan") for corner in corners)
        objects.append(VocObject(name, (left, top, right, bottom), (node.findtext("difficult") or "0").strip() == "1"))
    return VocAnnotation(size[0], size[1], tuple(objects))


def _parse(data: bytes) -> ET.Element:
    """The root of an XML file without a document type: its entities could stand for gigabytes, or for other files."""

    def refuse(*_: object) -> None:
        raise ValueError("a document type is not read")

    if len(data) > _LARGEST_XML:
        raise ValueError(f"{len(data) >> 20} MB are no annotation of one image")
    builder = ET.TreeBuilder()
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(data, True)
    except expat.ExpatError as broken:
        raise ValueError(str(broken)) from None
    root: ET.Element = builder.close()
    return root


def _side(text: str | None) -> int:
    """Pixels of a side, or 0 where the file does not say."""
    try:
        side = float(text or 0)
    except ValueError:
        return 0
    return int(side) if 0 < side < 1 << 31 else 0


@final
@dataclass(kw_only=True)
class VocBoxes(Annotations):
    """Boxes of a VOC tree."""

    voc: VocTree

    def __post_init__(self) -> None:
        self._number = {name: i for i, name in enumerate(self.classes)}
        self._boxes = {}
        for key in self.keys:
            try:
                self._boxes[key] = self._read(key)
            except ValueError as wrong:
                self.wrong[key] = str(wrong)

    def files(self, key: str) -> list[str]:
        return [self.voc.annotation(key)]

    def _read(self, key: str) -> tuple[VocAnnotation, Boxes]:
        file = self.voc.annotation(key)
        if key not in self.tree:
            raise ValueError(f"the lists name {key}, which is missing")
        if file not in self.tree:
            raise ValueError(f"{file} is missing")
        note = self.voc.annotations[key]
        if note is None:
            raise ValueError(f"{file} is no whole annotation")
        edges = []
        for name, (left, top, right, bottom), _ in note.objects:
            if name not in self._number:
                raise ValueError(f"{file} {_unknown(name, self.classes)}")
            box = np.clip([left - 1, top - 1, right, bottom], -FAR, FAR).astype(np.float32)
            cut = inside(box, width=note.width or np.inf, height=note.height or np.inf)
            if cut is None:
                place = f"{left:g}, {top:g}, {right:g}, {bottom:g}"
                raise ValueError(
                    f"{file}: the box ({place}) of {name!r} is not inside {note.width} x {note.height} pixels"
                )
            self.cut += bool((cut != box).any())
            edges.append(cut)
        labels = [self._number[thing.name] for thing in note.objects]
        ignore = [thing.difficult for thing in note.objects]
        boxes = np.array(edges, np.float32).reshape(-1, 4)
        return note, Boxes(boxes, np.array(labels, np.int64), np.array(ignore, np.bool_))

    def sample(self, key: str) -> DenseSample:
        note, boxes = self._boxes[key]
        image = self.picture(key)
        high, wide = image.shape[1:]
        if note.width and note.height and (wide, high) != (note.width, note.height):
            raise ValueError(
                f"{self.voc.annotation(key)} says that its image is {note.width} x {note.height} pixels, "
                f"not {wide} x {high}"
            )
        if not (note.width and note.height):
            cut = [inside(edges, width=wide, height=high) for edges in boxes.edges]
            if any(edges is None for edges in cut):
                raise ValueError(f"{self.voc.annotation(key)}: a box is not inside {wide} x {high} pixels")
            boxes = boxes._replace(edges=np.array(cut, np.float32).reshape(-1, 4))
        return with_boxes(image, boxes)


@final
@dataclass(kw_only=True)
class VocMasks(Annotations):
    """Class masks of a VOC tree: 0 is the background, 255 is ignored, other numbers are the classes in order."""

    voc: VocTree

    def __post_init__(self) -> None:
        self._index = {number: number for number in (*range(len(self.classes)), IGNORE)}
        for key in self.keys:
            missing = [file for file in (key, self.voc.mask(key)) if file not in self.tree]
            if missing:
                self.wrong[key] = f"the lists name {key.rpartition('/')[2]}, but {missing[0]} is missing"

    def files(self, key: str) -> list[str]:
        return [self.voc.mask(key)]

    def sample(self, key: str) -> DenseSample:
        mask = self.mask(key)
        return with_mask(self.picture(key), mask, self.voc.mask(key))

    def mask(self, key: str) -> NDArray[np.int64]:
        file = self.voc.mask(key)
        try:
            pixels = decode_indices(self.tree.read(file)).astype(np.int64)
        except (OSError, ValueError) as broken:
            raise ValueError(f"{file} cannot be read: {broken}") from None
        if pixels.ndim == 3:
            raise ValueError(
                f"{file} is an image in colour; masks of a VOC tree hold numbers of classes, with a palette"
            )
        return translate(pixels, self._index, file=file, where="the list of classes")


def open_voc(tree: FileTree, *, masks: bool) -> VocBoxes | VocMasks | None:
    """Boxes or masks of a VOC tree; None where there are none. Without lists, of all images that have them."""
    voc = VocTree.find(tree) or VocTree.find_beside(tree)
    if voc is None:
        return None
    file_of = voc.mask if masks else voc.annotation
    present = [photo for photo in voc.photos if file_of(photo) in tree]
    if not present:
        return None
    splits = voc.parts("Segmentation") if masks else {}
    splits = splits or voc.parts("Main")
    keys = sorted(splits) or present
    if masks:
        return VocMasks(tree=tree, keys=keys, splits=splits, classes=("background", *voc.classes), voc=voc)
    return VocBoxes(tree=tree, keys=keys, splits=splits, classes=voc.classes, voc=voc)
