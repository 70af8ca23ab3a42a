"""Stage features as vectors of about 9,000 numbers, the survey's protocol for comparing layers of any width."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor


def pool_stage(features: Tensor, dims: int) -> Tensor:
    """Average-pool space (and time) so that at most about `dims` numbers are left, and flatten.

    (N, C, H, W), (N, C, T, H, W) or (N, C, T) -> (N, d), as `encoders.feature_map.stage_features` gives them; a stage
    with fewer numbers is kept whole, one with more than `dims` channels is pooled to a single position.
    """
    channels, spatial = features.shape[1], features.shape[2:]
    # 1.07 lets 9,000 reach the field's 9,600 = 96 x 10 x 10 = 384 x 5 x 5.
    positions = max(1.0, dims * 1.07 / channels)
    if len(spatial) == 2:
        side = max(1, int(math.sqrt(positions)))
        pooled = F.adaptive_avg_pool2d(features, (min(side, spatial[0]), min(side, spatial[1])))
    elif len(spatial) == 3:
        steps = min(2, spatial[0]) if positions >= 2 else 1
        side = max(1, int(math.sqrt(positions / steps)))
        pooled = F.adaptive_avg_pool3d(features, (steps, min(side, spatial[1]), min(side, spatial[2])))
    elif len(spatial) == 1:
        pooled = F.adaptive_avg_pool1d(features, min(int(positions), spatial[0]))
    else:
        raise ValueError(f"a stage must be (N, C, H, W), (N, C, T, H, W) or (N, C, T), got {tuple(features.shape)}")
    return pooled.flatten(1).float()
