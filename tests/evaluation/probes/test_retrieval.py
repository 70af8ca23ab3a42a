from __future__ import annotations

import io
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from selftaught.evaluation.probes.retrieval import Retrieval
from tests.evaluation.drawn_classes import drawn_data, drawn_reader


@pytest.mark.parametrize("against", ["test", "train"])
def test_the_probe_reports_recall_map_and_a_gallery(against: Literal["test", "train"]) -> None:
    data = drawn_data(test=120)
    probe = Retrieval(Retrieval.Config(against=against, shown=3, neighbours=4, stage="all"))
    score = probe.score(drawn_reader(), data)
    recall = score.more["recall"][score.stage]
    assert score.value == recall["1"] <= recall["5"] <= recall["10"] <= 100
    assert score.outcomes is not None
    assert len(score.outcomes) == score.more["queries"] == 120
    low, high = score.more["map_intervals"][score.stage]
    assert low < score.more["map"][score.stage] < high
    assert score.more["map_depth"] == (119 if against == "test" else 240)
    assert probe.chance(data) == pytest.approx(100 * 29 / 119 if against == "test" else 25)
    assert score.value > (probe.chance(data) or 0) + 10
    searched = data.test if against == "test" else data.train
    assert data.test.labels is not None
    assert searched.labels is not None
    for shown in score.more["gallery"]:
        query = int(shown["query"].split("/")[1])
        assert shown["label"] == data.classes[data.test.labels[query]]
        assert len(shown["nearest"]) == 4
        similarities = [n["similarity"] for n in shown["nearest"]]
        assert similarities == sorted(similarities, reverse=True)
        for near in shown["nearest"]:
            row = int(near["key"].split("/")[1])
            assert near["key"] == f"{against}/{row}"
            assert near["key"] != shown["query"]
            assert near["label"] == data.classes[searched.labels[row]]
            assert near["right"] == (near["label"] == shown["label"])
    pictures = {s["picture"] for s in score.more["gallery"]}
    pictures |= {n["picture"] for s in score.more["gallery"] for n in s["nearest"]}
    assert pictures == set(score.files)
    assert Image.open(io.BytesIO(next(iter(score.files.values())))).size == (8, 8)


def test_the_gallery_shows_the_same_queries_of_every_encoder() -> None:
    data = drawn_data(test=60)
    first, second = (Retrieval(Retrieval.Config()).score(drawn_reader(seed=s), data) for s in (0, 1))
    assert [s["query"] for s in first.more["gallery"]] == [s["query"] for s in second.more["gallery"]]
    assert first.more["gallery"] != second.more["gallery"]


def test_queries_that_nothing_is_alike_are_left_out() -> None:
    data = drawn_data(test=40)
    data.test.labels = np.array([0] * 20 + [1] * 19 + [2])
    score = Retrieval(Retrieval.Config()).score(drawn_reader(), data)
    assert score.more["queries"] == 39
    data.test.labels = np.arange(40)
    with pytest.raises(ValueError, match="two test samples of one class"):
        Retrieval(Retrieval.Config()).score(drawn_reader(), data)


def test_settings_say_what_is_wrong() -> None:
    with pytest.raises(ValueError, match=r"--probe.depth must be at least 1, got 0"):
        Retrieval.Config(depth=0)
