"""Contours."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Computed, Image, Input
from selftaught.encoders.base import Encoder
from selftaught.ops.colour import denormalise, normalise
from selftaught.ops.crop import crop_resize, random_boxes
from selftaught.ops.draw_maps import IGNORE
from selftaught.ops.edges.ridges import near, thin
from selftaught.tasks.base import Map, PretextTask, Recipe, Shown
from selftaught.tasks.parts.adversarial import running_statistics
from selftaught.tasks.parts.hypercolumn import check_places, placed_stages, resized, stage_shapes

CELL = 2
"""Pixels of an image, along each side, to one of the map of contours."""
AROUND = 2
"""Cells around a contour that are neither contour nor background, as labels miss by as much."""


@dataclass
class Example:
    """Images (N, 3, S, S) normalised, and their contours (N, M, M) uint8: 1, 0, or 255 where undecided.

    `counts` (N,) bool says which images the loss is of.
    """

    images: Tensor
    contours: Tensor
    counts: Tensor


class Contour(PretextTask):
    """Predict from a single frame the contours of what moves (Li, Paluri, Rehg, Dollar, CVPR 2016).

    Link: https://arxiv.org/abs/1511.04166

    Flow: frame of a video (N, 1, 3, H, W) and its motion edges (N, 1, 1, H, W), computed once from the optical flow to
    the next frame and put on the edges of the image -> random crop of both (N, 3, S, S), (N, M, M), M = S / 2 -> edges
    thinned to lines -> 2-D encoder, every stage with places -> one side output each and their weighted sum (N, K + 1,
    M, M) (HED: Xie and Tu, ICCV 2015) -> binary cross entropy of each, contours and background having half of the
    weight in every image.

    Where things move differently from what is beside them is nearly always the border of an object, while most edges
    of an image are texture, shadow or print. To tell them apart in a single frame, the network must know objects.

    Alternation: motion edges teach the network, and its edges make better motion edges, as in the paper. After each of
    `iterations` equal parts of the run, a copy of the network finds the edges of each frame, and a motion edge is as
    strong as the program says, times the square root of what the copy says. Held-out frames keep the labels of the
    program.

    A cell is a contour where a line is at least `strong`, and background where nothing within two cells is above
    `weak`. Images with fewer contours than `least` do not count. The metric is the mean of the accuracies on contours
    and on background; chance is 0.5.

    With `--task.program gradient` or `canny` the labels are all edges of the image that the plain program finds, so
    photos are enough. They are the baseline of the paper's idea: such edges are seen without knowing any object.

    Shortcut: motion edges lie where the image has contrast, so contrast alone predicts many of them; and things are
    filmed in the middle of the frame. Guard: labels are relative to the strongest motion of the frame, not to its
    contrast, and edges of the image without motion are background; crops are taken anywhere and flipped at random.

    Differences from the paper: the network is trained on in all parts (the paper trains a structured forest, or HED,
    anew four times); its edges weigh the motion edges, while the paper also interpolates new flow between them
    (EpicFlow) and applies the detector to flow drawn in colours (here DIS, which no edges guide); a motion edge moves
    to the image edge beside it (the paper deletes those more than 3 pixels from the border of a superpixel); the first
    motion edges are those of the flow instead of its colours.
    """

    recipe = Recipe(optimizer="adamw", lr=2e-3, weight_decay=1e-2)

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        program: Literal["motion", "canny", "gradient"] = "motion"
        """What finds the edges: motion edges of videos, or Canny or the gradient of single images."""
        iterations: Annotated[int, Range(least=1)] = 2
        """Parts of the run, after each of which the network's own edges guide the labels; 4 in the paper."""
        strong: Annotated[float, Range(above=0, most=1)] = 0.4
        """Least strength of a contour, where 1 is that of the strongest edges of the frame."""
        weak: Annotated[float, Range(above=0, most=1)] = 0.15
        """Strength below which there is no contour."""
        least: Annotated[float, Range(least=0, below=1)] = 0.002
        """Smallest share of contours in a crop for it to be used."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.2
        """Smallest share of the frame's area that a crop covers."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.weak > self.strong:
                raise ValueError(
                    f"--task.weak must be at most --task.strong, got {self.weak} and {self.strong}; lower the first"
                )

    guided: Tensor

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        check_places(encoder)
        self.encoder = encoder
        self.config = config
        self.size = size
        self.side = max(4, size // CELL)
        self.head = SideOutputs(encoder, size)
        alternates = config.program == "motion" and config.iterations > 1
        self.guide = copy.deepcopy(encoder).requires_grad_(False) if alternates else None
        self.guide_head = copy.deepcopy(self.head).requires_grad_(False) if alternates else None
        self.register_buffer("guided", torch.tensor(False))

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return (
            {"image": Image(), "edges": Computed("image_edges", like="image", settings={"method": config.program})}
            if config.program != "motion"
            else {"frame": Clip(frames=1), "edges": Computed("motion_edges", like="frame")}
        )

    def chance(self, batch_size: int) -> float:
        return 0.5

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Frame (N, 1, 3, H, W) uint8 and edges (N, 1, 1, H, W), of images without the axis of frames -> `Example`."""
        moves = self.config.program == "motion"
        frames, edges = (batch["frame"][:, 0], batch["edges"][:, 0]) if moves else (batch["image"], batch["edges"])
        height, width = frames.shape[-2:]
        boxes = random_boxes(len(frames), height, width, rng, scale=(self.config.min_scale, 1.0))
        images = normalise(crop_resize(frames, boxes, self.size))
        strength = crop_resize(edges.float(), boxes, self.side)[:, 0]
        if self.guide is not None and self.training and bool(self.guided):
            strength = self.guided_edges(images, strength)
        return self.labelled(images, strength)

    def labelled(self, images: Tensor, strength: Tensor) -> Example:
        """Images (N, 3, S, S) with edges (N, M, M) in [0, 1], ridges of any width -> `Example`."""
        lines = thin(strength) >= self.config.strong
        background = ~near((strength >= self.config.weak) | lines, AROUND)
        contours = torch.full(lines.shape, IGNORE, dtype=torch.uint8, device=lines.device)
        contours[background] = 0
        contours[lines] = 1
        share = lines.float().mean((1, 2))
        return Example(images, contours, (share > 0) & (share >= self.config.least))

    @torch.no_grad()
    def guided_edges(self, images: Tensor, strength: Tensor) -> Tensor:
        """Motion edges (N, M, M) in [0, 1] of images (N, 3, S, S), weighted by those that the copy finds."""
        return relative(strength * relative(self._found_by_guide(images)).sqrt())

    def forward(self, example: Example) -> Tensor:
        """Logits (N, K + 1, M, M), the last being the sum that counts."""
        return self._logits(self.encoder, self.head, example.images)

    @torch.no_grad()
    def contours(self, images: Tensor) -> Tensor:
        """Probability (N, H / 2, W / 2) of a contour in images (N, 3, H, W) of any size, normalised."""
        return self._logits(self.encoder, self.head, images)[:, -1].float().sigmoid()

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """Sum of the logistic losses of all outputs, a mean over all N images; those that do not count add 0."""
        logits, counts = prediction.float(), example.counts.float()
        total, hits = logits.new_zeros(()), []
        for value in (1, 0):
            cells = (example.contours == value).float()
            share = cells / cells.sum((1, 2), keepdim=True).clamp(min=1)
            errors = F.softplus(-logits if value else logits) * share[:, None]
            total = total + (errors.sum((1, 2, 3)) * counts).mean() / 2
            right = ((logits[:, -1].detach() > 0) == bool(value)).float()
            own = (right * share).sum((1, 2))[example.counts & (cells.sum((1, 2)) > 0)]
            hits.append(own.mean() if len(own) else logits.new_tensor(0.5))
        return {
            "loss": total,
            "accuracy": (hits[0] + hits[1]) / 2,
            "accuracy_contours": hits[0],
            "accuracy_background": hits[1],
            "images_used": counts.mean(),
        }

    @torch.no_grad()
    def after_step(self, step: int, total: int) -> None:
        """At the end of each part of the run but the last, the copy becomes what the network is."""
        part = (step + 1) * self.config.iterations // total
        if self.guide is None or self.guide_head is None or part == step * self.config.iterations // total:
            return
        for own, other in ((self.guide, self.encoder), (self.guide_head, self.head)):
            copies: Iterator[Tensor] = chain(own.parameters(), own.buffers())
            for old, new in zip(copies, chain(other.parameters(), other.buffers()), strict=True):
                old.copy_(new)
        self.guided.fill_(True)

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """A frame, its contours (white where undecided), and the probability of one."""
        chance = prediction[:, -1].detach().float().sigmoid()
        return [
            Shown(
                inputs=[denormalise(example.images[n : n + 1])[0]],
                pseudo_label=Map(values=example.contours[n], kind="mask"),
                prediction=Map(values=chance[n], kind="mask"),
            )
            for n in range(min(count, len(chance)))
        ]

    def _found_by_guide(self, images: Tensor) -> Tensor:
        assert self.guide is not None
        assert self.guide_head is not None
        with running_statistics(self.guide):
            return self._logits(self.guide, self.guide_head, images)[:, -1].float().sigmoid()

    @staticmethod
    def _logits(encoder: Encoder, head: nn.Module, images: Tensor) -> Tensor:
        x = images.contiguous(memory_format=torch.channels_last)
        grid = tuple(max(1, side // CELL) for side in images.shape[-2:])
        logits: Tensor = head(placed_stages(encoder, x), grid)
        return logits


class SideOutputs(nn.Module):
    """A map from each stage with places, enlarged to one grid, and their sum with learned weights (HED).

    Stages of `placed_stages` -> (N, K + 1, *grid), the sum last.
    """

    def __init__(self, encoder: Encoder, size: int) -> None:
        super().__init__()
        shapes = stage_shapes(encoder, size)
        self.stages = list(shapes)
        self.sides = nn.ModuleList(nn.Conv2d(shape[0], 1, 1) for shape in shapes.values())
        self.fuse = nn.Conv2d(len(shapes), 1, 1)
        nn.init.constant_(self.fuse.weight, 1 / len(shapes))
        nn.init.zeros_(self.fuse.bias)  # type: ignore[arg-type]

    def forward(self, stages: Mapping[str, Tensor], grid: tuple[int, int]) -> Tensor:
        maps = [resized(side(stages[name]), grid) for name, side in zip(self.stages, self.sides, strict=True)]
        every = torch.cat(maps, 1)
        return torch.cat([every, self.fuse(every)], 1)


def relative(edges: Tensor) -> Tensor:
    """Edges (N, M, M) from 0 at the median of each image to 1 at what its strongest fiftieth exceeds."""
    flat = edges.flatten(1)
    least, most = (flat.kthvalue(max(1, round(share * flat.shape[1])), dim=1).values for share in (0.5, 0.98))
    return ((edges - least[:, None, None]) / (most - least).clamp(min=1e-6)[:, None, None]).clamp(0, 1)
