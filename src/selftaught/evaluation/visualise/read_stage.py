"""The map of one stage without computing what comes after it."""

from __future__ import annotations

from torch import Tensor, nn

from selftaught.encoders.base import Encoder
from selftaught.encoders.feature_map import channels_first
from selftaught.encoders.staged import StagedEncoder


class _Reached(Exception):  # noqa: N818 -- no error: it ends a forward pass where nothing more is wanted
    def __init__(self, output: Tensor) -> None:
        self.output = output


def read_map(encoder: Encoder, stage: str, x: Tensor) -> Tensor:
    """`encoders.feature_map.stage_maps(encoder, x)[stage]`; the pass ends there, where a module gives the stage."""
    return channels_first(encoder, stage, _read_stage(encoder, stage, x), x.shape[-2], x.shape[-1])


def _read_stage(encoder: Encoder, stage: str, x: Tensor) -> Tensor:
    path = encoder.layout.stages[stage] if isinstance(encoder, StagedEncoder) else ""
    if not path:
        return encoder.forward_stages(x)[stage]
    assert isinstance(encoder, StagedEncoder)
    handle = encoder.net.get_submodule(path).register_forward_hook(_stop)
    try:
        encoder.forward_stages(x)
    except _Reached as reached:
        output = reached.output
        return output.movedim(encoder.layout.channel_axis, 1) if output.ndim == 4 else output
    finally:
        handle.remove()
    raise AssertionError(f"stage {stage} of {encoder.name} was never computed")


def _stop(_module: nn.Module, _args: object, output: Tensor) -> None:
    raise _Reached(output)
