"""What moves against the background, agreed on by all frames of a shot: uNLC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from selftaught.data.computed.base import Program
from selftaught.data.computed.regions.appearance_saliency import appearance_saliency
from selftaught.data.computed.regions.blobs import small_blobs
from selftaught.data.computed.regions.dense_field import refined
from selftaught.data.computed.regions.descriptors import descriptors
from selftaught.data.computed.regions.motion_saliency import dominant_saliency, residual_saliency
from selftaught.data.computed.regions.superpixels import region_means, superpixels
from selftaught.data.computed.regions.voting import transitions, voted

UNDECIDED = 255
_EDGE = 0.125
"""Share of the short side along each edge of a frame in which nothing is salient at first."""
_SURE, _UNSURE = 0.7, 0.5
"""Probability of what the votes are sure of, for the field, and of what they are not."""
_SPECK, _AREA = 25, 650 * 366
"""Pixels of the smallest part of a refined mask, in a frame of that area."""


@dataclass(frozen=True, kw_only=True)
class Unlc(Program):
    """1 where a thing moves, 0 where none does, 255 where the votes leave it open; at half resolution.

    uNLC (Pathak et al., CVPR 2017, section 5.1, and its code pathak22/videoseg), which is Non-Local Consensus voting
    (Faktor and Irani, BMVC 2014) without anything trained. Saliency of motion; votes of superpixels by their saliency,
    exchanged over and over between those of all frames nearby that have like gradients, colours and places; then votes
    above `high` are foreground and those up to `low` background.

    Differences from the code: with the default `first` a region is salient by the motion that the camera's homography
    leaves, in shares of the fastest in its frame; "dominant" is the code's: deviation from a dominant motion, or
    appearance where most frames of a shot have none. `high` and `low` are 0.7 and 0.4 there. The defaults of all three
    were chosen on DAVIS. Flow is that of DIS, frames are halved instead of scaled to 100 x 100, superpixels need not be
    connected, shots are those of the packed store, and longer ones than 96 frames are split instead of thinned. Blobs
    are not removed between rounds of votes: with the code's settings none ever is. The code refines final masks by a
    fully connected random field; set `crf` for it. At half of 160 pixels it takes small things away.

    On 12 sequences of DAVIS (40 frames each, 160 x 284 pixels) the mean IoU with masks that people drew is 0.48, and
    0.59 over the 88 % of the pixels that it decides; on clips of J-HMDB, on which nothing was chosen, 0.29 and 0.37:
    `benchmarks/moving_objects.py`. With the code's `first`, `high` and `low`, and `crf`, it is 0.28 on DAVIS.
    """

    name: ClassVar[str] = "unlc"
    version: ClassVar[int] = 1
    reads: ClassVar[Literal[1, 2]] = 1
    shot: ClassVar[int] = 96
    kind: ClassVar[Literal["mask", "depth", "flow"]] = "mask"
    dtype: ClassVar[type[np.uint8]] = np.uint8
    channels: ClassVar[int] = 1
    step: ClassVar[int] = 2

    superpixels: int = 400
    """Of each frame."""
    reach: int = 15
    """Frames before and after in which a region has neighbours."""
    neighbours: int = 2
    """Neighbours of a region for each of these frames."""
    variance: float = 0.1
    """Of the likeness of descriptors."""
    rounds: int = 50
    """Of votes."""
    first: Literal["homography", "dominant"] = "homography"
    """What is salient at first: motion without that of the camera, or other than a dominant one."""
    high: float = 0.6
    """Votes, of at most 1, above which a region is foreground."""
    low: float = 0.3
    """Votes up to which it is background."""
    crf: bool = False
    """Refine the mask of each frame by a random field; what it takes from, or adds to, sure votes is left open."""

    def __post_init__(self) -> None:
        for name in ("superpixels", "reach", "neighbours", "rounds"):
            if getattr(self, name) < 1:
                raise ValueError(f"the {name} of unlc must be at least 1, got {getattr(self, name)}")
        if self.first not in ("homography", "dominant"):
            raise ValueError(f"the first of unlc must be homography or dominant, got {self.first!r}")
        if not self.variance > 0:
            raise ValueError(f"the variance of unlc must be above 0, got {self.variance}")
        if not 0 <= self.low <= self.high <= 1:
            raise ValueError(f"unlc must have 0 <= low <= high <= 1, got low {self.low} and high {self.high}")

    def run(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Frames (T, H, W, 3) RGB of one shot -> (T, ceil(H / 2), ceil(W / 2), 1) of 0, 1 and 255."""
        small = np.stack([_halved(frame) for frame in frames])
        if len(frames) < 2:
            return np.full((len(frames), *small.shape[1:3], 1), UNDECIDED, np.uint8)
        scores = self.scores(frames, small)
        return np.stack([self._mask(frame, score)[:, :, None] for frame, score in zip(small, scores, strict=True)])

    def scores(self, frames: NDArray[np.uint8], small: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Votes in [0, 1] of the pixels of the halved frames, (T, h, w)."""
        labels = [superpixels(frame, self.superpixels, sigma=max(frame.shape) / 130) for frame in small]
        described = [descriptors(*one) for one in zip(frames, labels, strict=True)]
        counts = [len(one) for one in described]
        table = transitions(described, reach=self.reach, neighbours=self.neighbours, variance=self.variance)
        votes = voted(first_votes(small, labels, self.first), table, counts, rounds=self.rounds)
        parts = np.split(votes, np.cumsum(counts)[:-1])
        return np.stack([part[label] for part, label in zip(parts, labels, strict=True)]).astype(np.float32)

    def _mask(self, frame: NDArray[np.uint8], score: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Votes (h, w) and their frame -> (h, w) of 0, 1 and 255."""
        mask = np.full(score.shape, UNDECIDED, np.uint8)
        mask[score <= self.low] = 0
        sure = score > self.high
        mask[sure & ~small_blobs(sure, share=0.6)] = 1
        return self._refined(frame, mask) if self.crf and {0, 1} <= set(np.unique(mask).tolist()) else mask

    def _refined(self, frame: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        alone = np.choose(np.minimum(mask, 2), [1 - _SURE, _SURE, _UNSURE]).astype(np.float32)
        found = refined(frame, alone) > 0.5
        found &= ~small_blobs(found, least=_SPECK * mask.size / _AREA)
        return np.where((mask != UNDECIDED) & (mask != found), UNDECIDED, found).astype(np.uint8)


def first_votes(
    frames: NDArray[np.uint8], labels: list[NDArray[np.int32]], first: Literal["homography", "dominant"]
) -> NDArray[np.float32]:
    """Saliency of the regions of all frames of a shot, at most 1 and 0 along the edges of a frame, (R,).

    With "dominant" it is that of appearance where too few frames have a dominant motion.
    """
    salient = residual_saliency(frames) if first == "homography" else dominant_saliency(frames)
    if salient is None:
        salient = np.stack([appearance_saliency(*one)[one[1]] for one in zip(frames, labels, strict=True)])
    edge = int(_EDGE * min(salient.shape[1:]))
    inside = np.zeros_like(salient)
    within = (slice(None), slice(edge, salient.shape[1] - edge), slice(edge, salient.shape[2] - edge))
    inside[within] = salient[within]
    inside /= max(float(inside.max()), 1e-12)
    means = [
        region_means(one.reshape(-1, 1), label, int(label.max()) + 1)[:, 0]
        for one, label in zip(inside, labels, strict=True)
    ]
    return np.concatenate(means)


def _halved(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) -> (ceil(H / 2), ceil(W / 2), 3)."""
    height, width = frame.shape[:2]
    even = cv2.copyMakeBorder(frame, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    size = (even.shape[1] // 2, even.shape[0] // 2)
    return np.asarray(cv2.resize(even, size, interpolation=cv2.INTER_AREA), np.uint8).reshape(*size[::-1], 3)
