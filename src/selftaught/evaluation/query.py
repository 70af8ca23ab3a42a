"""The vector of one image, video or sound that the user gives, to find similar ones to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from selftaught.core.settings.groups import DataSettings, Precision
from selftaught.core.settings.values import COLOURS
from selftaught.data.batch import Batch
from selftaught.data.decode.containers.opening import read_alone
from selftaught.data.decode.fit import as_shown
from selftaught.data.decode.video import read_header
from selftaught.data.files.file_kinds import VIDEO_SUFFIXES, is_sound
from selftaught.data.files.file_tree import FolderTree, Unreadable
from selftaught.data.files.file_walk import FoundFile, FoundFiles
from selftaught.data.sources.base import Entry, Source
from selftaught.data.sources.layout import Layout
from selftaught.data.sources.value_range import decoding_of
from selftaught.data.sources.video_folder import VideoFolder
from selftaught.data.sources.videos.frame_folders import FrameFolders, one_frame_folder
from selftaught.data.sources.videos.sound_beside import why_unheard
from selftaught.data.sources.videos.sound_files import SoundFiles
from selftaught.data.store.open import store_side
from selftaught.data.store.samples import NothingReadable
from selftaught.data.store.video_samples import open_video_samples
from selftaught.encoders.base import Encoder
from selftaught.features.encode import all_features, encode, probe_sampling
from selftaught.ops.crop import crop_resize

CLIPS = 3
"""Clips of a video, evenly spread, whose features are averaged where it is embedded."""


def check_query(path: Path, encoder: Encoder, reading: DataSettings) -> None:
    """Refuse a file or folder that cannot be read, or that this encoder cannot take."""
    sees_colours = encoder.kind != "image" or encoder.channels == COLOURS
    if path.is_dir() and sees_colours:
        _frames(path, fps=1.0)
        return
    if encoder.kind == "audio" and path.suffix.lower() not in VIDEO_SUFFIXES:
        if not is_sound(path.name):
            raise ValueError(f"--query {path} is no sound, but {encoder.name} takes sound; give a file such as .wav")
        if why := why_unheard(*_beside(path)):
            raise ValueError(f"--query {path} cannot be read: {why}")
        return
    if not _is_video(path, encoder):
        query_image(path, reading)
        if encoder.kind != "image":
            raise ValueError(
                f"--query {path} is an image, but {encoder.name} takes clips; give a video or a folder of frames"
            )
        return
    if not sees_colours:
        raise ValueError(
            f"--query {path} is a video in colours, but {encoder.name} takes {encoder.channels} channels; give such an "
            "image"
        )
    try:
        path.stat()
        read_header(str(path))
    except (OSError, Unreadable) as error:
        raise _unreadable(path, error) from None


def query_vector(path: Path, encoder: Encoder, reading: DataSettings, *, size: int, precision: Precision) -> Tensor:
    """Features (1, D) float32: of a video those of its middle frame.

    For an encoder of clips or audio the mean over `CLIPS` clips, as of every video that is searched.
    """
    if is_sound(path.name) or encoder.kind == "audio":
        source: Source = _sound(path) if is_sound(path.name) else _video(path)
    elif not _is_video(path, encoder):
        return encode(encoder, _square(path, reading), size, precision)
    else:
        source = _frames(path, fps=reading.frame_rate) if path.is_dir() else _video(path)
    try:
        # No room for a store: the few frames are decoded from the file itself.
        samples = open_video_samples(
            source,
            side=store_side(size),
            sampling=probe_sampling(encoder),
            cache_limit_gb=0.0,
            workers=1,
        )
    except NothingReadable as error:
        raise ValueError(f"--query {path} cannot be used: {error.skipped[0][1]}") from None
    except Unreadable as error:
        raise _unreadable(path, error) from None
    device = next(encoder.parameters()).device
    clips = 1 if encoder.kind == "image" else CLIPS
    return all_features(encoder, samples, size=size, device=device, precision=precision, clips=clips)


def _video(path: Path) -> VideoFolder:
    tree, key = _beside(path)
    return VideoFolder(tree, [Entry(key=key)], classes=None)


def _sound(path: Path) -> SoundFiles:
    tree, key = _beside(path)
    return SoundFiles(tree, [Entry(key=key)], Layout(labels={}, splits={}, classes=None), {key: key})


def _beside(path: Path) -> tuple[FolderTree, str]:
    """The folder of a file as a tree that holds it alone, and its name."""
    try:
        state, alone = path.stat(), FoundFiles()
    except OSError as gone:
        raise _unreadable(path, gone) from None
    alone.append(FoundFile(path.name, state.st_size, state.st_mtime_ns))
    return FolderTree(path.parent, alone), path.name


def _frames(path: Path, *, fps: float) -> FrameFolders:
    try:
        return one_frame_folder(path, fps=fps)
    except ValueError as wrong:
        raise ValueError(f"--query {wrong}") from None


def _is_video(path: Path, encoder: Encoder) -> bool:
    if path.is_dir():
        return True
    # As in a folder of data: an animation is a clip where clips are asked for, else its first frame is taken.
    return path.suffix.lower() in VIDEO_SUFFIXES | ({".gif"} if encoder.kind == "video" else set())


def _unreadable(path: Path, error: Exception) -> ValueError:
    return ValueError(f"--query {path} cannot be read: {getattr(error, 'strerror', None) or error}")


def query_image(path: Path, reading: DataSettings) -> NDArray[np.uint8]:
    """An image (H, W, C), a page or a tile of one, as those of data are read and shown; a ValueError says why not."""
    decoding = decoding_of(reading)
    try:
        return as_shown(read_alone(path, decoding, tile=reading.tile, overlap=reading.overlap), decoding=decoding)
    except (OSError, Unreadable) as error:
        raise _unreadable(path, error) from None


def _square(path: Path, reading: DataSettings) -> Batch:
    picture = query_image(path, reading)
    pixels = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None]
    height, width = pixels.shape[-2:]
    side = min(height, width)
    box = torch.tensor([[(height - side) / 2, (width - side) / 2, side, side]], dtype=torch.float32)
    # Large photographs go through the same two-step reduction as stored ones.
    square = crop_resize(pixels, box, min(side, 512)).mul(255).round().byte()
    return Batch(index=torch.zeros(1, dtype=torch.int64), inputs={"image": square})
