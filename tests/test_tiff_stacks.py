"""The guide "TIFF stacks with few labels": its commands run on real videos as 16-bit stacks of two channels."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from selftaught.cli.main import main
from selftaught.evaluation.models.folder import read_facts
from tests.guides import GUIDES, commands, rows_of, table

av, tifffile = pytest.importorskip("av"), pytest.importorskip("tifffile")
pytestmark = pytest.mark.slow  # a pretraining of ResNet-18, two models' features of 864 planes, an export: a minute

GUIDE = GUIDES / "tiff_stacks.md"
NEAR = 15.0
"""Points of accuracy by which another machine may differ: rounding changes what is suggested, and so the labels."""
PLANES = 12


def write_stacks(folder: Path, videos: Path) -> dict[str, str]:
    """Each clip as a stack of planes with the channels brightness and motion; the action of each by its file name."""
    folder.mkdir()
    with (videos / "labels.csv").open(newline="") as file:
        clips = list(csv.DictReader(file))
    truth = {}
    for number, place in enumerate(np.random.default_rng(0).permutation(len(clips))):
        clip = clips[place]
        with av.open(str(videos / clip["file"])) as video:
            grey = np.stack([frame.to_ndarray(format="gray") for frame in video.decode(video=0)]).astype(np.float32)
        motion = np.abs(np.diff(grey, axis=0))
        at = np.linspace(0, len(motion) - 1, PLANES).astype(int)
        planes = np.stack([400 + 14 * grey[at], 100 + 40 * motion[at]], 1).astype(np.uint16)
        name = f"donor{clip['performer']}_{number:02d}.tif"
        tifffile.imwrite(folder / name, planes, imagej=True, metadata={"axes": "ZCYX"})
        truth[name] = clip["label"]
    return truth


def write_slices(folder: Path, archive: Path) -> None:
    """Twelve images of colours and depth in millimetres, as four channels of 16 bits."""
    folder.mkdir()
    with zipfile.ZipFile(archive) as zipped:
        for name in sorted(name for name in zipped.namelist() if name.startswith("color/"))[::20]:
            number = Path(name).stem
            colours = np.asarray(Image.open(io.BytesIO(zipped.read(name))).convert("RGB")).astype(np.uint16) * 16
            depth = np.asarray(Image.open(io.BytesIO(zipped.read(f"depth/{number}.png")))).astype(np.uint16)
            channels = np.concatenate([colours.transpose(2, 0, 1), depth[None]])
            tifffile.imwrite(folder / f"{number}.tif", channels, imagej=True, metadata={"axes": "CYX"})


def accuracy(path: Path, truth: Mapping[str, str], labelled: set[str]) -> float:
    """In percent, of predictions for stacks without a label."""
    rows = [(row["path"].split("#")[0], row["class"]) for row in rows_of(path)]
    right = [truth[stack] == found for stack, found in rows if stack not in labelled]
    return 100 * float(np.mean(right))


def test_the_commands_give_the_numbers_of_the_guide(
    shared_data: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    truth = write_stacks(tmp_path / "stacks", shared_data("weizmann4"))
    write_slices(tmp_path / "slices", shared_data("scenes7_rgbd") / "scenes7_rgbd.zip")
    monkeypatch.chdir(tmp_path)
    Path("donors.csv").write_text("file,group\n" + "".join(f"{name},{name[5]}\n" for name in truth))
    labelled: set[str] = set()
    for words in commands(GUIDE):
        if words[0] == "fit":  # somebody looks at what was suggested
            labelled = {row["path"].split("#")[0] for row in rows_of(Path("suggestions/next.csv"))}
            lines = ["file,label", *(f"{name},{truth[name]}" for name in sorted(labelled))]
            Path("stacks/labels.csv").write_text("\n".join(lines) + "\n")
        assert main(words) == 0
        if words[-1] == "--dry-run":
            assert not Path("runs").exists()
            assert "72 files hold several images each, 864 in all" in capsys.readouterr().err
    assert 10 <= len(labelled) <= 16
    assert len(rows_of(Path("planes.csv"))) == len(truth) * PLANES
    assert [row["path"] for row in rows_of(Path("predictions.csv"))] == sorted(truth)
    facts = read_facts("models/stacks")
    assert facts.random is not None
    measured = {
        "held-back donors, planes, pretrained": facts.held_back["accuracy"],
        "held-back donors, planes, random weights": facts.random["accuracy"],
        "planes of stacks without a label": accuracy(Path("planes.csv"), truth, labelled),
        "stacks without a label": accuracy(Path("predictions.csv"), truth, labelled),
    }
    assert measured == {name: pytest.approx(table(GUIDE)[name], abs=NEAR) for name in measured}
    assert measured["stacks without a label"] > 35  # chance is 25 %
    assert Path("stacks.onnx").stat().st_size > 1e6
    assert "Channels: 2, whose values" in Path("MODEL_CARD.md").read_text()
