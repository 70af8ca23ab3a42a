"""Hugging Face data sets by id, through the optional package `datasets`."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import IO, Any, final

from selftaught.core.files import digest
from selftaught.data.decode.containers.only_image import only_image
from selftaught.data.decode.containers.opening import USUAL_READING, Reading
from selftaught.data.decode.encoded_video import EncodedVideo
from selftaught.data.decode.values import Values
from selftaught.data.files.file_tree import Unreadable
from selftaught.data.files.hints import NO_HINTS, Hints
from selftaught.data.files.splits import given_split
from selftaught.data.sources.base import Entry, Source
from selftaught.data.sources.tables.label_values import LABEL_COLUMNS, cleaned
from selftaught.data.sources.tables.row_files import RowFile, choose_rows

_SETTING = threading.RLock()


@final
class HubData(Source):
    """One split of a data set of the hub; its Arrow files are mapped, so any row is read at once."""

    def __init__(
        self,
        tables: list[Any],
        places: list[tuple[int, int]],
        entries: list[Entry],
        stamp: str,
        *,
        is_video: bool,
        reading: Reading = USUAL_READING,
    ) -> None:
        self.entries = entries
        self.classes = None
        self.is_video = is_video
        self.provides = frozenset({"video", "image", "audio"} if is_video else {"image"})
        self.fingerprint = digest([stamp, *(entry.key for entry in entries)])
        self.reads_channels = not is_video
        self._tables, self._places, self._reading = tables, places, reading
        self._lock = threading.Lock()

    def read(self, i: int) -> bytes | Values | EncodedVideo:
        if self.is_video:
            return EncodedVideo(lambda: self._video(i))
        return only_image(self._bytes(i), self._reading)

    def _video(self, i: int) -> IO[bytes] | str:
        cell = self._cell(i)
        path = cell.get("path") if cell and not cell.get("bytes") else None
        return str(path) if path else io.BytesIO(self._bytes(i))

    def _cell(self, i: int) -> Any:
        number, row = self._places[i]
        with self._lock:  # `datasets` promises nothing to threads
            return next(iter(self._tables[number][row].values()))

    def _bytes(self, i: int) -> bytes:
        cell = self._cell(i)
        if cell and cell.get("bytes"):
            return bytes(cell["bytes"])
        if cell and cell.get("path"):
            with open(cell["path"], "rb") as file:  # noqa: PTH123 - may be many thousand
                return file.read()
        raise Unreadable(f"the row has no {'video' if self.is_video else 'image'}")


def open_hub(
    data: str,
    *,
    split: str,
    needs: frozenset[str],
    download: bool,
    seed: int,
    held_out: float,
    hints: Hints = NO_HINTS,
) -> HubData:
    """One split of `hf:OWNER/NAME`, from the hub's own cache, or downloaded where that is allowed."""
    try:
        import datasets
    except ImportError:
        raise ValueError(f"{data} needs the package datasets; pip install 'selftaught[hub]'") from None
    name = data.removeprefix("hf:")
    loaded = _load(datasets, name, download=download)
    parts = list(loaded)
    features = loaded[parts[0]].features
    image, kind = _image_column(datasets, data, features, needs)
    column = next((label for label in LABEL_COLUMNS if label in features and label != image), None)
    splits = next((name for name in features if name.lower() == "split"), None)
    note = ""
    files = []
    for part in parts:
        try:
            labels = None if column is None else cleaned(loaded[part][column], f"the column {column} of {data}")
        except ValueError as no_label:
            if needs & {"label", "labels"}:
                raise
            labels, note = None, f"labels were not used: {str(no_label).partition(';')[0]}"
        texts = None if splits is None else [text if isinstance(text, str) else None for text in loaded[part][splits]]
        names = getattr(getattr(features.get(column), "feature", features.get(column)), "names", None)
        classes = tuple(map(str, names)) if names else None
        files.append(RowFile(part, len(loaded[part]), labels, texts, classes, given_split(part) or ""))
    chosen = choose_rows(
        files,
        lambda name, row: f"{name}/{row:07d}",
        split=split,
        needs=needs,
        seed=seed,
        held_out=held_out,
        where=data,
    )
    tables = [loaded[part].select_columns([image]).cast_column(image, kind(decode=False)) for part in parts]
    stamp = digest(
        [name, *([image] if kind is not datasets.Image else []), *(str(loaded[part]._fingerprint) for part in parts)]
    )
    is_video = kind is not datasets.Image
    source = HubData(tables, chosen.places, chosen.entries, stamp, is_video=is_video, reading=Reading.of(hints))
    chosen.tell(source, needs)
    source.notes = [*source.notes, note] if note else source.notes
    source.label_advice = "choose a data set with a column label, or --labelled data that have labels"
    return source


def _image_column(datasets: Any, data: str, features: Any, needs: frozenset[str]) -> tuple[str, Any]:
    """The column of images, or of videos, and the class of `datasets` that it is."""
    image = next((column for column, kind in features.items() if isinstance(kind, datasets.Image)), None)
    kind: Any = datasets.Image
    if (image is None or needs & {"video", "audio"}) and hasattr(datasets, "Video"):  # older packages have none
        video = next((column for column, one in features.items() if isinstance(one, datasets.Video)), None)
        image, kind = (image, kind) if video is None else (video, datasets.Video)
    if image is None:
        raise ValueError(
            f"{data} has no column of images or videos, only {', '.join(features)}; choose a data set that has one"
        )
    return image, kind


@contextmanager
def _offline(datasets: Any) -> Iterator[None]:
    """No request to the hub: `local_files_only` alone still asks for the files' names, six times.

    A setting of the process, as both packages have no other; it is set for one call at a time.
    """
    from huggingface_hub import constants

    with _SETTING:
        before = constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
        constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
        try:
            yield
        finally:
            constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before


def _load(datasets: Any, name: str, *, download: bool) -> Any:
    try:
        settings = datasets.DownloadConfig(local_files_only=not download)
        with nullcontext() if download else _offline(datasets):
            return datasets.load_dataset(name, download_config=settings)
    except Exception as refused:  # the hub's client raises many kinds
        first = " ".join(str(refused).split())[:200] or type(refused).__name__
        do = "check the name and the network" if download else "add --download to fetch it"
        raise ValueError(f"hf:{name} could not be opened ({first}); {do}") from refused
