"""SimCLR on clips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch.nn.functional as F
from torch import Generator, Tensor

from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch, Moments
from selftaught.data.inputs import Clip, Input
from selftaught.encoders.base import Encoder, EncoderSpec
from selftaught.ops.colour import denormalise_clips
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.clips.consistent_view import consistent_view
from selftaught.tasks.parts.heads import projection_head
from selftaught.tasks.parts.losses import nt_xent


@dataclass
class Example:
    """Views of clips (N, 3, T, S, S), normalised; rows 2 i and 2 i + 1 are of one video."""

    views: Tensor


class VideoSimCLR(PretextTask):
    """Find the other clip of the same video among all clips of the batch (Qian, Meng, Gong, Yang, Wang, Belongie, Cui,
    CVPR 2021).

    Link: https://arxiv.org/abs/2008.03800 (CVRL)

    Flow: two clips of each video (N, T, 3, H, W), in neighbouring rows -> one random view of each, the same for all its
    frames (N, 3, T, S, S) -> 3-D encoder (N, D) -> projection head (N, K) -> normalised embeddings -> InfoNCE over the
    global batch, as in SimCLR.

    The clips of a video are taken at two moments that are drawn uniformly over it. So an interval t between them has
    the density 2 (L - t) / L^2 in a video that leaves room for L: it falls linearly, the distribution that worked best
    in the paper. Clips that are far from each other may show different things, and are drawn less often.

    A view is a random-resized crop, mirrored half the time, with colour distortion and blur. All frames of a clip get
    the same draw: another one for each frame would bury what moves.

    Shortcut: the colours of a scene and black bars are those of its video and find the partner without a look at
    anything. Guard: strong colour distortion, grey with probability 0.2 and blur; crops are cut between bars. In
    separate batches, views would also carry traces of the batch statistics. Guard: all views of a process pass through
    the encoder in one batch, and on GPUs statistics are computed over all processes. A background at rest is seen by
    both clips and remains a cue; it is what the video shows.

    Differences from the paper: one view of each of two clips and a batch of hundreds of clips, not a thousand videos;
    SGD instead of LARS; 512 hidden units of the head instead of 2048; colour distortion is one affine map per view; a
    video may be drawn twice for a batch that is larger than the data.
    """

    recipe = Recipe(optimizer="sgd", lr=0.12, weight_decay=5e-4)
    encoders: ClassVar[Mapping[str, EncoderSpec]] = {"encoder": EncoderSpec("video")}

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        frames: Annotated[int, Range(least=1)] = 16
        """Frames of a clip (T)."""
        stride: Annotated[int, Range(least=1)] = 1
        """Distance between frames of a clip, in frames of the video; 2 in the paper."""
        temperature: Annotated[float, Range(above=0)] = 0.1
        """Temperature that divides the cosine similarities."""
        hidden: Annotated[int, Range(least=1)] = 512
        """Hidden units of the projection head."""
        embedding: Annotated[int, Range(least=1)] = 128
        """Length K of the embeddings the loss compares."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.3
        """Smallest share of the frame's area that a crop covers."""
        jitter: Annotated[float, Range(least=0)] = 1.0
        """Strength of the colour distortion."""
        grey: Annotated[float, Range(least=0, most=1)] = 0.2
        """Probability of a grey view."""
        blur: Annotated[float, Range(least=0, most=1)] = 0.5
        """Probability of a blurred view."""

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"video": Clip(frames=config.frames, stride=config.stride)}

    @classmethod
    def moments(cls, config: Config) -> Moments:
        """Two of each video, however near."""
        return Moments(clips_per_video=2)

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        self.head = projection_head(encoder.num_features, config.hidden, config.embedding)

    def chance(self, batch_size: int) -> float:
        return 1 / max(1, batch_size - 1)

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Clips (N, T, 3, H, W) uint8, two of each video -> `Example`; the pseudo-label is the order of the rows."""
        c = self.config
        views = consistent_view(
            batch["video"], self.size, rng, min_scale=c.min_scale, jitter=c.jitter, grey=c.grey, blur=c.blur
        )
        return Example(views)

    def forward(self, example: Example) -> Tensor:
        """Embeddings (N, K), not normalised."""
        embeddings: Tensor = self.head(self.encoder(example.views))
        return embeddings

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """InfoNCE, and how often the nearest other clip is the right one."""
        loss, accuracy = nt_xent(prediction[::2], prediction[1::2], self.config.temperature)
        return {"loss": loss, "accuracy": accuracy}

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """A clip, the clip it should find, and the one that it finds among all others."""
        unit = F.normalize(prediction.detach().float(), dim=1)
        similarity = unit @ unit.T
        similarity.fill_diagonal_(-2.0)
        found = similarity.argmax(1)
        clips = denormalise_clips(example.views).transpose(1, 2)
        rows = range(0, min(2 * count, len(clips)), 2)
        return [Shown(inputs=[clips[i]], pseudo_label=clips[i + 1], prediction=clips[int(found[i])]) for i in rows]
