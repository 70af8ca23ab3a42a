"""The layers and weights of an encoder behind another way to see (`encoders.inputs`)."""

from __future__ import annotations

import copy

from selftaught.encoders.base import Encoder
from selftaught.encoders.split import SplitEncoder
from selftaught.encoders.video.lstm import LstmEncoder
from selftaught.encoders.video.mean import MeanEncoder
from selftaught.encoders.video.two_stream import TwoStreamEncoder


def seeing(encoder: Encoder, sees: str) -> Encoder | None:
    """A shallow copy that sees so and shares every weight with `encoder`; None where it cannot.

    Of an encoder of clips that shows frames to one of images, that one sees so.
    """
    if encoder.sees or isinstance(encoder, SplitEncoder) or encoder.kind == "audio":
        return None
    other = copy.copy(encoder)
    if not isinstance(encoder, MeanEncoder | LstmEncoder | TwoStreamEncoder):
        other.sees = sees
        return other
    image = encoder.image if encoder.image.sees else seeing(encoder.image, sees)
    if image is None:
        return None
    other._modules = {**encoder._modules, "image": image}  # the dict of modules is shared by a shallow copy
    return other
