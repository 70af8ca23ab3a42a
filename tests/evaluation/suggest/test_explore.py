"""What the page of the data is made of: places, neighbours, clusters and thumbnails of the right samples."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from selftaught.core.settings.groups import DataSettings
from selftaught.encoders.build import build_encoder
from selftaught.encoders.weights.load import network_of
from selftaught.evaluation.subject import Subject, open_subject
from selftaught.evaluation.suggest.explore import COLUMNS, TILE, explore_data

HOW: dict[str, Any] = {"count": 100, "method": "pca", "clusters": 2, "seed": 0, "accelerator": "cpu"}


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    path = tmp_path_factory.mktemp("weights") / "w.pth"
    torch.save(network_of(build_encoder("timm:test_resnet", size=32))[0].state_dict(), path)
    return open_subject(f"timm:test_resnet:{path}", size=32)


@pytest.fixture(scope="module")
def two_kinds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty red and twenty blue images, each in a folder of its own."""
    folder = tmp_path_factory.mktemp("data")
    for number in range(40):
        name, colour = ("red", (220, 10, 10)) if number % 2 else ("blue", (10, 10, 220))
        (folder / name).mkdir(exist_ok=True)
        noise = np.random.default_rng(number).integers(0, 30, (32, 32, 3))
        Image.fromarray((np.array(colour) + noise).astype(np.uint8)).save(folder / name / f"{number:02}.png")
    return folder


def test_neighbours_clusters_and_thumbnails(subject: Subject, two_kinds: Path) -> None:
    facts = explore_data(subject, DataSettings(path=str(two_kinds)), **HOW)
    assert (facts["samples"], len(facts["keys"]), facts["classes"]) == (40, 40, ["blue", "red"])
    kinds = np.array(facts["class"])
    assert [facts["keys"][i].split("/")[0] for i in range(40)] == [facts["classes"][k] for k in kinds]
    assert all((kinds[near] == kinds[i]).all() and i not in near for i, near in enumerate(facts["neighbours"]))
    clusters = np.array(facts["cluster"])
    assert {len(set(clusters[kinds == k])) for k in (0, 1)} == {1}
    assert len(set(clusters)) == 2
    for axis in ("x", "y"):
        assert 0 <= min(facts[axis]) <= max(facts[axis]) <= 10_000
    assert abs(np.array(facts["x"])[kinds == 0].mean() - np.array(facts["x"])[kinds == 1].mean()) > 5000
    (sheet,) = [Image.open(io.BytesIO(data)) for data in facts["sheets"]]
    assert sheet.size == (TILE * COLUMNS, TILE * 2)
    for i in range(40):
        red, _, blue = np.asarray(sheet)[i // COLUMNS * TILE + 24, i % COLUMNS * TILE + 24].astype(int)
        assert (red > blue) == (facts["classes"][kinds[i]] == "red")


def test_of_many_samples_some_are_drawn(subject: Subject, two_kinds: Path) -> None:
    reading = DataSettings(path=str(two_kinds))
    one, same, other = (explore_data(subject, reading, **HOW | {"count": 12, "seed": seed}) for seed in (0, 0, 1))
    assert (one["samples"], len(one["keys"]), len(one["cluster"])) == (40, 12, 12)
    assert one["keys"] == same["keys"] != other["keys"]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"count": 7}, r"^--count must be in \[8, 20000\], got 7; a page with more cannot be used$"),
        ({"clusters": 0}, r"^--clusters must be at least 1, got 0$"),
    ],
)
def test_what_cannot_be_is_refused(subject: Subject, two_kinds: Path, how: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        explore_data(subject, DataSettings(path=str(two_kinds)), **HOW | how)
