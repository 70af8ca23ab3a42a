"""One file a pretext task; and what your own task file imports, such as `from selftaught.tasks import PretextTask`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selftaught.data.batch import Batch as Batch
    from selftaught.data.batch import Moments as Moments
    from selftaught.data.inputs import Clip as Clip
    from selftaught.data.inputs import Computed as Computed
    from selftaught.data.inputs import Given as Given
    from selftaught.data.inputs import Image as Image
    from selftaught.data.inputs import Input as Input
    from selftaught.data.inputs import Sound as Sound
    from selftaught.encoders.spec import EncoderSpec as EncoderSpec
    from selftaught.tasks.base import Known as Known
    from selftaught.tasks.base import Pace as Pace
    from selftaught.tasks.base import ParameterGroup as ParameterGroup
    from selftaught.tasks.base import PretextTask as PretextTask
    from selftaught.tasks.base import Recipe as Recipe
    from selftaught.tasks.base import Refreshed as Refreshed
    from selftaught.tasks.base import Shown as Shown

_HOME = {
    "Batch": "selftaught.data.batch",
    "Moments": "selftaught.data.batch",
    **dict.fromkeys(("Clip", "Computed", "Given", "Image", "Input", "Sound"), "selftaught.data.inputs"),
    "EncoderSpec": "selftaught.encoders.spec",
    **dict.fromkeys(
        ("Known", "Pace", "ParameterGroup", "PretextTask", "Recipe", "Refreshed", "Shown"), "selftaught.tasks.base"
    ),
}
"""Name -> the module it is written in."""
__all__ = [
    "Batch",
    "Clip",
    "Computed",
    "EncoderSpec",
    "Given",
    "Image",
    "Input",
    "Known",
    "Moments",
    "Pace",
    "ParameterGroup",
    "PretextTask",
    "Recipe",
    "Refreshed",
    "Shown",
    "Sound",
]


def __getattr__(name: str) -> Any:
    # Lazy: the command line lists the tasks from this folder and must not pay for torch.
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
