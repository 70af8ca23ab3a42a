from __future__ import annotations

import pytest

from selftaught.evaluation.probes.knn import KNearest
from tests.evaluation.drawn_classes import drawn_data, drawn_reader


def test_the_probe_reads_the_given_stages_and_says_how_many_vote() -> None:
    samples, reader = drawn_data(train=40), drawn_reader()
    every = KNearest(KNearest.Config(stage="all", k=99)).score(reader, samples)
    assert list(every.stages) == ["near", "far"]
    assert every.more == {"k": 40}
    far = KNearest(KNearest.Config(stage="far", k=99)).score(reader, samples)
    assert far.stages == {"far": every.stages["far"]}
    pooled = KNearest(KNearest.Config(k=5)).score(reader, samples)
    assert list(pooled.stages) == ["pooled"]
    assert pooled.more == {"k": 5}
    with pytest.raises(ValueError, match=r"--probe.stage: unknown stage 'fat'; did you mean far"):
        KNearest(KNearest.Config(stage="fat")).score(reader, samples)
