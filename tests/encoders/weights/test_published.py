"""Published weights: from the caches of the libraries, and from the network only where that is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from selftaught.encoders.weights.published import is_published, published_file

WEIGHTS = {"a": torch.ones(2)}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache as huggingface_hub lays it out, with one model."""
    snapshot = tmp_path / "models--timm--test_resnet.r160_in1k" / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("0123")
    save_file(WEIGHTS, snapshot / "model.safetensors")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    return snapshot / "model.safetensors"


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses that were asked for; each is an empty file."""
    asked: list[str] = []

    def download(url: str, path: str, digest: str | None, *, progress: bool) -> None:
        asked.append(f"{url} {digest}")
        Path(path).write_bytes(b"")

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    return asked


def test_weights_of_timm_are_found_in_the_cache_of_the_hub(hub: Path) -> None:
    for text, encoder in (("timm", "timm:test_resnet"), ("timm:test_resnet.r160_in1k", "timm:resnet18")):
        assert published_file(text, encoder, download=False) == hub
    assert published_file("timm", "grey:timm:test_resnet", download=False) == hub
    assert published_file("timm", "mean:grey:timm:test_resnet", download=False) == hub


def test_the_hub_is_not_asked_unless_downloads_are_allowed(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed: list[bool] = []
    real = huggingface_hub.hf_hub_download

    def asked(repository: str, name: str, *, local_files_only: bool) -> Any:
        allowed.append(not local_files_only)
        return str(hub) if allowed[-1] else real(repository, name, local_files_only=True)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", asked)
    with pytest.raises(
        ValueError, match=r"^weights timm/test_vit.r160_in1k .* not on this machine; allow their download with --down"
    ):
        published_file("timm", "timm:test_vit", download=False)
    assert allowed == [False, False]
    assert published_file("timm", "timm:test_vit", download=True) == hub
    assert allowed[-1]


def test_weights_of_torchvision_are_in_the_cache_of_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: list[str]
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(ValueError, match=r"^published weights resnet18-f37072fd.pth are not on this machine; allow"):
        published_file("torchvision", "resnet18", download=False)
    assert network == []
    path = published_file("torchvision", "resnet18", download=True)
    assert (path, network) == (
        tmp_path / "checkpoints" / "resnet18-f37072fd.pth",
        ["https://download.pytorch.org/models/resnet18-f37072fd.pth f37072fd"],
    )
    assert published_file("torchvision:resnet18", "resnet34", download=False) == path
    assert published_file("torchvision", "r3d_18", download=True).name == "r3d_18-b3b3357e.pth"


@pytest.mark.parametrize(
    ("text", "encoder", "sentence"),
    [
        ("torchvision", "timm:resnet18", "torchvision has no weights of encoder 'timm:resnet18', which is one of timm"),
        ("timm", "resnet18", "timm has no weights of encoder 'resnet18', which is one of torchvision; give torchvisi"),
        ("torchvision", "audio_convnet", "torchvision has no published weights of 'audio_convnet'; give a file"),
        ("timm:no_such_model", "resnet18", "timm has no published weights of no_such_model"),
        ("timm:resnet18.no_tag", "resnet18", "timm has no "),
    ],
)
def test_what_is_not_published_is_one_sentence(text: str, encoder: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{sentence}"):
        published_file(text, encoder, download=False)


def test_which_texts_mean_published_weights() -> None:
    assert [is_published(text) for text in ("timm", "timm:a.b", "torchvision:x", "w.pth", "timm.pth")] == [
        True, True, True, False, False
    ]  # fmt: skip
