"""WebDataset tars and tars of a folder: local ones are read by offset, remote ones (any fsspec URL) streamed."""

from __future__ import annotations

import glob
import io
import os
import re
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import IO, final

import fsspec
import numpy as np
from fsspec.core import url_to_fs

from selftaught.core.files import digest
from selftaught.data.decode.containers.only_image import only_image
from selftaught.data.decode.containers.opening import USUAL_READING, Reading
from selftaught.data.decode.encoded_video import EncodedVideo, PartOfFile
from selftaught.data.decode.image import Payload, decode_image
from selftaught.data.decode.values import Values
from selftaught.data.decode.video import with_own_sound
from selftaught.data.files.content import fingerprint_of, stat_file
from selftaught.data.files.file_kinds import is_array, is_picture, is_scientific, is_video
from selftaught.data.files.file_tree import Unreadable
from selftaught.data.files.hints import NO_HINTS, Hints
from selftaught.data.files.left_out import left_out_as, other_kinds
from selftaught.data.files.shard_names import shard_splits, short_names
from selftaught.data.files.splits import own_part
from selftaught.data.sources.base import Entry, Source
from selftaught.data.sources.layout import choose_entries
from selftaught.data.sources.tars.tar_index import TarIndex, check_bytes, index_of
from selftaught.data.sources.tars.tar_samples import member_layout, one_picture_each
from selftaught.data.sources.tars.tar_stream import Kind
from selftaught.data.sources.videos.sound_files import MUTE, StillVideo, told_mute

_MOST_SHARDS = 1_000_000
_COMPRESSED = (".gz", ".tgz", ".bz2", ".tbz2", ".tbz", ".xz", ".txz", ".zst", ".zstd", ".lz4")


@final
class WebDataset(Source):
    """One split of some shards; a sample is the members that share a name up to the first dot.

    Of images with files of sound each is a video that stands still while its sound is heard.
    """

    def __init__(
        self,
        urls: list[str],
        indexes: list[TarIndex],
        entries: list[Entry],
        places: list[tuple[int, int]],
        stamp: str,
        tracks: Mapping[str, str] = MappingProxyType({}),
        reading: Reading = USUAL_READING,
    ) -> None:
        """`tracks` are the files of sound beside videos or images in their tars, by the keys of these."""
        self.entries = entries
        self.classes = None
        self.is_video = any(is_video(entry.key) for entry in entries)
        self.is_moving = self.is_video or bool(tracks)
        self.provides = frozenset({"video", "image", "audio"} if self.is_moving else {"image"})
        self.label_advice = "give each sample a .cls or .json member, or put the images of each class into a folder"
        self._tracks = tracks
        beside = [tracks[entry.key] for entry in entries if entry.key in tracks]
        still = ["still"] if beside and not self.is_video else []
        numbers = [repr(reading)] if not self.is_moving and any(is_scientific(entry.key) for entry in entries) else []
        self.fingerprint = digest([stamp, *(entry.key for entry in entries), *beside, *still, *numbers])
        self.reads_channels = not self.is_moving
        self._reading = reading
        self.random_access = all(map(_is_local, urls))
        self._urls, self._indexes, self._places = urls, indexes, places
        self._open: dict[int, int] = {}

    def read(self, i: int) -> bytes | Values | EncodedVideo | StillVideo:
        if not self.is_moving:
            return only_image(self._bytes(i), self._reading)
        number, at = self._places[i]
        index = self._indexes[number]
        track = index.sounds.get(self._tracks.get(self.entries[i].key, ""))
        if track is not None and not self.is_video:
            return StillVideo(lambda: decode_image(self._bytes(i)), lambda: self._member(number, *track))
        return with_own_sound(
            EncodedVideo(
                lambda: self._member(number, index.offsets[at], index.sizes[at]),
                None if track is None else lambda: self._member(number, *track),
            )
        )

    def _member(self, number: int, start: int, size: int) -> IO[bytes]:
        """A video or sound as a file: of a local shard read by offset, of a remote one whole."""
        if not _is_local(self._urls[number]):
            return io.BytesIO(self._part(number, start, _checked(size)))
        descriptor = self._descriptor(number)
        if os.fstat(descriptor).st_size < start + size:
            raise Unreadable(f"cut off in {Path(self._urls[number]).name}")
        return io.BufferedReader(PartOfFile(descriptor, start, size), 1 << 16)

    def _bytes(self, i: int) -> bytes:
        number, at = self._places[i]
        return self._part(number, self._indexes[number].offsets[at], self._size(number, at))

    def _part(self, number: int, start: int, size: int) -> bytes:
        url = self._urls[number]
        if _is_local(url):
            data = os.pread(self._descriptor(number), size, start)
        else:
            data = url_to_fs(url)[0].cat_file(url_to_fs(url)[1], start, start + size)
        return self._whole(data, number, size)

    def iterate(self) -> Iterator[tuple[int, Payload | Exception]]:
        if self.is_moving:
            yield from super().iterate()
            return
        wanted = {place: i for i, place in enumerate(self._places)}
        for number, (url, index) in enumerate(zip(self._urls, self._indexes, strict=True)):
            order = np.argsort(index.offsets, kind="stable").tolist()
            rows = [(at, wanted[number, at]) for at in order if (number, at) in wanted]
            try:
                stream = fsspec.open(url, "rb").open()
            except OSError as gone:
                yield from ((i, gone) for _, i in rows)
                continue
            with stream:
                for at, i in rows:
                    try:
                        size = self._size(number, at)
                        stream.seek(index.offsets[at])
                        yield i, only_image(self._whole(stream.read(size), number, size), self._reading)
                    except (OSError, ValueError) as broken:
                        yield i, broken

    def _size(self, number: int, at: int) -> int:
        return _checked(self._indexes[number].sizes[at])

    def _whole(self, data: bytes, number: int, size: int) -> bytes:
        if len(data) < size:
            raise Unreadable(f"cut off in {Path(self._urls[number]).name}")
        return bytes(data)

    def _descriptor(self, number: int) -> int:
        # Two threads may open the same shard at once; the second descriptor lives as long and does no harm.
        if number not in self._open:
            self._open[number] = os.open(self._urls[number], os.O_RDONLY)
            weakref.finalize(self, os.close, self._open[number])
        return self._open[number]


