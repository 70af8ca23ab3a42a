from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from selftaught.evaluation.dense.segmentation_heads import DeepLabHead, FcnHead, make_head
from selftaught.evaluation.dense.stage_maps import Stage

STAGES = tuple(Stage(name=f"stride{s}", channels=c, stride=s) for c, s in ((6, 4), (8, 8), (10, 16)))


def maps() -> dict[str, Tensor]:
    sides = [int(128 / stage.stride) for stage in STAGES]
    return {stage.name: torch.randn(2, stage.channels, side, side) for stage, side in zip(STAGES, sides, strict=True)}


def larger(x: Tensor, side: int) -> Tensor:
    return F.interpolate(x, (side, side), mode="bilinear", align_corners=False)


def test_deeplab_is_the_papers_pyramid_and_decoder() -> None:
    """Four dilated convolutions and the mean of the map beside each other, projected; then the finer map joins."""
    torch.manual_seed(0)
    head, given = make_head("deeplab", STAGES, 3, 4, size=128), maps()
    assert isinstance(head, DeepLabHead)
    head.eval()
    weights = head.state_dict()

    def block(x: Tensor, name: str, dilation: int = 1) -> Tensor:
        weight = weights[f"{name}.0.weight"]
        x = F.conv2d(x, weight, padding=dilation * (weight.shape[-1] // 2), dilation=dilation)
        return F.relu(x / (1 + 1e-5) ** 0.5)  # fresh statistics: mean 0, variance 1

    x = torch.cat([given["stride8"], larger(given["stride16"], 16)], 1)
    rates = [max(1, round(rate * 16 / 33)) for rate in (6, 12, 18)]
    branches = [block(x, "pyramid.convs.0")]
    branches += [block(x, f"pyramid.convs.{i}", dilation=rate) for i, rate in enumerate(rates, start=1)]
    whole = F.relu(F.conv2d(x.mean((2, 3), keepdim=True), weights["pyramid.convs.4.1.weight"]) / (1 + 1e-5) ** 0.5)
    x = block(torch.cat([*branches, whole.expand(-1, -1, 16, 16)], 1), "pyramid.project")
    x = torch.cat([larger(x, 32), block(given["stride4"], "low")], 1)
    for start in (0, 3):
        weight = weights[f"decode.{start}.weight"]
        x = F.relu(F.conv2d(x, weight, padding=1) / (1 + 1e-5) ** 0.5)
    expected = F.conv2d(x, weights["decode.6.weight"], weights["decode.6.bias"])
    assert torch.allclose(head(given), expected, atol=1e-5)


def test_fcn_starts_from_the_coarsest_map_and_learns_to_add_the_others() -> None:
    torch.manual_seed(0)
    head, given = make_head("fcn", STAGES, 3, 4, size=128), maps()
    assert isinstance(head, FcnHead)
    head.eval()
    coarse = head.last(given["stride16"])
    assert torch.allclose(head(given), larger(larger(coarse, 16), 32), atol=1e-6)
    fine = head.skips[0]
    assert isinstance(fine, torch.nn.Conv2d)
    torch.nn.init.ones_(fine.weight)
    added = given["stride4"].sum(1, keepdim=True)
    assert torch.allclose(head(given), larger(larger(coarse, 16), 32) + added, atol=1e-5)
