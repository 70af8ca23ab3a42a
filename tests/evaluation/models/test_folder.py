"""A model's folder: written whole, read back without unpickling, and never over files of others."""

from __future__ import annotations

import json
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from selftaught.core.own_folder import remove_own
from selftaught.evaluation.models import folder as model_folder
from selftaught.evaluation.models.folder import (
    as_json,
    check_model_out,
    load_classes,
    read_facts,
    read_held_back,
    write_model,
)


def test_what_was_written_is_read(place: Path) -> None:
    facts = read_facts(place / "model")
    assert (facts.kind, facts.classes) == ("classes", ("blue", "green", "red"))
    assert facts.data["by_class"] == {"blue": 8, "green": 8, "red": 8}
    assert json.loads((place / "model" / "model.json").read_text()) == as_json(facts)
    held = read_held_back(place / "model")
    confidence, right = held.confidence, held.right
    assert len(confidence) == 24
    assert 100 * right.mean() == pytest.approx(facts.held_back["accuracy"], abs=1e-3)
    model = load_classes(place / "model", facts)
    assert not model.training
    assert float(model.temperature) == pytest.approx(facts.calibration["temperature"], abs=1e-4)


def test_a_model_is_replaced_whole_and_only_when_asked(place: Path, tmp_path: Path) -> None:
    facts, model = read_facts(place / "model"), load_classes(place / "model")
    path = check_model_out(tmp_path / "new", overwrite=False)
    write_model(path, model, facts, [])
    with pytest.raises(ValueError, match=r"already holds a model; give another folder, or --overwrite"):
        check_model_out(path, overwrite=False)
    (path / "notes.txt").write_text("mine")
    model.temperature.fill_(7.0)
    rows = [{"path": "a", "label": "x", "class": "x", "probability": 0.5, "group": group} for group in (3, 4)]
    write_model(check_model_out(path, overwrite=True), model, replace(facts, held_back={"samples": 2}), rows)
    assert float(load_classes(path).temperature) == 7.0
    assert [name.name for name in tmp_path.iterdir()] == ["new"]
    assert (path / "notes.txt").read_text() == "mine"
    held = read_held_back(path)
    assert held.groups is not None
    assert (held.right.tolist(), held.groups.tolist()) == ([True, True], [3, 4])


def test_models_that_are_written_at_once_are_whole(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts, model, out = read_facts(place / "model"), load_classes(place / "model"), tmp_path / "new"
    for _ in range(3):
        with ThreadPoolExecutor() as pool:
            for written in [pool.submit(write_model, out, model, facts, []) for _ in range(3)]:
                written.result(timeout=120)
        assert read_facts(out) == facts
        assert load_classes(out).head.state_dict().keys() == model.head.state_dict().keys()
    assert [path.name for path in tmp_path.iterdir()] == ["new"]

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path / ".new.part" / "weights.safetensors"))

    def removed(path: Path) -> None:  # a signal while the old files make place for the new ones
        remove_own(path)
        signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(model_folder, "remove_own", removed)
        with pytest.raises(KeyboardInterrupt):
            write_model(out, model, facts, [])
    assert read_facts(out) == facts
    monkeypatch.setattr("selftaught.evaluation.models.folder.write_tensors", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_model(out, model, facts, [])
    assert caught.value.filename == str(out)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert read_facts(out) == facts


def test_the_current_folder_can_hold_a_model(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    write_model(check_model_out(".", overwrite=False), load_classes(place / "model"), read_facts(place / "model"), [])
    assert read_facts(".") == read_facts(place / "model")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here"]


def test_folders_that_hold_something_else_are_refused(place: Path, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match=r"holds other files, which are no model \(such as photo.jpg\)"):
        check_model_out(tmp_path, overwrite=True)
    with pytest.raises(ValueError, match=r"is not a model: it has no model.json"):
        read_facts(tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [{"classes": 3}, {"classes": []}, {"kind": "x"}, {"network": {"enc": "a"}}, {"reading": {"enc": "a"}}, {"head": {}},
     {"data": None}],
)  # fmt: skip
def test_a_file_that_was_edited_is_one_sentence(place: Path, tmp_path: Path, wrong: dict[str, object]) -> None:
    (tmp_path / "model.json").write_text(json.dumps(as_json(read_facts(place / "model")) | wrong))
    with pytest.raises(ValueError, match=r"model.json is damaged; fit the model again"):
        read_facts(tmp_path)


@pytest.mark.parametrize(("cut", "wrong"), [("\n", "3 rows"), ("probability", "24 rows")])
def test_a_list_of_held_back_samples_that_was_cut_or_edited_is_refused(
    place: Path, tmp_path: Path, cut: str, wrong: str
) -> None:
    shutil.copytree(place / "model", tmp_path / "model")
    file = tmp_path / "model" / "held_back.csv"
    lines = file.read_text().splitlines()
    lines = lines[:4] if cut == "\n" else [lines[0], *(f"{line.rpartition(',')[0]},nan" for line in lines[1:])]
    file.write_text("\n".join(lines) + "\n")
    with pytest.raises(ValueError, match=rf"held_back.csv is damaged: {wrong} for 24 held-back samples"):
        read_held_back(tmp_path / "model")


def test_a_folder_of_parts_of_two_models_is_refused(place: Path) -> None:
    facts = read_facts(place / "model")
    with pytest.raises(ValueError, match=r"has 3 classes and model.json beside it 1; they are of two models"):
        load_classes(place / "model", replace(facts, classes=("a",)))
    with pytest.raises(ValueError, match=r"a model of classes is needed, but .* finds boxes"):
        load_classes(place / "model", replace(facts, kind="boxes"))


@pytest.mark.parametrize("text", ['{"format": 1}', '{"format": 2}', "{", '{"format": 1, "kind": 3, "unknown": 0}'])
def test_a_damaged_file_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(ValueError, match=r"model.json is (damaged|of another version)"):
        read_facts(tmp_path)


def test_weights_that_do_not_fit_are_one_sentence(place: Path, tmp_path: Path) -> None:
    facts = read_facts(place / "model")
    (tmp_path / "weights.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ValueError, match=r"weights.safetensors cannot be read"):
        load_classes(tmp_path, facts)
    write_model(tmp_path / "other", torch.nn.Linear(2, 3), facts, [])
    with pytest.raises(ValueError, match=r"weights.safetensors is damaged: it has no head"):
        load_classes(tmp_path / "other", facts)
