"""What every source is: a stable list of entries of one split, and a way to read each of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from selftaught.data.decode.image import Payload
from selftaught.data.files.left_out import LeftOut

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Entry:
    """One sample of the data before it is read."""

    key: str
    """Relative path or row id, unique in the source."""
    label: int | None = None
    """Class index, or None where the data do not say."""
    group: str = ""
    """Samples of one group belong together, such as clips of one person; "" of none but itself."""


@dataclass(frozen=True, kw_only=True)
class GivenMaps:
    """What comes with every image or frame of a source, such as masks or poses; kinds and types as in `inputs.GIVEN`.

    Attributes:
        fingerprint: hex digest that changes when they do.
        read: of entry `i`, the map (H, W, ...) of the frame that is shown at this second (0 of an image), upright and
            as large as its image, or what is no map; as in a batch, but with channels
            last. An OSError or ValueError marks this entry as broken. May be called from several threads.
        size: height and width of the frames of entry `i`, which intrinsics are for.
    """

    fingerprint: str
    read: Callable[[int, float], NDArray[Any]]
    size: Callable[[int], tuple[int, int]] = lambda _: (0, 0)


class Source(ABC):
    """One split of one data set. Opening it reads no pixel; `read` may be called from several threads.

    Attributes:
        name: how the data were asked for, for messages.
        provides: "image" or "video" (with "audio" where there is sound); "label" where there are labels, or "labels"
            where a sample may be of several classes; the kinds of `maps`.
        classes: names of the class indices, of pixels where masks but no labels were needed; or None.
        maps: "mask", "depth", "pose", ... -> those of the entries, where they were needed.
        targets: (M, K) int8, 1 where an entry is of the class, 0 where not, -1 where nothing is said; None unless a
            sample may be of several classes and "labels" were needed.
        part: the data's own name of the split, such as "val"; "" where the split was drawn.
        entries: in a stable, sorted order.
        fingerprint: hex digest that changes when the content does; the packed store is found by it.
        skipped: (key, reason) of what the data hold and this split cannot use, found without decoding: files of kinds
            that are not read, what cannot be opened. Only the "train" split lists what belongs to no split.
        left_out: files that are no sample of any split: of kinds that are not read, masks, in no part.
        notes: sentences for people on how the data were read, where there was a choice or something was left out.
        split_notes: those of them on how parts were drawn, which say nothing where all samples are read.
        is_endless: whether the entries are too many to be packed, and are rendered when they are read.
        random_access: whether `read` of any one entry is as fast as reading in order.
        reads_channels: whether `Hints.channels` was heeded.
        reads_tiles: whether `Hints.tile` was.
        has_table: whether a `labels.csv` says which labels and splits the entries have.
        label_advice: advice if labels are needed and there are none.
    """

    name: str = "the data"
    provides: frozenset[str]
    classes: tuple[str, ...] | None
    entries: Sequence[Entry]
    fingerprint: str
    targets: NDArray[np.int8] | None = None
    maps: Mapping[str, GivenMaps] = MappingProxyType({})
    part: str = ""
    skipped: Sequence[tuple[str, str]] = ()
    left_out: LeftOut = LeftOut()
    notes: Sequence[str] = ()
    split_notes: Sequence[str] = ()
    is_endless: bool = False
    random_access: bool = True
    reads_channels: bool = False
    reads_tiles: bool = False
    has_table: bool = False
    label_advice: str = (
        "put the files of each class into a folder of their own, or add a labels.csv with columns file,label"
    )

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def groups(self) -> NDArray[np.int64] | None:
        """(M,) the number of the group of each entry; None where no group is known."""
        import numpy as np

        if not any(entry.group for entry in self.entries):
            return None
        names = [entry.group or f"\0{entry.key}" for entry in self.entries]
        return np.asarray(np.unique(names, return_inverse=True)[1], np.int64)

    @abstractmethod
    def read(self, i: int) -> Payload:
        """The payload of entry `i`; an OSError or `Unreadable` marks this one entry as broken."""

    def iterate(self) -> Iterator[tuple[int, Payload | Exception]]:
        """All payloads in the order that is fastest to read; an entry that cannot be read gives its exception."""
        for i in range(len(self.entries)):
            try:
                yield i, self.read(i)
            except (OSError, ValueError) as broken:
                yield i, broken

    def some(self, count: int) -> Iterator[Payload | Exception]:
        """At most `count` payloads, the same ones each time; an entry that cannot be read gives its exception."""
        import numpy as np

        if not self.random_access:
            yield from (payload for _, payload in islice(self.iterate(), count))
            return
        for i in np.random.default_rng(0).permutation(len(self))[:count].tolist():
            try:
                yield self.read(i)
            except (OSError, ValueError) as broken:
                yield broken
