"""Dense predictive coding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from selftaught.core.distributed import first_row, gather_rows
from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Input
from selftaught.encoders.base import Encoder, EncoderSpec
from selftaught.encoders.feature_map import map_over_time, map_over_time_shape
from selftaught.ops.clips.windows import degraded_crop, inner_areas
from selftaught.ops.colour import denormalise, normalised_jitter
from selftaught.ops.frames import boxes_within
from selftaught.tasks.base import PretextTask, Recipe, Shown


@dataclass
class Example:
    """Blocks of clips (N, B, 3, T, S, S), normalised; the last ones are predicted."""

    blocks: Tensor


@dataclass
class Prediction:
    """What is predicted and what is there, for P blocks: (N, P, K, h, w) each."""

    predicted: Tensor
    true: Tensor


class DensePrediction(PretextTask):
    """Predict the feature maps of the next blocks of a video from those before, one vector for each place (Han, Xie,
    Zisserman, ICCV workshop 2019).

    Link: https://arxiv.org/abs/1909.04656, code https://github.com/TengdaHan/DPC

    Flow: clip (N, B T, 3, H, W) -> one crop for all frames, other colours for each frame, B blocks of T frames
    (N, B, 3, T, S, S) -> 3-D encoder, block by block; its last map averaged over time, 1 x 1 convolution: z
    (N, B, K, h, w). A convolutional GRU over ReLU(z) of the first B - P blocks gives the context c (N, K, h, w). Two
    1 x 1 convolutions predict the next map from it, p = phi(c); the GRU goes on with ReLU(p), and so on for P blocks.

    Each predicted vector is compared by dot product with all true vectors of the predicted blocks in the global batch,
    and must find the one of its clip, block and place (InfoNCE). The others are easy negatives (other clips), spatial
    negatives (other places of the same clip) and temporal negatives (the same place in another of the blocks).

    To tell blocks and places apart, the features must contain what moves and where to, not only what the scene is.

    Held-out metrics: "accuracy" is how often the true vector is found among all; "time_accuracy" among those of the
    same place in the P blocks (chance 1 / P), for which the scene says nothing.

    Shortcut: colours that drift, and how well a codec kept the frames of a block, would tell the blocks apart; black
    bars and the border the clips and places. Guard: each frame has a colour distortion of its own, half of them are
    grey; each block has a blur and noise of its own (`ops.clips.windows`); bars and the border are cut off. On clips
    of one repeated frame, and where only the codec or the border changes, "time_accuracy" stays at chance; with
    `--task.degrade 0` a small network reaches 0.59 +- 0.02 on noise that went through a codec, after 120 steps. All
    blocks pass the encoder in one batch.

    Differences from the paper: any 3-D encoder instead of a ResNet whose first half is 2-D and whose last layer has no
    ReLU, so a 1 x 1 convolution comes after it; 5 blocks of consecutive frames, of which 2 are predicted, which also
    short videos have (in the paper 8 of every third frame, and 3); blur and noise; AdamW with warm-up and cosine.
    """

    recipe = Recipe(optimizer="adamw", lr=1e-3, weight_decay=1e-5)
    encoders: ClassVar[Mapping[str, EncoderSpec]] = {"encoder": EncoderSpec("video")}

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        frames: Annotated[int, Range(least=1)] = 5
        """Frames of a block (T)."""
        blocks: Annotated[int, Range(least=2)] = 5
        """Blocks of a clip (B); 8 in the paper."""
        predicted: Annotated[int, Range(least=1)] = 2
        """Last blocks, which are predicted (P); 3 in the paper."""
        stride: Annotated[int, Range(least=1)] = 1
        """Distance between frames of the clip, in frames of the video; 3 in the paper."""
        width: Annotated[int, Range(least=1)] = 256
        """Length K of the vectors of a map."""
        dropout: Annotated[float, Range(least=0, below=1)] = 0.1
        """Of the states of the GRU."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.5
        """Smallest share of the frame's area that a crop covers."""
        grey: Annotated[float, Range(least=0, most=1)] = 0.5
        """Probability of a grey frame."""
        degrade: Annotated[float, Range(least=0, most=1)] = 1.0
        """Strength of the random blur and noise of a block, which hide the traces of a codec; 0, the paper's, for
        none."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.predicted >= self.blocks:
                raise ValueError(
                    f"--task.predicted must be below --task.blocks, so that there is something to predict from, got "
                    f"{self.predicted} of {self.blocks}"
                )

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        channels, rows, columns = map_over_time_shape(encoder, config.frames, size)
        self.places = rows * columns
        self.project = nn.Conv2d(channels, config.width, 1)
        self.aggregate = ConvGRUCell(config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.predict = nn.Sequential(
            nn.Conv2d(config.width, config.width, 1), nn.ReLU(inplace=True), nn.Conv2d(config.width, config.width, 1)
        )
        for module in self.predict:
            if isinstance(module, nn.Conv2d):
                _orthogonal(module)

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"video": Clip(frames=config.blocks * config.frames, stride=config.stride)}

    @classmethod
    def clip_for(cls, config: Config) -> Clip:
        """A block."""
        return Clip(frames=config.frames, stride=config.stride)

    def chance(self, batch_size: int) -> float:
        return 1 / (batch_size * self.config.predicted * self.places)

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Clip (N, B T, 3, H, W) uint8 -> `Example`; the pseudo-label is the order of the blocks."""
        c = self.config
        video = batch["video"]
        n = len(video)
        boxes = boxes_within(inner_areas(video, self.size), rng, scale=(c.min_scale, 1.0))
        blocks = video.unflatten(1, (c.blocks, c.frames)).flatten(0, 1)
        cut = degraded_crop(blocks, boxes.repeat_interleave(c.blocks, 0), self.size, rng, strength=c.degrade)
        frames = normalised_jitter(cut.flatten(0, 1), rng, 0.5, 0.5, 0.5, 0.25, jitter=1.0, grey=c.grey)
        return Example(frames.unflatten(0, (n, c.blocks, c.frames)).transpose(2, 3).contiguous())

    def forward(self, example: Example) -> Prediction:
        n, count = example.blocks.shape[:2]
        seen = count - self.config.predicted
        clips = example.blocks.flatten(0, 1).contiguous(memory_format=torch.channels_last_3d)
        maps = self.project(map_over_time(self.encoder, clips)).unflatten(0, (n, count))
        state = torch.zeros_like(maps[:, 0])
        for block in range(seen):
            state = self.dropout(self.aggregate(maps[:, block].relu(), state))
        predicted = [self.predict(state)]
        while len(predicted) < self.config.predicted:
            state = self.dropout(self.aggregate(predicted[-1].relu(), state))
            predicted.append(self.predict(state))
        return Prediction(torch.stack(predicted, 1), maps[:, seen:])

    def loss(self, prediction: Prediction, example: Example) -> dict[str, Tensor]:
        """InfoNCE over all vectors of the predicted blocks, and the metrics of the class's docstring."""
        predicted, true = (x.float().permute(0, 1, 3, 4, 2) for x in (prediction.predicted, prediction.true))
        rows, columns = predicted.flatten(0, 3), true.flatten(0, 3)
        logits = rows @ gather_rows(columns).T
        own = torch.arange(len(rows), device=rows.device) + first_row(columns)
        right = (logits.detach().argmax(1) == own).float().mean()
        return {
            "loss": F.cross_entropy(logits, own),
            "accuracy": right,
            "time_accuracy": _time_accuracy(predicted, true),
        }

    def show(self, example: Example, prediction: Prediction, count: int) -> list[Shown]:
        """The blocks that are seen, those that follow, and how many of their places are found in the batch."""
        predicted, true = (x.detach().float().permute(0, 1, 3, 4, 2) for x in (prediction.predicted, prediction.true))
        found = (predicted.flatten(0, 3) @ true.flatten(0, 3).T).argmax(1)
        right = (found == torch.arange(len(found), device=found.device)).view(len(true), -1)
        frames = example.blocks[:count].transpose(2, 3)
        clips = denormalise(frames.flatten(0, 2)).unflatten(0, frames.shape[:3])
        seen = clips.shape[1] - self.config.predicted
        return [
            Shown(
                inputs=[clip[:seen].flatten(0, 1)],
                pseudo_label=clip[seen:].flatten(0, 1),
                prediction=f"{int(own.sum())} of {own.numel()} places found",
            )
            for clip, own in zip(clips, right, strict=False)
        ]


