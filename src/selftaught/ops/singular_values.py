"""Singular values of matrices, limited."""

from __future__ import annotations

import torch
from torch import Tensor


def clip_singular_values(matrices: Tensor, most: float = 1.0) -> Tensor:
    """Matrices (..., M, N) -> the nearest ones without a singular value above `most`: U min(S, most) V^T of their SVD.

    Computed in float64 from the eigenvalues of the product with the transpose, of the shorter side: a tenth of the time
    of a decomposition where one side is much longer than the other, as of the weights of a convolution.
    """
    wide = matrices.double()
    is_tall = wide.shape[-2] > wide.shape[-1]
    wide = wide.mT if is_tall else wide
    values, vectors = torch.linalg.eigh(wide @ wide.mT)
    factors = (most / values.clamp(min=most**2).sqrt()).clamp(max=1)
    clipped: Tensor = (vectors * factors[..., None, :]) @ (vectors.mT @ wide)
    return (clipped.mT if is_tall else clipped).to(matrices.dtype)
