"""Images of what an encoder learned."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from selftaught.core.randomness import generator, numpy_generator
from selftaught.core.ranges import Range, Settings
from selftaught.data.store.subset import Subset
from selftaught.encoders.feature_map import is_map
from selftaught.encoders.names import Kind
from selftaught.evaluation.data.base import DataKind
from selftaught.evaluation.data.unlabelled import UNLABELLED, Unlabelled
from selftaught.evaluation.probes.base import Probe, Score
from selftaught.evaluation.visualise.attention import draw_attention
from selftaught.evaluation.visualise.data_map import LEAST, draw_map
from selftaught.evaluation.visualise.filters import ascend, draw_filters
from selftaught.evaluation.visualise.gallery import Gallery
from selftaught.evaluation.visualise.kernels import draw_kernels
from selftaught.evaluation.visualise.patches import Peaks, choose_channels, draw_patches, find_peaks, strongest
from selftaught.evaluation.visualise.receptive_field import receptive_fields
from selftaught.features.reader import Reader

FORMAT = 1


class Qualitative(Probe):
    """Visualise what the encoder learned: kernels, attention, filters, strongest patches and a map of the data.

    The qualitative protocol of the survey (Jing & Tian 2020, section 5.8), with the figures of RotNet and DeepCluster.
    It measures nothing, so its value is nan: compare the images with those of random weights. Channels and images are
    drawn by seed, not picked by hand. `selftaught.evaluation.visualise` describes the output.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    data: ClassVar[DataKind] = UNLABELLED
    kinds: ClassVar[frozenset[Kind]] = frozenset({"image"})
    metric: ClassVar[str] = "pictures"

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="probe."):
        pictures: Annotated[int, Range(least=8)] = 1000
        """Images of the data used for patches and the map."""
        stages: Annotated[int, Range(least=1)] = 5
        """Number of stages shown, evenly spaced from first to last."""
        channels: Annotated[int, Range(least=1)] = 6
        """Channels per stage for which filters and patches are shown."""
        patches: Annotated[int, Range(least=1)] = 9
        """Strongest patches shown per channel."""
        shown: Annotated[int, Range(least=1)] = 6
        """Images for which attention maps are shown."""
        power: Annotated[float, Range(above=0)] = 2.0
        """Exponent p of the attention maps, the sum over channels of |a|^p."""
        steps: Annotated[int, Range(least=0)] = 100
        """Steps of gradient ascent; 0 leaves the filters as noise."""
        rate: Annotated[float, Range(above=0)] = 24.0
        """Step length of gradient ascent, for an image of 224 pixels."""
        blur: Annotated[float, Range(least=0)] = 0.5
        """Blur applied at every fifth step of gradient ascent, in pixels."""
        method: Literal["tsne", "umap"] = "tsne"
        """Method used for the map; umap needs selftaught[umap]."""
        neighbours: Annotated[float, Range(above=0)] = 30.0
        """Effective number of neighbours on the map: t-SNE's perplexity or UMAP's n_neighbors."""

    def score(self, reader: Reader, data: Unlabelled) -> Score:
        """No metric: `files` holds index.json and the images it names."""
        config, encoder = self.config, reader.encoder.to(reader.device).eval()
        if len(data.test) < LEAST:
            raise ValueError(f"probe 'qualitative' needs at least {LEAST} images, got {len(data.test)}; give more data")
        order = numpy_generator(self.seed, "pictures").permutation(len(data.test))
        gallery = Gallery(
            encoder=encoder,
            samples=Subset(data.test, np.sort(order[: config.pictures])),
            size=reader.size,
            device=reader.device,
            precision=reader.precision,
        )
        count = len(gallery.samples)
        shown = np.linspace(0, count - 1, min(config.shown, count)).astype(int).tolist()
        readable = [stage for stage in encoder.stages if is_map(encoder, stage)]
        if not readable:
            raise ValueError(
                f"probe 'qualitative' shows maps, but no stage of {encoder.name} is one; give an encoder such as "
                "resnet18 or timm:vit_tiny_patch16_224"
            )
        stages = spread(readable, config.stages)
        peaks = find_peaks(encoder, gallery.views(), stages, precision=reader.precision)
        if broken := [stage for stage in stages if not peaks[stage].values.isfinite().all()]:
            raise ValueError(f"features of {encoder.name} at {broken[0]} are not finite; its training diverged")
        index = {
            "format": FORMAT,
            "encoder": encoder.name,
            "size": reader.size,
            "seed": self.seed,
            "pictures": count,
            "kernels": draw_kernels(gallery),
            "attention": draw_attention(gallery, shown, stages, power=config.power),
            "stages": [self._stage(gallery, n, stage, peaks[stage]) for n, stage in enumerate(stages, 1)],
            "map": draw_map(
                gallery,
                reader.pooled(gallery.samples),
                method=config.method,
                neighbours=config.neighbours,
                seed=self.seed,
            ),
        }
        gallery.files["index.json"] = json.dumps(index, allow_nan=False).encode()
        return Score(value=math.nan, stage="", stages={}, files=gallery.files)

    def _stage(self, gallery: Gallery, number: int, stage: str, peaks: Peaks) -> dict[str, Any]:
        """An entry of "stages" in the index."""
        config = self.config
        channels = choose_channels(peaks, config.channels, generator(self.seed, "channels", stage))
        if not channels:
            return {"stage": stage, "channels": [], "field": None, "filters": None, "patches": None}
        ascent = ascend(
            gallery.encoder,
            stage,
            channels,
            size=gallery.size,
            steps=config.steps,
            rate=config.rate,
            blur=config.blur,
            rng=generator(self.seed, "ascent", stage),
            precision=gallery.precision,
        )
        found = [strongest(peaks, channel, config.patches) for channel in channels]
        middle = peaks.width // 2
        indices = [middle, *(i for row in found for patch in row for i in (patch.row, patch.column))]
        fields = receptive_fields(gallery.encoder, stage, indices, size=gallery.size)
        top, left, bottom, right = fields.box(middle, middle)
        names = f"channels {', '.join(map(str, channels))} of {stage}"
        return {
            "stage": stage,
            "channels": channels,
            "field": [bottom - top, right - left],
            "filters": draw_filters(
                gallery,
                f"filters-{number}.jpg",
                ascent,
                caption=f"Images that excite {names} most, found by gradient ascent; faint ones with more contrast.",
                highest=peaks.means[:, channels].amax(0),
            ),
            "patches": draw_patches(
                gallery,
                f"patches-{number}.jpg",
                found,
                fields,
                columns=config.patches,
                caption=f"What {names} answer to most in the data, strongest first.",
            ),
        }


def spread(stages: Sequence[str], count: int) -> list[str]:
    """At most `count` of the stages, evenly from first to last; the last one where only one is asked for."""
    chosen = np.linspace(len(stages) - 1, 0, min(count, len(stages))).round().astype(int)
    return [stages[i] for i in sorted(set(chosen.tolist()))]
