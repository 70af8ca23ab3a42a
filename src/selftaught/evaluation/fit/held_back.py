"""Which training samples only choose hyper-parameters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from selftaught.core.randomness import numpy_generator


def held_back(count: int, seed: int) -> NDArray[np.bool_]:
    """(count,) True for a fifth of the samples, a tenth where there are 2,000 or more; none where it would be all."""
    held = numpy_generator(seed, "held back").random(count) < (0.2 if count < 2000 else 0.1)
    return held & ~held.all()
