"""What is seen searched by what is heard, and the other way; the audio encoder of a run measured on files of sound."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from selftaught import evaluate
from selftaught.core.config import RunConfig
from selftaught.evaluation.embed import embed_data
from selftaught.evaluation.search import search_data
from selftaught.evaluation.subject import open_subject
from selftaught.training.checkpoint import load_checkpoint
from selftaught.training.train import train
from tests.data.sources.videos.sounds_of import RATE, tone, write_sound
from tests.data.store.videos import moving

HERTZ = (300.0, 700.0, 1500.0, 3000.0, 5000.0, 7000.0)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, write_video: Any) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for n, hertz in enumerate(HERTZ):
        write_video(folder / f"{n}.mp4", moving(40, 48, n), fps=10, sound=tone(4.0, hertz), rate=RATE)
    return folder


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sounds")
    for n in range(8):
        kind = "low" if n % 2 else "high"
        write_sound(folder / kind / f"{n}.wav", tone(1.5, (300 if n % 2 else 4000) + 20 * n))
    return folder


def trained(videos: Path, out: Path, task: str, encoder: str, **settings: Any) -> Path:
    asked = {"size": 32, "batch_size": 4, "steps": 2, "held_out": 0.34, "precision": "32-true", **settings}
    return train(RunConfig.of(data=str(videos), out=str(out), task=task, encoder=encoder, **asked))


@pytest.fixture(scope="module")
def run(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "sync"
    return trained(videos, out, "audio_visual_sync", "mean:timm:test_resnet", frames=4)


def embedded(run: Path, data: Path, out: Path, part: str) -> NDArray[np.float32]:
    """Vectors in the order of the paths."""
    embed_data(open_subject(run, part=part), str(data), out)
    table = np.load(out)
    found: NDArray[np.float32] = table["vector"][np.argsort(table["path"])]
    return found


def head_of(run: Path, name: str, rows: NDArray[np.float32]) -> torch.Tensor:
    """Batch normalisation with running statistics, linear, ReLU, linear, unit length."""
    tensors, _ = load_checkpoint(run / "checkpoints" / "last.safetensors")
    w = {key.removeprefix(f"task.{name}."): value for key, value in tensors.items() if key.startswith(f"task.{name}.")}
    x = (torch.from_numpy(rows).float() - w["0.running_mean"]) / (w["0.running_var"] + 1e-5).sqrt()
    x = x * w["0.weight"] + w["0.bias"]
    x = (x @ w["1.weight"].T + w["1.bias"]).relu() @ w["3.weight"].T + w["3.bias"]
    unit: torch.Tensor = x / x.norm(dim=1, keepdim=True)
    return unit


def test_videos_are_found_by_a_sound_and_sounds_by_a_video(
    run: Path, videos: Path, sounds: Path, tmp_path: Path
) -> None:
    seen = head_of(run, "head", embedded(run, videos, tmp_path / "seen.npz", "encoder"))
    heard = head_of(run, "audio_head", embedded(run, sounds, tmp_path / "heard.npz", "audio_encoder"))
    cosines = (seen @ heard.T).numpy()
    keys = [f"high/{n}.wav" for n in (0, 2, 4, 6)] + [f"low/{n}.wav" for n in (1, 3, 5, 7)]
    found = search_data(open_subject(run), str(videos), sounds / "high" / "2.wav", top=3)
    best = np.argsort(-cosines[:, 1])[:3]
    assert [one["path"] for one in found] == [f"{n}.mp4" for n in best]
    assert [one["similarity"] for one in found] == pytest.approx(cosines[best, 1].tolist(), abs=1e-3)
    found = search_data(open_subject(run, part="audio_encoder"), str(sounds), videos / "2.mp4", top=8)
    values = {one["path"]: one["similarity"] for one in found}
    assert values == pytest.approx(dict(zip(keys, cosines[2].tolist(), strict=True)), abs=1e-3)
    assert [one["similarity"] for one in found] == sorted(values.values(), reverse=True)
    assert {one["label"] for one in found} == {"low", "high"}


def test_sounds_are_found_by_a_sound(run: Path, sounds: Path, tmp_path: Path) -> None:
    subject = open_subject(run, part="audio_encoder")
    found = search_data(subject, str(sounds), sounds / "low" / "5.wav", top=8)
    assert {one["path"] for one in found} == {f"{'low' if n % 2 else 'high'}/{n}.wav" for n in range(8)} - {"low/5.wav"}
    copy = shutil.copy(sounds / "low" / "5.wav", tmp_path / "copy.wav")
    found = search_data(subject, str(sounds), copy, top=2)
    assert (found[0]["path"], round(found[0]["similarity"], 3)) == ("low/5.wav", 1.0)


def test_the_audio_encoder_is_measured_with_labels_of_sounds(run: Path, sounds: Path) -> None:
    told = evaluate(run, str(sounds), probe="knn", part="audio_encoder", fraction=(0.5, 1.0), test_share=0.34)
    assert told["part"] == "audio_encoder"
    assert told["value"] > 90  # high and low tones are told apart by any network
    assert told["random"]["value"] > 90


def test_what_cannot_be_compared_is_refused(
    run: Path, videos: Path, sounds: Path, tmp_path: Path, write_video: Any
) -> None:
    sound, video = sounds / "low" / "1.wav", videos / "1.mp4"
    asked = json.loads((run / "config.json").read_text())
    for task, told in (
        ("audio_visual_alignment", "the encoders of task 'audio_visual_alignment' of .* share no space; use a run of"),
        (str(tmp_path / "other.py"), "share no space; use a run of"),
    ):
        other = tmp_path / "run"
        other.mkdir(exist_ok=True)
        (other / "config.json").write_text(json.dumps(asked | {"task": task, "task_settings": {}}))
        if not (other / "checkpoints").exists():
            (other / "checkpoints").symlink_to(run / "checkpoints")
        with pytest.raises(ValueError, match=told):
            search_data(open_subject(other), str(videos), sound)
        with pytest.raises(ValueError, match=told):
            search_data(open_subject(other, part="audio_encoder"), str(sounds), video)
    (tmp_path / "other.py").write_text("raise SystemExit('the code of the run was loaded')")
    with pytest.raises(ValueError, match=told):
        search_data(open_subject(other), str(videos), sound)
    (tmp_path / "broken.wav").write_bytes(b"")
    with pytest.raises(ValueError, match=r"--query .*broken\.wav cannot be read: the file is empty"):
        search_data(open_subject(run), str(videos), tmp_path / "broken.wav")
    with pytest.raises(ValueError, match=r"--query .*none\.wav cannot be read: No such file"):
        search_data(open_subject(run), str(videos), tmp_path / "none.wav")


def test_a_run_without_sound_cannot_be_asked_with_one(videos: Path, sounds: Path, tmp_path: Path) -> None:
    image = trained(videos, tmp_path / "run", "rotation", "timm:test_resnet", steps=1)
    with pytest.raises(ValueError, match=r"is a file of sound, but task 'rotation' of .* trains no encoder of audio"):
        search_data(open_subject(image), str(videos), sounds / "low" / "1.wav")
