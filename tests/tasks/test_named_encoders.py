"""Encoders by name: their architectures, what a task must do with them, and a sentence for everything else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import selftaught
from selftaught.core.config import RunConfig
from selftaught.encoders.spec import EncoderSpec
from selftaught.tasks.base import PretextTask
from selftaught.tasks.catalogue import load_task, task_info
from selftaught.tasks.named_encoders import with_encoders
from selftaught.training.setup import build_task, spec_for

STREAMS, TEACHER = (str(Path(__file__).parent / f"{name}.py") for name in ("two_streams", "with_teacher"))


def chosen(task: str = STREAMS, **settings: Any) -> RunConfig:
    """As asked, with the architectures of all encoders."""
    found = asked(task, **settings)
    return with_encoders(found, spec_for(found))


def build(config: RunConfig) -> Any:
    return build_task(spec_for(config), config)


def asked(task: str = STREAMS, **settings: Any) -> RunConfig:
    given: dict[str, Any] = {"encoder": "timm:test_resnet", "size": 32} | settings
    return RunConfig.of(data="demo", out="run", task=task, **given)


def test_every_encoder_gets_the_architecture_that_is_asked_for_else_its_own() -> None:
    found = chosen()
    assert found.network.architectures == {"encoder": "timm:test_resnet", "flow_encoder": "2ch:timm:test_vit"}
    found = chosen(encoders={"flow_encoder": "alexnet"})
    assert found.network.encoders == {"flow_encoder": "2ch:alexnet"}
    assert with_encoders(found, spec_for(found)) == found
    found = chosen("audio_visual", encoder="resnet18")
    assert found.network.architectures == {"encoder": "resnet18", "audio_encoder": "audio_convnet"}
    found = chosen(TEACHER)
    assert (found.network.kept, found.network.encoders) == ("teacher", {})
    assert found.network.architectures == {"encoder": "timm:test_resnet", "teacher": "timm:test_resnet"}


@pytest.mark.parametrize(
    ("task", "encoder"),
    [
        ("simclr", "resnet18"), ("colorization", "grey:resnet18"), ("clip_rotation", "r3d_18"),
        ("mae", "timm:vit_tiny_patch16_224"), ("rotation+colorization", "resnet18"), (STREAMS, "resnet18"),
    ],
)  # fmt: skip
def test_a_task_says_which_encoder_is_trained_where_none_is_given(task: str, encoder: str) -> None:
    assert chosen(task, encoder="auto").network.encoder == encoder
    assert RunConfig.of(data="demo", out="run").network.encoder == "auto"


def test_settings_that_are_not_resolved_build_the_same_encoders() -> None:
    asked_for = asked("colorization", encoder="auto")
    assert build(asked_for).encoder.name == build(chosen("colorization", encoder="auto")).encoder.name


def test_the_task_is_given_each_encoder_by_its_name() -> None:
    task = build(chosen(encoders={"flow_encoder": "resnet18"}))
    names = {name: (getattr(task, name).name, getattr(task, name).channels) for name in task.encoders}
    assert names == {"encoder": ("timm:test_resnet", 3), "flow_encoder": ("2ch:resnet18", 2)}
    assert task.get_parameter("flow_encoder.net.conv1.weight").shape[1] == 2
    assert task.kept_encoder() is task.encoder
    task = build(asked(TEACHER))
    assert task.kept_encoder() is task.teacher


def test_weights_are_drawn_in_the_order_of_the_names() -> None:
    one, other = build(chosen(seed=1)), build(chosen(seed=1))
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
    alone = build(asked("rotation", seed=1))
    for a, b in zip(one.encoder.parameters(), alone.encoder.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("task", "settings", "sentence"),
    [
        (STREAMS, {"encoders": {"flow_encodr": "resnet18"}}, "'flow_encodr'; did you mean flow_encoder or encoder?"),
        (STREAMS, {"encoders": {"flow_encoder": "resnet81"}}, "unknown encoder 'resnet81'; did you mean resnet18"),
        (STREAMS, {"encoders": {"flow_encoder": "r3d_18"}}, "trains flow_encoder for images, but 'r3d_18' takes"),
        (STREAMS, {"encoders": {"flow_encoder": "grey:resnet18"}}, "of 2 channels, but 'grey:resnet18' takes 3"),
        (STREAMS, {"encoders": {"flow_encoder": "resnet18:w.pth"}}, "2ch:resnet18:w.pth' names weights"),
        (STREAMS, {"encoders": {"encoder": "resnet18"}}, "'encoder' is set by --encoder"),
        (STREAMS, {"encoders": {"flow_encoder": 18}}, "encoders must be a dict of names and architectures"),
        (STREAMS, {"encoder": "5ch:resnet18"}, "an encoder for images of 3 channels, but '5ch:resnet18' takes 5"),
        ("rotation", {"encoders": {"audio_encoder": "resnet18"}}, "unknown encoder of task 'rotation' 'audio_encoder'"),
        ("rotation", {"kept": "teacher"}, "task 'rotation' says itself which encoder it keeps, encoder, got 'teacher'"),
        ("rotation", {"encoder": "2ch:audio_convnet"}, "2ch: goes before the name of an encoder of images or clips"),
    ],
)  # fmt: skip
def test_what_is_no_encoder_of_the_task_is_refused(task: str, settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        build(chosen(task, **settings))


def test_an_encoder_that_gives_no_tokens_is_refused_where_they_are_asked_for() -> None:
    task = broken(encoders={**load_task(task_info(STREAMS)).encoders, "encoder": EncoderSpec("image", tokens=True)})
    selftaught.check_task(task, encoder="timm:test_vit", size=32)
    with pytest.raises(ValueError, match="which 'timm:test_resnet' cannot do; give --encoder a plain vision"):
        selftaught.check_task(task, encoder="timm:test_resnet", size=32)


def broken(**changes: Any) -> type[PretextTask]:
    return type("Broken", (load_task(task_info(STREAMS)),), changes)


def without_second(self: Any, encoder: Any, config: Any, size: int) -> None:
    nn.Module.__init__(self)


def under_another_name(self: Any, encoder: Any, config: Any, size: int, *, flow_encoder: Any) -> None:
    nn.Module.__init__(self)
    self.encoder, self.second = encoder, flow_encoder


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"__init__": without_second}, r"write __init__\(self, encoder, config, size, \*, flow_encoder\), as"),
        ({"__init__": under_another_name}, "must keep its encoder 'flow_encoder' under that name"),
        ({"kept": "teachr"}, "unknown kept encoder of task 'Broken' 'teachr'.* Known: encoder, flow_encoder"),
        ({"kept": "flow_encoder"}, "keeps 'flow_encoder', an encoder of 2 channels, but data give images of 3"),
        ({"encoders": {"flow_encoder": EncoderSpec("image")}}, "must name one of its encoders 'encoder'"),
        ({"encoders": {"encoder": EncoderSpec("image"), "flow": EncoderSpec("image")}}, "end in _encoder, such"),
    ],
)  # fmt: skip
def test_check_task_names_what_a_task_does_wrong_with_its_encoders(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        selftaught.check_task(broken(**changes), encoder="timm:test_resnet", size=32)


@pytest.mark.parametrize("task", [STREAMS, TEACHER])
def test_tasks_with_several_encoders_keep_the_contract(task: str) -> None:
    selftaught.check_task(task, encoder="timm:test_resnet", size=32)


def test_check_task_takes_further_encoders() -> None:
    selftaught.check_task(STREAMS, encoder="timm:test_resnet", encoders={"flow_encoder": "timm:test_resnet"}, size=32)


OWN = """
class A(PretextTask):
    {line}
    def inputs(cls, config): return {{"image": Image()}}
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], str]:
    def task(line: str) -> str:
        (tmp_path / "own.py").write_text(OWN.format(line=line))
        return str(tmp_path / "own.py")

    return task


