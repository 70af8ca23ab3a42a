"""Images of five channels from files to features: ranges, the first layer, evaluation, weights, and what is refused."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pyarrow import parquet
from safetensors.torch import load_file

import selftaught
from selftaught.core.config import RunConfig
from selftaught.core.randomness import generator
from selftaught.data.batch import Batch
from selftaught.encoders.build import build_encoder
from selftaught.tasks.named_encoders import with_encoders
from selftaught.training.setup import build_task, spec_for
from tests.data.small_runs import QUICK
from tests.data.sources.rows import write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes, of which one is brighter in the fifth channel; each channel has another range."""
    rng = np.random.default_rng(0)
    for i in range(24):
        name = ("dark", "light")[i % 2]
        pixels = rng.random((40, 44, 5)) * [1, 10, 100, 1000, 10_000]
        pixels[..., 4] *= 0.2 + 0.8 * (i % 2)
        (tmp_path / "data" / name).mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / "data" / name / f"{i:02d}.npy", pixels.astype(np.float32))
    return tmp_path / "data"


def test_a_run_of_five_channels_is_measured_embedded_exported_and_goes_on(folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    selftaught.pretrain(folder, out=run, channels=5, **QUICK)
    config = json.loads((run / "config.json").read_text())
    assert (config["encoder"], config["channels"]) == ("5ch:timm:test_resnet", 5)
    highs = [float(part.split(",")[1]) for part in config["value_range"].split(";")]
    np.testing.assert_allclose(highs, [1, 10, 100, 1000, 10_000], rtol=0.02)
    encoder = selftaught.load_encoder(run)
    assert encoder.channels == 5
    assert next(p for p in encoder.parameters() if p.ndim == 4).shape[1] == 5
    found = selftaught.evaluate(run, folder, probe="knn", folds=2)
    assert found["probe"] == "knn"
    selftaught.embed(run, folder, out=tmp_path / "a.npy")
    assert np.load(tmp_path / "a.npy").shape == (24, encoder.num_features)
    selftaught.export(run, out=tmp_path / "a.safetensors")
    assert any(tensor.ndim == 4 and tensor.shape[1] == 5 for tensor in load_file(tmp_path / "a.safetensors").values())
    image = sorted(folder.glob("dark/*.npy"))[0]
    np.testing.assert_allclose(encoder.transform(image), encoder.transform(np.load(image)))
    assert len(selftaught.search(run, folder, query=image, top=1)) == 1
    with pytest.raises(
        ValueError, match="boxes and masks are those of images in colours, and the encoder takes 5 chan"
    ):
        selftaught.evaluate(run, folder, probe="segmentation")
    with pytest.raises(ValueError, match="a video in colours, but 5ch:timm:test_resnet takes 5 channels; give"):
        selftaught.search(run, folder, query=folder / "dark" / "a.mp4")
    assert selftaught.explore(run, folder, out=tmp_path / "a.html", method="pca")["shown"] == 24
    with pytest.raises(
        ValueError, match=r"--channels 5, given or those of the run, are of images in files.*synthetic is none"
    ):
        selftaught.evaluate(run, "synthetic", probe="knn")


def test_shards_are_learned_from_in_order_and_embedded_like_the_folder(folder: Path, tmp_path: Path) -> None:
    files = sorted(folder.rglob("*.npy"))
    files[9].write_bytes(files[9].read_bytes()[:500])
    (tmp_path / "shards").mkdir()
    for shard in range(4):
        with tarfile.open(tmp_path / "shards" / f"{shard}.tar", "w") as archive:
            for file in files[shard::4]:
                archive.add(file, file.name)
    write(tmp_path / "table.parquet", {"image": [file.read_bytes() for file in files]})
    run, asked = tmp_path / "run", {**QUICK, "held_out": 0.25, "channels": 5, "stream": "always"}
    plan = selftaught.pretrain(tmp_path / "shards", out=run, **asked, dry_run=True)
    assert plan["heldout_samples"] == 6
    found = selftaught.pretrain(tmp_path / "shards", out=run, **asked)
    assert found["heldout_samples"] == 6
    assert json.loads((run / "config.json").read_text())["encoder"] == "5ch:timm:test_resnet"

    def vectors(data: Path, **how: Any) -> dict[str, list[float]]:
        to = tmp_path / f"vectors-{data.stem}"
        skipped = selftaught.embed(run, data, out=to, **how)["skipped"]
        assert skipped == 1, data
        tables = [parquet.read_table(file).to_pydict() for file in sorted(to.glob("*.parquet"))]
        return {key: row for table in tables for key, row in zip(table["path"], table["vector"], strict=True)}

    expected = {Path(key).name: row for key, row in vectors(folder).items()}
    assert len(expected) == 23
    streamed = {Path(key).name: row for key, row in vectors(tmp_path / "shards", stream="always").items()}
    rows = vectors(tmp_path / "table.parquet").items()
    for others in (streamed, {files[int(key.rpartition(":")[2])].name: row for key, row in rows}):
        assert others.keys() == expected.keys()
        for name, row in others.items():  # a batch of another length changes the last bit
            np.testing.assert_allclose(row, expected[name], atol=1e-5)


@pytest.mark.slow  # a second run; test_fit holds the kernels themselves
def test_given_weights_are_averaged_over_the_colours(folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    given = build_encoder("timm:test_resnet", size=32)
    torch.save(given.net.state_dict(), tmp_path / "a.pth")  # type: ignore[union-attr]
    settings = {**QUICK, "channels": 5, "weights": str(tmp_path / "a.pth"), "lr": 1e-9}
    selftaught.pretrain(folder, out=tmp_path / "run", **settings)
    trained = selftaught.load_encoder(tmp_path / "run")
    before = next(p for p in given.parameters() if p.ndim == 4).detach()
    after = next(p for p in trained.parameters() if p.ndim == 4).detach()
    assert torch.allclose(after, before.mean(1, keepdim=True).expand(-1, 5, -1, -1) * 3 / 5, atol=1e-4)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"task": "colorization"}, "task 'colorization' learns from the three channels of colours, got --channels 5"),
    ({"task": "rotation+jigsaw"}, "got --channels 5; choose a task for any channels, such as simclr"),
    ({"encoder": "sobel:resnet18"}, "--encoder sobel:resnet18 sees colours, got --channels 5; leave sobel: out"),
    ({"channels": 4}, "has 5 channels, not the 4 of --channels"),
    ({"channels": 3}, "has 5 channels; --channels 5 reads them"),
]


