"""The queries that were drawn, their nearest samples in order, and the files of both."""

from __future__ import annotations

import numpy as np

from selftaught.evaluation.metrics.retrieval_metrics import Search, search_classes
from selftaught.evaluation.visualise.retrieved import retrieved
from selftaught.features.neighbours import Neighbours
from tests.evaluation.drawn_classes import CLASSES, DrawnSamples


def test_every_query_has_its_nearest_samples_and_their_files() -> None:
    test, train = DrawnSamples("test", 8), DrawnSamples("train", 12)
    assert test.labels is not None
    assert train.labels is not None
    search = Search(
        queries=np.arange(8),
        query_labels=test.labels,
        sample_labels=train.labels,
        leave_one_out=False,
        depth=1,
        listed=2,
    )
    rows = np.eye(12, dtype=np.float32)
    asking = rows[3:11] + 0.1 * rows[4:12]  # query q is nearest to sample q + 3, then to q + 4
    found = search_classes(search, Neighbours(rows), asking)
    listed, files = retrieved(search, found, test, train, CLASSES, name="train", shown=3, seed=0)
    assert len(listed) == 3
    for shown in listed:
        query = int(shown["query"].split("/")[1])
        assert shown["label"] == CLASSES[test.labels[query]]
        assert shown["picture"] == f"test-{query}.jpg"
        assert [near["key"] for near in shown["nearest"]] == [f"train/{query + 3}", f"train/{query + 4}"]
        assert [near["picture"] for near in shown["nearest"]] == [f"train-{query + i}.jpg" for i in (3, 4)]
        assert [near["right"] for near in shown["nearest"]] == [False, True], "classes come in turns of four"
    assert files.keys() >= {shown["picture"] for shown in listed}
    again, _ = retrieved(search, found, test, train, CLASSES, name="train", shown=3, seed=0)
    assert again == listed
