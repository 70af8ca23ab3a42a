"""Images with a file of sound each, and files of sound alone: videos that stand still while the sound is heard."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import final

import numpy as np
from numpy.typing import NDArray

from selftaught.core.names import one_line
from selftaught.data.decode.encoded_video import EncodedVideo, Track
from selftaught.data.decode.frame_sequence import FrameSequence
from selftaught.data.decode.image import decode_image
from selftaught.data.decode.video import decode_sound, track_seconds
from selftaught.data.files.file_kinds import is_picture
from selftaught.data.files.file_tree import FileTree, Unreadable
from selftaught.data.files.hints import Hints
from selftaught.data.files.left_out import left_out_as, other_kinds
from selftaught.data.files.splits import own_part
from selftaught.data.sources.base import Entry, Source
from selftaught.data.sources.layout import Layout, choose_entries, in_no_part, notes_of
from selftaught.data.sources.videos.sound_beside import sounds_beside, sounds_of, track_in, why_unheard
from selftaught.data.sources.videos.video_layout import video_layout

_WINDOW, _BANDS, _STEPS = 512, 64, 96
"""Samples of a window of the spectrogram that is shown of a sound; its rows and columns."""
MUTE = "no sound beside it"
"""Why an image is left out among others that have some."""


@final
class StillVideo(FrameSequence):
    """Two equal frames, at the beginning and the end of a sound."""

    is_drawn = True
    count = 2

    def __init__(self, picture: Callable[[], NDArray[np.uint8]], track: Track) -> None:
        self._draw, self.track = picture, track

    @cached_property
    def fps(self) -> float:  # type: ignore[override]
        """So that the last frame is shown when the sound ends; `Unreadable` where the file of sound is broken."""
        assert self.track is not None
        return 1 / max(track_seconds(self.track), 1e-3)

    @cached_property
    def _picture(self) -> NDArray[np.uint8]:
        return self._draw()

    @property
    def shape(self) -> tuple[int, int]:
        """As `FrameSequence` says."""
        try:
            height, width = self._picture.shape[:2]
        except OSError as gone:
            raise Unreadable(gone.strerror or type(gone).__name__) from gone
        return height, width

    def frames(self, numbers: Iterable[int]) -> Iterator[NDArray[np.uint8] | Exception]:
        """As `FrameSequence` says."""
        for _ in numbers:
            try:
                yield self._picture
            except (OSError, ValueError) as broken:
                yield broken


@final
class SoundFiles(Source):
    """One split of the images that have sound, or of files of sound, of a folder or zip.

    What is seen of a file of sound is its spectrogram, which is for people: it provides no images to learn from.
    """

    def __init__(self, tree: FileTree, entries: list[Entry], layout: Layout, sounds: Mapping[str, str]) -> None:
        self.name = tree.where
        self.entries = entries
        self.classes = None if layout.many else layout.classes
        layout.tell_table(self)
        self.provides = frozenset({"audio"} | ({"label"} if self.classes else set()))
        if any(is_picture(entry.key) for entry in entries):
            self.provides |= {"video", "image"}
        self._tree, self._sounds = tree, sounds
        files = {key for entry in entries for key in (entry.key, sounds[entry.key])}
        self.fingerprint = f"{tree.fingerprint(sorted(files))}-still"

    def read(self, i: int) -> StillVideo:
        """The image of entry `i`, or the spectrogram of its sound, for as long as that is."""
        key = self.entries[i].key
        track = track_in(self._tree, self._sounds[key])
        if is_picture(key):
            return StillVideo(lambda: decode_image(self._tree.read(key)), track)
        return StillVideo(lambda: draw_sound(track), track)


def open_sound_files(
    tree: FileTree, *, split: str, needs: frozenset[str], seed: int, held_out: float, hints: Hints
) -> SoundFiles | None:
    """One split of the images with a file of sound of their name, else of the files of sound where these are enough.

    None where there is neither; arguments as of `open_video_folder`.

    Raises:
        ValueError: where none of the sounds can be read.
    """
    pictures = [key for key in tree.keys if is_picture(key)]
    sounds = sounds_beside(tree, pictures)
    are_images = bool(sounds)
    if not sounds and "video" not in needs:
        sounds = {key: key for key in sounds_of(tree)}
    if not sounds:
        return None
    with ThreadPoolExecutor(8) as pool:
        reasons = dict(zip(sounds, pool.map(lambda key: why_unheard(tree, sounds[key]), sounds), strict=True))
    broken = [(sounds[key], why) for key, why in reasons.items() if why is not None]
    keys = [key for key, why in reasons.items() if why is None]
    if not keys:
        raise ValueError(
            f"none of the {len(broken)} files of sound of {tree.where} can be read (the first, {broken[0][0]}: "
            f"{broken[0][1]}); give files such as .wav, .flac or .mp3"
        )
    layout = video_layout(tree, keys, hints)
    entries = choose_entries(keys, layout, split=split, needs=needs, seed=seed, held_out=held_out, where=tree.where)
    source = SoundFiles(tree, entries, layout, sounds)
    source.part = own_part(keys, layout.splits, split)
    known = {*sounds, *sounds.values()}
    mute = [key for key in pictures if key not in known] if are_images else []
    rest = (key for key in tree.keys if key not in known and key not in set(mute))
    others, notes = other_kinds(rest, "images" if are_images else "files of sound")
    source.left_out = tree.left_out + others + left_out_as("in no part", in_no_part(keys, layout), "in no part")
    if mute:
        notes.append(told_mute(mute))
    source.notes = [one_line(note) for note in (*tree.told(), *notes, *notes_of(keys, layout, needs))]
    if split == "train":
        source.skipped = [*tree.unusable, *layout.missing, *broken, *((key, MUTE) for key in mute)]
    return source


def told_mute(keys: Sequence[str]) -> str:
    """The sentence on images that have no sound."""
    return f"{len(keys)} images without a file of sound of their name were left out (such as {keys[0]})"


def draw_sound(track: Track) -> NDArray[np.uint8]:
    """Spectrogram (64, 96, 3) uint8 of a whole sound: loud is bright, high frequencies are at the top, to 8 kHz."""
    heard = [piece for _, piece in decode_sound(EncodedVideo(track, track))]
    sound = np.concatenate([np.zeros(_WINDOW, np.int16), *heard]).astype(np.float32)
    starts = np.linspace(0, len(sound) - _WINDOW, _STEPS).astype(int)
    windows = sound[starts[:, None] + np.arange(_WINDOW)] * np.hanning(_WINDOW).astype(np.float32)
    power = np.log10(1 + np.abs(np.fft.rfft(windows))[:, 1:])
    bands = power.reshape(_STEPS, _BANDS, -1).mean(2).T[::-1]
    grey = (255 * bands / max(float(bands.max()), 1e-6)).astype(np.uint8)
    return np.ascontiguousarray(np.repeat(grey[:, :, None], 3, 2))
