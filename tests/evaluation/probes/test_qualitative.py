from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from selftaught.core.config import RunConfig
from selftaught.core.settings.groups import DataSettings
from selftaught.encoders.build import build_encoder
from selftaught.evaluation.data.unlabelled import Unlabelled
from selftaught.evaluation.evaluate import evaluate_encoder
from selftaught.evaluation.probes.base import Score
from selftaught.evaluation.probes.qualitative import Qualitative, spread
from selftaught.evaluation.subject import open_subject
from selftaught.training.train import train
from tests.evaluation.drawn_classes import OtherKinds
from tests.evaluation.visualise.made import (
    SMALL,
    Pictures,
    SmallEncoder,
    make_qualitative_folder,
    random_pictures,
    reader_of,
)


def drawn(score: Score) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The index and all sheets it names."""
    index = json.loads(score.files["index.json"])
    entries = [index["kernels"], index["attention"], index["map"]]
    entries += [stage[part] for stage in index["stages"] for part in ("filters", "patches")]
    return index, [entry for entry in entries if entry]


def test_every_sheet_is_there_and_has_the_size_it_says() -> None:
    labels = np.arange(14) % 3
    labels[5] = -1
    data = Unlabelled(test=Pictures(random_pictures(14, 16), labels))
    score = Qualitative(Qualitative.Config(**SMALL)).score(reader_of(SmallEncoder(), 16), data)
    index, entries = drawn(score)
    assert math.isnan(score.value)
    assert {entry["file"] for entry in entries} | {"index.json"} == set(score.files)
    for entry in entries:
        rows = -(-entry["count"] // entry["columns"])
        width, height = (n * (entry["tile"] + entry["gap"]) - entry["gap"] for n in (entry["columns"], rows))
        with Image.open(io.BytesIO(score.files[entry["file"]])) as picture:
            assert picture.size == (width, height), entry["file"]
    shown = index["map"]
    assert len(shown["x"]) == len(shown["y"]) == len(shown["keys"]) == len(shown["labels"]) == shown["count"] == 12
    for key, label in zip(shown["keys"], shown["labels"], strict=True):
        number = int(key[7:11])
        assert label == (None if number == 5 else f"class {number % 3}")
    assert [stage["stage"] for stage in index["stages"]] == ["conv1", "conv2"]
    assert [stage["field"] for stage in index["stages"]] == [[3, 3], [5, 5]]
    assert len(index["attention"]["keys"]) == 2
    assert index["attention"]["heads"] == ["image", "conv1", "conv2"]


def test_tokens_and_images_without_labels() -> None:
    encoder = build_encoder("timm:vit_tiny_patch16_224", size=32, stem="standard")
    data = Unlabelled(test=Pictures(random_pictures(9, 32)))
    score = Qualitative(Qualitative.Config(**{**SMALL, "stages": 2})).score(reader_of(encoder, 32), data)
    index, _ = drawn(score)
    assert [stage["stage"] for stage in index["stages"]] == ["block1", "block12"]
    assert index["map"]["labels"] == [None] * 9
    assert index["stages"][0]["patches"]["found"][0][0]["box"] == [0, 0, 32, 32]


def test_stages_without_places_in_the_image_are_left_out() -> None:
    encoder = OtherKinds().eval()
    data = Unlabelled(test=Pictures(random_pictures(9, 16)))
    index, _ = drawn(Qualitative(Qualitative.Config(**SMALL)).score(reader_of(encoder, 16), data))
    assert [stage["stage"] for stage in index["stages"]] == ["near"]
    encoder.stages = ("far",)
    with pytest.raises(ValueError, match="probe 'qualitative' shows maps, but no stage of two_stages is one; give"):
        Qualitative(Qualitative.Config(**SMALL)).score(reader_of(encoder, 16), data)


def test_the_seed_decides() -> None:
    data = Unlabelled(test=Pictures(random_pictures(14, 16)))
    first, again, other = (
        Qualitative(Qualitative.Config(**SMALL), seed).score(reader_of(SmallEncoder(), 16), data).files
        for seed in (0, 0, 1)
    )
    assert first == again
    assert first["index.json"] != other["index.json"]


def test_what_it_cannot_show_and_wrong_settings_are_said() -> None:
    few = Unlabelled(test=Pictures(random_pictures(7, 16)))
    with pytest.raises(ValueError, match="needs at least 8 images, got 7"):
        Qualitative(Qualitative.Config()).score(reader_of(SmallEncoder(), 16), few)
    diverged = SmallEncoder()
    next(diverged.conv2.parameters()).data.fill_(math.nan)
    with pytest.raises(ValueError, match="features of small at conv2 are not finite"):
        Qualitative(Qualitative.Config()).score(
            reader_of(diverged, 16), Unlabelled(test=Pictures(random_pictures(9, 16)))
        )
    with pytest.raises(ValueError, match=r"--probe.channels must be at least 1, got 0"):
        Qualitative.Config(channels=0)
    with pytest.raises(ValueError, match=r"--probe.power must be above 0, got 0"):
        Qualitative.Config(power=0)


def test_stages_are_spread_from_first_to_last() -> None:
    names = [f"block{i}" for i in range(1, 13)]
    assert spread(names, 5) == ["block1", "block4", "block7", "block9", "block12"]
    assert spread(names, 1) == ["block12"]
    assert spread(names[:3], 5) == names[:3]


def test_evaluate_writes_the_images_next_to_its_metrics(tmp_path: Path) -> None:
    run = train(
        RunConfig.of(
            data="synthetic:N=120,side=32",
            out=str(tmp_path / "run"),
            task="rotation",
            encoder="timm:test_resnet",
            stem="standard",
            size=32,
            batch_size=8,
            steps=1,
            log_every=1,
            precision="32-true",
        )
    )
    result = evaluate_encoder(open_subject(run), "synthetic:N=120,side=32", probe="qualitative", settings=SMALL)
    assert (result["value"], result["gain"]["value"], result["chance"], result["random"]["value"]) == (None,) * 4
    written = next((run / "evaluations").glob("qualitative-*.json"))
    assert json.loads(written.read_text()) == result
    for who in ("encoder", "random"):
        folder = written.parent / result["files"][who]
        index = json.loads((folder / "index.json").read_text())
        assert (folder / index["map"]["file"]).stat().st_size > 0
        assert index["encoder"] == "timm:test_resnet"
    first, random = ((written.parent / result["files"][who] / "kernels.png").read_bytes() for who in result["files"])
    assert first != random


def test_the_folder_for_other_tests_is_what_evaluate_writes(tmp_path: Path) -> None:
    result = json.loads(make_qualitative_folder(tmp_path, supervised=True).read_text())
    assert list(result["files"]) == ["encoder", "random", "supervised"]
    for folder in result["files"].values():
        assert json.loads((tmp_path / folder / "index.json").read_text())["format"] == 1


@pytest.mark.slow
def test_three_encoders_fit_a_page(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    """With the defaults, on photographs at 64 pixels."""
    from selftaught.evaluation.data.base import Asked
    from selftaught.evaluation.data.unlabelled import open_unlabelled

    path = shared_data("imagenette128/imagenette128.zip")
    encoder = build_encoder("resnet18", size=64, stem="standard")
    data = open_unlabelled(Asked(data=DataSettings(path=str(path)), size=64, kind=encoder.kind))
    score = Qualitative(Qualitative.Config(steps=20)).score(reader_of(encoder, 64), data)
    assert 3 * sum(map(len, score.files.values())) < 2_000_000
    assert torch.tensor(json.loads(score.files["index.json"])["map"]["x"]).std() > 0.05