class ConvGRUCell(nn.Module):
    """A GRU whose states are maps and whose weights are 1 x 1 convolutions (Ballas, Yao, Pal, Courville, ICLR 2016).

    u = s(Wu [x, h]), r = s(Wr [x, h]), o = tanh(Wo [x, r h]); h' = (1 - u) h + u o.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gates = nn.Conv2d(2 * width, 2 * width, 1)
        self.out = nn.Conv2d(2 * width, width, 1)
        for conv in (self.gates, self.out):
            _orthogonal(conv)

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        """Input and state (N, K, h, w) -> the next state."""
        update, reset = self.gates(torch.cat([x, state], 1)).sigmoid().chunk(2, 1)
        new = self.out(torch.cat([x, state * reset], 1)).tanh()
        return torch.lerp(state.to(new.dtype), new, update)


def _time_accuracy(predicted: Tensor, true: Tensor) -> Tensor:
    """How often the block is right, of the blocks at the same place: vectors (N, P, h, w, K)."""
    similarity = torch.einsum("nphwk,nqhwk->nphwq", predicted.detach(), true.detach())
    blocks = torch.arange(true.shape[1], device=true.device)[None, :, None, None]
    return (similarity.argmax(4) == blocks).float().mean()


def _orthogonal(conv: nn.Conv2d) -> None:
    """Orthogonal weights and no offset, as published."""
    nn.init.orthogonal_(conv.weight)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
