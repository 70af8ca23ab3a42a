from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from selftaught.report.facts.read import Collection, Comparison, Run, read_folder, read_run

Folder = Callable[..., Path]


def test_a_run_is_read_whole(tmp_path: Path, run_folder: Folder) -> None:
    run = read_folder(run_folder(tmp_path / "run"))
    assert isinstance(run, Run)
    assert (run.task, run.encoder) == ("rotation", "resnet18")
    assert run.metrics["step"][:2] == (10.0, 20.0)
    assert set(run.heldout) == {"step", "epoch", "loss", "accuracy", "rankme", "alignment", "uniformity", "feature_std"}
    assert run.skipped == (("broken.jpg", "truncated"), ("odd, name.png", "<b>1 pixel</b>"))
    assert run.pictures is not None
    assert [len(part) for part in (run.pictures.samples, run.pictures.neighbours)] == [8, 8]
    assert run.pictures.kernels is not None
    assert {e["probe"] for e in run.evaluations} == {"linear", "knn"}


def test_a_query_without_neighbours_is_not_shown(tmp_path: Path, run_folder: Folder) -> None:
    run = run_folder(tmp_path / "run")
    listed = json.loads((run / "pictures" / "pictures.json").read_text())
    listed["neighbours"][1]["neighbours"] = []
    (run / "pictures" / "pictures.json").write_text(json.dumps(listed))
    pictures = read_run(run).pictures
    assert pictures is not None
    assert len(pictures.neighbours) == 7


def test_what_was_measured_twice_alike_counts_once(tmp_path: Path, run_folder: Folder) -> None:
    run = run_folder(tmp_path / "run")
    linear = json.loads((run / "evaluations" / "linear-0a1b2c.json").read_text())
    (run / "evaluations" / "linear-1.json").write_text(json.dumps(linear | {"seconds": 1.0, "file": "linear-1.json"}))
    (run / "evaluations" / "linear-2.json").write_text(json.dumps(linear | {"train_samples": 500}))
    assert [e.get("train_samples") for e in read_run(run).evaluations if e["probe"] == "linear"] == [9469, 500]


def test_a_run_is_of_the_encoder_that_it_keeps(tmp_path: Path, run_folder: Folder) -> None:
    run = run_folder(tmp_path / "run")
    config = json.loads((run / "config.json").read_text())
    evaluation = json.loads((run / "evaluations" / "linear-0a1b2c.json").read_text())
    for part in ("encoder", "audio_encoder"):
        (run / "evaluations" / f"linear-{part}.json").write_text(json.dumps(evaluation | {"part": part}))
    found = {e.get("part"): e.get("other_part") for e in read_run(run).evaluations}
    assert (found["encoder"], found["audio_encoder"]) == (None, "audio_encoder")
    further = {"encoders": {"audio_encoder": "audio_convnet"}, "kept": "audio_encoder"}
    (run / "config.json").write_text(json.dumps(config | further))
    assert read_run(run).encoder == "audio_convnet"
    found = {e.get("part"): e.get("other_part") for e in read_run(run).evaluations}
    assert (found["encoder"], found["audio_encoder"]) == ("encoder", None)
    (run / "config.json").write_text(json.dumps(config | {"kept": "teacher", "encoders": [1]}))
    assert read_run(run).encoder == "resnet18"


def test_a_run_that_has_just_begun_is_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"task": "simclr"}')
    (tmp_path / "metrics.csv").write_text("step,epoch,lr,loss\n")
    run = read_run(tmp_path)
    assert (run.task, run.summary, run.metrics, run.pictures, run.evaluations) == ("simclr", {}, {}, None, ())


def test_cells_that_are_no_numbers_become_nan(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "heldout.csv").write_text("step,loss,rankme\n1,nan,\n2,0.5,oops\n3,0.25\n")
    columns = read_run(tmp_path).heldout
    assert columns["step"] == (1.0, 2.0, 3.0)
    assert math.isnan(columns["loss"][0])
    assert columns["loss"][1:] == (0.5, 0.25)
    assert all(map(math.isnan, columns["rankme"]))


def test_a_comparison_gives_its_runs_in_the_order_of_its_table(tmp_path: Path, comparison_folder: Folder) -> None:
    found = read_folder(comparison_folder(tmp_path, {"rotation": 60.0, "simclr": 66.0}))
    assert isinstance(found, Comparison)
    assert [run.task for run in found.runs] == ["simclr", "rotation"]


def test_a_folder_of_runs_is_a_collection(tmp_path: Path, run_folder: Folder) -> None:
    run_folder(tmp_path / "b")
    run_folder(tmp_path / "a")
    (tmp_path / "notes").mkdir()
    found = read_folder(tmp_path)
    assert isinstance(found, Collection)
    assert [run.folder.name for run in found.runs] == ["a", "b"]


def test_what_is_no_run_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "fitted").mkdir()
    (tmp_path / "fitted" / "model.json").write_text("{}")
    with pytest.raises(ValueError, match=r"is a model of fit, which has a card instead of a report; `selftaught"):
        read_folder(tmp_path / "fitted")
    with pytest.raises(ValueError, match=r"is no run: .* give the folder that `selftaught pretrain`"):
        read_folder(tmp_path)
    with pytest.raises(ValueError, match=r"no folder .*absent"):
        read_folder(tmp_path / "absent")


@pytest.mark.parametrize("text", ['{"task": ', "[1, 2]", "\x00"])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "summary.json").write_text(text)
    with pytest.raises(ValueError, match=r"summary\.json"):
        read_run(tmp_path)


def test_images_outside_the_run_are_not_taken(tmp_path: Path, run_folder: Folder) -> None:
    run = run_folder(tmp_path / "run")
    secret = tmp_path / "secret.png"
    secret.write_bytes((run / "pictures" / "p0.png").read_bytes())
    index = json.loads((run / "pictures" / "pictures.json").read_text())
    index["samples"] = [{"inputs": ["../../secret.png", str(secret), "s0.png"], "pseudo_label": "a", "prediction": "b"}]
    index["kernels"] = "../../secret.png"
    (run / "pictures" / "pictures.json").write_text(json.dumps(index))
    pictures = read_run(run).pictures
    assert pictures is not None
    assert [p.name for p in pictures.samples[0].inputs] == ["s0.png"]
    assert pictures.kernels is None


def test_runs_outside_a_comparison_are_not_taken(tmp_path: Path, run_folder: Folder, comparison_folder: Folder) -> None:
    run_folder(tmp_path / "elsewhere")
    folder = comparison_folder(tmp_path / "compared", {"rotation": 60.0})
    table = json.loads((folder / "compare.json").read_text())
    table["rows"].append({"task": "elsewhere", "run": "../elsewhere", "rank": 2})
    (folder / "compare.json").write_text(json.dumps(table))
    found = read_folder(folder)
    assert isinstance(found, Comparison)
    assert [run.task for run in found.runs] == ["rotation"]