def _checked(size: int) -> int:
    if too_large := check_bytes(size):
        raise Unreadable(too_large)
    return size


def open_webdataset(
    data: str,
    *,
    split: str,
    needs: frozenset[str],
    seed: int,
    held_out: float,
    shards: Sequence[str] | None = None,
    hints: Hints = NO_HINTS,
) -> WebDataset:
    """One split of the shards that `data` names; folders and files named train*, val* or test* are that split.

    A shard that is no tar is left out and listed, where others are whole.

    Args:
        data: path, glob or URL, where {000..005} stands for the numbers from 000 to 005; a path that exists is itself.
        split: "train", "held_out" or "test".
        needs: what the task or probe asks for.
        seed: of the share that is held out where the data have no splits.
        held_out: that share.
        shards: the tars, where they are known already.
        hints: how images are taken from their files.
    """
    urls = list(shards) if shards is not None else expand(data)
    urls, indexes, stamps, skipped = _whole_shards(urls)
    names = short_names(urls)
    kind = _kind(indexes, needs)
    wants_videos = kind == "video"
    places, unlike = _places(indexes, names, kind=kind)
    tracks, unheard = _sounds(indexes, names, places if "audio" in needs and kind != "array" else [])
    unlike += unheard if tracks or wants_videos or "audio" not in needs else _refused(data, unheard)
    members = [indexes[number].keys[at] for number, at in places]
    shard_of = [number for number, _ in places]
    taken, others = (list(range(len(members))), []) if wants_videos else one_picture_each(members, shard_of)
    keys = [f"{names[number]}/{members[i]}" for i, (number, _) in enumerate(places)]
    if not taken:
        raise ValueError(f"{data} holds no images or videos in its {len(urls)} tar files")
    place_of = {keys[i]: places[i] for i in taken}
    mute = [] if wants_videos or not tracks else [key for key in place_of if key not in tracks]
    place_of = {key: place for key, place in place_of.items() if key not in set(mute)}
    taken = [i for i in taken if keys[i] in place_of]
    pictures, layout = member_layout(
        list(place_of), [members[i] for i in taken], [places[i][0] for i in taken], indexes, needs=needs, where=data
    )
    by_shard = shard_splits(names)
    if any(by_shard):
        layout = replace(layout, splits={key: by_shard[place_of[key][0]] for key in pictures})
    entries = choose_entries(pictures, layout, split=split, needs=needs, seed=seed, held_out=held_out, where=data)
    chosen = [place_of[entry.key] for entry in entries]
    source = WebDataset(urls, indexes, entries, chosen, digest(stamps), tracks, Reading.of(hints))
    source.part = own_part(pictures, layout.splits, split)
    is_taken = set(pictures)
    maps = [*(keys[i] for i in others), *(key for key in place_of if key not in is_taken)]
    left, told = other_kinds(unlike, "videos" if wants_videos else "images")
    source.left_out = left_out_as("masks", maps, "belongs to another image of its sample") + left
    source.notes = [*_notes(maps, skipped), *told, *([told_mute(mute)] if mute else [])]
    if split == "train":
        source.skipped = [*skipped, *((key, MUTE) for key in mute)]
    layout.tell(source)
    return source


