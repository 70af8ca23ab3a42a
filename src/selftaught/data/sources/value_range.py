"""The range of values of a data set's deep images, chosen once from a sample and kept in the cache folder."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from numpy.typing import NDArray

from selftaught.core.files import cache_root, digest
from selftaught.core.settings.groups import DataSettings
from selftaught.core.settings.values import ValueRange, read_range
from selftaught.data.decode.high_depth import choose_range
from selftaught.data.decode.image import Decoding, decode_values
from selftaught.data.decode.image_header import deep_header
from selftaught.data.sources.base import Source

_LOOKED_AT = 200
"""Images whose depth is looked at."""
_DECODED = 32
"""Deep images whose values choose the range."""


def decoding_of(data: DataSettings) -> Decoding:
    """How a run decodes its images; a range that is still "auto" is that of the image's type."""
    return Decoding(read_range(data.value_range), data.max_image_pixels)


def with_range(data: DataSettings, source: Source) -> DataSettings:
    """The settings with the range of values of the deep images of `source`, where they have some and ask for auto."""
    return dataclasses.replace(data, value_range=range_for(data.value_range, source))


def range_for(asked: str, source: Source) -> str:
    """LOW,HIGH where the images of `source` are deep or a range is asked for, else "auto"."""
    if asked != "auto":
        return asked
    found = _range_of(source)
    return asked if found is None else str(found)


def range_note(value_range: str) -> str:
    """What is to be said of deep images that are read by this range, LOW,HIGH."""
    low, high = value_range.split(",")
    return (
        f"images of more than 8 bits: the values {low} to {high} are shown as black to white; "
        "--value-range LOW,HIGH sets others"
    )


def _range_of(source: Source) -> ValueRange | None:
    """None where no image has more than eight bits."""
    if source.provides & {"video", "audio"} or not len(source):
        return None
    kept = cache_root() / "ranges" / f"{digest(['range 1', source.fingerprint])}.json"
    with suppress(OSError, ValueError, LookupError, TypeError, RecursionError):
        known = json.loads(kept.read_text())["range"]
        return None if known is None else ValueRange(*map(float, known))
    images = list(itertools.islice(_deep_images(source), _DECODED))
    found = choose_range(images) if images else None
    with suppress(OSError):  # it is chosen again the next time
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps({"range": found}))
    return found


def _deep_images(source: Source) -> Iterator[NDArray[Any]]:
    """Of some entries, the same ones each time."""
    for payload in source.some(_LOOKED_AT):
        if isinstance(payload, bytes) and deep_header(payload) is not None:
            values = decode_values(payload)
            if values is not None:
                yield values
