"""Encoders of clips go where encoders of images go: probes, embed, search, budget, compare, export and report."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision

import selftaught
from selftaught.training.encoder_of_run import read_config

pytestmark = pytest.mark.slow  # networks of 33 million parameters over ten clips of each video, 2 to 60 seconds each

SMALL: Mapping[str, Any] = {
    "encoder": "r3d_18",
    "stem": "standard",
    "size": 16,
    "batch_size": 2,
    "log_every": 1,
    "task_settings": {"frames": 4},
    "precision": "32-true",
}
PROBES: Mapping[str, Mapping[str, Any]] = {
    "label_free": {"views": 2, "draws": 2},
    "knn": {},
    "linear": {},
    "mlp": {"epochs": 2},
    "svm": {},
    "retrieval": {},
    "finetune": {"steps": 2, "batch_size": 4, "lr": (0.01,)},
}
OF_CLIPS: Mapping[str, Mapping[str, Any]] = {"action": {}, "clip_retrieval": {}}
CLASSES, PERFORMERS = ("bend", "jack", "wave1", "wave2"), (0, 1, 2, 6, 7)


@pytest.fixture
def actions(shared_data: Callable[[str], Path], tmp_path: Path) -> Path:
    """A few of the real videos: three performers to learn from, two that are tested."""
    root = shared_data("weizmann4")
    with (root / "labels.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if int(row["performer"]) in PERFORMERS]
    rows = [row for row in rows if row["mirrored_of_a"] == "0"]
    assert len(rows) == len(CLASSES) * len(PERFORMERS)
    for row in rows:
        (tmp_path / "actions" / row["file"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / row["file"], tmp_path / "actions" / row["file"])
    with (tmp_path / "actions" / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return tmp_path / "actions"


def few_videos(root: Path, out: Path, *, classes: int = 3, trained: int = 3, tested: int = 3) -> Path:
    """A few videos of a few classes, with their labels and split."""
    with (root / "labels.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("mirrored_of_a", "0") == "0"]
    taken: Counter[tuple[str, str]] = Counter()
    kept = []
    for row in rows:
        part = (row["label"], row.get("split", ""))
        if row["label"] in sorted({r["label"] for r in rows})[:classes]:
            taken[part] += 1
            if taken[part] <= {"train": trained, "test": tested}.get(part[1], trained + tested):
                kept.append(row)
    for row in kept:
        (out / row["file"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / row["file"], out / row["file"])
    with (out / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, kept[0].keys())
        writer.writeheader()
        writer.writerows(kept)
    return out


def check_search(run: Path, data: Path, query: Path, encoder: str = "r3d_18") -> None:
    """A copy of a video finds it; the video itself is left out; an image is refused in a sentence."""
    copied = Path(shutil.copy(query, run.with_name(f"copied{query.suffix}")))
    key = query.relative_to(data).as_posix()
    found = selftaught.search(run, data, query=copied, top=3)
    assert found[0]["path"] == key
    assert found[0]["similarity"] > 0.9
    assert key not in [row["path"] for row in selftaught.search(run, data, query=query, top=3)]
    image = run.with_name("image.png")
    torchvision.utils.save_image(torch.zeros(3, 32, 32), image)
    with pytest.raises(ValueError, match=f"but {encoder} takes clips; give a video"):
        selftaught.search(run, data, query=image)


def check_export(run: Path, out: Path) -> None:
    """torchvision's own model takes the weights, and gives the features of the run."""
    selftaught.export(run, out=out / "net.pt", overwrite=True)
    net = torchvision.models.video.r3d_18()
    net.load_state_dict(torch.load(out / "net.pt", weights_only=True), strict=True)
    net.fc = torch.nn.Identity()
    clips = torch.randn(2, 3, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(net.eval()(clips), selftaught.load_encoder(run)(clips))


def test_a_run_on_clips_is_embedded_searched_and_exported(tmp_path: Path, write_video: Any) -> None:
    rng = np.random.default_rng(0)
    for i in range(8):
        frames = np.clip(rng.integers(0, 256, 3) + rng.normal(0, 20, (17, 32, 32, 3)), 0, 255).astype(np.uint8)
        write_video(tmp_path / "data" / "ab"[i % 2] / f"{i}.mp4", frames)
    run = tmp_path / "run"
    summary = selftaught.pretrain(tmp_path / "data", task="clip_rotation", out=run, steps=1, held_out=0.3, **SMALL)
    assert summary["chance"] == 0.25
    assert selftaught.embed(run, tmp_path / "data", out=tmp_path / "e.npz")["samples"] == 8
    check_search(run, tmp_path / "data", tmp_path / "data" / "a" / "2.mp4")
    check_export(run, tmp_path)


def test_weights_of_torchvision_pass_every_probe_of_clips(actions: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.save(torchvision.models.video.r3d_18().state_dict(), tmp_path / "r3d.pth")
    encoder = f"r3d_18:{tmp_path / 'r3d.pth'}"
    for probe, settings in PROBES.items():
        result = selftaught.evaluate(encoder, actions, probe=probe, probe_settings=dict(settings), size=16)
        assert (result["test_samples"], result["skipped"]) == (8, 0), probe
        assert np.isfinite([result["value"], result["random"]["value"]]).all(), probe
    with pytest.raises(ValueError, match="--probe qualitative measures encoders of images, but r3d_18 takes videos"):
        selftaught.evaluate(encoder, actions, probe="qualitative", size=16)


def test_a_run_on_clips_goes_where_a_run_on_images_goes(actions: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    summary = selftaught.pretrain(actions, task="clip_rotation", out=run, budget="30s", **SMALL)
    assert summary["steps"] > 1
    for probe, settings in PROBES.items():
        result = selftaught.evaluate(run, actions, probe=probe, probe_settings=dict(settings))
        assert np.isfinite([result["value"], result["random"]["value"]]).all(), probe
    assert selftaught.embed(run, actions, out=tmp_path / "e.npz")["samples"] == 20
    check_search(run, actions, actions / "bend" / "p0a.mp4")
    check_export(run, tmp_path)
    assert "clip_rotation" in Path(selftaught.write_report(run)["out"]).read_text()


@pytest.mark.parametrize("encoder", ["r3d_18", "lstm:resnet18", "twostream:resnet18"])
@pytest.mark.parametrize("name", ["weizmann4", "asl_letters12", "jhmdb14"])
def test_real_videos_go_through_every_command(
    name: str, encoder: str, shared_data: Callable[[str], Path], tmp_path: Path
) -> None:
    data, run = few_videos(shared_data(name), tmp_path / "data"), tmp_path / "run"
    selftaught.pretrain(data, task="clip_rotation", out=run, steps=2, **{**SMALL, "encoder": encoder})
    for probe, settings in {**PROBES, **OF_CLIPS}.items():
        result = selftaught.evaluate(run, data, probe=probe, probe_settings=dict(settings))
        assert np.isfinite([result["value"], result["random"]["value"]]).all(), probe
    videos = sorted(data.rglob("*.mp4")) + sorted(data.rglob("*.avi"))
    assert selftaught.embed(run, data, out=tmp_path / "e.npz")["samples"] == len(videos)
    check_search(run, data, videos[0], encoder)
    selftaught.export(run, out=tmp_path / "net.safetensors")
    if encoder == "r3d_18":
        check_export(run, tmp_path)
    else:
        inside = selftaught.evaluate(run, data, probe="knn", part="image")
        assert np.isfinite(inside["value"])
        selftaught.export(run, out=tmp_path / "image.pt", part="image")
        state = torch.load(tmp_path / "image.pt", weights_only=True)
        torchvision.models.resnet18().load_state_dict(state, strict=True)
    assert encoder in Path(selftaught.write_report(run)["out"]).read_text()


def test_an_onnx_file_of_an_encoder_of_clips_takes_any_number_of_frames(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    from selftaught.encoders.build import build_encoder
    from selftaught.evaluation.export import export_encoder

    encoder = build_encoder("r3d_18", size=16, stem="standard").eval()
    export_encoder(encoder, tmp_path / "net.onnx", format="onnx", size=16)
    session = runtime.InferenceSession(str(tmp_path / "net.onnx"))
    for count, frames in ((1, 16), (3, 8)):
        clips = torch.randn(count, 3, frames, 16, 16, generator=torch.Generator().manual_seed(count))
        with torch.no_grad():
            expected = encoder(clips).numpy()
        assert np.abs(session.run(None, {"input": clips.numpy()})[0] - expected).max() < 1e-3


def test_tasks_on_clips_are_compared(actions: Path, tmp_path: Path) -> None:
    result = selftaught.compare(
        actions, tasks="clip_rotation", out=tmp_path / "cmp", labelled=actions, probe="knn", steps=2, **SMALL
    )
    assert [row["task"] for row in result["rows"]] == ["clip_rotation"]
    assert json.loads((tmp_path / "cmp" / "compare.json").read_text())["rows"][0]["probe"]["test_samples"] == 8
    beside = selftaught.compare(
        actions,
        tasks="clip_rotation",
        out=tmp_path / "two",
        labelled=actions,
        probe="knn",
        steps=2,
        frames=4,
        supervised=True,
        **SMALL,
    )
    assert np.isfinite(beside["supervised"]["value"])
    config = read_config(tmp_path / "two" / "clip_rotation" / "supervised")
    assert (config.task_settings["frames"], config.network.clip_seen) == (4, {"frames": 4, "stride": 1})
