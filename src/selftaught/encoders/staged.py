"""One encoder class around every torchvision and timm network: features are read where they arise, by hooks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from selftaught.encoders.base import Encoder, Kind

POOLS = {3: lambda x: x.mean(1), 4: lambda x: F.adaptive_avg_pool2d(x, 1), 5: lambda x: F.adaptive_avg_pool3d(x, 1)}


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where in a network the features are.

    Attributes:
        stages: stage name -> path of the module whose output it is; "" is the output of the trunk itself,
            allowed for the last stage only.
        trunk: path of the module that computes all stages; "" is the whole network.
        classifier: first parts of the state-dict keys that pretraining leaves out, e.g. ("fc.",).
        least_side: the smallest picture, in pixels, that comes through.
        patch: sides of pictures must be a multiple of this many pixels.
        own_pool: pool by timm's own `forward_head` instead of the mean over all positions.
        channels_last_axis: the network returns (N, H, W, C).
    """

    stages: Mapping[str, str]
    trunk: str = ""
    classifier: tuple[str, ...] = ()
    least_side: int = 1
    patch: int = 1
    own_pool: bool = False
    channels_last_axis: bool = False


@final
class StagedEncoder(Encoder):
    """A library's network without its classifier; the keys of `net.state_dict()` are exactly the library's.

    Attributes:
        net: the torchvision or timm network.
        stem: "standard" or "small", as built.
        size: side of the pictures it was built for, pixels.
        changes: lines of Python that turn the library's `model` into this network (small stems); may be empty.
        load: the Python expression that makes the library's network with its classifier.
    """

    def __init__(
        self,
        net: nn.Module,
        layout: Layout,
        *,
        name: str,
        kind: Kind,
        num_features: int,
        stem: str,
        size: int,
        changes: tuple[str, ...] = (),
        load: str = "",
    ) -> None:
        super().__init__()
        self.net = net
        self.layout = layout
        self.name = name
        self.kind = kind
        self.num_features = num_features
        self.stages = tuple(layout.stages)
        self.stem = stem
        self.size = size
        self.changes = changes
        self.load = load

    def forward_stages(self, x: Tensor) -> dict[str, Tensor]:
        captured: dict[str, Tensor] = {}
        handles = [self._capture(stage, path, captured) for stage, path in self.layout.stages.items() if path]
        try:
            last = self._trunk(x)
        finally:
            for handle in handles:
                handle.remove()
        captured.setdefault(self.stages[-1], last)
        return {stage: self._channels_first(captured[stage]) for stage in self.stages}

    def forward_features(self, x: Tensor) -> Tensor:
        return self._channels_first(self._last(x))

    def forward(self, x: Tensor) -> Tensor:
        last = self._last(x)
        if self.layout.own_pool:
            pooled: Tensor = self.net.forward_head(last, pre_logits=True)  # type: ignore[operator]
            return pooled.flatten(1)
        return POOLS[last.ndim](last).flatten(1)

    def _last(self, x: Tensor) -> Tensor:
        stage = self.stages[-1]
        path = self.layout.stages[stage]
        if not path:
            return self._trunk(x)
        captured: dict[str, Tensor] = {}
        handle = self._capture(stage, path, captured)
        try:
            self._trunk(x)
        finally:
            handle.remove()
        return captured[stage]

    def _trunk(self, x: Tensor) -> Tensor:
        check_side(self.name, self.layout, height=x.shape[-2], width=x.shape[-1])
        if self.layout.own_pool:
            return self.net.forward_features(x)  # type: ignore[operator, no-any-return]
        out: Tensor = self.net.get_submodule(self.layout.trunk)(x)
        return out

    def _capture(self, stage: str, path: str, into: dict[str, Tensor]) -> RemovableHandle:
        def keep(_module: nn.Module, _args: object, output: Tensor) -> None:
            into[stage] = output

        return self.net.get_submodule(path).register_forward_hook(keep)

    def _channels_first(self, x: Tensor) -> Tensor:
        return x.permute(0, 3, 1, 2) if self.layout.channels_last_axis and x.ndim == 4 else x


def check_side(name: str, layout: Layout, *, height: int, width: int) -> None:
    """Refuse pictures the network cannot take, in one sentence."""
    if min(height, width) < layout.least_side:
        raise ValueError(
            f"encoder '{name}' needs pictures of at least {layout.least_side} x {layout.least_side} pixels, "
            f"got {height} x {width}; raise --size or choose --stem small"
        )
    if height % layout.patch or width % layout.patch:
        below = max(layout.patch, height // layout.patch * layout.patch)
        raise ValueError(
            f"encoder '{name}' needs sides that are a multiple of its {layout.patch}-pixel patches, "
            f"got {height} x {width}; use --size {below} or {below + layout.patch}"
        )
