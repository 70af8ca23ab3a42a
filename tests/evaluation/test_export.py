"""Exported weights load in torchvision and timm by themselves, with `strict=True`, and give the same features."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
import torchvision
from safetensors import safe_open
from torch import Tensor, nn

from selftaught.encoders.base import Encoder
from selftaught.encoders.build import build_encoder
from selftaught.encoders.weights.load import load_weights
from selftaught.evaluation import export as module
from selftaught.evaluation.export import export_encoder

VIT = "timm:vit_tiny_patch16_224"
slow = pytest.mark.slow


def pretrained(name: str, size: int = 64) -> Encoder:
    """An encoder whose running statistics differ from fresh ones, as after pretraining."""
    torch.manual_seed(0)
    encoder = build_encoder(name, size=size)
    with torch.no_grad():
        encoder.train()(sample(encoder, size) + 0.5)
    return encoder.eval()


shared = lru_cache(maxsize=1)(pretrained)
"""The one before, where it is of the same name and size: for tests that leave it as it is."""


def sample(encoder: Encoder, size: int, count: int = 3) -> Tensor:
    torch.manual_seed(1)
    shape: tuple[int, ...] = (count, encoder.channels, size, size)
    if encoder.kind == "video":
        shape = (count, encoder.channels, 6, size, size)
    elif encoder.kind == "audio":
        shape = (count, 1, 64, 40)
    return torch.randn(shape)


@torch.no_grad()
def features(encoder: nn.Module, x: Tensor) -> Tensor:
    result: Tensor = encoder(x)
    return result


def follow(lines: dict[str, str], state_dict: dict[str, Tensor], x: Tensor) -> Tensor:
    """Do what the metadata of the file say, with nothing of this package unless they name it."""
    scope: dict[str, Any] = {"torchvision": torchvision, "timm": timm, "nn": nn, "state_dict": state_dict, "x": x}
    exec(lines["load"], scope)
    scope["model"].eval()
    with torch.no_grad():
        result: Tensor = eval(lines["features"], scope)
    return result


@pytest.mark.parametrize("headless", [False, True], ids=["full", "headless"])
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("alexnet", 64),
        pytest.param("alexnet", 32, marks=slow),
        pytest.param("vgg11", 64, marks=slow),
        pytest.param("vgg11", 32, marks=slow),
        ("googlenet", 64),
        ("googlenet", 32),
        ("resnet18", 64),
        ("resnet18", 32),
        ("densenet121", 64),
        ("densenet121", 32),
        pytest.param("r3d_18", 64, marks=slow),
        ("r3d_18", 32),
        pytest.param("r2plus1d_18", 32, marks=slow),
        pytest.param("c3d", 32, marks=slow),
        pytest.param("i3d", 32, marks=slow),
        pytest.param("s3d", 64, marks=slow),
        pytest.param("s3d", 32, marks=slow),
        pytest.param("swin3d_t", 64, marks=slow),
        pytest.param("swin3d_t", 32, marks=slow),
        pytest.param("mvit_v2_s", 64, marks=slow),
        pytest.param("mvit_v2_s", 32, marks=slow),
        pytest.param("mean:timm:vit_tiny_patch16_224", 32, marks=slow),
        (VIT, 64),
        (VIT, 32),
        ("timm:efficientnet_b0", 64),
        ("grey:timm:resnet18", 32),
        ("mean:resnet18", 32),
        ("2ch:mean:timm:test_resnet", 32),
        ("mean:timm:test_vit", 32),
        ("lstm:timm:test_resnet", 32),
        ("flow4:timm:test_resnet", 32),
        ("twostream:timm:test_resnet", 32),
        ("differences:timm:test_resnet", 32),
        ("sumdiff:timm:test_resnet", 32),
        ("dynamic:timm:test_resnet", 32),
        ("differences:grey:timm:test_resnet", 32),
        pytest.param("split:alexnet", 32, marks=slow),
    ],
)
def test_safetensors_say_how_to_load_them(name: str, size: int, headless: bool, tmp_path: Path) -> None:
    encoder = shared(name, size)
    meta = {"task": "rotation"}
    out = tmp_path / "new" / "encoder.safetensors"
    path = export_encoder(encoder, out, format="safetensors", size=size, meta=meta, headless=headless)
    with safe_open(path, "pt") as file:
        lines = file.metadata()
    assert lines["encoder"] == name
    assert lines["task"] == "rotation"
    assert lines.get("mean") == (None if name.startswith("2ch:") else "0.485, 0.456, 0.406")
    own = name.startswith(("lstm:", "twostream:", "split:", "c3d", "i3d"))
    uses_package = own or name.startswith(("flow", "differences", "sumdiff", "dynamic", "grey:"))
    assert ("selftaught" in lines["load"]) == uses_package
    assert ("note" in lines) == (size == 32 and "timm:" not in name and not own)
    x = sample(encoder, size)
    theirs = follow(lines, safetensors.torch.load_file(path), x)
    # Frames are in another memory format, in which convolutions round in another way.
    torch.testing.assert_close(theirs, features(encoder, x), rtol=0, atol=1e-5 if "mean:" in name else 0)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("alexnet", torchvision.models.alexnet),
        ("resnet18", torchvision.models.resnet18),
        ("densenet121", torchvision.models.densenet121),
        pytest.param("vgg11", torchvision.models.vgg11, marks=slow),
        ("googlenet", lambda: torchvision.models.googlenet(init_weights=False)),
        ("grey:resnet18", torchvision.models.resnet18),
        ("mean:resnet18", torchvision.models.resnet18),
        ("mean:sobel:resnet18", torchvision.models.resnet18),
        ("r3d_18", torchvision.models.video.r3d_18),
    ],
)
def test_torch_file_loads_in_torchvision_as_it_is(name: str, model: Any, tmp_path: Path) -> None:
    encoder = pretrained(name)
    random_state = torch.get_rng_state()
    path = export_encoder(encoder, tmp_path / "encoder.pth", format="torch", size=64)
    assert torch.equal(torch.get_rng_state(), random_state)
    state = torch.load(path, weights_only=True)
    with torch.device("meta"):
        published = model()
    assert list(state) == list(published.state_dict())
    published.load_state_dict(state, strict=True, assign=True)
    own = {key.removeprefix("image.").removeprefix("net."): value for key, value in encoder.state_dict().items()}
    assert own.keys() <= state.keys()
    assert all(torch.equal(state[key], value) for key, value in own.items())


def test_torch_file_loads_in_timm_as_it_is(tmp_path: Path) -> None:
    encoder = pretrained("timm:resnet18")
    path = export_encoder(encoder, tmp_path / "encoder.pth", format="torch", size=64)
    model = timm.create_model("resnet18", num_classes=0)
    model.load_state_dict(torch.load(path, weights_only=True), strict=True)
    x = sample(encoder, 64)
    assert torch.equal(features(model.eval(), x), features(encoder, x))


@pytest.mark.parametrize(
    ("name", "size"),
    [
        pytest.param("alexnet", 64, marks=slow),
        pytest.param("resnet18", 32, marks=slow),  # four times the layers of the next, which take a second more
        ("timm:test_resnet", 32),
        pytest.param("vgg11", 32, marks=slow),
        ("timm:test_vit", 32),
        ("audio_convnet", 64),
        pytest.param("densenet121", 64, marks=slow),
        pytest.param("googlenet", 64, marks=slow),
        pytest.param("r3d_18", 32, marks=slow),
        pytest.param("c3d", 32, marks=slow),
        pytest.param("video_convnet", 32, marks=slow),
        pytest.param("i3d", 32, marks=slow),
        pytest.param("s3d", 32, marks=slow),
        pytest.param("swin3d_t", 32, marks=slow),
        pytest.param("mvit_v2_s", 32, marks=slow),
        pytest.param("mean:timm:test_resnet", 32, marks=slow),
        pytest.param("lstm:timm:test_resnet", 32, marks=slow),
        pytest.param("twostream:timm:test_resnet", 32, marks=slow),
        pytest.param("differences:timm:test_resnet", 32, marks=slow),
        pytest.param("sumdiff:timm:test_resnet", 32, marks=slow),
        pytest.param("dynamic:timm:test_resnet", 32, marks=slow),
    ],
)
def test_onnx_runtime_gives_the_same_features(name: str, size: int, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    encoder = (
        pretrained(name, size).train().to(memory_format=torch.channels_last if size == 64 else torch.preserve_format)
    )
    # A transformer of clips is exported for one length, that of `sample`.
    meta = {"task": "simclr"} | ({"frames": "6"} if name in ("swin3d_t", "mvit_v2_s") else {})
    path = export_encoder(encoder, tmp_path / "encoder.onnx", format="onnx", size=size, meta=meta)
    assert encoder.training
    assert [p.name for p in tmp_path.iterdir()] == ["encoder.onnx"]
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map["task"] == "simclr"
    for count in (1, 3):  # any batch size, any length of clip and sound
        x = sample(encoder, size, count)
        (theirs,) = session.run(["features"], {"input": x.numpy()})
        assert theirs.shape == (count, encoder.num_features)
        np.testing.assert_allclose(theirs, features(encoder.eval(), x).numpy(), rtol=1e-4, atol=1e-4)


def test_absent_onnx_packages_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(module, "find_spec", lambda name: None if name in ("onnx", "onnxscript") else find(name))
    encoder = build_encoder("resnet18", size=32)
    with pytest.raises(ValueError, match=r"--format onnx needs onnx and onnxscript: pip install 'selftaught\[onnx\]'"):
        export_encoder(encoder, tmp_path / "encoder.onnx", format="onnx", size=32)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_export_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "encoder.pth"
    path.write_bytes(b"old")

    def full_disk(_state: object, draft: Path) -> None:
        draft.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OSError, match="No space left"):
        export_encoder(build_encoder("resnet18", size=32), path, format="torch", size=32)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["encoder.pth"]


def test_wrong_arguments_are_one_sentence(tmp_path: Path) -> None:
    encoder = build_encoder("resnet18", size=32)
    with pytest.raises(ValueError, match="--format must be one of torch, safetensors, onnx, got 'pickle'"):
        export_encoder(encoder, tmp_path / "x", format="pickle", size=32)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="--out must be a file, got the folder"):
        export_encoder(encoder, tmp_path, format="torch", size=32)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("name", ["resnet18", "googlenet", "timm:resnet18"])
def test_weights_of_the_library_come_in(name: str, suffix: str, tmp_path: Path) -> None:
    torch.manual_seed(5)
    if name.startswith("timm:"):
        model: nn.Module = timm.create_model("resnet18", num_classes=10)
    else:
        model = torchvision.models.get_model(
            name, weights=None, **({"init_weights": True} if name == "googlenet" else {})
        )
    path = tmp_path / f"model.{suffix}"
    if suffix == "pth":
        torch.save(model.state_dict(), path)
    else:
        safetensors.torch.save_file(model.state_dict(), path)
    encoder = build_encoder(name, size=64)
    load_weights(encoder, path)
    theirs = model.state_dict()
    for key, value in encoder.state_dict().items():
        assert torch.equal(value, theirs[key.removeprefix("net.")])


def test_export_and_load_are_inverse_for_sound(tmp_path: Path) -> None:
    encoder = pretrained("audio_convnet")
    path = export_encoder(encoder, tmp_path / "a.safetensors", format="safetensors", size=64)
    other = build_encoder("audio_convnet", size=64).eval()
    load_weights(other, path)
    x = sample(encoder, 64)
    assert torch.equal(features(other, x), features(encoder, x))


def test_weights_of_a_network_of_images_come_into_an_encoder_of_clips(tmp_path: Path) -> None:
    state = torchvision.models.resnet18().state_dict()
    torch.save(state, tmp_path / "w.pth")
    encoder = build_encoder("mean:resnet18", size=64)
    load_weights(encoder, tmp_path / "w.pth")
    assert all(torch.equal(value, state[key.removeprefix("image.net.")]) for key, value in encoder.state_dict().items())
    with pytest.raises(ValueError, match=r"do not fit encoder 'lstm:resnet18', stem standard: none of its 122 "):
        load_weights(build_encoder("lstm:resnet18", size=64), tmp_path / "w.pth")


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    encoder = build_encoder("resnet18", size=32)
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    state = torchvision.models.resnet18().state_dict()
    path = tmp_path / "w.pth"

    def refused(content: object, match: str) -> None:
        torch.save(content, path)
        with pytest.raises(ValueError, match=match) as caught:
            load_weights(encoder, path)
        assert str(path) in str(caught.value)

    refused(
        state,
        r"do not fit encoder 'resnet18', stem small: the file has other shapes for conv1.weight \(\(64, 3, 7, 7\)",
    )
    lacking = {key: value for key, value in state.items() if not key.startswith("layer4")}
    refused(lacking, r"lacks layer4.0.conv1.weight, .* and \d+ more and has other shapes for")
    refused(state | {"layer9.weight": torch.zeros(1)}, "has unknown layer9.weight")
    refused({"state_dict": lacking}, r"the file behind 'state_dict' lacks layer4.0.conv1.weight")
    refused({"x": Path("x")}, r"hold more than tensors: pathlib\S*, which is not read, as that could run code; save")
    path.write_bytes(b"PK nothing")
    with pytest.raises(ValueError, match="are damaged or hold more than tensors"):
        load_weights(encoder, path)
    with pytest.raises(ValueError, match="cannot be read"):
        load_weights(encoder, tmp_path / "absent.pth")
    with pytest.raises(ValueError, match="cannot be read"):
        load_weights(encoder, tmp_path / "absent.safetensors")
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())


def test_nothing_in_a_weights_file_is_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, tuple[str, str]]:
            return open, (str(tmp_path / "ran"), "w")

    path = tmp_path / "trap.pth"
    torch.save({"conv1.weight": Trap()}, path)
    with pytest.raises(ValueError, match="hold more than tensors"):
        load_weights(build_encoder("resnet18", size=32), path)
    assert not (tmp_path / "ran").exists()
