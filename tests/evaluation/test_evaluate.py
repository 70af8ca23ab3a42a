"""evaluate, compare, embed and search on one small run."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from selftaught.core.config import RunConfig
from selftaught.core.own_folder import write_json
from selftaught.data.sources.synthetic import draw
from selftaught.data.store.subset import balanced_rows
from selftaught.evaluation.compare import compare_tasks
from selftaught.evaluation.embed import embed_data, search_data
from selftaught.evaluation.evaluate import evaluate_encoder
from selftaught.evaluation.subject import open_subject
from selftaught.evaluation.supervised import supervised_run
from selftaught.training.run_folder import RunFolder
from selftaught.training.train import train

DATA = "synthetic:N=200,side=32"
CONFIG = RunConfig(
    data=DATA,
    out="",
    task="rotation",
    encoder="timm:test_resnet",
    stem="standard",
    size=32,
    batch_size=8,
    steps=4,
    log_every=1,
    precision="32-true",
)


def evaluate_run(run: Path, data: str, **settings: Any) -> dict[str, Any]:
    return evaluate_encoder(open_subject(run), data, **settings)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(dataclasses.replace(CONFIG, out=str(tmp_path_factory.mktemp("runs") / "run")))


def test_linear_names_every_stage_beside_random_weights(run: Path) -> None:
    result = evaluate_run(run, DATA, settings={"dims": 200})
    assert list(result["stages"]) == ["act1", "layer1", "layer2", "layer3", "layer4"]
    assert list(result["random"]["stages"]) == list(result["stages"])
    assert result["value"] == max(result["stages"].values()) == result["stages"][result["stage"]]
    assert result["stages"] != result["random"]["stages"]
    assert result["chance"] == 20.0
    saved = next((run / "evaluations").glob("linear-*.json"))
    assert json.loads(saved.read_text()) == result


def test_random_figures_are_the_same_with_and_without_the_cache(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = evaluate_run(run, DATA, probe="knn")["random"]
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path))
    assert evaluate_run(run, DATA, probe="knn")["random"] == cached


def test_fraction_is_balanced_and_seeded(run: Path) -> None:
    labels = np.array([0] * 50 + [1] * 10 + [-1] * 5)
    rows = balanced_rows(labels, 0.2, None, seed=0)
    assert (labels[rows] == 0).sum() == 10
    assert (labels[rows] == 1).sum() == 2
    assert np.array_equal(rows, balanced_rows(labels, 0.2, None, seed=0))
    assert not np.array_equal(rows, balanced_rows(labels, 0.2, None, seed=1))
    result = evaluate_run(run, DATA, probe="knn", fractions=[0.1])
    assert result["train_samples"] < 30
    with pytest.raises(ValueError, match=r"--fraction must be in \(0, 1\], got 0"):
        evaluate_run(run, DATA, fractions=[0])


def test_shares_are_of_the_labels_that_the_limit_leaves(run: Path) -> None:
    labels = np.array([0] * 60 + [1] * 20)
    rows = balanced_rows(labels, 0.25, 40, seed=0)
    assert np.bincount(labels[rows]).tolist() == [8, 2]
    result = evaluate_run(run, DATA, probe="knn", fractions=[0.1, 0.5, 1.0], limit=100, draws=2)
    assert result["limit"] == 100
    assert result["train_samples"] == pytest.approx(100, abs=2), "every class is rounded"
    for row in result["few_labels"]:
        assert row["train_samples"] == pytest.approx(row["fraction"] * 100, abs=2)
    assert evaluate_run(run, DATA, probe="knn", limit=1000)["limit"] is None
    with pytest.raises(ValueError, match="--limit must be at least 1, got 0"):
        evaluate_run(run, DATA, limit=0)


def test_figures_say_where_they_lie(run: Path, tmp_path: Path) -> None:
    for folder, subject in ((run, open_subject(run)), (tmp_path, open_subject(run, out=tmp_path))):
        result = evaluate_encoder(subject, DATA, probe="knn")
        assert result["folder"] == str(folder)
        assert json.loads((folder / "evaluations" / result["file"]).read_text()) == result


def test_supervised_is_trained_at_the_same_budget(run: Path) -> None:
    result = evaluate_run(run, DATA, probe="knn", supervised=True)
    assert 0 <= result["supervised"]["value"] <= 100
    summary = json.loads((run / "supervised" / "summary.json").read_text())
    assert (summary["task"], summary["steps"]) == ("supervised", 4)


def test_a_supervised_encoder_of_other_data_or_settings_is_not_taken(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[tuple[str, int | None]] = []

    def prepare_alone(config: RunConfig) -> Path:
        folder = RunFolder(Path(config.out))
        try:
            folder.prepare(config, f"content of {config.data}")
        finally:
            folder.release()
        if not (folder.path / "summary.json").exists():
            for name in ("summary.json", "config.json", "checkpoints/last.safetensors"):
                write_json(folder.path / name, {})
            trained.append((config.data, config.steps))
        return folder.path

    monkeypatch.setattr("selftaught.training.train.train", prepare_alone)
    subject = open_subject(run, out=tmp_path)
    longer = dataclasses.replace(subject, config=dataclasses.replace(subject.config, steps=8))
    for asked, data in ((subject, "a"), (subject, "a"), (longer, "a"), (longer, "b"), (longer, "b"), (subject, "b")):
        assert supervised_run(asked, data) == tmp_path / "supervised"
    assert trained == [("a", 4), ("a", 8), ("b", 8), ("b", 4)]


def test_data_without_labels_are_refused(run: Path, tmp_path: Path) -> None:
    for number in range(4):
        Image.fromarray(draw(number, side=32)).save(tmp_path / f"{number}.png")
    with pytest.raises(ValueError, match="label"):
        evaluate_run(run, str(tmp_path))


def test_compare_ranks_by_the_probe_and_without_labels_by_the_rank_of_features(tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, steps=2, out=str(tmp_path / "labelled"))
    result = compare_tasks(config, ["rotation", "simclr"], labelled=DATA, probe="knn")
    values = [row["probe"]["value"] for row in result["rows"]]
    assert values == sorted(values, reverse=True)
    assert [row["rank"] for row in result["rows"]] == [1, 2]
    assert {row["task"] for row in result["rows"]} == {"rotation", "simclr"}
    assert json.loads((tmp_path / "labelled" / "compare.json").read_text()) == result
    best, second = result["rows"]
    assert (best["behind"], best["distinguishable"]) == (None, None)
    assert second["behind"]["value"] == pytest.approx(values[0] - values[1], abs=1e-3)
    low, high = second["behind"]["interval"]
    assert second["behind"]["paired"]
    assert second["distinguishable"] is not (low <= 0 <= high)
    agreed = result["label_free_agreement"]
    assert {p["run"]: p["probe"] for p in agreed["points"]} == {r["task"]: r["probe"]["value"] for r in result["rows"]}
    assert {row["figure"] for row in agreed["rows"]} >= {"rankme", "lidar", "alignment", "uniformity"}
    assert "2 runs are too few" in agreed["note"]
    with pytest.raises(ValueError, match="already holds a comparison"):
        compare_tasks(config, ["rotation"])
    unlabelled = compare_tasks(dataclasses.replace(config, resume=True), ["rotation", "simclr"])
    assert [r["rankme"] for r in unlabelled["rows"]] == sorted((r["rankme"] for r in unlabelled["rows"]), reverse=True)
    assert all(r["rankme"] == r["label_free"]["value"] for r in unlabelled["rows"])
    assert unlabelled["label_free_agreement"] is None


def test_compare_says_what_is_wrong_before_it_trains(tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, out=str(tmp_path / "out"))
    with pytest.raises(ValueError, match="videos are needed"):
        compare_tasks(config, ["rotation", "frame_order_verification"])
    with pytest.raises(ValueError, match=r"--task.angels"):
        compare_tasks(dataclasses.replace(config, task_settings={"angels": 2}), ["rotation"])
    with pytest.raises(ValueError, match="--probe label_free measures no use"):
        compare_tasks(config, ["rotation"], labelled=DATA, probe="label_free")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["one.png", "photo.jpg", "x.bmp", "a.png", "24.png"])
def test_a_single_image_is_embedded_and_found(run: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "data").mkdir()
    Image.new("RGB", (40, 40), (9, 80, 200)).save(tmp_path / "data" / name)
    assert embed_data(run, str(tmp_path / "data"), tmp_path / "f.csv")["samples"] == 1
    found = search_data(run, str(tmp_path / "data"), tmp_path / "data" / name)
    assert [row["path"] for row in found] == [name]
    with pytest.raises(ValueError, match="holds only one file, and none in the held-out part; add some"):
        embed_data(run, str(tmp_path / "data"), tmp_path / "g.csv", split="held_out")


def test_embed_gives_every_sample_one_vector(run: Path, tmp_path: Path) -> None:
    table = pq.read_table(embed_data(run, DATA, tmp_path / "features.parquet")["out"])
    assert table.column_names == ["id", "path", "label", "vector"]
    assert table.num_rows == 200
    assert len(set(table["path"].to_pylist())) == 200
    assert len(table["vector"][0].as_py()) == 96
    assert set(table["label"].to_pylist()) == {"disc", "square", "triangle", "cross", "bar"}


def test_search_finds_the_picture_itself_first(run: Path, tmp_path: Path) -> None:
    Image.fromarray(draw(17, side=32)).save(tmp_path / "query.png")
    found = search_data(run, DATA, tmp_path / "query.png", top=3)
    assert [f["rank"] for f in found] == [1, 2, 3]
    assert found[0]["path"] == "synthetic/00000017"
    assert found[0]["similarity"] > 0.99
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(ValueError, match=r"--query .*broken.png cannot be read"):
        search_data(run, DATA, tmp_path / "broken.png")
