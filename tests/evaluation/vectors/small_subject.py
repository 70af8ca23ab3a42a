"""A small encoder with its weights in a file, a folder of images, and vectors that need neither."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import safetensors.torch
from numpy.typing import NDArray
from PIL import Image

from selftaught.encoders.build import build_encoder
from selftaught.evaluation.vectors.folder import Facts, Part, VectorFolder, file_name, write_part
from selftaught.evaluation.vectors.write import begin

ENCODER = "timm:test_resnet"


def write_weights(path: Path, *, scale: float = 1.0) -> str:
    """The text by which the encoder with these weights is given."""
    weights = build_encoder(ENCODER, size=32, stem="standard").state_dict()
    named = {name.removeprefix("net.").removeprefix("model."): scale * value for name, value in weights.items()}
    safetensors.torch.save_file({name: value.contiguous() for name, value in named.items()}, path)
    return f"{ENCODER}:{path}"


def write_images(folder: Path, count: int) -> Path:
    """Images 0.png, 1.png ... of random colours in folders a and b."""
    rng = np.random.default_rng(0)
    for number in range(count):
        path = folder / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        colours = rng.integers(0, 255, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(colours).resize((36, 32), Image.Resampling.NEAREST).save(path)
    return folder


def write_vectors(folder: Path, vectors: NDArray[np.float32], each: int) -> VectorFolder:
    """A folder with these vectors (N, D), `each` of them a file, of the paths 0.png, 1.png ..."""
    count = -(-len(vectors) // each)
    facts = Facts(
        run="run", encoder="e", part="encoder", weights="w", data="photos", content="c", value_range="auto",
        split="all", shard_size=each, shards=count, features=vectors.shape[1],
    )  # fmt: skip
    begin(folder, facts)
    for shard in range(count):
        rows = range(shard * each, min((shard + 1) * each, len(vectors)))
        part = Part(
            keys=[f"{row}.png" for row in rows],
            labels=[None if row % 3 else "third" for row in rows],
            vectors=vectors[rows.start : rows.stop],
            skipped=[("broken.png", "it is empty")] if shard == 0 else [],
        )
        write_part(folder / file_name(shard), part)
    return VectorFolder(folder)


def clustered(count: int, width: int, *, seed: int = 0) -> NDArray[np.float32]:
    """(N, D) vectors around a few centres."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(20, width))
    return (centres[rng.integers(20, size=count)] + 0.3 * rng.normal(size=(count, width))).astype(np.float32)
