"""What is probed: a run, or weights in a file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from selftaught.core.settings.groups import DataSettings, Stem
from selftaught.data.inputs import Clip, Image
from selftaught.encoders.build import build_encoder
from selftaught.encoders.staged import StagedEncoder
from selftaught.evaluation.subject import USUAL_SIZE, open_subject
from selftaught.features.encode import probe_sampling
from selftaught.training.encoder_of_run import load_encoder, random_encoder, read_config


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    found = other.state_dict()
    return all(torch.equal(value, found[name]) for name, value in one.state_dict().items())


def test_a_run_is_read_as_it_was_trained(run: Path, tmp_path: Path) -> None:
    subject = open_subject(run)
    assert (subject.name, subject.folder, subject.run) == (str(run), run, read_config(run))
    assert same(subject.encoder, load_encoder(run))
    assert same(subject.random(), random_encoder(subject.network, 0))
    assert not same(subject.encoder, subject.random())
    assert subject.architecture == repr(("timm:test_resnet", 32, "standard", 0))
    assert open_subject(run, out=tmp_path / "figures").folder == tmp_path / "figures"
    assert open_subject(run, size=32, stem="standard").run == subject.run


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"size": 64}, "--size is for weights in a file; .* was trained with 32$"),
        ({"stem": "small"}, "--stem is for weights in a file; .* was trained with standard$"),
    ],
)
def test_a_runs_size_and_stem_are_its_own(run: Path, asked: dict[str, int], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        open_subject(run, **asked)  # type: ignore[arg-type]


def test_weights_in_a_file_stand_beside_it(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = torchvision.models.resnet18()
    save_file(net.state_dict(), tmp_path / "w.safetensors")
    state = torch.get_rng_state()
    subject = open_subject(f"resnet18:{tmp_path / 'w.safetensors'}")
    assert torch.equal(torch.get_rng_state(), state)
    assert (subject.folder, subject.run) == (tmp_path / "w-evaluated", None)
    assert (subject.network.size, subject.network.encoder) == (USUAL_SIZE, "resnet18")
    assert subject.reading("demo") == DataSettings(path="demo")
    net.fc = torch.nn.Identity()
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(subject.encoder(x), net.eval()(x), atol=1e-5)
    small = open_subject(f"resnet18:{tmp_path / 'w.safetensors'}", size=96, out=tmp_path / "out")
    assert (small.network.size, small.folder) == (96, tmp_path / "out")


@pytest.mark.parametrize("stem", ["standard", "small"])
def test_a_file_says_which_stem_its_weights_have(tmp_path: Path, stem: Stem) -> None:
    """Below 48 pixels the small stem is usual, which published weights do not have; above, the other way round."""
    made = build_encoder("resnet18", size=64, stem=stem)
    assert isinstance(made, StagedEncoder)
    save_file(made.net.state_dict(), tmp_path / "w.safetensors")
    for size in (32, 64):
        subject = open_subject(f"resnet18:{tmp_path / 'w.safetensors'}", size=size)
        assert isinstance(subject.encoder, StagedEncoder)
        assert isinstance(random := subject.random(), StagedEncoder)
        assert (subject.encoder.stem, random.stem) == (stem, stem)
    with pytest.raises(ValueError, match="do not fit encoder 'resnet34', stem small: the file lacks"):
        open_subject(f"resnet34:{tmp_path / 'w.safetensors'}", size=32)


def test_what_is_neither_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match="gone is no run folder; give the --out of a pretrain command, ENCODER:FILE with"
    ):
        open_subject(tmp_path / "gone")
    with pytest.raises(ValueError, match=r"^weights gone.pth: gone.pth does not exist; give a file"):
        open_subject("resnet18:gone.pth")
    (tmp_path / "plain").write_text("mine")
    with pytest.raises(ValueError, match=r"plain is a file; give a new or empty folder$"):
        open_subject(tmp_path / "gone", out=tmp_path / "plain")


def test_a_model_of_fit_is_told_from_a_run(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(
        ValueError, match=r"is a model of fit, and an encoder is needed here; give the run or the weights"
    ):
        open_subject(tmp_path)


def test_clips_are_cut_as_asked_and_else_as_the_encoder_saw_them(run: Path) -> None:
    subject = open_subject(run)
    assert (subject.cutting().network.clip_seen, probe_sampling(subject.encoder).inputs) == ({}, {"image": Image()})
    seen: dict[str, float] = {"frames": 8, "stride": 3}
    of_clips = dataclasses.replace(
        subject,
        encoder=build_encoder("mean:timm:test_resnet", size=32),
        network=dataclasses.replace(subject.network, encoder="mean:timm:test_resnet", clip_seen=seen),
    )
    for asked, clip in (
        ({}, Clip(frames=8, stride=3)),
        ({"frames": 4}, Clip(frames=4, stride=3)),
        ({"stride": 2}, Clip(frames=8, stride=2)),
        ({"frames": 6, "fps": 5.0}, Clip(frames=6, fps=5.0)),
    ):
        of_clips.encoder.clip_seen = seen
        cut = of_clips.cutting(**asked)
        for encoder in (cut.encoder, cut.random()):
            assert probe_sampling(encoder).inputs == {"video": dataclasses.replace(clip, whole=False)}
    with pytest.raises(ValueError, match="--stride 2 and --fps 5 both space the frames of a clip; give one"):
        of_clips.cutting(stride=2, fps=5.0)
