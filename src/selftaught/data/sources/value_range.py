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
from selftaught.core.settings.values import COLOURS, ValueRange, read_range, read_ranges
from selftaught.data.decode.high_depth import choose_range
from selftaught.data.decode.image import Decoding, decode_values
from selftaught.data.decode.image_header import deep_header
from selftaught.data.decode.values import Values
from selftaught.data.sources.base import Source

_LOOKED_AT = 200
"""Images whose depth is looked at."""
_DECODED = 32
"""Deep images whose values choose the range."""


def decoding_of(data: DataSettings) -> Decoding:
    """How a run decodes its images; a range that is still "auto" is that of the image's type."""
    if data.channels != COLOURS:
        ranges = read_ranges(data.value_range, data.channels) or (ValueRange(0, 255),) * data.channels
        return Decoding(None, data.max_image_pixels, ranges)
    return Decoding(read_range(data.value_range), data.max_image_pixels)


def with_range(data: DataSettings, source: Source) -> DataSettings:
    """The settings with the range of values of the deep images of `source`, where they have some and ask for auto."""
    return dataclasses.replace(data, value_range=range_for(data.value_range, source, channels=data.channels))


def range_for(asked: str, source: Source, *, channels: int = COLOURS) -> str:
    """LOW,HIGH where the images of `source` are deep or a range is asked for, else "auto".

    Of another number of channels than 3 one range for each, with ; between.
    """
    if asked != "auto":
        return asked
    if channels != COLOURS:
        return ";".join(map(str, _ranges_of_channels(source, channels))) or asked
    found = _range_of(source)
    return asked if found is None else str(found)


def _ranges_of_channels(source: Source, channels: int) -> list[ValueRange]:
    """One of each channel; of whole numbers of eight bits as well, as a dim channel would hardly be seen."""
    kept = cache_root() / "ranges" / f"{digest(['ranges 1', source.fingerprint, str(channels)])}.json"
    with suppress(OSError, ValueError, LookupError, TypeError, RecursionError):
        return [ValueRange(*map(float, one)) for one in json.loads(kept.read_text())["ranges"]]
    some = (payload.pixels for payload in source.some(_LOOKED_AT) if isinstance(payload, Values))
    images = list(itertools.islice((one for one in some if one.shape[2] == channels), _DECODED))
    if not images:
        return []
    found = [choose_range([image[:, :, c : c + 1] for image in images], is_by_bits=False) for c in range(channels)]
    with suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps({"ranges": found}))
    return found


def range_note(value_range: str) -> str:
    """What is to be said of deep images that are read by this range, LOW,HIGH."""
    if ";" in value_range:
        shown = ", ".join(part.replace(",", " to ") for part in value_range.split(";"))
        return f"the values shown as black to white in each channel: {shown}; --value-range LOW,HIGH;... sets others"
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
        if isinstance(payload, Values) and payload.is_deep:
            yield payload.pixels
        elif isinstance(payload, bytes) and deep_header(payload) is not None:
            values = decode_values(payload)
            if values is not None:
                yield values
