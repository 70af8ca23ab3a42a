"""Predictions: one row for each sample in the order of the paths, what cannot be told, what cannot be read."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import selftaught
from selftaught.evaluation.metrics.calibration import grouped_interval, share_interval
from selftaught.evaluation.models.folder import load_classes, read_facts, read_held_back, write_model
from selftaught.evaluation.models.predict import check_list, threshold_of, write_skipped
from tests.evaluation.labelled_videos import write_actions
from tests.evaluation.models.own_encoder import SIZE, colours_in, encoder_in


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_image_has_a_row_and_broken_files_are_listed(place: Path, tmp_path: Path) -> None:
    data = colours_in(tmp_path / "data", 3, seed=9, noise=150)
    (data / "red" / "broken.png").write_bytes(b"no image")
    found = selftaught.predict(place / "model", data, out=tmp_path / "out.csv")
    rows = rows_of(tmp_path / "out.csv")
    assert [row["path"] for row in rows] == sorted(f"{k}/0{i}.png" for k in ("red", "green", "blue") for i in range(3))
    assert found["accuracy"] == pytest.approx(100 * np.mean([row["class"] == row["label"] for row in rows]), abs=1e-2)
    assert found["accuracy"] > 60
    assert (found["samples"], found["skipped"], sum(found["classes"].values())) == (9, 1, 9)
    assert [row["path"] for row in rows_of(Path(found["skipped_list"]))] == ["red/broken.png"]
    assert list(rows[0]) == ["path", "class", "probability", "label"]


def test_the_interval_is_over_groups_that_the_data_name(place: Path, tmp_path: Path) -> None:
    data = colours_in(tmp_path / "data", 4, seed=9, noise=150)
    keys = [f"{k}/0{i}.png" for k in ("red", "green", "blue") for i in range(4)]
    donors = {key: str(i % 3) for i, key in enumerate(keys)}
    (tmp_path / "donors.csv").write_text("file,group\n" + "".join(f"{k},{g}\n" for k, g in donors.items()))
    found = selftaught.predict(place / "model", data, out=tmp_path / "out.csv", groups=str(tmp_path / "donors.csv"))
    assert found["groups"] == 3
    rows = rows_of(tmp_path / "out.csv")
    right = np.array([row["class"] == row["label"] for row in rows])
    assert found["interval"] == list(grouped_interval(right, np.array([int(donors[row["path"]]) for row in rows])))
    assert any(note.startswith("the 12 samples are of 3 groups, from which") for note in found["notes"])
    plain = selftaught.predict(place / "model", data, out=tmp_path / "plain.csv")
    assert "groups" not in plain
    assert plain["interval"] == list(share_interval(int(right.sum()), 12))


def test_a_file_named_as_the_list_of_skipped_files_stays(tmp_path: Path) -> None:
    own, out = tmp_path / "out-skipped.csv", tmp_path / "out.csv"
    check_list(out, overwrite=False)
    own.write_text("my own notes\n")
    with pytest.raises(ValueError, match=r"out.csv lists files .* in out-skipped.csv, .* or --overwrite to replace it"):
        check_list(out, overwrite=False)
    assert own.read_text() == "my own notes\n"
    check_list(out, overwrite=True)
    write_skipped(out, {"a.png": "empty file"})
    check_list(out, overwrite=False)
    write_skipped(out, {})
    assert not own.exists()


def test_uncertain_answers_are_held_back(place: Path, tmp_path: Path) -> None:
    data = colours_in(tmp_path / "data", 4, seed=5, noise=150)
    for path in [*data.rglob("*.png")]:
        path.rename(data / f"{path.parent.name}{path.name}")
    always = selftaught.predict(place / "model", data, out=tmp_path / "always.parquet")
    table = pq.read_table(tmp_path / "always.parquet")
    assert table.column_names == ["path", "class", "probability"]
    found = selftaught.predict(place / "model", data, out=tmp_path / "sure.csv", error=0.0)
    rows = rows_of(tmp_path / "sure.csv")
    threshold = threshold_of(place / "model", 0.0)
    assert threshold is not None
    held = read_held_back(place / "model")
    assert held.right[held.confidence >= threshold.confidence].all()
    assert (found["held_back_error"], found["held_back_answered"]) == (threshold.error, threshold.answered)
    assert found["cannot_tell"] == sum(row["class"] == "cannot tell" for row in rows) > 0
    assert all((row["class"] == row["most_probable"]) == (float(row["probability"]) >= threshold.confidence - 1e-6)
               for row in rows)  # fmt: skip
    assert [row["most_probable"] for row in rows] == table["class"].to_pylist()
    assert always["samples"] == 12


def test_a_file_of_several_images_has_the_mean_of_their_probabilities(place: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for number in range(2):
        stack = np.random.default_rng(number).integers(0, 256, (3, 32, 40, 3), np.uint8)
        np.save(data / f"plate#{number}.npy", stack)
    single, whole = tmp_path / "single.csv", tmp_path / "whole.csv"
    selftaught.predict(place / "model", data, out=single)
    found = selftaught.predict(place / "model", data, out=whole, per_file=True)
    assert (found["samples"], [row["path"] for row in rows_of(whole)]) == (2, ["plate#0.npy", "plate#1.npy"])
    pages = rows_of(single)[:3]
    assert [row["path"] for row in pages] == [f"plate#0.npy#{page}" for page in range(3)]
    if len({row["class"] for row in pages}) == 1:
        mean = np.mean([float(row["probability"]) for row in pages])
        assert float(rows_of(whole)[0]["probability"]) == pytest.approx(mean, abs=1e-5)
    with pytest.raises(ValueError, match=r"^--error is measured on single images, not on the mean of a file"):
        selftaught.predict(place / "model", data, out=tmp_path / "no.csv", per_file=True, error=0.5)


def test_videos_are_predicted_alike(tmp_path: Path) -> None:
    data = write_actions(tmp_path / "videos", 8)
    how = {"method": "linear", "size": SIZE, "stem": "standard"}
    selftaught.fit(encoder_in(tmp_path), data, out=tmp_path / "model", **how)  # type: ignore[arg-type]
    found = selftaught.predict(tmp_path / "model", data, out=tmp_path / "out.csv")
    assert found["samples"] == 8
    assert [Path(row["path"]).suffix for row in rows_of(tmp_path / "out.csv")] == [".mp4"] * 8


def test_what_limits_the_accuracy_is_said(place: Path, tmp_path: Path) -> None:
    seen = selftaught.predict(place / "model", place / "data", out=tmp_path / "seen.csv")
    assert any("the model was fitted to labels of" in note for note in seen["notes"])
    data = colours_in(tmp_path / "data", 2, seed=9)
    (data / "red").rename(data / "purple")
    found = selftaught.predict(place / "model", data, out=tmp_path / "out.csv")
    assert found["notes"][-1] == "2 of 6 labels are of classes that the model does not know (purple)"
    assert not any("was fitted" in note for note in found["notes"])


def test_a_model_whose_output_is_not_finite_predicts_nothing(place: Path, tmp_path: Path) -> None:
    facts, model = read_facts(place / "model"), load_classes(place / "model")
    model.head.weight.fill_(float("nan"))
    write_model(tmp_path / "broken", model, facts, [])
    with pytest.raises(ValueError, match=r"the model's output is not finite"):
        selftaught.predict(tmp_path / "broken", place / "data", out=tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_a_class_that_is_called_as_no_answer_is_refused(place: Path) -> None:
    facts = replace(read_facts(place / "model"), classes=("cannot tell", "green", "red"))
    with pytest.raises(ValueError, match=r"--error answers 'cannot tell', which is a class of"):
        threshold_of(place / "model", 0.1, facts)


def test_wrong_arguments_are_one_sentence(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    with pytest.raises(ValueError, match=r"^--error must be at least 0 and below 1, the share of wrong answers, got 5"):
        selftaught.predict(place / "model", place / "data", out=out, error=5)
    with pytest.raises(ValueError, match=r"must end with one of .csv, .parquet"):
        selftaught.predict(place / "model", place / "data", out=tmp_path / "out.txt")
    with pytest.raises(ValueError, match=r"is not a model: it has no model.json"):
        selftaught.predict(place, place / "data", out=out)
