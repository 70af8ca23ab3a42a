"""Runs of tasks that train two encoders, or keep a teacher: trained, resumed, measured and exported by name."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from selftaught import compare, embed, evaluate, export, load_encoder, pretrain, write_report
from selftaught.cli.flags import read_verb
from selftaught.cli.main import further_options, main
from selftaught.core.config import RunConfig
from selftaught.evaluation.compare import _runs, compare_tasks
from selftaught.ops.clip_images import flow_stack
from selftaught.training.checkpoint import load_checkpoint
from selftaught.training.encoder_of_run import load_measurable, of_colours, random_encoder, read_config
from selftaught.training.run_folder import OtherRun, RunFolder
from selftaught.training.train import train
from tests.conftest import WriteVideo
from tests.data.store.videos import moving
from tests.training.stopping import assert_same_run, stopped_before

TASKS = Path(__file__).parents[1] / "tasks"
STREAMS, TEACHER = str(TASKS / "two_streams.py"), str(TASKS / "with_teacher.py")
DATA = "synthetic:N=60,side=32"


def asked(out: Path, **settings: Any) -> RunConfig:
    shared: dict[str, Any] = {
        "data": DATA, "task": STREAMS, "encoder": "timm:test_resnet", "size": 32, "steps": 4, "batch_size": 8,
        "log_every": 1, "precision": "32-true", "accelerator": "cpu",
    }  # fmt: skip
    return RunConfig.of(out=str(out), **shared | settings)


def weights_of(run: Path) -> dict[str, Tensor]:
    return load_checkpoint(run / "checkpoints" / "last.safetensors")[0]


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(asked(tmp_path_factory.mktemp("streams") / "run"))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(asked(tmp_path_factory.mktemp("teacher") / "run", task=TEACHER))


def test_config_names_every_encoder(streams: Path, teacher: Path) -> None:
    found = json.loads((streams / "config.json").read_text())
    assert (found["encoder"], found["kept"]) == ("timm:test_resnet", "encoder")
    assert found["encoders"] == {"flow_encoder": "2ch:timm:test_vit"}
    found = json.loads((teacher / "config.json").read_text())
    assert (found["encoder"], found["encoders"], found["kept"]) == ("timm:test_resnet", {}, "teacher")


def test_encoders_are_loaded_by_name_and_the_kept_one_without(streams: Path, teacher: Path) -> None:
    for run, part, prefix in (
        (streams, None, "encoder"), (streams, "flow_encoder", "flow_encoder"), (teacher, None, "teacher"),
        (teacher, "encoder", "encoder"),
    ):  # fmt: skip
        tensors = weights_of(run)
        for name, value in load_encoder(run, part=part).state_dict().items():
            assert torch.equal(value, tensors[f"task.{prefix}.{name}"]), (part, name)
    assert load_encoder(streams, part="flow_encoder")(torch.zeros(1, 2, 32, 32)).shape == (1, 64)
    with pytest.raises(ValueError, match=r"unknown --part of .* 'flow'; Known: encoder, flow_encoder"):
        load_encoder(streams, part="flow")
    with pytest.raises(ValueError, match=r"Known: encoder, teacher"):
        load_encoder(teacher, part="flow_encoder")
    assert random_encoder(read_config(streams).network, 0, part="flow_encoder").channels == 2


def test_the_teacher_is_what_is_measured(teacher: Path, tmp_path: Path) -> None:
    assert (found := evaluate(teacher, DATA, probe="knn"))["part"] == "teacher"
    other = evaluate(teacher, DATA, probe="knn", part="encoder")
    assert other["part"] == "encoder"
    assert found["file"].startswith("knn-")
    assert not found["file"].startswith("knn-encoder-")
    assert other["file"].startswith("knn-encoder-")
    vectors = {}
    for part in (None, "teacher", "encoder"):
        embed(teacher, DATA, out=tmp_path / f"{part}.npy", part=part)
        vectors[part] = np.load(tmp_path / f"{part}.npy")
    assert np.array_equal(vectors[None], vectors["teacher"])
    assert not np.allclose(vectors[None], vectors["encoder"])
    told = export(teacher, out=tmp_path / "weights.safetensors")
    assert told["part"] == "teacher"


def test_an_encoder_of_flow_is_exported_as_it_is_and_measured_on_the_flow_of_clips(
    tmp_path: Path, write_video: WriteVideo
) -> None:
    for label in ("left", "right"):
        for seed in range(4):
            frames = moving(6, 32, seed)
            write_video(tmp_path / "data" / label / f"{seed}.mp4", frames if label == "left" else frames[::-1])
    run = tmp_path / "run"
    pretrain(
        str(tmp_path / "data"),
        task="rgb_flow",
        out=run,
        encoder="timm:test_resnet",
        encoders={"flow_encoder": "timm:test_vit"},
        task_settings={"frames": 2, "stride": 2, "width": 8},
        size=32,
        steps=1,
        batch_size=4,
        held_out=0.25,
    )
    told = export(run, out=tmp_path / "flow.safetensors", part="flow_encoder")
    assert told["encoder"] == "4ch:timm:test_vit"
    measured = load_measurable(run, part="flow_encoder")
    assert (measured.name, measured.kind, measured.channels) == ("flow2:timm:test_vit", "video", 3)
    assert measured.clip_seen == {"frames": 3, "stride": 2}
    clips = torch.randn(2, 3, 3, 32, 32)
    whole = load_encoder(run, part="flow_encoder")
    with torch.no_grad():
        assert torch.allclose(measured(clips), whole(flow_stack(clips, 2)), atol=1e-5)
    found = evaluate(run, str(tmp_path / "data"), probe="knn", part="flow_encoder")
    assert found["part"] == "flow_encoder"
    embed(run, str(tmp_path / "data"), out=tmp_path / "flow.npy", part="flow_encoder")
    assert np.load(tmp_path / "flow.npy").shape == (8, whole.num_features)


def test_an_encoder_of_other_channels_is_exported_but_not_measured(streams: Path) -> None:
    whole = load_encoder(streams, part="flow_encoder")
    assert of_colours(whole, "flow_encoder").name == "flow1:timm:test_vit"
    assert of_colours(whole, "other_encoder") is whole


def test_the_page_lists_the_encoders(streams: Path, teacher: Path) -> None:
    page = Path(write_report(streams)["out"]).read_text()
    assert "flow_encoder" in page
    assert "2ch:timm:test_vit" in page
    write_report(teacher)


@pytest.mark.parametrize("task", [STREAMS, TEACHER])
def test_a_longer_run_and_a_stopped_one_have_the_same_weights(
    task: str, streams: Path, teacher: Path, tmp_path: Path
) -> None:
    settings = asked(tmp_path / "run", task=task, checkpoint_every=1)
    with stopped_before(2):
        train(settings)
    assert_same_run(streams if task == STREAMS else teacher, train(settings.replace(resume=True)))


def test_resume_is_refused_with_other_encoders(streams: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OtherRun, match=r"encoders was \{\}, now \{'flow_encoder': 'timm:test_resnet'\}"):
        train(asked(streams, resume=True, encoders={"flow_encoder": "timm:test_resnet"}))
    text = Path(STREAMS).read_text()
    own = tmp_path / "own.py"
    own.write_text(text)
    train(asked(tmp_path / "run", task=str(own), steps=1))
    own.write_text(text.replace("flow_encoder", "motion_encoder"))
    monkeypatch.delitem(sys.modules, "selftaught_own_own")
    with pytest.raises(OtherRun, match=r"trains encoder, flow_encoder and .* now names encoder, motion_encoder"):
        train(asked(tmp_path / "run", task=str(own), steps=2, resume=True))


def test_a_run_of_an_older_version_is_resumed_where_no_encoder_was_given(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    settings = {"data": DATA, "out": str(tmp_path), "task": "rotation", "resume": True}
    before = RunConfig.from_dict(settings | {"encoder": "resnet18"}).to_dict()
    for name in ("encoders", "kept"):
        del before[name]
    environment = {"asked": before, "machine": {"threads": 1}}
    (tmp_path / "environment.json").write_text(json.dumps(environment))
    folder.check(RunConfig.from_dict(settings))
    folder.check(RunConfig.from_dict(settings | {"encoder": "resnet18"}))
    with pytest.raises(OtherRun, match="encoder was 'resnet18', now 'alexnet'"):
        folder.check(RunConfig.from_dict(settings | {"encoder": "alexnet"}))


def test_compare_trains_one_encoder_which_all_tasks_say_or_is_given(tmp_path: Path) -> None:
    config = asked(tmp_path / "out", encoder="auto")
    encoders = [run.network.encoder for run, _ in _runs(config, ["rotation", "colorization"])]
    assert encoders == ["resnet18", "resnet18"]
    several = [run.network.encoder for run, _ in _runs(config, ["rotation", "mae", "clip_rotation", "video_gan"])]
    assert several == ["resnet18", "timm:vit_tiny_patch16_224", "r3d_18", "r3d_18"], "the usual one of each kind"
    given = config.replace(encoder="timm:test_vit")
    assert {run.network.encoder for run, _ in _runs(given, ["rotation", "mae"])} == {"timm:test_vit"}


@pytest.mark.slow  # a further process, which imports torch
def test_two_processes_train_all_encoders(streams: Path, tmp_path: Path) -> None:
    run = train(asked(tmp_path / "run", devices=2, steps=1))
    tensors = weights_of(run)
    fresh = random_encoder(read_config(run).network, 0, part="flow_encoder").state_dict()
    assert {f"task.flow_encoder.{name}" for name in fresh} <= tensors.keys()


def test_flags_set_further_encoders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = f"pretrain {DATA} --task {STREAMS} --encoder timm:test_resnet --size 32 --steps 1 --batch-size 8".split()
    assert main([*words, "--out", str(tmp_path / "run"), "--flow-encoder", "timm:test_resnet"]) == 0
    assert read_config(tmp_path / "run").network.encoders == {"flow_encoder": "2ch:timm:test_resnet"}
    capsys.readouterr()
    assert main([*words, "--out", str(tmp_path / "no"), "--flow-encodr", "resnet18"]) == 2
    assert "did you mean --flow-encoder" in capsys.readouterr().err
    assert main([*words, "--out", str(tmp_path / "no"), "--flow-encoder", "r3d_18"]) == 2
    assert "trains flow_encoder for images, but 'r3d_18' takes clips" in capsys.readouterr().err
    assert main(["pretrain", "--task", STREAMS, "--help"]) == 0
    assert "--flow-encoder FLOW_ENCODER" in (text := capsys.readouterr().out)
    assert "(default: timm:test_vit)" in " ".join(text.split())


def test_compare_gives_further_encoders_to_the_tasks_that_have_them(tmp_path: Path) -> None:
    config = asked(tmp_path / "out", encoders={"flow_encoder": "timm:test_resnet"})
    runs = _runs(config, ["rotation", STREAMS])
    assert [run.network.encoders for run, _ in runs] == [{}, {"flow_encoder": "timm:test_resnet"}]
    with pytest.raises(ValueError, match=r"unknown encoder of rotation, simclr 'flow_encoder'"):
        compare_tasks(config, ["rotation", "simclr"])
    options = further_options(read_verb(compare), ["--tasks", f"rotation,{STREAMS},audio_visual"])["encoders"]
    assert [option.name for option in options] == ["flow_encoder", "audio_encoder"]


def test_runs_of_older_versions_have_the_architectures_that_the_task_states(streams: Path, tmp_path: Path) -> None:
    old = json.loads((streams / "config.json").read_text())
    del old["encoders"], old["kept"]
    (tmp_path / "config.json").write_text(json.dumps(old | {"task": "audio_visual", "encoder": "resnet18"}))
    found = read_config(tmp_path)
    assert (found.network.architectures, found.network.kept) == (
        {"encoder": "resnet18", "audio_encoder": "audio_convnet"},
        "encoder",
    )
