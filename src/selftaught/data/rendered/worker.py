"""What a rendering process runs, and what it is asked; imports no torch."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from dataclasses import dataclass
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from selftaught.core.threads import give_way
from selftaught.data.decode.fit import fit
from selftaught.data.decode.image import Decoding
from selftaught.data.sources.world.video import Scenes
from selftaught.data.store.kept_maps import fit_given

_WHOLE = np.zeros(4, np.int64)


@dataclass(frozen=True)
class Order:
    """What is wanted of one scene."""

    number: int
    frames: tuple[int, ...]
    kinds: tuple[str, ...]
    """Of `inputs.GIVEN`."""
    side: int
    """Pixels of the frames that are wanted."""


@dataclass(frozen=True)
class Rendered:
    """What was ordered, frame after frame."""

    images: NDArray[np.uint8]
    """(F, side, side, 3)"""
    given: dict[str, NDArray[Any]]
    """(F, ...) by kind, channels last."""


def render(scenes: Scenes, order: Order) -> Rendered:
    """The frames of one scene with what is given of them, as a packed store would hold them."""
    video, size = scenes.video(order.number), (order.side, order.side)
    simulation, raw = video.simulation(), video.shape
    images, given = [], dict[str, list[NDArray[Any]]]({kind: [] for kind in order.kinds})
    for number in order.frames:
        frame = video.frame(simulation, number)
        images.append(fit(frame.image(), side=order.side, decoding=Decoding()))
        for kind in order.kinds:
            given[kind].append(fit_given(kind, frame.given(kind), raw=raw, box=_WHOLE, size=size))
    return Rendered(np.stack(images), {kind: np.stack(values) for kind, values in given.items()})


def main() -> int:
    """Read the scenes, then orders, from stdin and write what is rendered to stdout, until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that asked stops, and with it this one
    answers: BinaryIO = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what else is printed is no answer
    cv2.setNumThreads(1)
    give_way()
    try:
        scenes: Scenes = pickle.load(sys.stdin.buffer)
        while True:
            order = pickle.load(sys.stdin.buffer)
            try:
                answer: Rendered | str = render(scenes, order)
            except Exception as error:
                answer = f"{type(error).__name__}: {error}"
            pickle.dump(answer, answers, protocol=pickle.HIGHEST_PROTOCOL)
            answers.flush()
    except (EOFError, BrokenPipeError):
        return 0
