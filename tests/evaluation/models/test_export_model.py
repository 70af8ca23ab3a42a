"""A whole model out: ONNX that predicts alike from image files, tensors, and a card."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from safetensors import safe_open

import selftaught
from selftaught.evaluation.models.folder import read_weights
from tests.evaluation.models.test_predict import rows_of


@pytest.mark.slow  # torch.onnx alone takes 5 s
def test_onnx_gives_what_predict_gives(place: Path, tmp_path: Path) -> None:
    found = selftaught.export(place / "model", out=tmp_path / "model.onnx")
    assert found["difference"] < 1e-4
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    properties = session.get_modelmeta().custom_metadata_map
    classes = json.loads(properties["classes"])
    selftaught.predict(place / "model", place / "data", out=tmp_path / "out.csv")
    for row in rows_of(tmp_path / "out.csv"):
        # Square, as predict cuts the centre of its packed images to whole pixels.
        image = np.asarray(Image.open(place / "data" / row["path"]).crop((4, 0, 36, 32)))
        (probabilities,) = session.run(None, {"images": image[None]})
        assert classes[int(probabilities[0].argmax())] == row["class"]
        assert float(probabilities[0].max()) == pytest.approx(float(row["probability"]), abs=1e-4)


def test_tensors_are_those_of_the_folder(place: Path, tmp_path: Path) -> None:
    own = read_weights(place / "model")
    assert selftaught.export(place / "model", out=tmp_path / "model.pt")["format"] == "torch"
    plain = torch.load(tmp_path / "model.pt", weights_only=True)
    assert all(torch.equal(plain[name], value) for name, value in own.items())
    selftaught.export(place / "model", out=tmp_path / "m.safetensors")
    with safe_open(tmp_path / "m.safetensors", "pt") as file:
        assert set(file.keys()) == set(own)
        assert json.loads(file.metadata()["model.json"])["classes"] == ["blue", "green", "red"]


def test_what_a_model_cannot_be_is_said(place: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must end with one of .pt, .pth, .safetensors, .onnx, .md"):
        selftaught.export(place / "model", out=tmp_path / "model.bin")
    with pytest.raises(ValueError, match=r"must end with one of"):
        selftaught.export(place / "model", out=tmp_path / "model.md", format="onnx")
    with pytest.raises(ValueError, match=r"^--part and --headless are for the encoder of a run"):
        selftaught.export(place / "model", out=tmp_path / "model.onnx", headless=True)
