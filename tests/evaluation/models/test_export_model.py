"""A whole model out: ONNX that predicts alike from image files, tensors, and a card."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

import selftaught
from selftaught.evaluation.metrics.box_matches import Found
from selftaught.evaluation.models.exported.compare import partners
from selftaught.evaluation.models.folder import read_weights
from tests.evaluation.models.own_encoder import encoder_in
from tests.evaluation.models.test_predict import rows_of

onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra [onnx]")


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


def fitted(kind: str, data: Path, folder: Path) -> Path:
    """A model of a few steps."""
    how = {"kind": kind, "steps": 20, "batch_size": 4, "size": 96, "stem": "standard"}
    selftaught.fit(encoder_in(folder), data, out=folder / "model", **how)  # type: ignore[arg-type]
    return folder / "model"


def photos_of(archive: Path, folder: Path, count: int) -> list[Path]:
    """The first photos of a zip, in a folder of their own."""
    folder.mkdir()
    found = []
    with zipfile.ZipFile(archive) as packed:
        names = [name for name in sorted(packed.namelist()) if name.lower().endswith(".jpg")]
        for name in names[:count]:
            found.append(folder / PurePosixPath(name).name)
            found[-1].write_bytes(packed.read(name))
    return found


@pytest.mark.slow  # 60 s: fits to real photos
@pytest.mark.parametrize("name", ["coco256", "voc_layout"])
def test_onnx_finds_the_boxes_that_predict_finds(name: str, shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    archive = shared_data(name) / f"{name}.zip"
    model = fitted("boxes", archive, tmp_path)
    told = selftaught.export(model, out=tmp_path / "model.onnx")
    assert told["difference"] < 1e-5
    assert told["alike"] == 100
    photos = photos_of(archive, tmp_path / "photos", 12)
    selftaught.predict(model, tmp_path / "photos", out=tmp_path / "boxes.json")
    coco = json.loads((tmp_path / "boxes.json").read_text())
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    for image, photo in zip(coco["images"], sorted(photos), strict=True):
        assert image["file_name"] == photo.name
        pixels = np.asarray(Image.open(photo).convert("RGB"))
        boxes, scores, classes = session.run(None, {"images": pixels[None]})
        own = [one for one in coco["annotations"] if one["image_id"] == image["id"]]
        assert len(own) == len(scores) > 0
        corners = np.array([one["bbox"] for one in own])
        corners[:, 2:] += corners[:, :2]
        own_scores = np.array([one["score"] for one in own])
        found, other = partners(
            Found(boxes=boxes, scores=scores, labels=classes),
            Found(boxes=corners, scores=own_scores, labels=np.array([one["category_id"] - 1 for one in own])),
            0.05,
        )
        assert max(*found, *other) < 1e-4  # scores are written with four places


@pytest.mark.slow  # 60 s: fits to real photos
@pytest.mark.parametrize("name", ["camvid240", "coco256"])
def test_onnx_gives_the_masks_that_predict_gives(name: str, shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    archive = shared_data(name) / f"{name}.zip"
    model = fitted("masks", archive, tmp_path)
    said = selftaught.export(model, out=tmp_path / "model.onnx", error=0.7)
    assert said["difference"] < 1e-3
    photos = photos_of(archive, tmp_path / "photos", 12)
    selftaught.predict(model, tmp_path / "photos", out=tmp_path / "masks", error=0.7)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    told = session.get_modelmeta().custom_metadata_map
    classes = json.loads((tmp_path / "masks" / "classes.json").read_text())
    assert json.loads(told["classes"]) == [classes[str(k)] for k in range(len(classes) - 1)]
    assert float(told["threshold"]) == pytest.approx(said["threshold"], abs=1e-6)
    unlike = []
    for photo in photos:
        pixels = np.asarray(Image.open(photo).convert("RGB"))
        found, _ = session.run(None, {"images": pixels[None]})
        own = np.asarray(Image.open(tmp_path / "masks" / f"{photo.stem}.png"))
        assert found[0].shape == own.shape == pixels.shape[:2]
        unlike.append((found[0] != own).mean())
    assert max(unlike) < 0.002


@pytest.mark.slow  # 30 s: fits to real photos
def test_the_safetensors_file_holds_a_whole_model(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    archive = shared_data("voc_layout") / "voc_layout.zip"
    model = fitted("boxes", archive, tmp_path)
    again = tmp_path / "again"
    again.mkdir()
    selftaught.export(model, out=again / "weights.safetensors", format="safetensors")
    with safe_open(again / "weights.safetensors", "pt") as file:
        (again / "model.json").write_text(file.metadata()["model.json"])
    photos_of(archive, tmp_path / "photos", 4)
    for folder in (model, again):
        selftaught.predict(folder, tmp_path / "photos", out=tmp_path / f"{folder.name}.json")
    assert (tmp_path / "model.json").read_text() == (tmp_path / "again.json").read_text()


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
    with pytest.raises(ValueError, match=r"^--part, --checkpoint, --headless and --size are for the encoder of a run"):
        selftaught.export(place / "model", out=tmp_path / "model.onnx", headless=True)
    with pytest.raises(ValueError, match=r"^--error is for --format onnx, whose answers it limits, got torch"):
        selftaught.export(place / "model", out=tmp_path / "model.pt", error=0.1)
    with pytest.raises(ValueError, match=r"^--error is for models of fit, and timm:test_resnet:.* is none"):
        selftaught.export(encoder_in(tmp_path), out=tmp_path / "model.onnx", error=0.1)
