"""A run to a stand-in of the Hugging Face hub, and its encoder back from there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest
import timm
import torch
from safetensors.torch import load

import selftaught
from selftaught.cli import main as cli
from selftaught.encoders.weights.source import find_weights
from tests.evaluation.local_hub import Hub, local_hub
from tests.evaluation.models.own_encoder import SIZE, colours_in, encoder_in

NAME = "me/rotation-net"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Its address and a token in the environment, and an empty cache."""
    with local_hub() as found:
        monkeypatch.setenv("HF_ENDPOINT", found.url)
        monkeypatch.setenv("HF_TOKEN", "good")
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        yield found


def test_a_pushed_encoder_is_loaded_with_the_same_weights(
    run: Path, hub: Hub, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["push", str(run), NAME, "--private", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["files"] == ["README.md", "config.json", "model.safetensors"]
    files = hub.repositories[NAME]
    assert set(files) == {"README.md", "config.json", "model.safetensors"}
    assert hub.private[NAME]
    assert str(tmp_path) not in files["README.md"].decode() + files["config.json"].decode()
    with pytest.raises(ValueError, match=rf"^hf:{NAME} is not on this machine; allow its download with --download$"):
        selftaught.load_encoder(f"hf:{NAME}")
    found = selftaught.load_encoder(f"hf:{NAME}", download=True)
    own = selftaught.load_encoder(run)
    assert not found.training
    assert found.name == own.name
    pixels = torch.randint(256, (3, 50, 40), dtype=torch.uint8)
    assert torch.equal(found.transform(pixels), own.transform(pixels))
    x = torch.rand(2, 3, 32, 32)
    assert torch.equal(found(x), own(x))
    plain = timm.create_model("test_resnet", num_classes=0)  # the weights serve without this package
    plain.load_state_dict(load(files["model.safetensors"]), strict=True)
    assert selftaught.embed(f"hf:{NAME}", "synthetic:N=8,side=32", out=tmp_path / "f.npy")["samples"] == 8  # offline


def test_what_is_not_ours_is_refused(hub: Hub, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repositories["a/b"] = {"config.json": b'{"model_type": "vit"}', "model.safetensors": b""}
    hub.repositories["a/c"] = {}
    with pytest.raises(ValueError, match=r"^hf:a/b holds no encoder that 'selftaught push' wrote; give timm:MODEL or"):
        selftaught.load_encoder("hf:a/b", download=True)
    with pytest.raises(ValueError, match=r"^hf:a/c has no file config.json, so that it holds no encoder"):
        selftaught.load_encoder("hf:a/c", download=True)
    with pytest.raises(ValueError, match=r"^hf:a/d cannot be downloaded: "):
        selftaught.load_encoder("hf:a/d", download=True)
    with pytest.raises(ValueError, match=r"^'x' is no name on the Hugging Face hub; give OWNER/NAME$"):
        selftaught.push(run, "x")
    with pytest.raises(ValueError, match=r"^--part is for a run, and hf:a/b are weights; leave it out$"):
        selftaught.load_encoder("hf:a/b", part="encoder")
    monkeypatch.setenv("HF_TOKEN", "bad")
    with pytest.raises(ValueError, match=rf"^{NAME} cannot be written to: .*401"):
        selftaught.push(run, NAME)


def test_no_network_is_one_sentence(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", "good")
    with pytest.raises(ValueError, match=rf"^{NAME} cannot be written to: .*refused"):
        selftaught.push(run, NAME)


def test_a_pushed_model_predicts_the_same_and_names_no_place(
    hub: Hub, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = colours_in(tmp_path / "data", 4)
    model = tmp_path / "model"
    how = {"method": "linear", "size": SIZE, "stem": "standard"}
    selftaught.fit(encoder_in(tmp_path), data, out=model, **how)  # type: ignore[arg-type]
    capfd.readouterr()
    assert cli.main(["push", str(model), "me/model", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["classes"] == 3
    files = hub.repositories["me/model"]
    assert set(files) == {"README.md", "held_back.csv", "model.json", "weights.safetensors"}
    assert all(str(tmp_path).encode() not in text for text in files.values())
    assert b"00.png" not in files["held_back.csv"]
    assert "selftaught predict hf:me/model DATA" in files["README.md"].decode()
    with pytest.raises(ValueError, match=r"^hf:me/model is not on this machine; allow its download with --download$"):
        selftaught.predict("hf:me/model", data, out=tmp_path / "a.csv")
    hub.repositories["a/b"] = {"config.json": b"{}"}
    with pytest.raises(ValueError, match=r"^hf:a/b has no file model.json, so that it holds no model that 'selftaught"):
        selftaught.predict("hf:a/b", data, out=tmp_path / "a.csv", download=True)
    selftaught.predict(model, data, out=tmp_path / "own.csv", error=0.5)
    selftaught.predict("hf:me/model", data, out=tmp_path / "a.csv", error=0.5, download=True)
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "own.csv").read_text()
    selftaught.export(model, out=tmp_path / "own.pt")
    selftaught.export("hf:me/model", out=tmp_path / "theirs.pt")  # it is on this machine by now
    own, theirs = (torch.load(tmp_path / name, weights_only=True) for name in ("own.pt", "theirs.pt"))
    assert own.keys() == theirs.keys()
    assert all(torch.equal(own[name], theirs[name]) for name in own)
    with pytest.raises(ValueError, match=r"^--part and --checkpoint are for the encoder of a run; a model is pushed"):
        selftaught.push(model, "me/model", part="encoder")


def test_a_run_starts_from_pushed_weights(run: Path, hub: Hub, tmp_path: Path) -> None:
    selftaught.push(run, NAME)
    with pytest.raises(ValueError, match=rf"^hf:{NAME} is not on this machine; allow its download with --download$"):
        find_weights(f"hf:{NAME}", "timm:test_resnet")
    tensors = find_weights(f"hf:{NAME}", "timm:test_resnet", download=True).content.tables[""]
    own = load(hub.repositories[NAME]["model.safetensors"])
    assert tensors.keys() == own.keys()
    assert all(torch.equal(tensors[name], value) for name, value in own.items())
