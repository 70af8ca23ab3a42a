"""Depth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from selftaught.core.precision import autocast, channels_last
from selftaught.core.ranges import Range, Settings
from selftaught.data.inputs import Given, Image, Input
from selftaught.data.store.samples import Samples
from selftaught.encoders.feature_map import stage_maps
from selftaught.encoders.modality import encoder_view
from selftaught.encoders.names import Kind
from selftaught.evaluation.data.base import DataKind
from selftaught.evaluation.data.paired import PAIRED, Paired
from selftaught.evaluation.dense.stage_maps import read_stages, settle_norms
from selftaught.evaluation.fit.dense_ridge import PlaceSums, fit_places
from selftaught.evaluation.metrics.depth_maps import (
    is_known,
    lower_is_nearer,
    order_accuracy,
    rank_correlation,
    relative_error,
    scaled_by_median,
    share_near,
)
from selftaught.evaluation.probes.base import Probe, Score, best_stage
from selftaught.features.encode import sample_batches
from selftaught.features.reader import Reader

AT_ONCE = 32
"""Images that are encoded at once."""
CALIBRATION = 4
"""Batches that give random weights their statistics."""
EVERY = 5
"""Training images to one by which the penalty is chosen."""
Figures = dict[str, NDArray[np.float32]]


class Depth(Probe):
    """Read the depth of each place from the stages of the frozen encoder, linearly.

    At every stage that is a map, the logarithm of depth, averaged over the pixels of a place, is fitted by least
    squares with a penalty, which is chosen on a fifth of the training images. The predicted map is enlarged, and
    measured at the size of the images that the encoder sees: order accuracy, the metric, over random pairs of pixels
    whose depths differ by a factor of 1.02 or more (1 - WHDR; Chen et al., NeurIPS 2016); Spearman's correlation of
    ranks; and, after scaling by the median (Zhou et al., CVPR 2017), the mean relative error and the share of pixels
    that are wrong by a factor below 1.25. All are means over images.

    Next to random weights, `more` has what needs no image: the mean depth everywhere, "lower in the image is nearer",
    and the mean map of the training images; and, of a run whose task predicts depth, that depth as it is (zero-shot).

    Data are images with depth: folders images and depth with PNG of 16 bits in millimetres, or rendered scenes.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"depth"})
    data: ClassVar[DataKind] = PAIRED
    inputs: ClassVar[Mapping[str, Input]] = {"image": Image(), "depth": Given("depth")}
    kinds: ClassVar[frozenset[Kind]] = frozenset({"image"})
    metric: ClassVar[str] = "order_accuracy"

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="probe."):
        farthest: Annotated[float, Range(above=0)] = 80.0
        """Metres from which depth does not count, as that of the sky."""

    def chance(self, data: Any) -> float | None:
        """Order of pairs without any knowledge."""
        return 50.0

    @torch.no_grad()
    def score(self, reader: Reader, data: Paired) -> Score:
        """Order accuracy in percent of every stage.

        `more`: "spearman", "abs_rel" and "near_share" (below 1.25, percent) of the best stage; the same and
        "order_accuracy" of "constant", "lower_is_nearer" and "mean_map"; "zero_shot" likewise, None without a task.
        """
        encoder = channels_last(reader.encoder.to(reader.device).eval())
        reading = read_stages(encoder)
        if reader.is_random:
            some = islice(self._batches(reader, data.train), CALIBRATION)
            settle_norms(encoder, (encoder_view(encoder, batch.inputs, reader.size) for batch in some))
        names = [stage.name for stage in reading.stages]
        weights, mean_map, mean = self._fit(reader, data.train, names)
        found: dict[str, list[Figures]] = {}
        for batch in self._batches(reader, data.test):
            depth = batch["depth"].masked_fill(batch["depth"] > self.config.farthest, 0)
            maps = self._maps(reader, batch.inputs, names)
            predicted = {name: _readout(maps[name], weights[name], depth).exp() for name in names}
            predicted["constant"] = torch.full_like(depth, mean).exp()
            predicted["lower_is_nearer"] = lower_is_nearer(depth)
            predicted["mean_map"] = _enlarged(mean_map.expand(len(depth), -1, -1), depth).exp()
            if (own := self._own(reader, batch.inputs)) is not None:
                predicted["zero_shot"] = _enlarged(own, depth)
            for name, one in predicted.items():
                found.setdefault(name, []).append(figures(one, depth))
        every = {name: _joined(parts) for name, parts in found.items()}
        best = best_stage({name: 100 * every[name]["order_accuracy"] for name in names})
        more: dict[str, Any] = {k: v for k, v in _means(every[best.stage]).items() if k != "order_accuracy"}
        for name in ("constant", "lower_is_nearer", "mean_map", "zero_shot"):
            more[name] = _means(every[name]) if name in every else None
        return Score(**{**vars(best), "more": more})

    def _batches(self, reader: Reader, samples: Samples) -> Iterator[Any]:
        for (batch,) in sample_batches(samples, batch_size=AT_ONCE, device=reader.device, clips=1):
            yield batch

    def _maps(self, reader: Reader, inputs: Mapping[str, Tensor], names: list[str]) -> dict[str, Tensor]:
        """Maps (N, C, h, w) float32 of the stages."""
        x = encoder_view(reader.encoder, inputs, reader.size)
        with autocast(x.device, reader.precision):
            found = stage_maps(reader.encoder, x)
        return {name: found[name].float() for name in names}

    def _own(self, reader: Reader, inputs: Mapping[str, Tensor]) -> Tensor | None:
        """Depth (N, h, w) that the task of the run predicts, where it does."""
        if reader.predict_maps is None:
            return None
        return reader.predict_maps(encoder_view(reader.encoder, inputs, reader.size)).get("depth")

    def _fit(self, reader: Reader, train: Samples, names: list[str]) -> tuple[dict[str, Tensor], Tensor, float]:
        """Weights (C + 1,) of each stage, the mean map (h, w) and the mean of the logarithm of depth."""
        sums: dict[str, list[PlaceSums | None]] = {name: [None, None] for name in names}
        total = count = None
        number = 0
        for batch in self._batches(reader, train):
            depth = batch["depth"].masked_fill(batch["depth"] > self.config.farthest, 0)
            is_held = (torch.arange(len(depth), device=depth.device) + number) % EVERY == EVERY - 1
            number += len(depth)
            for name, maps in self._maps(reader, batch.inputs, names).items():
                log, known = log_at(depth, maps.shape[-2:])
                for held in (0, 1):
                    chosen = known & (is_held == bool(held))[:, None, None]
                    own = PlaceSums.of(maps.movedim(1, -1)[chosen], log[chosen])
                    before = sums[name][held]
                    sums[name][held] = own if before is None else before + own
            log, known = log_at(depth, depth.shape[1:])
            part, seen = (log * known).double().sum(0), known.double().sum(0)
            total, count = (part, seen) if total is None or count is None else (total + part, count + seen)
        assert total is not None
        assert count is not None
        if not count.sum():
            raise ValueError("no pixel of the training images has a depth; give data with depth maps")
        mean = float(total.sum() / count.sum())
        mean_map = torch.where(count > 0, total / count.clamp(min=1), mean).float()
        return (
            {name: fit_places([one for one in found if one is not None]) for name, found in sums.items()},
            mean_map,
            mean,
        )