def _kind(indexes: Sequence[TarIndex], needs: frozenset[str]) -> Kind:
    """What the samples of tars are: videos where they are needed, else images, else videos, else arrays."""
    has_videos = any(is_video(key) for index in indexes for key in index.keys)
    has_images = any(is_picture(key) for index in indexes for key in index.keys)
    if has_videos and (needs & {"video", "audio"} or not has_images):
        return "video"
    return "image" if has_images else "array"


_OF_KIND: Mapping[Kind, Callable[[str], bool]] = {"image": is_picture, "array": is_array, "video": is_video}


def _places(
    indexes: Sequence[TarIndex], names: Sequence[str], *, kind: Kind
) -> tuple[list[tuple[int, int]], list[str]]:
    """(shard, position) of all members of a kind; and the names of all others."""
    places: list[tuple[int, int]] = []
    unlike: list[str] = []
    for number, (name, index) in enumerate(zip(names, indexes, strict=True)):
        unlike += [f"{name}/{member}" for member in index.others]
        for at, key in enumerate(index.keys):
            if _OF_KIND[kind](key):
                places.append((number, at))
            else:
                unlike.append(f"{name}/{key}")
    return places, unlike


def _sounds(
    indexes: Sequence[TarIndex], names: Sequence[str], videos: Sequence[tuple[int, int]]
) -> tuple[dict[str, str], list[str]]:
    """Key of a video -> the file of sound of its name in its tar, of several the first; and the names of all others."""
    found: dict[str, str] = {}
    by_name = [{sound[: sound.rfind(".")]: sound for sound in reversed(index.sounds)} for index in indexes]
    for number, at in videos:
        key = indexes[number].keys[at]
        if sound := by_name[number].get(key[: key.rfind(".")]):
            found[f"{names[number]}/{key}"] = sound
    taken = {f"{key[: key.rfind('.')]}{sound[sound.rfind('.') :]}" for key, sound in found.items()}
    others = [f"{name}/{sound}" for name, index in zip(names, indexes, strict=True) for sound in index.sounds]
    return found, [sound for sound in others if sound not in taken]


def _refused(data: str, unheard: list[str]) -> list[str]:
    """Nothing, or an error where there are files of sound of no image, as where folders of frames have them."""
    if unheard:
        raise ValueError(
            f"sound is needed, but no file of sound in the tars of {data} (such as {unheard[0]}) has the name of an "
            "image there; give such, or folders of frames with their sound in a folder or zip"
        )
    return unheard


def _whole_shards(urls: list[str]) -> tuple[list[str], list[TarIndex], list[str], list[tuple[str, str]]]:
    """The shards that can be read, their indexes and stamps, and what of all shards cannot be used."""
    found: list[tuple[str, TarIndex, str]] = []
    skipped: list[tuple[str, str]] = []
    first: ValueError | None = None
    for url, name in zip(urls, short_names(urls), strict=True):
        try:
            stamp = _stamp(url)
            index = index_of(url, _change(url) or stamp)
        except OSError as refused:
            if not _is_local(url):
                raise ValueError(f"{url} cannot be read: {refused or type(refused).__name__}") from None
            skipped.append((name, refused.strerror or str(refused)))
            first = first or ValueError(f"{url} cannot be read: {refused.strerror or refused}")
        except ValueError as broken:
            if not _is_local(url):  # a server that does not answer is no damaged file
                raise
            skipped.append((name, str(broken).removeprefix(f"{url} ")))
            first = first or broken
        else:
            found.append((url, index, stamp))
            skipped += [(f"{name}/{member}", reason) for member, reason in index.skipped]
            skipped += [(name, index.cut)] if index.cut else []
    if not found and first is not None:
        raise first
    return [url for url, _, _ in found], [index for _, index, _ in found], [stamp for *_, stamp in found], skipped


