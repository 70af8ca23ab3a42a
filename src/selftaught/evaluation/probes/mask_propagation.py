"""Mask propagation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from selftaught.core.precision import autocast, channels_last
from selftaught.core.ranges import Range, Settings
from selftaught.encoders.base import Encoder
from selftaught.encoders.feature_map import is_map, stage_maps
from selftaught.encoders.names import Kind
from selftaught.evaluation.data.base import DataKind
from selftaught.evaluation.data.sequences import SEQUENCES, MaskedVideos, Sequences
from selftaught.evaluation.dense.finer_stage import finer_stage
from selftaught.evaluation.dense.mask_drawings import animate_masks
from selftaught.evaluation.dense.propagation import follow
from selftaught.evaluation.dense.stage_maps import Reading, read_stages, settle_norms
from selftaught.evaluation.metrics.mask_match import boundary_accuracy, region_similarity
from selftaught.evaluation.probes.base import Probe, Score, best_stage
from selftaught.features.reader import Reader
from selftaught.ops.colour import normalise

AT_ONCE = 8
"""Frames that are encoded at once."""
DRAWN = 4
"""Videos that are drawn."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """J and F in percent of one video, means over its objects and frames."""

    region: float
    boundary: float

    @property
    def mean(self) -> float:
        """J&F."""
        return (self.region + self.boundary) / 2


class MaskPropagation(Probe):
    """Follow the masks of the first frame through a video by the similarity of features (Jabri et al., NeurIPS 2020).

    Nothing is trained. Each position of a frame takes the masks of the most similar positions of the first frame and of
    the frames before it, within a window, weighted by a softmax over cosine similarities (Vondrick et al., ECCV 2018;
    settings of Caron et al., ICCV 2021: 7 frames, a radius of 12 positions, the 5 most similar, temperature 0.1).
    Convolutions of stride 2 before the stage take every position, so that a ResNet is read at stride 8 (Jabri et al.).

    J is the intersection over union of an object's region, F the agreement of its boundary within 0.8 % of the diagonal
    (DAVIS: Perazzi et al., CVPR 2016), at the size of the frames; the first and the last frame do not count, as in the
    toolkit of DAVIS. Both are averaged over frames and objects of a video, and J&F, the metric, over videos, with an
    interval over videos. Next to random weights, `more` has the identity, which keeps the masks of the first frame.

    Data are frames/VIDEO/00000.jpg with masks/VIDEO/00000.png in a folder or zip, or DAVIS 2016 or 2017 as distributed.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"mask"})
    data: ClassVar[DataKind] = SEQUENCES
    kinds: ClassVar[frozenset[Kind]] = frozenset({"image"})
    metric: ClassVar[str] = "j_and_f"

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="probe."):
        stage: str = "auto"
        """Stage whose map is compared; auto is the last one of a transformer and the one before the last of others."""
        size: Annotated[int, Range(least=16)] = 240
        """Short side of the frames in pixels."""
        stride: Annotated[int, Range(least=1)] = 8
        """Largest number of pixels between positions of the map, where the convolutions allow it."""
        references: Annotated[int, Range(least=1)] = 7
        """Frames before each one that it is compared with, beside the first."""
        radius: Annotated[int, Range(least=1)] = 12
        """Positions down and across, within which it is compared."""
        k: Annotated[int, Range(least=1)] = 5
        """Most similar positions whose masks are taken."""
        temperature: Annotated[float, Range(above=0)] = 0.1
        """Temperature of the softmax over similarities."""

    def chance(self, data: Any) -> float | None:
        """Not defined; `more` has what keeping the first masks reaches."""
        return None

    @torch.no_grad()
    def score(self, reader: Reader, data: MaskedVideos) -> Score:
        """J&F in percent.

        `more`: "region" (J) and "boundary" (F) in percent with their intervals, "identity" {"region", "boundary",
        "j_and_f"} of the masks of the first frame, "per_video" {video: J&F}, "stride" in pixels and "pictures", whose
        files are animations of the true and the propagated masks.
        """
        stage = self._stage(reader.encoder)
        encoder = channels_last(finer_stage(reader.encoder.to(reader.device).eval(), stage, self.config.stride))
        reading = read_stages(encoder)
        if reader.is_random:
            settle_norms(encoder, self._first_frames(data.test, reading, reader.device))
        shown = set(np.linspace(0, len(data.test) - 1, min(DRAWN, len(data.test))).round().astype(int).tolist())
        followed, kept, drawn = [], [], []
        files: dict[str, bytes] = {}
        for i, name in enumerate(data.test.keys):
            masks = data.test.masks(i)
            predicted = self._follow(reader, encoder, stage, reading, data.test, i, masks[0])
            followed.append(measure(predicted, masks))
            kept.append(measure(np.broadcast_to(masks[0], (len(predicted) + 1, *masks[0].shape))[1:], masks))
            if i in shown:
                files[f"masks{i}.webp"] = animate_masks(data.test.frames(i), masks, predicted)
                drawn.append({"file": f"masks{i}.webp", "key": name})
        each = {name: np.array([getattr(one, name) for one in followed], np.float32) for name in ("region", "boundary")}
        parts = {name: best_stage({stage: values}) for name, values in each.items()}
        more: dict[str, Any] = {
            **{name: part.value for name, part in parts.items()},
            **{f"{name}_interval": part.interval for name, part in parts.items()},
            "identity": {
                name: round(float(np.mean([getattr(one, field) for one in kept])), 3)
                for name, field in (("region", "region"), ("boundary", "boundary"), ("j_and_f", "mean"))
            },
            "per_video": {name: round(one.mean, 3) for name, one in zip(data.test.keys, followed, strict=True)},
            "stride": round(next(one.stride for one in reading.stages if one.name == stage), 3),
            "pictures": drawn,
        }
        scores = best_stage({stage: np.array([one.mean for one in followed], np.float32)}, more)
        return Score(**{**vars(scores), "files": files})

    def _stage(self, encoder: Encoder) -> str:
        maps = [stage for stage in encoder.stages if is_map(encoder, stage)]
        if not maps:
            raise ValueError(
                f"encoder '{encoder.name}' has no stage that is a map, on which masks are followed; give an encoder "
                "such as resnet18 or timm:vit_tiny_patch16_224"
            )
        if self.config.stage == "auto":
            return maps[-1] if encoder.stage_kind(maps[-1]) == "tokens" or len(maps) == 1 else maps[-2]
        if self.config.stage not in maps:
            raise ValueError(f"--probe.stage must be auto or one of {', '.join(maps)}, got {self.config.stage!r}")
        return str(self.config.stage)

    def _follow(
        self,
        reader: Reader,
        encoder: Encoder,
        stage: str,
        reading: Reading,
        videos: Sequences,
        i: int,
        first: NDArray[np.uint8],
    ) -> NDArray[np.uint8]:
        """Masks (T - 1, H, W) of all frames of video `i` after the first."""
        config = self.config
        features = self._features(reader, encoder, stage, reading, videos, i)
        start = next(features)
        classes = int(first.max()) + 1
        one_hot = F.one_hot(torch.from_numpy(first).long(), classes).movedim(-1, 0).float().to(reader.device)
        small = F.interpolate(one_hot[None], start.shape[1:], mode="bilinear", antialias=True)[0]
        found = follow(
            chain([start], features),
            small,
            references=config.references,
            radius=config.radius,
            k=config.k,
            temperature=config.temperature,
        )
        masks = [
            F.interpolate(mask[None], first.shape, mode="bilinear")[0].argmax(0).to(torch.uint8).cpu().numpy()
            for mask in found
        ]
        return np.stack(masks)

    def _features(
        self, reader: Reader, encoder: Encoder, stage: str, reading: Reading, videos: Sequences, i: int
    ) -> Iterator[Tensor]:
        """Maps (C, h, w) float32 of the frames in order."""
        frames = videos.frames(i)
        while chunk := list(islice(frames, AT_ONCE)):
            x = self._views(chunk, reading).to(reader.device)
            with autocast(x.device, reader.precision):
                found = stage_maps(encoder, x)[stage]
            yield from found.float()

    def _views(self, frames: list[NDArray[np.uint8]], reading: Reading) -> Tensor:
        """Frames as the encoder takes them (N, 3, h, w), with the short side of `size`."""
        pixels = torch.from_numpy(np.stack(frames)).movedim(-1, 1)
        height, width = pixels.shape[-2:]
        scale = self.config.size / min(height, width)
        sides = [
            max(reading.least, round(scale * side / reading.multiple) * reading.multiple) for side in (height, width)
        ]
        if reading.side:
            sides = [reading.side, reading.side]
        resized = F.interpolate(pixels.float() / 255, tuple(sides), mode="bilinear", antialias=True)
        return normalise(resized).contiguous(memory_format=torch.channels_last)

    def _first_frames(self, videos: Sequences, reading: Reading, device: torch.device) -> Iterator[Tensor]:
        for i in range(len(videos)):
            yield self._views([next(videos.frames(i))], reading).to(device)


def measure(predicted: NDArray[np.uint8], truth: dict[int, NDArray[np.uint8]]) -> Measured:
    """J and F of masks (T - 1, H, W) of the frames from the second on, without the last, unless it is the only one."""
    frames = [t for t in sorted(truth) if 0 < t < len(predicted)] or [t for t in truth if t > 0]
    found, known = (
        torch.from_numpy(np.stack(masks)) for masks in ([predicted[t - 1] for t in frames], [truth[t] for t in frames])
    )
    objects = range(1, int(truth[0].max()) + 1)
    region = torch.stack([region_similarity(found == k, known == k).mean() for k in objects]).mean()
    boundary = torch.stack([boundary_accuracy(found == k, known == k).mean() for k in objects]).mean()
    return Measured(region=100 * float(region), boundary=100 * float(boundary))