def log_at(depth: Tensor, shape: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Mean logarithm of the known depth (N, H, W) in each place of a map (N, h, w), and where half of it is known."""
    known = is_known(depth)
    log = torch.where(known, depth.clamp(min=1e-6).log(), 0.0)
    place = (shape[0], shape[1])
    share = F.adaptive_avg_pool2d(known.float()[:, None], place)[:, 0]
    mean = F.adaptive_avg_pool2d(log[:, None], place)[:, 0] / share.clamp(min=1e-6)
    return mean, share >= 0.5


def figures(depth: Tensor, truth: Tensor) -> Figures:
    """All metrics (N,) of predicted depth (N, H, W); nan of images without truth."""
    scaled = scaled_by_median(depth, truth)
    found = {
        "order_accuracy": order_accuracy(depth, truth),
        "spearman": rank_correlation(depth, truth),
        "abs_rel": relative_error(scaled, truth),
        "near_share": share_near(scaled, truth),
    }
    return {name: values.float().cpu().numpy() for name, values in found.items()}


def _readout(maps: Tensor, weights: Tensor, like: Tensor) -> Tensor:
    """The fitted number (N, H, W) at the size of `like`, from maps (N, C, h, w)."""
    own = weights.float()
    return _enlarged((maps * own[:-1, None, None]).sum(1) + own[-1], like)


def _enlarged(maps: Tensor, like: Tensor) -> Tensor:
    if maps.shape[-2:] == like.shape[-2:]:
        return maps
    return F.interpolate(maps[:, None], like.shape[-2:], mode="bilinear", align_corners=False)[:, 0]


def _joined(parts: list[Figures]) -> Figures:
    """Of all batches, without images that have no truth."""
    every = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    known = np.isfinite(every["order_accuracy"])
    if not known.any():
        raise ValueError("no test image has two pixels of different depth; give data with depth maps")
    return {name: values[known] for name, values in every.items()}


def _means(found: Figures) -> dict[str, float]:
    percent = {"order_accuracy", "near_share"}
    return {k: round(float(v.mean(dtype=np.float64)) * (100 if k in percent else 1), 3) for k, v in found.items()}
