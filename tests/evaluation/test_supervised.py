"""The supervised encoder beside a pretrained one: same network, steps and batch size."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from selftaught.core.config import RunConfig
from selftaught.core.own_folder import write_json
from selftaught.core.settings.groups import DataSettings
from selftaught.encoders.build import build_encoder
from selftaught.evaluation.subject import open_subject
from selftaught.evaluation.supervised import supervised_run
from selftaught.training.encoder_of_run import read_config
from selftaught.training.run_folder import RunFolder
from tests.evaluation.small_run import DATA, evaluate_run


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
        folder = RunFolder(Path(config.folder.out))
        try:
            folder.prepare(config, f"content of {config.data.path}")
        finally:
            folder.release()
        if not (folder.path / "summary.json").exists():
            for name in ("summary.json", "config.json", "checkpoints/last.safetensors"):
                write_json(folder.path / name, {})
            trained.append((config.data.path, config.length.steps))
        return folder.path

    monkeypatch.setattr("selftaught.training.train.train", prepare_alone)
    subject = open_subject(run, out=tmp_path)
    longer = dataclasses.replace(subject, run=read_config(run).replace(steps=8))
    for asked, data in ((subject, "a"), (subject, "a"), (longer, "a"), (longer, "b"), (longer, "b"), (subject, "b")):
        assert supervised_run(asked, DataSettings(path=data)) == tmp_path / "supervised"
    assert trained == [("a", 4), ("a", 8), ("b", 8), ("b", 4)]


def test_the_supervised_encoder_sees_the_clips_of_the_pretrained_one(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[RunConfig] = []
    monkeypatch.setattr("selftaught.training.train.train", asked.append)
    monkeypatch.setattr("selftaught.evaluation.supervised.record", lambda out: None)
    subject = open_subject(run, out=tmp_path)
    of_clips = build_encoder("r3d_18", size=16)
    of_clips.clip_seen = {"frames": 6, "fps": 4.0}
    for encoder in (subject.encoder, of_clips):
        supervised_run(dataclasses.replace(subject, encoder=encoder), DataSettings(path="data"))
    assert [(c.network.frames, c.network.stride, c.network.fps) for c in asked] == [(None, None, None), (6, None, 4.0)]
