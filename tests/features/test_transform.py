"""What a user's own program shows an encoder is what `embed` shows it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import selftaught
from selftaught.core.settings.groups import DataSettings
from selftaught.encoders.build import build_encoder
from selftaught.encoders.weights.load import network_of
from selftaught.evaluation.embed import embed_data
from selftaught.evaluation.subject import open_subject
from selftaught.features.transform import Transform

SIZE = 24


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("weights") / "w.pth"
    torch.save(network_of(build_encoder("timm:test_resnet", size=SIZE))[0].state_dict(), path)
    return f"timm:test_resnet:{path}"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of 60 x 90 pixels of several kinds, one of them stored on its side."""
    folder = tmp_path_factory.mktemp("photos")
    for number, name in enumerate(("a.png", "b.jpg", "c.webp", "d.png")):
        pixels = np.random.default_rng(number).integers(0, 256, (60, 90, 4 if name == "d.png" else 3), np.uint8)
        Image.fromarray(pixels).save(folder / name)
    turned = Image.fromarray(np.random.default_rng(9).integers(0, 256, (90, 60, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(folder / "e.png", exif=exif)
    return folder


def test_features_are_those_of_embed(weights: str, photos: Path, tmp_path: Path) -> None:
    subject = dataclasses.replace(open_subject(weights, size=SIZE), precision="32-true")
    embed_data(subject, str(photos), tmp_path / "f.npz")
    found = np.load(tmp_path / "f.npz")
    assert len(found["path"]) == 5
    encoder = selftaught.load_encoder(weights, size=SIZE)
    for path, row in zip(found["path"].tolist(), found["vector"], strict=True):
        file = photos / path
        with Image.open(file) as opened:
            # Pillow decodes JPEG by another library.
            ways = [file, str(file), file.read_bytes(), *([opened] if file.suffix != ".jpg" else [])]
            views = [encoder.transform(way) for way in ways]
        assert all(torch.equal(view, views[0]) for view in views)
        with torch.no_grad():
            assert encoder(views[0][None])[0].numpy() == pytest.approx(row, abs=1e-6)


def test_tensors_and_several_images(weights: str, photos: Path) -> None:
    transform = selftaught.load_encoder(weights, size=SIZE).transform
    pixels = np.asarray(Image.open(photos / "a.png"))
    expected = transform(photos / "a.png")
    tensor = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
    for same in (pixels, tensor, tensor / 255):
        assert torch.equal(transform(same), expected)
    both = transform([photos / "a.png", photos / "b.jpg"])
    assert torch.equal(both[0], expected)
    assert torch.equal(transform(tensor[None].repeat(2, 1, 1, 1))[1], expected)


def test_clips_and_audio() -> None:
    clips = Transform(build_encoder("mean:timm:test_resnet", size=SIZE), SIZE, DataSettings(path=""))
    frames = torch.randint(256, (5, 3, 40, 40), dtype=torch.uint8)
    assert clips(frames).shape == (3, 5, SIZE, SIZE)
    assert torch.equal(clips(list(frames)), clips(frames))
    with pytest.raises(ValueError, match=r"^this encoder takes clips, got a single image; give a sequence of frames"):
        clips(frames[0])
    audio = Transform(build_encoder("audio_convnet", size=SIZE), SIZE, DataSettings(path=""))
    assert audio(torch.zeros(16_000)).shape[:2] == (1, 64)
    with pytest.raises(ValueError, match=r"^this encoder takes audio; give a waveform \(S,\)"):
        audio(frames)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (torch.zeros(1, 8, 8), r"\(3, H, W\) uint8 or in \[0, 1\], got \(1, 8, 8\) torch.float32"),
        (np.zeros((8, 8), np.uint8), r"an image must be a path, bytes, .*, got \(8, 8\) uint8"),
        (7, r"an image must be a path, bytes, .*, got int"),
    ],
)
def test_what_is_no_image_is_refused(weights: str, wrong: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        selftaught.load_encoder(weights, size=SIZE).transform(wrong)
