"""Batched tensor operations with an explicit generator: (N, C, H, W) and (N, T, C, H, W)."""