def test_the_catalogue_reads_encoders_from_the_text(write: Callable[[str], str]) -> None:
    info = task_info(STREAMS)
    assert info.further == {"flow_encoder": EncoderSpec("image", channels=2, default="timm:test_vit")}
    (option,) = info.encoder_options
    assert (option.name, option.default) == ("flow_encoder", "timm:test_vit")
    assert task_info(TEACHER).kept == "teacher"
    info = task_info(write('encoders = {"encoder": base.EncoderSpec(kind="video")}'))
    assert (info.encoders, info.kept) == ({"encoder": EncoderSpec("video")}, "encoder")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("encoders = SOME", "must write its encoders as plain values"),
        ('encoders = {"encoder": SPEC}', "must write its encoders as plain values"),
        ("kept = NAME", "must write its encoders as plain values"),
        ('encoders = {"encoder": EncoderSpec("clip")}', "unknown kind of EncoderSpec 'clip'"),
        ('encoders = {"encoder": EncoderSpec("image", colour=1)}', "unexpected keyword argument 'colour'"),
        ('encoders = {"encoder": EncoderSpec("image", channels=0)}', "must be a whole number from 1 on, got 0"),
        ('encoders = {"encoder": EncoderSpec("video", sees="split")}', "must be of kind image"),
        ('encoders = {"encoder": EncoderSpec("image"), "data": EncoderSpec("image")}', "end in _encoder"),
    ],
)
def test_what_the_text_says_of_encoders_wrongly(write: Callable[[str], str], line: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        task_info(write(line))


def test_a_combination_trains_the_further_encoders_of_its_parts(write: Callable[[str], str]) -> None:
    name = f"rotation+{STREAMS}"
    assert [option.name for option in task_info(name).encoder_options] == ["flow_encoder"]
    config = chosen(name)
    assert config.network.encoders == {"flow_encoder": "2ch:timm:test_vit"}
    task = build(config)
    assert task.parts["two_streams"].flow_encoder is task.flow_encoder
    owners = {path.partition(".flow_encoder.")[0] for path in task.state_dict() if "flow_encoder." in path}
    assert {path.partition(".")[0] for path in owners} == {"flow_encoder"}
    selftaught.check_task(name, encoder="timm:test_resnet", size=32)
    selftaught.check_task("rotation+audio_visual", encoder="timm:test_resnet", size=32)


def test_parts_of_a_combination_share_a_further_encoder_only_where_they_ask_for_the_same(tmp_path: Path) -> None:
    text = Path(STREAMS).read_text()
    (tmp_path / "same.py").write_text(text)
    (tmp_path / "other.py").write_text(text.replace("channels=2, ", "channels=5, "))
    config = chosen(f"{STREAMS}+{tmp_path}/same.py")
    assert config.network.encoders == {"flow_encoder": "2ch:timm:test_vit"}
    with pytest.raises(ValueError, match="two_streams and other ask for different encoders 'flow_encoder'"):
        chosen(f"{STREAMS}+{tmp_path}/other.py")


def test_a_task_that_keeps_a_teacher_is_not_combined() -> None:
    with pytest.raises(ValueError, match=r"cannot be combined with other tasks, as it keeps its teacher"):
        task_info(f"rotation+{TEACHER}")


@pytest.mark.parametrize(
    ("task", "encoder", "hint"),
    [
        ("frame_order_verification", "video_convnet", "takes clips; with --task.clip 8 it trains one for clips; "),
        ("clip_rotation", "timm:test_resnet", "takes images; mean:timm:test_resnet takes clips; "),
        ("simclr", "video_convnet", "takes clips; "),
        ("colorization", "video_convnet", "images, but 'video_convnet' takes clips; "),
        ("video_colorization", "mean:timm:test_resnet", "takes clips; with --task.clip 8 it trains one for clips; "),
    ],
)
def test_an_encoder_of_the_wrong_kind_is_refused_with_what_would_fit(task: str, encoder: str, hint: str) -> None:
    with pytest.raises(ValueError, match=f"{hint}'selftaught encoders' lists the kinds, --encoder chooses one"):
        build(chosen(task, encoder=encoder))


@pytest.mark.parametrize(("encoder", "least"), [("differences:", 2), ("twostream:", 2), ("mean:", 1)])
def test_clips_too_short_for_the_encoder_are_refused_before_anything_is_written(encoder: str, least: int) -> None:
    name = f"{encoder}timm:test_resnet"
    build(chosen("clip_rotation", encoder=name, task_settings={"frames": least}))
    if least > 1:
        with pytest.raises(ValueError, match=f"encoder '{name}' needs clips of at least 2 frames, got 1; raise --fr"):
            build(chosen("clip_rotation", encoder=name, task_settings={"frames": 1}))