@pytest.mark.parametrize(("asked", "message"), REFUSED)
def test_what_needs_colours_is_refused_in_one_sentence(
    folder: Path, tmp_path: Path, asked: dict[str, Any], message: str
) -> None:
    settings = {"channels": 5, **QUICK, **asked}
    with pytest.raises(ValueError, match=message):
        selftaught.pretrain(folder, out=tmp_path / "run", **settings)


ANY = ("simclr", "moco", "rotation", "transformation", "graph_constraint", "autoencoder", "mae")
OF_ALL_SAMPLES = ("noise_as_targets",)


@pytest.mark.parametrize("task", [*ANY, *OF_ALL_SAMPLES])
def test_tasks_for_any_channels_learn_from_two(task: str) -> None:
    encoder = "timm:test_vit" if task == "mae" else "timm:test_resnet"
    asked = RunConfig.of(data="x", out="y", task=task, encoder=encoder, size=32, channels=2)
    spec = spec_for(asked)
    built = build_task(spec, with_encoders(asked, spec))
    assert built.encoder.channels == 2
    images = torch.randint(256, (4, 2, 40, 40), dtype=torch.uint8)
    example = built.pseudo_label(Batch(index=torch.arange(4), inputs={"image": images}), generator("channels"))
    prediction = built(example)
    if task in OF_ALL_SAMPLES:  # their labels come with the features of all samples
        return
    assert built.loss(prediction, example)["loss"].isfinite()
    with torch.no_grad():
        assert built.show(example, prediction, 2)