def _notes(maps: Sequence[str], skipped: Sequence[tuple[str, str]]) -> list[str]:
    notes = []
    if maps:
        notes.append(f"{len(maps)} masks or maps of other images in tars were left out, such as {maps[0]}")
    if skipped:
        name, reason = skipped[0]
        notes.append(f"{len(skipped)} shards or members of them cannot be used in whole, such as {name} ({reason})")
    return notes


def expand(data: str, *, is_streamed: bool = False) -> list[str]:
    """The shards that a path, glob or URL with {000..005} names; only streamed ones may be compressed."""
    if not is_streamed and data.lower().endswith(_COMPRESSED):
        raise ValueError(f"{data} is a compressed tar, which cannot be read at any place; unpack it to a plain .tar")
    found = [shard for url in _numbered(data) for shard in (_matches(url) if _is_local(url) else [url])]
    absent = [url for url in found if _is_local(url) and not Path(url).is_file()]
    if absent or not found:
        raise ValueError(f"no tar file {(absent or [data])[0]}; give paths, {{000..005}} ranges or URLs of .tar files")
    return list(dict.fromkeys(found))


def _numbered(data: str) -> list[str]:
    """Each {000..005} written out; as far as there is such a folder, its signs are no pattern."""
    folder = ""
    if _is_local(data):
        folder, data = _literal(os.path.expanduser(data))  # noqa: PTH111 - a URL is no path
    urls = [data]
    while match := re.search(r"\{(\d+)\.\.(\d+)\}", urls[0]):
        first, last, width = int(match[1]), int(match[2]), len(match[1])
        if not 0 < (last - first + 1) * len(urls) <= _MOST_SHARDS:
            raise ValueError(
                f"{match[0]} of {data} stands for {max(0, last - first + 1)} shards, of at most {_MOST_SHARDS}; "
                "give a range such as {000..005}"
            )
        urls = [url.replace(match[0], f"{n:0{width}d}", 1) for url in urls for n in range(first, last + 1)]
    return [folder + url for url in urls]


def _literal(path: str) -> tuple[str, str]:
    """A path as the beginning that exists, and the rest."""
    rest = len(path)
    while rest > 0 and not os.path.exists(path[:rest]):  # noqa: PTH110 - False for a name too long, too
        rest = path.rfind("/", 0, rest)
    return path[: max(0, rest)], path[max(0, rest) :]


def _matches(pattern: str) -> list[str]:
    """The files that a path or glob names."""
    folder, rest = _literal(pattern)
    return sorted(glob.glob(glob.escape(folder) + rest)) if glob.has_magic(rest) else [pattern]  # noqa: PTH207


def _is_local(url: str) -> bool:
    return "://" not in url


def _change(url: str) -> str:
    """What changes whenever a local shard is written; "" for others. A kept index must be right to the byte."""
    if not _is_local(url):
        return ""
    stat = Path(url).stat()
    return f"{Path(url).resolve()}:{stat.st_size}:{stat.st_mtime_ns}"


def _stamp(url: str) -> str:
    """What changes when a shard does."""
    if _is_local(url):
        return fingerprint_of([stat_file(url, Path(url).name)])
    try:
        files, path = url_to_fs(url)
        info = files.info(path)
    except ImportError as absent:
        raise ValueError(f"{url}: {absent}; install the fsspec package for this kind of URL") from None
    except (OSError, ValueError) as refused:
        raise ValueError(f"{url} cannot be opened: {refused or type(refused).__name__}") from None
    versions = [str(info.get(name)) for name in ("size", "ETag", "etag", "LastModified", "mtime", "created")]
    return ":".join([url, *versions])
