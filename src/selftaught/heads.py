"""Heads that two or more tasks share."""

from __future__ import annotations

from torch import nn


def projection_head(num_features: int, hidden: int, out: int) -> nn.Sequential:
    """Linear, ReLU, linear: "a MLP with one hidden layer" (SimCLR, Chen et al. 2020, section 2.1)."""
    return nn.Sequential(nn.Linear(num_features, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, out))
