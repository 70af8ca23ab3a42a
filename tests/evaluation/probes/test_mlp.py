from __future__ import annotations

import pytest

from selftaught.evaluation.probes.mlp import Mlp
from tests.evaluation.drawn_classes import drawn_data, drawn_reader


@pytest.mark.parametrize(("stage", "stages"), [("all", ["near", "far"]), ("last", ["far"]), ("pooled", ["pooled"])])
def test_the_probe_reads_the_given_stages(stage: str, stages: list[str]) -> None:
    config = Mlp.Config(stage=stage, hidden=16, epochs=8)
    score = Mlp(config).score(drawn_reader(), drawn_data())
    assert list(score.stages) == stages
    assert score.value > 40
    assert score.more["epochs"].keys() == score.stages.keys()
    assert all(1 <= epoch <= 8 for epoch in score.more["epochs"].values())


def test_settings_say_what_is_wrong() -> None:
    with pytest.raises(ValueError, match=r"--probe.batch-size must be at least 1, got 0"):
        Mlp.Config(batch_size=0)
    with pytest.raises(ValueError, match=r"--probe.lr must be above 0, got 0"):
        Mlp.Config(lr=0)
