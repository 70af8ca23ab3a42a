"""Retrieval by nearest neighbours."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from selftaught.core.ranges import Range, Settings
from selftaught.data.store.samples import Samples
from selftaught.evaluation.data.labelled import Labelled
from selftaught.evaluation.metrics.intervals import bootstrap
from selftaught.evaluation.metrics.retrieval_metrics import Found, Search, count_alike, search_classes
from selftaught.evaluation.probes.base import Probe, Score, best_stage
from selftaught.evaluation.visualise.retrieved import retrieved
from selftaught.features.all_stages import read_stages
from selftaught.features.neighbours import Neighbours
from selftaught.features.reader import Reader

WHOLE = 20_000
"""Samples up to which all are ranked for mAP unless `depth` is given."""
PART = 1000
"""Samples that are ranked where there are more."""


class Retrieval(Probe):
    """Retrieve samples of the class of a query, without training: Recall@1, 5, 10 and mAP.

    Samples are ranked by the cosine similarity of frozen features. Every test sample is a query once, either against
    the other test samples (leave-one-out, as in metric learning: Musgrave et al., ECCV 2020) or against the training
    samples (as for clips: Xu et al., CVPR 2019). `value` is Recall@1: the share of queries whose nearest sample is of
    their class; Recall@k is the share of queries with at least one such sample among the k nearest. Queries whose class
    has no other sample are left out. Confidence intervals are over the queries, with the searched samples fixed.
    """

    metric = "recall"

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="probe."):
        against: Literal["test", "train"] = "test"
        """Samples to search: the other test samples, or the training samples."""
        stage: str = "pooled"
        """Features to compare: pooled (output of the encoder), all, last or the name of a stage."""
        dims: Annotated[int, Range(least=1)] = 9000
        """Features per stage after pooling."""
        index: Literal["auto", "exact", "ivf"] = "auto"
        """Search method: exact comparison with all samples, or an inverted file (ivf); auto is exact up to 100,000
        samples."""
        depth: Annotated[int | None, Range(least=1)] = None
        """Nearest samples that count for mAP; none uses all of up to 20,000 samples, and 1,000 of more."""
        shown: Annotated[int, Range(least=0)] = 8
        """Number of queries shown with their nearest samples."""
        neighbours: Annotated[int, Range(least=1)] = 6
        """Nearest samples shown per query."""

    def score(self, reader: Reader, data: Labelled) -> Score:
        """Recall@1 of the stages in percent.

        `more`: "recall" {stage: {k: percent}} with "recall_intervals", "map" {stage: percent} with "map_intervals",
        "map_depth" samples ranked for it, "index", "against", "queries" that were counted, and "gallery" of the best
        stage: [{"query": key, "label", "picture", "nearest": [{"key", "label", "similarity", "right", "picture"}]}],
        where an image is a name in `files`, or None.
        """
        c = self.config
        search, samples = self._search(data)
        asking = read_stages(reader, data.test, stage=c.stage, dims=c.dims)
        searched = asking if c.against == "test" else read_stages(reader, samples, stage=c.stage, dims=c.dims)
        found: dict[str, Found] = {}
        for name, vectors in searched.items():
            neighbours = Neighbours(vectors.astype(np.float32), c.index, self.seed)
            found[name] = search_classes(search, neighbours, asking[name])
        score = best_stage({name: f.recall[1] for name, f in found.items()})
        gallery, files = retrieved(
            search, found[score.stage], data.test, samples, data.classes, name=c.against, shown=c.shown, seed=self.seed
        )
        more: dict[str, Any] = {
            "recall": {n: {str(k): _mean(hits) for k, hits in f.recall.items()} for n, f in found.items()},
            "recall_intervals": {
                n: {str(k): bootstrap(hits) for k, hits in f.recall.items()} for n, f in found.items()
            },
            "map": {name: _mean(f.precision) for name, f in found.items()},
            "map_intervals": {name: bootstrap(f.precision) for name, f in found.items()},
            "map_depth": min(search.depth, len(samples) - search.leave_one_out),
            "index": neighbours.kind,
            "against": c.against,
            "queries": len(search.queries),
            "gallery": gallery,
        }
        return dataclasses.replace(score, more=more, files=files)

    def chance(self, data: Labelled) -> float | None:
        """Recall@1 of samples drawn at random."""
        search, samples = self._search(data)
        alike = count_alike(search.query_labels, search.sample_labels, leave_one_out=search.leave_one_out)
        return 100 * float(alike[search.queries].mean()) / (len(samples) - search.leave_one_out)

    def _search(self, data: Labelled) -> tuple[Search, Samples]:
        """Who asks for what, and the samples that are searched."""
        samples = data.test if self.config.against == "test" else data.train
        assert samples.labels is not None
        assert data.test.labels is not None
        own = self.config.against == "test"
        alike = count_alike(data.test.labels, samples.labels, leave_one_out=own)
        if not (alike > 0).any():
            raise ValueError(
                "retrieval needs two test samples of one class; give data with more, or --probe.against train"
                if own
                else "retrieval found no training sample of any test sample's class; give data with more"
            )
        depth = self.config.depth or (len(samples) if len(samples) <= WHOLE else PART)
        search = Search(
            queries=np.flatnonzero(alike > 0),
            query_labels=data.test.labels,
            sample_labels=samples.labels,
            leave_one_out=own,
            depth=depth,
            listed=self.config.neighbours,
        )
        return search, samples


def _mean(values: NDArray[np.float32]) -> float:
    return round(float(values.mean(dtype=np.float64)), 3)
