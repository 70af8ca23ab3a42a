"""The guide "Photos with few labels": its commands run on real photos, and its table holds what they print."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

import pytest

from selftaught.cli.main import main
from selftaught.evaluation.export import export_encoder
from selftaught.evaluation.models.folder import read_facts
from selftaught.evaluation.subject import open_subject
from tests.guides import GUIDES, commands, rows_of, table

pytestmark = pytest.mark.slow  # a pretraining of ResNet-18 on 2,000 photos: minutes of one core

GUIDE = GUIDES / "photos_with_few_labels.md"
NEAR = 6.0
"""Points of accuracy by which another machine may differ: rounding changes what is suggested, and so the labels."""


def photos_in(folder: Path, archive: Path) -> dict[str, str]:
    """2,000 photos in one folder without classes; the class of each by its name."""
    folder.mkdir()
    truth = {}
    with zipfile.ZipFile(archive) as zipped:
        for member in zipped.namelist():
            path = PurePosixPath(member)
            if path.parts[0] == "val" and path.suffix == ".jpg":
                (folder / path.name).write_bytes(zipped.read(member))
                truth[path.name] = path.parent.name
    return truth


def accuracy(path: Path, truth: Mapping[str, str], labelled: Sequence[str]) -> float:
    """In percent, of predictions of photos without a label."""
    rows = [row for row in rows_of(path) if row["path"] not in labelled]
    assert len(rows) == len(truth) - len(labelled)
    return 100 * sum(row["class"] == truth[row["path"]] for row in rows) / len(rows)


def test_the_commands_give_the_numbers_of_the_guide(
    shared_data: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = photos_in(tmp_path / "photos", shared_data("imagenette128") / "imagenette128.zip")
    monkeypatch.chdir(tmp_path)
    labelled: list[str] = []
    for words in commands(GUIDE):
        if words[0] == "fit":  # somebody looks at what was suggested
            labelled = [row["path"] for row in rows_of(Path("suggestions/next.csv"))]
            lines = ["file,label", *(f"{name},{truth[name]}" for name in labelled)]
            Path("photos/labels.csv").write_text("\n".join(lines) + "\n")
        assert main(words) == 0
    assert len(labelled) == 60
    encoder = Path("random.safetensors")
    export_encoder(open_subject("runs/photos").random(), encoder, format="safetensors", size=32)
    how = ["--method", "linear", "--size", "32", "--stem", "standard"]
    assert main(["fit", f"resnet18:{encoder}", "photos/", "--out", "models/random", *how]) == 0
    assert main(["predict", "models/random", "photos/", "--out", "random.csv"]) == 0
    facts, said = read_facts("models/photos"), [r for r in rows_of(Path("sure.csv")) if r["class"] != "cannot tell"]
    measured = {
        "held-back labels, pretrained": facts.held_back["accuracy"],
        "held-back labels, random weights": facts.random["accuracy"],
        "other photos, pretrained": accuracy(Path("predictions.csv"), truth, labelled),
        "other photos, random weights": accuracy(Path("random.csv"), truth, labelled),
    }
    for name, value in measured.items():
        assert table(GUIDE)[name] == pytest.approx(value, abs=NEAR * (1 if name.startswith("other") else 3)), name
    assert measured["other photos, pretrained"] > 15  # chance is 10 %
    assert 0 < len(said) < len(truth)
    assert Path("photos.onnx").stat().st_size > 1e6
    assert "60 labelled samples to learn from" in Path("MODEL_CARD.md").read_text()
