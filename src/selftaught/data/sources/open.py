"""Where samples come from: a path or a name says which source it is."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from selftaught.core.names import unknown_name
from selftaught.core.objects.registry import is_object
from selftaught.core.own_folder import is_own
from selftaught.core.settings.groups import DataSettings
from selftaught.data.files.file_kinds import extra_advice, is_array, is_picture, is_scientific, suffix_of
from selftaught.data.files.hints import NO_HINTS, Hints, UnfitHint
from selftaught.data.files.left_out import other_kinds
from selftaught.data.inputs import GIVEN
from selftaught.data.modality import WORDS
from selftaught.data.sources.torchvision_names import TORCHVISION_NAMES, VOC_NAMES
from selftaught.data.sources.world.settings import is_world

if TYPE_CHECKING:
    from selftaught.data.files.file_tree import FileTree
    from selftaught.data.sources.base import Source

_TAR = re.compile(r"\.(tar|tar\.\w+|tgz|tbz2?|txz)$", re.IGNORECASE)
_MAPS = {
    "mask": "give a VOC tree, images with COCO's JSON files, or folders images and masks with a classes.txt",
    "depth": "give folders images and depth, with PNG of 16 bits in millimetres",
    "box": "give a VOC tree or images with COCO's JSON files",
}
"""What to do where they are needed and a source has none."""

_MANY = 4
"""Kinds from which on they are listed with commas."""


def open_part(data: DataSettings, *, split: str, needs: frozenset[str], held_out: float | None = None) -> Source:
    """One split of the data of a run or an evaluation; `open_source` with what their settings say.

    Args:
        data: which data, and how they are read.
        split: "train", "held_out" or "test".
        needs: what the task or probe asks for.
        held_out: share that is held out where the data have no splits; None for that of the settings.
    """
    share = data.held_out if held_out is None else held_out
    hints = Hints(
        frame_rate=data.frame_rate,
        split_file=data.split_file,
        split_number=data.split_number,
        groups=data.groups,
        label_column=data.label_column,
        channels=data.channels,
        tile=data.tile,
        overlap=data.overlap,
        max_image_pixels=data.max_image_pixels,
    )
    return open_source(data.path, split=split, needs=needs, download=data.download, held_out=share, hints=hints)


def open_source(
    data: str,
    *,
    split: str,
    needs: frozenset[str],
    download: bool = False,
    seed: int = 0,
    held_out: float = 0.1,
    hints: Hints = NO_HINTS,
) -> Source:
    """Open one split of the data; of images and frames at most a few are decoded, to know what they are.

    A data set's own name (`cifar10`, `demo`, `synthetic`) goes before a folder of the same name; write ./cifar10 for
    the folder.

    Args:
        data: folder, zip, Parquet file or folder of them, WebDataset tars (path, {000..005} range or URL), torchvision
            data set name, hf:OWNER/NAME, folder of videos, demo, synthetic, moving:digits and moving:IMAGES, or world.
        split: "train", "held_out" or "test"; the data's own where they have them (held_out is val, else test).
        needs: of "image", "video", "audio", "label", "labels", "mask", "depth": what the task or probe asks for.
        download: allow torchvision and Hugging Face data sets to be downloaded.
        seed: of the share that is held out where the data have no splits.
        held_out: that share, in [0, 1).
        hints: what the files do not say.
    """
    source = _by_name(data, split=split, needs=needs, download=download, seed=seed, held_out=held_out, hints=hints)
    if source is None:
        source = _by_path(data, split=split, needs=needs, seed=seed, held_out=held_out, hints=hints)
    source.name = data
    _refuse_lack(source, needs)
    _refuse_hints(source, hints)
    return source


def _by_name(
    data: str, *, split: str, needs: frozenset[str], download: bool, seed: int, held_out: float, hints: Hints
) -> Source | None:
    if data == "demo":
        from selftaught.data.sources.demo import open_demo

        return open_demo(split, needs, seed, held_out)
    if data == "synthetic" or data.startswith("synthetic:"):
        from selftaught.data.sources.synthetic import open_synthetic

        return open_synthetic(data, split=split, seed=seed, held_out=held_out)
    if data.startswith("moving:"):
        from selftaught.data.sources.moving.settings import read_settings
        from selftaught.data.sources.moving.source import open_moving

        moving = read_settings(data)
        kinds = frozenset({"image", "label"} if moving.label == "identity" else {"image"})

        def images(part: str) -> Source:
            return open_source(moving.data, split=part, needs=kinds, download=download, held_out=max(held_out, 0.2))

        return open_moving(moving, split=split, open_images=images)
    if is_world(data):
        return _world(data, split=split, download=download)
    if is_object(data, "dataset"):
        from selftaught.data.sources.own_dataset import open_dataset

        return open_dataset(data, split=split, needs=needs, seed=seed, held_out=held_out)
    if data.startswith("hf:"):
        from selftaught.data.sources.hub import open_hub

        return open_hub(data, split=split, needs=needs, download=download, seed=seed, held_out=held_out, hints=hints)
    if data.lower() in VOC_NAMES and needs & {"label", "labels", "mask"}:
        from selftaught.data.sources.image_folder import open_image_folder
        from selftaught.data.sources.torchvision_data import torchvision_voc

        tree = torchvision_voc(data.lower(), download=download)
        return open_image_folder(tree, split=split, needs=needs, seed=seed, held_out=held_out)
    if data.lower() in TORCHVISION_NAMES:
        from selftaught.data.sources.torchvision_data import open_torchvision

        return open_torchvision(data.lower(), split=split, needs=needs, download=download, seed=seed, held_out=held_out)
    if "://" in data or (_TAR.search(data) and not Path(data).expanduser().is_dir()):
        from selftaught.data.sources.webdataset import open_webdataset

        return open_webdataset(data, split=split, needs=needs, seed=seed, held_out=held_out, hints=hints)
    return None


def _world(data: str, *, split: str, download: bool) -> Source:
    from selftaught.data.sources.world.settings import read_settings
    from selftaught.data.sources.world.source import open_world

    return open_world(read_settings(data), split=split, open_images=lambda path: open_photos(path, download=download))


def open_photos(data: str, *, download: bool = False) -> Source:
    """Images of a path or name that surfaces of rendered scenes are covered with."""
    return open_source(data, split="train", needs=frozenset({"image"}), download=download)


def _by_path(data: str, *, split: str, needs: frozenset[str], seed: int, held_out: float, hints: Hints) -> Source:
    path = _expanded(data)
    if any(p.suffix.lower() == ".zip" for p in (path, *path.parents)):
        from selftaught.data.files.zip_tree import ZipTree, archive_of

        archive = archive_of(path)
        if archive is not None:
            tree = ZipTree(archive, path.relative_to(archive).as_posix().removeprefix("."))
            return _archive(tree, split=split, needs=needs, seed=seed, held_out=held_out, hints=hints)
    if path.is_dir():
        return _folder(path, split=split, needs=needs, seed=seed, held_out=held_out, hints=hints)
    if path.is_file():
        if path.suffix.lower() in (".parquet", ".pq"):
            from selftaught.data.sources.parquet import open_parquet

            return open_parquet([path], split=split, needs=needs, seed=seed, held_out=held_out, hints=hints)
        if path.suffix.lower() == ".arrow":
            from selftaught.data.sources.arrow_files import open_arrow

            return open_arrow([path], split=split, needs=needs, seed=seed, held_out=held_out, hints=hints)
        if is_scientific(str(path)) and (is_picture(str(path)) or is_array(str(path))):
            from selftaught.data.files.file_tree import alone

            return _images(alone(path), split=split, needs=needs, seed=seed, held_out=held_out, hints=hints)
        raise ValueError(
            f"{data} is a single file of kind {path.suffix or '(none)'}; "
            f"give its folder, or a .zip, .parquet, .tar, .npz or .tif file{extra_advice([str(path)])}"
        )
    known = ["demo", "synthetic", "moving:digits", "world", *TORCHVISION_NAMES]
    raise ValueError(f"no file or folder {data}; " + unknown_name("data set name", data, known))


def _expanded(data: str) -> Path:
    try:
        return Path(data).expanduser()
    except RuntimeError:  # ~name of nobody
        return Path(data)


def _archive(tree: FileTree, *, split: str, needs: frozenset[str], seed: int, held_out: float, hints: Hints) -> Source:
    """The images or videos of a zip, chosen by what is needed as of a folder."""
    from selftaught.data.sources.video_folder import open_video_folder, videos_of

    if (needs & {"video", "audio"} or not any(map(is_picture, tree.keys))) and videos_of(tree, needs):
        return open_video_folder(tree, split=split, needs=needs, seed=seed, held_out=held_out, hints=hints)
    source = _sounds(tree, split=split, needs=needs, seed=seed, held_out=held_out, hints=hints)
    return source or _images(tree, split=split, needs=needs, seed=seed, held_out=held_out, hints=hints)


def _sounds(
    tree: FileTree, *, split: str, needs: frozenset[str], seed: int, held_out: float, hints: Hints
) -> Source | None:
    """Images with files of sound, or these alone, where sound is needed and there are some."""
    if "audio" not in needs:
        return None
    from selftaught.data.sources.videos.sound_files import open_sound_files

    return open_sound_files(tree, split=split, needs=needs, seed=seed, held_out=held_out, hints=hints)


def _images(tree: FileTree, *, split: str, needs: frozenset[str], seed: int, held_out: float, hints: Hints) -> Source:
    """The images of a folder or zip; where videos are needed, its folders of frames if there are some."""
    if needs & {"video", "audio"}:
        from selftaught.data.sources.videos.frame_folders import open_frame_folders

        videos = open_frame_folders(tree, split=split, needs=needs, seed=seed, held_out=held_out, hints=hints)
        if videos is not None:
            return videos
    from selftaught.data.sources.image_folder import open_image_folder

    return open_image_folder(tree, split=split, needs=needs, seed=seed, held_out=held_out, hints=hints)


def _folder(path: Path, *, split: str, needs: frozenset[str], seed: int, held_out: float, hints: Hints) -> Source:
    """What a folder holds decides; where it holds images and videos, what is needed decides."""
    from selftaught.data.files.file_kinds import told_kinds
    from selftaught.data.files.file_tree import FolderTree
    from selftaught.data.files.file_walk import find_files
    from selftaught.data.sources.image_folder import pictures_of
    from selftaught.data.sources.video_folder import open_video_folder, videos_of

    files = find_files(path)
    if (path / "selftaught-world.json").is_file() and not needs & {"box", "mask", "label", "labels"}:
        from selftaught.data.sources.world.written import open_written_world

        return open_written_world(path, files, split=split, seed=seed, held_out=held_out)
    tree = FolderTree(path, files)
    suffixes = Counter(suffix_of(key) for key in tree.keys)
    pictures = any(is_picture(suffix) for suffix in suffixes)
    videos = bool(videos_of(tree, needs)) if needs & {"video", "audio"} or not pictures else False
    if videos:
        return open_video_folder(path, split=split, needs=needs, seed=seed, held_out=held_out, files=files, hints=hints)
    if source := _sounds(tree, split=split, needs=needs, seed=seed, held_out=held_out, hints=hints):
        return source
    if not pictures:
        source = _shards(path, tree.keys, split=split, needs=needs, seed=seed, held_out=held_out, hints=hints)
        if source is not None:
            return source
    if pictures or pictures_of(tree):
        return _images(tree, split=split, needs=needs, seed=seed, held_out=held_out, hints=hints)
    if not files and is_own(path):
        raise ValueError(
            f"{path} is a folder that selftaught wrote, such as a run, and holds no data; give the folder of your files"
        )
    unusable = f" ({len(tree.unusable)} more cannot be opened, such as {tree.unusable[0][0]})" if tree.unusable else ""
    kinds = f" ({told_kinds(suffixes)})" if suffixes else ""
    packed = next((key for key in tree.keys if _TAR.search(key)), "")
    advice = (
        f"; unpack {packed} to a plain .tar first, as a compressed one cannot be read at any place" if packed else ""
    )
    raise ValueError(
        f"{path} holds no images, videos, .parquet, .arrow, .tar or .zip files among its {len(files)} files"
        f"{kinds}{unusable}; give the folder that does{advice}{extra_advice(tree.keys)}"
    )


def _shards(
    path: Path, keys: list[str], *, split: str, needs: frozenset[str], seed: int, held_out: float, hints: Hints
) -> Source | None:
    """The Parquet files, else the Arrow files, the tars, the one zip of a folder without images and videos."""
    by_suffix = {
        suffix: [path / key for key in keys if key.lower().endswith(suffix)]
        for suffix in (".parquet", ".arrow", ".tar", ".zip")
    }
    source: Source | None = None
    if files := by_suffix[".parquet"]:
        from selftaught.data.sources.parquet import open_parquet

        source = open_parquet(files, split=split, needs=needs, seed=seed, held_out=held_out, hints=hints)
    elif files := [file for file in by_suffix[".arrow"] if not file.name.startswith(("cache-", "indices"))]:
        from selftaught.data.sources.arrow_files import open_arrow

        source = open_arrow(files, split=split, needs=needs, seed=seed, held_out=held_out, hints=hints)
    elif files := by_suffix[".tar"]:
        from selftaught.data.sources.webdataset import open_webdataset

        shards = [str(file) for file in files]
        source = open_webdataset(
            str(path), split=split, needs=needs, seed=seed, held_out=held_out, shards=shards, hints=hints
        )
    elif len(files := by_suffix[".zip"]) == 1:
        source = _by_path(str(files[0]), split=split, needs=needs, seed=seed, held_out=held_out, hints=hints)
    elif files:
        names = ", ".join(file.name for file in files[:5])
        raise ValueError(f"{path} holds {len(files)} zip archives ({names}); give one of them")
    if source is not None:
        read = set(files)
        left, notes = other_kinds((key for key in keys if path / key not in read), "archives")
        source.left_out, source.notes = source.left_out + left, [*source.notes, *notes]
    return source


def _refuse_hints(source: Source, hints: Hints) -> None:
    """An error where the data are of a kind for which what was said of them has no meaning."""
    if hints.groups is not None and source.groups is None:
        raise UnfitHint(f"--groups is for folders of images or videos, and {source.name} is none; leave it out")
    if hints.label_column is not None and not source.has_table:
        raise UnfitHint(
            f"--label-column names a column of labels.csv, and {source.name} has none; leave it out, or write a "
            "labels.csv with the columns file and " + hints.label_column
        )
    if hints.tile is not None and not source.reads_tiles:
        raise ValueError(
            f"--tile {hints.tile}, given or that of the run, is for folders and zips of images and for NumPy, TIFF and "
            f"DICOM files, and {source.name} is none; give such data, or leave it out"
        )
    if hints.channels != NO_HINTS.channels and not source.reads_channels:
        raise ValueError(
            f"--channels {hints.channels}, given or those of the run, are of images in files, also those in zips, tars "
            f"and tables, and {source.name} is none; give such data, or leave it out"
        )
    given = [flag for flag, value in (("split-file", hints.split_file), ("split-number", hints.split_number)) if value]
    if given and "video" not in source.provides:
        raise UnfitHint(f"--{given[0]} is for videos with official splits, and {source.name} has none; leave it out")


def _refuse_lack(source: Source, needs: frozenset[str]) -> None:
    # A frame of a video is an image, so videos can replace images.
    has = source.provides | ({"image"} if "video" in source.provides else set())
    if "label" in has:  # one class is a case of several
        has = has | {"labels"}
    lacks = sorted(needs - has, key=list(WORDS).index)
    if not lacks:
        return
    if lacks == ["label"] and "labels" in has:
        raise ValueError(
            f"one class for each sample is needed, but those of {source.name} may be of several; "
            "measure it by a probe for several classes, such as --probe svm"
        )
    given = source.provides - {"image"} if "video" in source.provides else source.provides  # its frames are images
    words = [WORDS[kind] for kind in WORDS if kind in given]
    held = " and ".join(words) if len(words) < _MANY else f"{words[0]} with {', '.join(words[1:])}"
    first = source.entries[0].key if len(source) else "nothing"
    do = {
        "video": "give a folder of videos (mp4, mkv, avi, mpg, webm) or of folders of numbered frames",
        "audio": "give videos that have a sound track, or files of sound (.wav, .flac, .mp3) with the names of the "
        "videos, images or folders of frames beside them",
        "label": source.label_advice,
    }
    do["labels"] = do["label"]
    do |= dict.fromkeys(GIVEN, "give rendered scenes (world:), or choose a task that does without them") | _MAPS
    do |= dict.fromkeys(
        ("pose", "intrinsics"), "give rendered scenes (world:), or videos or folders of frames with their poses"
    )
    raise ValueError(
        f"{WORDS[lacks[0]]} are needed, but {source.name} holds {held} only (such as {first}); {do[lacks[0]]}"
        if "audio" not in lacks
        else f"sound is needed, but {source.name} holds {held} without it (such as {first}); {do['audio']}"
    )
