"""How an encoder sees normalised colour images, or frames of clips, where not as they are: grey, or as gradients.

A prefix on the encoder's name asks for it, as in `--encoder grey:resnet18`. The transformation is a part of the
encoder, so probes, exports and comparisons with random weights see what pretraining saw; the network behind it has the
published three input channels and keeps the library's weight names.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

import torch
import torch.nn.functional as F
from torch import Tensor

from selftaught.ops.colour import denormalise, normalise, to_grey
from selftaught.ops.colour_spaces import equal_lightness_grey

See = Callable[[Tensor], Tensor]


def _of_frames(see: See) -> See:
    """The same for clips (N, 3, T, H, W), of which each frame is seen so."""

    @wraps(see)
    def seen(x: Tensor) -> Tensor:
        if x.ndim == 4:
            return see(x)
        frames: Tensor = see(x.transpose(1, 2).flatten(0, 1)).unflatten(0, (x.shape[0], x.shape[2]))
        return frames.transpose(1, 2).contiguous(memory_format=torch.channels_last_3d)

    return seen


@_of_frames
def see_grey(x: Tensor) -> Tensor:
    """Normalised images (N, 3, H, W) -> their lightness alone as a normalised image, three equal channels."""
    return normalise(equal_lightness_grey(denormalise(x.float())).expand(-1, 3, -1, -1))


@_of_frames
def see_sobel(x: Tensor) -> Tensor:
    """Normalised images (N, 3, H, W) -> horizontal and vertical Sobel gradients of the luma, the third channel 0.

    The fixed front end of DeepCluster (Caron et al., ECCV 2018, section 4.1), which takes colour away. Differences are
    taken outside of convolutions, which would round the luma to bfloat16 under autocast.
    """
    padded = F.pad(to_grey(x.float()), (1, 1, 1, 1), mode="replicate")
    upper, middle, lower = padded[:, :, :-2], padded[:, :, 1:-1], padded[:, :, 2:]
    left, centre, right = padded[..., :-2], padded[..., 1:-1], padded[..., 2:]
    columns, rows = upper + 2 * middle + lower, left + 2 * centre + right
    across, down = columns[..., 2:] - columns[..., :-2], rows[:, :, 2:] - rows[:, :, :-2]
    seen = F.pad(torch.cat([across, down], 1), (0, 0, 0, 0, 0, 1))
    return seen.contiguous(memory_format=torch.channels_last)


INPUTS: dict[str, See] = {"grey": see_grey, "sobel": see_sobel}
