"""What the adversarial tasks on clips share: real clips, scores of real and generated ones in one batch, animations."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn
from torchvision.utils import make_grid

from selftaught.ops.clips.stabilise import camera_shifts, stabilised_crop
from selftaught.ops.clips.windows import inner_areas
from selftaught.ops.colour import denormalise_clips, normalise_clips
from selftaught.tasks.base import Shown
from selftaught.tasks.parts.adversarial import own_statistics

GRID = 9
"""Clips in a grid of samples."""


def real_clips(video: Tensor, size: int, rng: Generator, *, least_side: float, is_stabilised: bool) -> Tensor:
    """A random square window of each clip, mirrored half the time: (N, T, 3, H, W) uint8 -> (N, 3, T, S, S) normalised.

    It is cut between black bars, and moves with the camera where `is_stabilised`; `least_side` is its smallest side as
    a share of the largest that fits.
    """
    shifts = camera_shifts(video) if is_stabilised else torch.zeros(*video.shape[:2], 2, device=video.device)
    frames = stabilised_crop(video, size, rng, areas=inner_areas(video, size), shifts=shifts, least_side=least_side)
    return normalise_clips(frames.transpose(1, 2))


def as_seen(pixels: Tensor) -> Tensor:
    """Generated clips (N, 3, T, S, S) in [-1, 1], as the encoder takes them: float32, normalised."""
    return normalise_clips(0.5 + 0.5 * pixels.to(torch.promote_types(pixels.dtype, torch.float32)))


def judged_together(
    network: nn.Module, head: Callable[[Tensor], Tensor], real: Tensor, made: Tensor
) -> tuple[Tensor, Tensor]:
    """What the head says of the network's features of real and of generated clips, (N, K) each, from one batch.

    In batches of their own, batch normalisation would remove the difference of their means. The running statistics,
    which stay with an encoder, are left alone; `remember` fills them from real clips.
    """
    with own_statistics(network):
        first, second = head(network(torch.cat([real.to(made.dtype), made]))).chunk(2)
    return first, second


@torch.no_grad()
def remember(network: nn.Module, real: Tensor) -> None:
    """In training, pass real clips through for what the batch normalisation of the network remembers."""
    if network.training:
        network(real)


def real_above_made(real: Tensor, made: Tensor) -> Tensor:
    """Share of pairs of a real and a generated clip of which the real one scores higher; scores (N,)."""
    return (real.detach().float()[:, None] > made.detach().float()).float().mean()


def shown_clips(real: Tensor, made: Tensor, scores: tuple[Tensor, Tensor], count: int) -> list[Shown]:
    """A grid of real and one of generated clips; then clips with their scores, real and generated in turn.

    Clips (N, 3, T, S, S) normalised, scores (N,) each; those above the middle of all count as real.
    """
    pictures = [denormalise_clips(clips.float()).transpose(1, 2) for clips in (real, made)]
    first, second = (_grid(clips) for clips in pictures)
    shown = [Shown(inputs=[first], pseudo_label="real clips; generated clips on the right", prediction=second)]
    middle = float(torch.cat(scores).float().mean())
    for i in range(min(count, 2 * len(real)) - 1):
        kind = i % 2
        score = float(scores[kind][i // 2])
        guess = "real" if score > middle else "generated"
        shown.append(
            Shown(
                inputs=[pictures[kind][i // 2]],
                pseudo_label=("real", "generated")[kind],
                prediction=f"{guess} (score {score:.2f})",
            )
        )
    return shown


def _grid(clips: Tensor) -> Tensor:
    """Clips (N, T, 3, S, S) in [0, 1] -> one clip (T, 3, h, w) of some of them in rows of three."""
    frames = clips[:GRID].transpose(0, 1)
    return torch.stack([make_grid(frame, nrow=3, pad_value=1.0) for frame in frames])
