"""A small encoder in a file, and folders of small images that it tells apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from selftaught.encoders.build import build_encoder
from selftaught.evaluation.export import export_encoder

ENCODER = "timm:test_resnet"
SIZE = 32


def encoder_in(folder: Path) -> str:
    """ENCODER:FILE with random weights, the same each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        encoder = build_encoder(ENCODER, size=SIZE, stem="standard").eval()
    export_encoder(encoder, folder / "weights.safetensors", format="safetensors", size=SIZE)
    return f"{ENCODER}:{folder / 'weights.safetensors'}"


def colours_in(folder: Path, count: int, *, part: str = "", seed: int = 0, noise: float = 20.0) -> Path:
    """`count` images of 40 x 32 pixels in each of three folders: red, green and blue ones."""
    rng = np.random.default_rng(seed)
    for k, name in enumerate(("red", "green", "blue")):
        place = folder / part / name
        place.mkdir(parents=True, exist_ok=True)
        for i in range(count):
            pixels = rng.normal(100, noise, (32, 40, 3))
            pixels[..., k] += 60
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(place / f"{i:02d}.png")
    return folder
