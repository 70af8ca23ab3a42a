"""The images in the files of a folder: which there are, what they are called, and how each is read."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from selftaught.data.decode.containers.base import ImageFile
from selftaught.data.decode.containers.opening import Reading, open_images
from selftaught.data.decode.values import Values
from selftaught.data.files.file_kinds import is_picture, is_scientific, suffix_of
from selftaught.data.files.file_tree import FileTree
from selftaught.data.sources.layout import Layout

_MOST_OPEN, _HELD_BYTES = 32, 512 << 20
_THREADS = 8
FEW = 10
"""Files of several images below which one file may be on both sides of a drawn split."""

_listed: dict[tuple[str, str, str, Reading], Listing] = {}
"""What was found in a file, by folder, name and state; the parts of one data set are opened one after the other."""


@dataclass(frozen=True)
class Listing:
    """What is in a file, as `ImageFile` says it; `is_usual` of one that is read as it is."""

    names: tuple[str, ...] = ("",)
    labels: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    group: str = ""
    is_usual: bool = True

    @classmethod
    def of(cls, file: ImageFile) -> Listing:
        """Of an open file."""
        return cls(file.names, file.labels, file.splits, file.group, is_usual=False)


def file_of(key: str) -> str:
    """The file of an image, of a page or of a tile, as `expand` and the tiles name them: a.tif of `a.tif#3#512,256`."""
    at = key.find("#")
    while at > 0:
        if is_picture(key[:at]) or (suffix_of(key[:at]) and is_scientific(key[:at])):
            return key[:at]
        at = key.find("#", at + 1)
    return key


class FileImages:
    """Reads images by file and number; files stay open for a while. Safe in several threads."""

    def __init__(self, tree: FileTree, reading: Reading) -> None:
        self._tree, self._reading = tree, reading
        self._lock = threading.Lock()
        self._open: OrderedDict[str, ImageFile] = OrderedDict()

    def list(self, keys: Sequence[str]) -> dict[str, Listing]:
        """What is in each file, from its headers."""

        def listing(key: str) -> Listing:
            known = (self._tree.where, key, self._tree.state(key), self._reading)
            if known not in _listed:
                file = open_images(self._tree, key, self._reading)
                _listed[known] = Listing() if file is None else Listing.of(file)
            return _listed[known]

        with ThreadPoolExecutor(_THREADS) as pool:
            return dict(zip(keys, pool.map(listing, keys, chunksize=16), strict=True))

    def read(self, key: str, number: int) -> Values:
        """One image of a file that is not read as it is."""
        with self._lock:
            file = self._open.pop(key, None)
        if file is None:
            file = open_images(self._tree, key, self._reading)
            assert file is not None, "a file that is read as it is has no image of a number"
        with self._lock:
            self._open[key] = file
        values = file.read(number)
        with self._lock:
            while len(self._open) > 1 and self._is_too_much():
                self._open.popitem(last=False)
        return values

    def _is_too_much(self) -> bool:
        return len(self._open) > _MOST_OPEN or sum(file.held_bytes for file in self._open.values()) > _HELD_BYTES


@dataclass(frozen=True)
class Expanded:
    """The images of files as keys of a source.

    Attributes:
        keys: of all images.
        file_of: the file of each, and the image's number in it.
        layout: labels, parts and groups of the images, and notes on these.
    """

    keys: list[str]
    file_of: Mapping[str, tuple[str, int]]
    layout: Layout


def expand(listings: Mapping[str, Listing], layout: Layout) -> Expanded:
    """Images instead of files; those of one file are one group where there are enough files to divide."""
    several = [key for key, one in listings.items() if len(one.names) > 1]
    groups = dict(layout.groups)
    notes, split_notes = list(layout.notes), list(layout.split_notes)
    patients = {key: one.group for key, one in listings.items() if one.group}
    if not groups and len(set(patients.values())) > 1 and len(set(patients.values())) < len(patients):
        groups = {key: f"patient {name}" for key, name in patients.items()}
        notes.append(f"{len(set(groups.values()))} groups by the patients of DICOM files")
    if several and not groups and len(several) >= FEW:
        groups = {key: key for key in several}
    file_of = {
        (f"{key}#{name}" if name else key): (key, number)
        for key, one in listings.items()
        for number, name in enumerate(one.names)
    }
    if several:
        many = sum(len(listings[key].names) for key in several)
        files = "1 file holds" if len(several) == 1 else f"{len(several)} files hold"
        notes.append(
            f"{files} several images each, {many} in all (such as {several[0]}#{listings[several[0]].names[0]})"
        )
        if not groups and not layout.splits and not any(one.splits for one in listings.values()):
            split_notes.append(
                f"with fewer than {FEW} such files the held-out part is drawn by image, so images of one file fall on "
                "both sides; --groups divides them by file"
            )
    layout = replace(layout, groups=groups, notes=tuple(notes), split_notes=tuple(split_notes))
    return Expanded(list(file_of), file_of, _layout(listings, file_of, layout))


def _layout(listings: Mapping[str, Listing], file_of: Mapping[str, tuple[str, int]], layout: Layout) -> Layout:
    """The layout of the files, or what the files themselves say, for each of their images."""
    labels: dict[str, str] = {}
    splits: dict[str, str] = {}
    for key, (file, number) in file_of.items():
        own = listings[file]
        label = own.labels[number] if own.labels else layout.labels.get(file, "")
        part = own.splits[number] if own.splits else layout.splits.get(file, "")
        labels |= {key: label} if label else {}
        splits |= {key: part} if part else {}
    classes = layout.classes
    if any(one.labels for one in listings.values()):
        found = set(labels.values())
        classes = tuple(
            sorted(found, key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0, name))
        )
    targets = layout.targets and {
        key: layout.targets[file] for key, (file, _) in file_of.items() if file in layout.targets
    }
    groups = {key: layout.groups[file] for key, (file, _) in file_of.items() if file in layout.groups}
    return replace(layout, labels=labels, splits=splits, classes=classes, targets=targets, groups=groups)
