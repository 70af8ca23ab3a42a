"""What every file of images is: named images, their sizes, and a way to read a window of one."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from selftaught.data.decode.values import Values
from selftaught.data.files.file_tree import Unreadable

Place: TypeAlias = "str | io.BytesIO"
"""Path of a file, or its content."""


@dataclass(frozen=True, slots=True)
class Box:
    """A window of an image in pixels."""

    top: int
    left: int
    height: int
    width: int


class ImageFile(ABC):
    """An open file. Opening it reads its headers alone; `read` may be called from several threads.

    Attributes:
        names: of its images, unique; ("",) of a single one.
        labels: class of each image where the file says it, else empty.
        splits: part of each image, likewise.
        group: samples of other files of this group belong together with it, such as those of one patient; "" is none.
        is_windowed: whether `read` of a window takes no more memory than that.
    """

    names: tuple[str, ...] = ("",)
    labels: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    group: str = ""
    is_windowed: bool = False

    @property
    def held_bytes(self) -> int:
        """Memory that the open file holds beside its headers."""
        return 0

    @abstractmethod
    def size(self, number: int) -> tuple[int, int]:
        """Height and width of an image in pixels; raises `Unreadable`."""

    @abstractmethod
    def read(self, number: int, box: Box | None = None) -> Values:
        """An image, or a window of it that is inside; raises `Unreadable` or an OSError."""


class BrokenFile(ImageFile):
    """A file that cannot be opened: one image, which gives the reason."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def size(self, number: int) -> tuple[int, int]:
        raise Unreadable(self._reason)

    def read(self, number: int, box: Box | None = None) -> Values:
        raise Unreadable(self._reason)


@contextmanager
def unreadable(what: str) -> Iterator[None]:
    """Whatever a broken file makes a library raise is `Unreadable`: "not `what` (its message)"; OSErrors stay."""
    try:
        yield
    except (Unreadable, OSError):
        raise
    except MemoryError:
        raise Unreadable("needs more memory than there is") from None
    except Exception as broken:
        why = " ".join(str(broken).split())[:200] or type(broken).__name__
        raise Unreadable(f"not {what} ({why})") from None


def numbered(count: int) -> tuple[str, ...]:
    """Names of so many images, in an order that sorting keeps; one alone needs no name."""
    digits = len(str(count - 1))
    return ("",) if count == 1 else tuple(f"{number:0{digits}d}" for number in range(count))
