"""What can be said of an encoder with no label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from selftaught.core.randomness import numpy_generator
from selftaught.core.ranges import Range, Settings
from selftaught.data.store.subset import Subset
from selftaught.evaluation.data.base import DataKind
from selftaught.evaluation.data.unlabelled import UNLABELLED, Unlabelled
from selftaught.evaluation.metrics.half_samples import with_intervals
from selftaught.evaluation.probes.base import Probe, Score
from selftaught.features.diagnostics import (
    alignment,
    alpha_req,
    collapse_warning,
    feature_std,
    lidar,
    rankme,
    share_of_longest,
    uniformity,
)
from selftaught.features.reader import POOLED, Reader
from selftaught.features.views import view_features

FEWEST = 8
"""Held-out samples; the interval halves them."""


class LabelFree(Probe):
    """Measure held-out features without labels: RankMe, alpha-ReQ, LiDAR and more.

    The value is RankMe (Garrido et al., ICML 2023). `more["figures"]` contains all metrics: rankme, alpha_req (Agrawal
    et al., NeurIPS 2022), lidar (Thilak et al., ICLR 2024), alignment and uniformity (Wang & Isola, ICML 2020) and
    feature_std, which is 0 after a collapse, each with a confidence interval from random halves of the samples;
    "cautions" lists the metrics that mean little on these data. LiDAR and alignment compare views: light random crops,
    flips and colour distortion (`features/views.py`). The authors of LiDAR use the augmentations each encoder was
    trained with; here all encoders get the same ones, so that they can be compared. The metrics grow with the number of
    samples: compare encoders on the same data only. `selftaught agreement` measures how far they can be trusted, on
    runs that were also evaluated with labels.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    data: ClassVar[DataKind] = UNLABELLED
    metric = "rankme"

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="probe."):
        samples: Annotated[int, Range(least=8)] = 2048
        """Held-out samples used for rank, spectrum and uniformity, at most; chosen by seed."""
        view_samples: Annotated[int, Range(least=8)] = 1024
        """Held-out samples used for LiDAR and alignment, which need several views."""
        views: Annotated[int, Range(least=2)] = 10
        """Views per sample; the paper of LiDAR finds ten as good as fifty."""
        delta: Annotated[float, Range(above=0)] = 1e-4
        """Regularisation added by LiDAR to the variance within the views of a sample."""
        draws: Annotated[int, Range(least=2)] = 20
        """Random halves of the samples used for the intervals."""

    def score(self, reader: Reader, data: Unlabelled) -> Score:
        """RankMe of the pooled features; the other metrics in `more`."""
        if len(data.test) < FEWEST:
            raise ValueError(
                f"label_free needs at least {FEWEST} held-out samples, got {len(data.test)}; give it more data or a "
                "larger --held-out"
            )
        order = numpy_generator("label-free", self.seed).permutation(len(data.test))
        asked = self.config
        features = reader.pooled(Subset(data.test, np.sort(order[: asked.samples])))
        if not features.isfinite().all():
            raise ValueError(f"features of {reader.encoder.name} are not finite; the run diverged, lower its --lr")
        seen = Subset(data.test, np.sort(order[: asked.view_samples]))
        views = view_features(reader, seen, views=asked.views, seed=self.seed)

        def of_features(rows: NDArray[np.int64]) -> dict[str, float]:
            part = features[rows]
            return {
                "rankme": rankme(part),
                "alpha_req": alpha_req(part),
                "uniformity": uniformity(part),
                "feature_std": feature_std(part),
            }

        def of_views(rows: NDArray[np.int64]) -> dict[str, float]:
            part = views[rows]
            return {"lidar": lidar(part, asked.delta), "alignment": alignment(part[:, 0], part[:, 1])}

        figures: dict[str, Any] = with_intervals(of_features, len(features), draws=asked.draws, seed=self.seed)
        figures |= with_intervals(of_views, len(views), draws=asked.draws, seed=self.seed)
        value, interval = figures["rankme"]["value"], tuple(figures["rankme"]["interval"])
        return Score(
            value=value,
            stage=POOLED,
            stages={POOLED: value},
            interval=interval,
            stage_intervals={POOLED: interval},
            more={
                "figures": figures,
                "samples": len(features),
                "view_samples": len(views),
                "views": asked.views,
                "features": features.shape[1],
                "longest_share": round(longest := share_of_longest(features), 4),
                "cautions": _cautions(len(features), len(views), features.shape[1], figures, longest),
            },
        )


def _cautions(samples: int, view_samples: int, width: int, figures: dict[str, Any], longest: float) -> list[str]:
    """What a reader of the metrics should know before using them."""
    found = []
    if (fewest := min(samples, view_samples)) <= width:
        found.append(
            f"{fewest} held-out samples for {width} features: no rank can be above {fewest}, "
            "so compare encoders on equally many samples only"
        )
    if longest > 0.5:
        found.append(
            f"1 % of the samples hold {longest:.0%} of the sum of squares of all features: RankMe is a metric of these "
            "few, and other samples would give another"
        )
    warning = collapse_warning({name: figures[name]["value"] for name in ("rankme", "feature_std")}, samples)
    return [*found, warning] if warning else found
