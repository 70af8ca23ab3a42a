"""Clip retrieval."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from selftaught.core.ranges import Range, Settings
from selftaught.data.store.samples import Samples
from selftaught.encoders.names import Kind
from selftaught.evaluation.data.labelled import Labelled
from selftaught.evaluation.metrics.retrieval_metrics import Search, count_alike, search_classes
from selftaught.evaluation.probes.base import Probe, Score, best_stage, resampled_over
from selftaught.evaluation.visualise.retrieved import retrieved
from selftaught.features.neighbours import Neighbours
from selftaught.features.reader import PEAKS, POOLED, Reader

RANKS = (1, 5, 10, 20, 50)
"""k of Recall@k."""


class ClipRetrieval(Probe):
    """Find training videos of the action of a test video, without training: Recall@1, 5, 10, 20 and 50.

    The protocol of clip order prediction (Xu et al., CVPR 2019; as in the authors' retrieve_clips.py): the features of
    ten clips of each video are averaged, every test video is a query, and all training videos are ranked by cosine
    similarity. Recall@k is the share of queries with at least one video of their class among the k nearest; `value` is
    Recall@1. Features are the last convolutional stage, max-pooled over time and space, as of the authors' C3D, or the
    pooled output of the encoder (`--probe.features pooled`). Ranks that would hold every training video are left out.
    Few videos without a test part are queries in turn, as those of the probe `action` are tested.

    Confidence intervals are over the test videos, or over the groups that the data name; the searched videos are fixed.
    """

    needs = frozenset({"video", "label"})
    kinds = frozenset[Kind]({"image", "video"})
    metric = "recall"
    folds_few = True

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="probe."):
        features: Literal["max", "pooled"] = "max"
        """Last stage max-pooled over time and space, or the output of the encoder (pooled)."""
        clips: Annotated[int, Range(least=1)] = 10
        """Clips of each video, evenly spread, whose features are averaged."""
        shown: Annotated[int, Range(least=0)] = 8
        """Number of queries shown with their nearest videos."""
        neighbours: Annotated[int, Range(least=1)] = 5
        """Nearest videos shown per query."""

    def score(self, reader: Reader, data: Labelled) -> Score:
        """Recall@1 in percent.

        `more`: "recall" {stage: {k: percent}} with "recall_intervals", "clips" of each video, "resampled" for the
        intervals, "queries", "searched" videos, and "gallery" as of the probe `retrieval`, whose clips are animations.
        """
        reader = dataclasses.replace(reader, clips=self.config.clips)
        search, stage = self._search(data), PEAKS if self.config.features == "max" else POOLED
        searched, asking = (self._read(reader, samples) for samples in (data.train, data.test))
        found = search_classes(search, Neighbours(searched, seed=self.seed), asking)
        scores = {k: best_stage({stage: hits}, groups=data.test_groups) for k, hits in found.recall.items()}
        gallery, files = retrieved(
            search,
            found,
            data.test,
            data.train,
            data.classes,
            name="train",
            shown=self.config.shown,
            seed=self.seed,
        )
        more: dict[str, Any] = {
            "recall": {stage: {str(k): score.value for k, score in scores.items()}},
            "recall_intervals": {stage: {str(k): score.interval for k, score in scores.items()}},
            "clips": self.config.clips,
            "resampled": resampled_over(data.test_groups, "videos"),
            "queries": len(data.test),
            "searched": len(data.train),
            "gallery": gallery,
        }
        return dataclasses.replace(scores[1], more=more, files=files)

    def chance(self, data: Labelled) -> float | None:
        """Recall@1 of videos drawn at random."""
        search = self._search(data)
        alike = count_alike(search.query_labels, search.sample_labels, leave_one_out=False)
        return 100 * float(alike.mean()) / len(data.train)

    def _read(self, reader: Reader, samples: Samples) -> NDArray[np.float32]:
        found = reader.peaks(samples) if self.config.features == "max" else reader.pooled(samples)
        return np.asarray(found.numpy(), np.float32)

    def _search(self, data: Labelled) -> Search:
        assert data.test.labels is not None
        assert data.train.labels is not None
        return Search(
            queries=np.arange(len(data.test)),
            query_labels=data.test.labels,
            sample_labels=data.train.labels,
            leave_one_out=False,
            depth=1,
            listed=self.config.neighbours,
            ranks=tuple(k for k in RANKS if k < max(2, len(data.train))),
        )
