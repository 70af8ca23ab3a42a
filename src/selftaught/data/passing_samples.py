"""What a stream makes of the samples that pass: images cut at random, or the clips of a video."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, final

import numpy as np
from numpy.typing import NDArray

from selftaught.core.randomness import numpy_generator
from selftaught.data.batch import Sampling
from selftaught.data.decode.containers.only_image import only_image, reading_of
from selftaught.data.decode.fit import fit, window
from selftaught.data.decode.image import Decoding, Scratch
from selftaught.data.sources.tars.tar_stream import Kind, Passing
from selftaught.data.store.clips import clip_bytes
from selftaught.data.store.passing_video import PassedClips, clips_of
from selftaught.data.store.samples import HostBatch


class Passed(NamedTuple):
    """A decoded sample, and what of it is not used and why; "" where all of it is."""

    sample: Any
    note: str = ""


class PassingSamples(Protocol):
    """One kind of samples.

    Attributes:
        kind: of the members of tars.
        noun: what one is called.
        advice: what else there must be to it, for errors.
        rows: of a batch that one sample gives.
        ahead: samples that wait for each decoding thread.
        bytes: in memory of a decoded one, about.
        stamps: which change when a sample is decoded otherwise.
    """

    kind: Kind
    noun: str
    advice: str
    rows: int
    ahead: int
    bytes: int

    @property
    def stamps(self) -> Sequence[str]: ...

    def decode(self, payload: Passing, place: tuple[int | str, ...]) -> Passed:
        """A sample as it is kept in a window; its randomness is that of its place. Called in several threads.

        Raises:
            OSError: where it cannot be read, as a ValueError.
        """
        ...

    def rows_of(self, samples: Sequence[Any], index: NDArray[np.int64], draws: NDArray[np.float64]) -> HostBatch:
        """The rows of decoded samples with numbers (N,), by draws (M, 3) of at least as many rows."""
        ...


def image_bytes(side: int, depth: int) -> int:
    """About how many bytes of memory a decoded image has: it is a third longer than high, by and large."""
    return 4 * side * side * depth // 3


@final
class PassingImages(PassingSamples):
    """Images, held as high or wide as `side` and cut to squares by every step anew; all inputs `names` are the same."""

    noun, advice, rows, ahead = "image", "", 1, 4

    def __init__(
        self, *, side: int, decoding: Decoding, names: Sequence[str] = ("image",), kind: Kind = "image"
    ) -> None:
        self.side, self.decoding, self.names, self.kind = side, decoding, names, kind
        self.bytes = image_bytes(side, decoding.depth)
        self._threads = threading.local()

    @property
    def stamps(self) -> Sequence[str]:
        return str(self.side), self.decoding.stamp

    def decode(self, payload: Passing, place: tuple[int | str, ...]) -> Passed:
        assert isinstance(payload, bytes)
        scratch: Scratch = self._threads.__dict__.setdefault("scratch", Scratch())
        image = only_image(payload, reading_of(self.decoding))
        return Passed(fit(image, side=self.side, decoding=self.decoding, scratch=scratch))

    def rows_of(self, samples: Sequence[Any], index: NDArray[np.int64], draws: NDArray[np.float64]) -> HostBatch:
        images = np.empty((len(samples), self.side, self.side, self.decoding.depth), np.uint8)
        for image, sample, draw in zip(images, samples, draws, strict=False):
            image[:] = window(sample, side=self.side, y=draw[0], x=draw[1])
        return HostBatch(index=index, inputs=dict.fromkeys(self.names, images))


@final
class PassingClips(PassingSamples):
    """Clips of videos, the same ones as of a packed store of these; a video gives `sampling.clips_per_video` rows."""

    noun, advice, ahead = "video", " that are long enough for the clips of the task", 1

    def __init__(self, *, side: int, sampling: Sampling, kind: Kind = "video") -> None:
        self.side, self.sampling, self.kind = side, sampling, kind
        self.rows = sampling.clips_per_video
        self.bytes = self.rows * clip_bytes(sampling, side)

    @property
    def stamps(self) -> Sequence[str]:
        return str(self.side), repr(self.sampling)

    def decode(self, payload: Passing, place: tuple[int | str, ...]) -> Passed:
        assert not isinstance(payload, bytes)
        draws = numpy_generator(*place).random((self.rows, self.sampling.draws))
        clips = clips_of(payload, self.sampling, draws, side=self.side)
        return Passed(clips, clips.note)

    def rows_of(self, samples: Sequence[Any], index: NDArray[np.int64], draws: NDArray[np.float64]) -> HostBatch:
        clips: Sequence[PassedClips] = samples
        inputs: Mapping[str, NDArray[Any]] = {
            name: np.concatenate([one.inputs[name] for one in clips]) for name in clips[0].inputs
        }
        time = np.concatenate([one.time for one in clips])
        return HostBatch(index=index.repeat(self.rows), inputs=inputs, time=time)
