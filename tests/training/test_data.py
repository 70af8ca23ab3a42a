"""Both halves of the data as a run reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lightning_fabric import Fabric
from PIL import Image

from selftaught.data.batch import Sampling
from selftaught.training.data import content_of, open_data, open_sources
from selftaught.training.setup import spec_for
from tests.training.small_run import config


@pytest.fixture
def fabric() -> Fabric:
    return Fabric(accelerator="cpu", devices=1)


def test_halves_are_apart_and_read_as_the_task_asks(fabric: Fabric) -> None:
    asked = config(Path("run"))
    train, held_out = open_sources(asked, spec_for(asked))
    data = open_data(asked, spec_for(asked), fabric)
    data.loader.close()
    assert (len(data.samples), len(data.held_out)) == (len(train), len(held_out)) == (108, 12)
    assert not {*data.samples.keys} & {*data.held_out.keys}
    assert data.sampling == Sampling()
    assert data.num_classes == 5
    assert (data.value_range, data.skipped, data.notes) == ("auto", [], ())


def test_the_content_is_that_of_both_halves_and_of_labels_that_are_learned_from(fabric: Fabric) -> None:
    def content(**changes: object) -> str:
        asked = config(Path("run"), **changes)
        data = open_data(asked, spec_for(asked), fabric)
        data.loader.close()
        return content_of(spec_for(asked), data)

    assert content() == content(seed=3, batch_size=4)
    assert content() != content(data="synthetic:N=121,side=32")
    assert content() != content(held_out=0.2)
    assert content() != content(task="supervised")


def test_what_cannot_be_read_is_listed_and_a_limit_is_kept(tmp_path: Path, fabric: Fabric) -> None:
    rng = np.random.default_rng(0)
    for i in range(30):
        Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(tmp_path / f"{i:02d}.png")
    asked = config(Path("run"), data=str(tmp_path), batch_size=4, limit=8)
    broken = open_sources(asked, spec_for(asked))[0].entries[0].key
    (tmp_path / broken).write_bytes(b"broken")
    data = open_data(asked, spec_for(asked), fabric)
    data.loader.close()
    assert len(data.samples) <= 9
    whole = open_data(asked.replace(limit=None), spec_for(asked), fabric)
    whole.loader.close()
    assert [key for key, _ in whole.skipped] == [broken]
