"""Hugging Face data sets by id, through the optional package `datasets`."""

from __future__ import annotations

import threading
from typing import Any, final

from selftaught.decode import Unreadable
from selftaught.sources.base import Entry, Source, digest
from selftaught.sources.label_values import number_labels, number_lists
from selftaught.sources.splits import choose_split, given_split, own_part

_LABEL_COLUMNS = ("label", "labels", "fine_label", "class", "target")


@final
class HubData(Source):
    """One split of a data set of the hub; its Arrow files are mapped, so any row is read at once."""

    def __init__(self, tables: list[Any], places: list[tuple[int, int]], entries: list[Entry], stamp: str) -> None:
        self.entries = entries
        self.classes = None
        self.provides = frozenset({"image"})
        self.fingerprint = digest([stamp, *(entry.key for entry in entries)])
        self._tables, self._places = tables, places
        self._lock = threading.Lock()

    def read(self, i: int) -> bytes:
        number, row = self._places[i]
        with self._lock:  # `datasets` promises nothing to threads
            cell = next(iter(self._tables[number][row].values()))
        if cell and cell.get("bytes"):
            return bytes(cell["bytes"])
        if cell and cell.get("path"):
            with open(cell["path"], "rb") as file:  # noqa: PTH123 - may be many thousand
                return file.read()
        raise Unreadable("the row has no picture")


def open_hub(data: str, *, split: str, needs: frozenset[str], download: bool, seed: int, held_out: float) -> HubData:
    """One split of `hf:OWNER/NAME`, from the hub's own cache, or downloaded where that is allowed."""
    try:
        import datasets
    except ImportError:
        raise ValueError(f"{data} needs the package datasets; pip install 'selftaught[hub]'") from None
    name = data.removeprefix("hf:")
    loaded = _load(datasets, name, download=download)
    parts = list(loaded)
    features = loaded[parts[0]].features
    image = next((column for column, kind in features.items() if isinstance(kind, datasets.Image)), None)
    if image is None:
        raise ValueError(f"{data} has no column of pictures, only {', '.join(features)}; choose an image data set")
    places = [(number, row) for number, part in enumerate(parts) for row in range(len(loaded[part]))]
    keys = [f"{parts[number]}/{row:07d}" for number, row in places]
    given = {key: given_split(parts[number]) or "" for key, (number, _) in zip(keys, places, strict=True)}
    chosen = choose_split(
        keys, given, split=split, seed=seed, held_out=held_out, labelled_only=bool(needs & {"label", "labels"})
    )
    column = next((label for label in _LABEL_COLUMNS if label in features), None)
    labels: list[int | None] = [None] * len(keys)
    classes, targets = None, None
    if column is not None:
        kind = getattr(features[column], "feature", features[column])  # of a list, that of what is in it
        names = tuple(kind.names) if getattr(kind, "names", None) else None
        values = [value for part in parts for value in loaded[part][column]]
        if any(isinstance(value, list) for value in values):
            targets, classes = number_lists([values[i] for i in chosen], every=values, names=names)
        else:
            labels, classes = number_labels(values, names=names)
    tables = [loaded[part].select_columns([image]).cast_column(image, datasets.Image(decode=False)) for part in parts]
    stamp = digest([name, *(str(loaded[part]._fingerprint) for part in parts)])
    source = HubData(tables, [places[i] for i in chosen], [Entry(keys[i], labels[i]) for i in chosen], stamp)
    source.part = own_part(keys, given, split)
    if classes is not None:
        source.classes = classes
        source.provides = frozenset({"image", "label" if targets is None else "labels"})
        source.targets = targets if "labels" in needs else None
    return source


def _load(datasets: Any, name: str, *, download: bool) -> Any:
    try:
        settings = datasets.DownloadConfig(local_files_only=not download)
        return datasets.load_dataset(name, download_config=settings)
    except Exception as refused:  # the hub's client raises many kinds
        first = " ".join(str(refused).split())[:200] or type(refused).__name__
        do = "check the name and the network" if download else "add --download to fetch it"
        raise ValueError(f"hf:{name} could not be opened ({first}); {do}") from refused
