"""A stage of a convolutional encoder read with a smaller stride, as for masks that are carried through a video."""

from __future__ import annotations

import copy

from torch import nn

from selftaught.encoders.base import Encoder
from selftaught.encoders.staged import StagedEncoder
from selftaught.evaluation.dense.stage_maps import read_stages


def finer_stage(encoder: Encoder, stage: str, stride: int) -> Encoder:
    """A copy in which `stage` has at most this stride, if its convolutions allow it.

    Convolutions of stride 2 take every position instead, from `stage` backwards (Jabri et al., NeurIPS 2020, for
    ResNet). Weights stay. Transformers, and networks whose stages are no modules of their own, stay as they are.
    """
    finer = copy.deepcopy(encoder)
    if not isinstance(finer, StagedEncoder):
        return finer
    for name in reversed(finer.stages[: finer.stages.index(stage) + 1]):
        found = next(one for one in read_stages(finer).stages if one.name == stage)
        part = dict(finer.net.named_modules()).get(finer.layout.stages[name] or name)  # "" is the output of the trunk
        if found.stride <= stride or part is None or finer.stage_kind(name) != "map":
            return finer
        for module in part.modules():
            if isinstance(module, nn.Conv2d) and max(module.stride) > 1:
                module.stride = (1, 1)
            elif isinstance(module, nn.AvgPool2d):  # before the convolution of a shortcut, as of ResNet-D
                module.kernel_size = module.stride = 1
    return finer
