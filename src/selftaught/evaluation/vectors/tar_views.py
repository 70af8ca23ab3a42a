"""What vectors of the samples of tars are computed from: the middle of an image, clips spread evenly over a video."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar, final

import numpy as np
from numpy.typing import NDArray

from selftaught.core.settings.groups import DataSettings
from selftaught.data.batch import Sampling
from selftaught.data.decode.containers.only_image import only_image, reading_of
from selftaught.data.decode.containers.opening import Reading
from selftaught.data.decode.fit import fit, window
from selftaught.data.sources.shards import Shards
from selftaught.data.sources.tars.tar_stream import Kind, Passing
from selftaught.data.sources.value_range import decoding_of, with_range
from selftaught.data.store.first_samples import check_readable, first_samples
from selftaught.data.store.image_pack import look_ahead, reason
from selftaught.data.store.open import store_side
from selftaught.data.store.passing_video import clips_of
from selftaught.data.store.samples import HostBatch
from selftaught.data.store.video_samples import even_draws
from selftaught.evaluation.query import CLIPS
from selftaught.evaluation.subject import Subject
from selftaught.features.encode import probe_sampling, samples_at_once
from selftaught.training.streamed import look_at_videos

BATCH = 256
"""Images that are encoded together."""
MOST_VIDEOS = 32
"""Videos whose clips are in memory together."""
LOOKED_AT = 256
"""Images of the first tars by which the size and the range of values of all are known."""
FIRST = 8
"""Tars that they are taken from."""

Views: TypeAlias = list[dict[str, NDArray[Any]]]
"""The inputs of each view of one sample."""
Found = TypeVar("Found")


class SampleViews(ABC):
    """One kind of samples of tars.

    Attributes:
        kind: of the members of the tars.
        reading: how they are read, with the range of values of deep images.
        side: short side of decoded images and frames, pixels.
        at_once: samples that are encoded together.
        stamps: which change when a sample is decoded otherwise.
    """

    kind: Kind
    reading: DataSettings
    side: int
    at_once: int
    stamps: Sequence[str]

    def views_or_why(self, payload: Passing | Exception) -> Views | str:
        """All views of a sample, as a packed store gives them, or why it cannot be read."""
        return self._or_why(self._views, payload)

    def image_or_why(self, payload: Passing | Exception) -> NDArray[np.uint8] | str:
        """The square in the middle of a sample, or why it cannot be read."""
        return self._or_why(self._image, payload)

    def _or_why(self, read: Callable[[Passing], Found], payload: Passing | Exception) -> Found | str:
        if isinstance(payload, Exception):
            return reason(payload)
        try:
            return read(payload)
        except (OSError, ValueError) as broken:
            return reason(broken)

    @abstractmethod
    def _views(self, payload: Passing) -> Views: ...

    @abstractmethod
    def _image(self, payload: Passing) -> NDArray[np.uint8]: ...


@final
class ImageViews(SampleViews):
    """Images: one view each, the square in the middle."""

    at_once = BATCH

    def __init__(self, subject: Subject, reading: DataSettings, shards: Shards) -> None:
        self.kind = shards.kind_for(frozenset({"image"})) or "image"
        taken = Reading(reading.channels, max_pixels=reading.max_image_pixels)
        first = first_samples(shards.first(FIRST), LOOKED_AT, kind=self.kind, reading=taken)
        self.reading = with_range(reading, first)
        self._decoding = decoding_of(self.reading)
        self.side, _ = look_ahead(first, side=reading.store_size or store_side(subject.network.size))
        check_readable(first, side=self.side, decoding=self._decoding)
        self.stamps = [str(self.side), self._decoding.stamp]

    def _views(self, payload: Passing) -> Views:
        return [{"image": self._image(payload)}]

    def _image(self, payload: Passing) -> NDArray[np.uint8]:
        assert isinstance(payload, bytes)
        image = only_image(payload, reading_of(self._decoding))
        return window(fit(image, side=self.side, decoding=self._decoding), side=self.side, y=0.5, x=0.5)


@final
class ClipViews(SampleViews):
    """Videos, or images with sound: `CLIPS` views each, evenly over the video."""

    def __init__(self, subject: Subject, reading: DataSettings, shards: Shards, kind: Kind = "video") -> None:
        self.reading, self._sampling, self.kind = reading, probe_sampling(subject.encoder), kind
        self.side, _ = look_at_videos(shards, reading.store_size or store_side(subject.network.size), kind)
        self.at_once = min(MOST_VIDEOS, samples_at_once(subject.encoder, BATCH))
        self.stamps = [str(self.side), repr(self._sampling), str(CLIPS)]

    def _views(self, payload: Passing) -> Views:
        draws = np.concatenate(even_draws(1, self._sampling, CLIPS))
        clips = self._clips(payload, self._sampling, draws)
        return [{name: one[k] for name, one in clips.items()} for k in range(CLIPS)]

    def _image(self, payload: Passing) -> NDArray[np.uint8]:
        image: NDArray[np.uint8] = self._clips(payload, Sampling(), np.full((1, 3), 0.5))["image"][0]
        return image

    def _clips(self, payload: Passing, sampling: Sampling, draws: NDArray[np.float64]) -> Mapping[str, NDArray[Any]]:
        assert not isinstance(payload, bytes)
        return clips_of(payload, sampling, draws, side=self.side).inputs


def stacked(views: Sequence[Mapping[str, NDArray[Any]]]) -> HostBatch:
    """The same view of several samples as a batch."""
    inputs = {name: np.stack([one[name] for one in views]) for name in views[0]}
    return HostBatch(index=np.arange(len(views)), inputs=inputs)
