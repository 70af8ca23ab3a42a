"""One encoder class around every torchvision and timm network: features are read where they arise, by hooks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from selftaught.encoders.base import Encoder, StageKind
from selftaught.encoders.names import Kind


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where in a network the features are.

    Attributes:
        stages: stage name -> path of the module whose output it is; "" is the output of the trunk itself,
            allowed for the last stage only.
        trunk: path of the module that computes all stages; "" is the whole network.
        classifier: first parts of the state-dict keys that pretraining leaves out, e.g. ("fc.",).
        least_side: the smallest image, in pixels, that comes through.
        least_frames: the shortest clip.
        one_length: whether steps of the network depend on the length of the clip, so that its ONNX file is for one.
        patch: sides of images must be a multiple of this many pixels.
        timm_pool: compute by timm's `forward_features` and pool by its `forward_head`.
        channel_axis: where the network puts the channels of maps and clips; 3 for (N, H, W, C), 4 for (N, T, H, W, C).
        tokens: stages that are tokens (N, L, D) -> pixels between neighbouring patches, down and across.
    """

    stages: Mapping[str, str]
    trunk: str = ""
    classifier: tuple[str, ...] = ()
    least_side: int = 1
    least_frames: int = 1
    one_length: bool = False
    patch: int = 1
    timm_pool: bool = False
    channel_axis: int = 1
    tokens: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Python that makes the same network in its library, to load exported weights.

    Attributes:
        make: an expression for the library's own network, with its classifier.
        make_headless: statements that make `model` as it was pretrained, without classifier.
        changes: statements that give `model` the small stem; empty for the published network.
        features: an expression for the pooled features of images `x` by that `model`.
    """

    make: str
    make_headless: tuple[str, ...]
    features: str
    changes: tuple[str, ...] = ()


class StagedEncoder(Encoder):
    """A library's network without its classifier; the keys of `net.state_dict()` are exactly the library's.

    Attributes:
        net: the torchvision or timm network.
        layout: where its features are.
        origin: how the library makes it.
        stem: "standard" or "small", as built.
        size: side of the images it was built for, pixels.
    """

    def __init__(
        self,
        net: nn.Module,
        layout: Layout,
        origin: Origin,
        *,
        name: str,
        kind: Kind,
        num_features: int,
        stem: str,
        size: int,
        channels: int = 3,
    ) -> None:
        super().__init__()
        check_side(name, layout, height=size, width=size)
        self.net = net
        self.layout = layout
        self.origin = origin
        self.name = name
        self.kind = kind
        self.num_features = num_features
        self.stages = tuple(layout.stages)
        self.stem = stem
        self.size = size
        self.channels = channels

    def stage_kind(self, stage: str) -> StageKind:
        return "tokens" if stage in self.layout.tokens else super().stage_kind(stage)

    def token_grid(self, stage: str, height: int, width: int) -> tuple[int, int]:
        if stage not in self.layout.tokens:
            return super().token_grid(stage, height, width)
        down, across = self.layout.tokens[stage]
        return math.ceil(height / down), math.ceil(width / across)

    def stage_output(self, stage: str) -> tuple[nn.Module, int]:
        if not (path := self.layout.stages[stage]):
            return super().stage_output(stage)
        return self.net.get_submodule(path), 2 if stage in self.layout.tokens else self.layout.channel_axis

    def forward_stages(self, x: Tensor) -> dict[str, Tensor]:
        outputs = self._read(x, self.stages)
        return {stage: self._channels_first(outputs[stage]) for stage in self.stages}

    def forward_features(self, x: Tensor) -> Tensor:
        last = self.stages[-1]
        return self._channels_first(self._read(x, (last,))[last])

    def forward(self, x: Tensor) -> Tensor:
        last = self.stages[-1]
        output = self._read(x, (last,))[last]
        if self.layout.timm_pool:
            pooled: Tensor = self.net.forward_head(output, pre_logits=True)  # type: ignore[operator]
            return pooled.flatten(1)
        output = self._channels_first(output)
        pool = F.adaptive_avg_pool3d if output.ndim == 5 else F.adaptive_avg_pool2d
        return pool(output, 1).flatten(1)

    def _read(self, x: Tensor, stages: tuple[str, ...]) -> dict[str, Tensor]:
        """Outputs of `stages` from one pass. Hooks live as long as the pass, so copies and threads stay clean."""
        self._check(x)
        x = self.seen(x)
        outputs: dict[str, Tensor] = {}
        handles: list[RemovableHandle] = []
        try:
            for stage in stages:
                if path := self.layout.stages[stage]:
                    handles.append(_keep_output(self.net.get_submodule(path), stage, outputs))
            last = self._trunk(x)
        finally:
            for handle in handles:
                handle.remove()
        if not self.layout.stages[stages[-1]]:
            outputs[stages[-1]] = last
        return outputs

    @property
    def least_frames(self) -> int:
        """Of the shortest clip that it takes."""
        return self.layout.least_frames

    def _check(self, x: Tensor) -> None:
        check_side(self.name, self.layout, height=x.shape[-2], width=x.shape[-1])
        if self.kind == "video":
            check_frames(self.name, self.layout.least_frames, x.shape[2])

    def _trunk(self, x: Tensor) -> Tensor:
        trunk = self.net.forward_features if self.layout.timm_pool else self.net.get_submodule(self.layout.trunk)
        output: Tensor = trunk(x)  # type: ignore[operator]
        return output

    def _channels_first(self, x: Tensor) -> Tensor:
        return x.movedim(self.layout.channel_axis, 1) if x.ndim > 3 else x


def _keep_output(module: nn.Module, stage: str, outputs: dict[str, Tensor]) -> RemovableHandle:
    def keep(_module: nn.Module, _args: object, output: Tensor) -> None:
        outputs[stage] = output

    return module.register_forward_hook(keep)


def check_side(name: str, layout: Layout, *, height: int, width: int) -> None:
    """Refuse images the network cannot take, in one sentence."""
    if min(height, width) < layout.least_side:
        raise ValueError(
            f"encoder '{name}' needs images of at least {layout.least_side} x {layout.least_side} pixels, "
            f"got {height} x {width}; raise --size or choose --stem small"
        )
    patch = layout.patch
    if height % patch or width % patch:
        near = max(patch, height // patch * patch)
        raise ValueError(
            f"encoder '{name}' needs sides that are a multiple of its {patch}-pixel patches, "
            f"got {height} x {width}; use --size {near} or {near + patch}"
        )


def check_frames(name: str, least: int, frames: int) -> None:
    """Refuse clips that are too short for the network, in one sentence."""
    if frames < least:
        raise ValueError(
            f"encoder '{name}' needs clips of at least {least} frames, got {frames}; raise --frames or choose "
            "another, such as r3d_18"
        )


def as_python(replaced: Mapping[str, nn.Module]) -> tuple[str, ...]:
    """Statements that replace modules of `model`; a module prints as its call, as in `model.conv1 = nn.Conv2d(...)`."""
    lines = []
    for path, module in replaced.items():
        target = "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in path.split("."))
        lines.append(f"model{target} = nn.{module!r}")
    return tuple(lines)
