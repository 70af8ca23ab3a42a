"""Files of a data set that no sample is made of: counted all, listed as far as a list is of use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from selftaught.data.files.file_kinds import (
    OPTIONAL,
    extra_advice,
    is_companion,
    is_picture,
    is_video,
    suffix_of,
    told_kinds,
)

MOST_LISTED = 10_000
_ARCHIVES = frozenset((".zip", ".tar", ".parquet", ".pq", ".gz", ".tgz", ".7z", ".rar", ".bz2", ".xz"))


@dataclass(frozen=True)
class LeftOut:
    """What a source does not read.

    Attributes:
        counts: files by the end of their names (".heic"; "none" without one), or by kind ("masks").
        files: (key, reason) of the first of them.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    files: Sequence[tuple[str, str]] = ()

    def __add__(self, other: LeftOut) -> LeftOut:
        counts = Counter(self.counts) + Counter(other.counts)
        return LeftOut(dict(counts), [*self.files, *other.files][:MOST_LISTED])


def left_out_as(kind: str, keys: Iterable[str], reason: str) -> LeftOut:
    """Files that are left out for one reason."""
    files = [(key, reason) for key in keys]
    return LeftOut({kind: len(files)} if files else {}, files[:MOST_LISTED])


def other_kinds(keys: Iterable[str], what: str) -> tuple[LeftOut, list[str]]:
    """Of files that a source of `what` ("images", "videos" or "archives") does not read those one could miss, and
    sentences on them.
    """
    found = [(key, suffix_of(key)) for key in keys if not is_companion(key)]
    counts = Counter(suffix for _, suffix in found)
    reasons = {suffix: _reason(suffix, what) for suffix in counts}
    left = LeftOut(
        {suffix or "none": count for suffix, count in sorted(counts.items())},
        [(key, reasons[suffix]) for key, suffix in found[:MOST_LISTED]],
    )
    return left, list(_told(counts, what))


def _reason(suffix: str, what: str) -> str:
    for endings, package, extra, _ in OPTIONAL:
        if suffix in endings and not is_picture(suffix):
            return f"read only with {package}: pip install 'selftaught[{extra}]'"
    if suffix in _ARCHIVES:
        return f"an archive beside {what}"
    if is_picture(suffix):
        return f"an image beside {what}"
    return f"a video beside {what}" if is_video(suffix) else "a kind of file that is not read"


def _told(counts: Mapping[str, int], what: str) -> Iterable[str]:
    groups: dict[str, dict[str, int]] = {}
    for suffix, count in counts.items():
        name = "archives" if suffix in _ARCHIVES else "images" if is_picture(suffix) else "videos"
        name = name if name == "archives" or is_picture(suffix) or is_video(suffix) else ""
        groups.setdefault(name, {})[suffix] = count
    if other := groups.pop("", None):
        count = sum(other.values())
        files = (
            "1 file of a kind that is not read was" if count == 1 else f"{count} files of kinds that are not read were"
        )
        yield f"{files} left out: {told_kinds(other)}{extra_advice(f'x{suffix}' for suffix in other)}"
    for name, found in sorted(groups.items()):
        count = sum(found.values())
        files, were = (name.removesuffix("s"), "was") if count == 1 else (name, "were")
        line = f"{count} {files} beside the {what} {were} left out: {told_kinds(found)}"
        yield line + ("; give the path of one to read it" if name == "archives" else "")
