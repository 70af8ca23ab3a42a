"""What a task shows becomes files: images and clips as they are, maps in colours of one scale."""

from __future__ import annotations

import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from selftaught.core.randomness import generator
from selftaught.data.batch import Batch
from selftaught.features.encode import encode
from selftaught.ops.draw_maps import draw_maps
from selftaught.tasks.base import Map, Shown
from selftaught.training.pictures import (
    MOST_FRAMES,
    NEIGHBOURS,
    PictureFolder,
    draw_kernels,
    draw_neighbours,
    draw_samples,
)
from tests.evaluation.drawn_classes import DrawnSamples, TwoStages


def clip(count: int) -> Tensor:
    """Grey frames (count, 3, 6, 8), each lighter than the one before."""
    return torch.linspace(0, 1, count)[:, None, None, None].expand(count, 3, 6, 8)


def greys(file: Path) -> list[int]:
    """Mean grey level of each frame of a file."""
    with Image.open(file) as image:
        levels = []
        for i in range(getattr(image, "n_frames", 1)):
            image.seek(i)
            levels.append(round(float(np.asarray(image.convert("RGB")).mean())))
        return levels


def test_an_image_is_every_pixel_enlarged(tmp_path: Path) -> None:
    pixels = torch.rand(1, 5, 7, generator=generator("pixels"))
    name = PictureFolder(tmp_path / "pictures").save("any", pixels, side=12)
    with Image.open(tmp_path / "pictures" / name) as image:
        found = np.asarray(image)
    expected = (pixels[0] * 255).round().byte().numpy().repeat(3, 0).repeat(3, 1)
    assert name == "any.png"
    assert np.array_equal(found, np.stack([expected] * 3, axis=2))


@pytest.mark.parametrize(("count", "kept"), [(2, 2), (9, 9), (100, MOST_FRAMES)])
def test_a_clip_is_an_animation_of_a_bounded_number_of_frames(tmp_path: Path, count: int, kept: int) -> None:
    name = PictureFolder(tmp_path / "pictures").save("any", clip(count), side=12)
    assert name == "any.webp"
    found = greys(tmp_path / "pictures" / name)
    assert np.abs(np.array(found) - np.linspace(0, 255, kept)).max() <= 5


class Shows:
    """A task that shows these."""

    def __init__(self, *shown: Shown) -> None:
        self.shown = list(shown)

    def pseudo_label(self, batch: Batch, rng: torch.Generator) -> None: ...

    def __call__(self, example: None) -> None: ...

    def show(self, example: None, prediction: None, count: int) -> list[Shown]:
        return self.shown


def drawn(folder: Path, *shown: Shown) -> list[dict[str, Any]]:
    pictures = PictureFolder(folder)
    draw_samples(pictures, Shows(*shown), Batch(index=torch.zeros(1)), generator("any"))  # type: ignore[arg-type]
    pictures.finish()
    listed: list[dict[str, Any]] = json.loads((folder / "pictures.json").read_text())["samples"]
    return listed


def test_two_maps_of_a_kind_have_one_scale_of_colours(tmp_path: Path) -> None:
    flow = torch.randn(2, 96, 96, generator=generator("flow"))
    mask = torch.tensor([[0, 1], [1, 0]]).repeat(48, 48)
    first, second = drawn(
        tmp_path,
        Shown(
            inputs=[clip(3)], pseudo_label=Map(values=flow, kind="flow"), prediction=Map(values=flow / 2, kind="flow")
        ),
        Shown(inputs=[clip(3)[0]], pseudo_label="none", prediction=Map(values=mask, kind="mask")),
    )
    assert first["inputs"] == ["sample0_input0.webp"]
    pale, strong = (np.asarray(Image.open(tmp_path / first[part])) for part in ("prediction", "pseudo_label"))
    for found, expected in zip((strong, pale), draw_maps([flow, flow / 2], "flow"), strict=True):
        assert np.array_equal(found, (expected * 255).round().byte().permute(1, 2, 0).numpy())
    assert second["pseudo_label"] == "none"
    assert np.asarray(Image.open(tmp_path / second["prediction"]))[0, :2].tolist() == [[0, 0, 0], [128, 0, 0]]


def batch(name: str, count: int, first: int = 0) -> Batch:
    pixels = torch.from_numpy(DrawnSamples(name, count).pixels).permute(0, 3, 1, 2)
    return Batch(index=torch.arange(first, first + count), inputs={"image": pixels})


def test_the_list_is_written_at_the_end(tmp_path: Path) -> None:
    folder = PictureFolder(tmp_path / "pictures")
    draw_kernels(folder, TwoStages())
    folder.finish()
    listed = json.loads((tmp_path / "pictures" / "pictures.json").read_text())
    assert listed == {"samples": [], "kernels": "kernels.png", "neighbours": [], "about": {}}


def test_neighbours_are_the_largest_cosines_without_other_clips_of_the_query(tmp_path: Path) -> None:
    folder, encoder = PictureFolder(tmp_path), TwoStages().eval()
    batches = [batch("a", 12), batch("b", 8, first=5)]  # seven samples come twice
    draw_neighbours(folder, encoder, batches, 8, "32-true")
    features = F.normalize(torch.cat([encode(encoder, b, 8, "32-true") for b in batches]), dim=1)
    index = torch.cat([b.index for b in batches])
    queries = [int(q) for q in torch.linspace(0, 19, 8)]
    for query, entry in zip(queries, folder.listed["neighbours"], strict=True):
        cosines = (features @ features[query])[index != index[query]].sort(descending=True).values
        expected = [round(float(value), 4) for value in cosines[:NEIGHBOURS]]
        assert [near["similarity"] for near in entry["neighbours"]] == expected
        assert (tmp_path / entry["query"]).is_file()
        assert all((tmp_path / near["picture"]).is_file() for near in entry["neighbours"])
    named = {name for entry in folder.listed["neighbours"] for name in _names(entry)}
    assert {path.name for path in tmp_path.glob("*.png")} == named
    assert len(named) <= 20, "each sample is saved once"
    of_row = {int(Path(name).stem.removeprefix("held_out")): name for name in named}
    pixels = torch.cat([b["image"] for b in batches])
    for row, name in of_row.items():
        shown = np.asarray(Image.open(tmp_path / name)).astype(float).mean((0, 1))
        assert np.abs(shown - pixels[row].float().mean((1, 2)).numpy()).max() < 4, name


def _names(entry: dict[str, Any]) -> list[str]:
    """Files of a query and of its neighbours."""
    return [entry["query"], *(near["picture"] for near in entry["neighbours"])]


def test_names_and_audio_of_neighbours(tmp_path: Path) -> None:
    """The audio of a query and of its nearest sample is saved, at half the rate."""
    folder, encoder = PictureFolder(tmp_path), TwoStages().eval()
    one = batch("a", 12)
    tones = torch.linspace(-1, 1, 12)[:, None].repeat(1, 16_000)
    heard = Batch(index=one.index, inputs={**one.inputs, "audio": tones})
    draw_neighbours(folder, encoder, [heard], 8, "32-true", keys=[f"videos/{i}.mp4" for i in range(12)])
    entry = folder.listed["neighbours"][0]
    about = folder.listed["about"]
    assert about[entry["query"]] == {"name": "0.mp4", "sound": "held_out0.wav"}
    nearest = entry["neighbours"][0]["picture"]
    assert about[nearest]["sound"] == f"{Path(nearest).stem}.wav"
    with wave.open(str(tmp_path / "held_out0.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (8000, 1, 8000)
        assert np.frombuffer(file.readframes(9), np.int16).tolist() == [-32767] * 9


def test_neighbours_of_clips_are_clips(tmp_path: Path) -> None:
    folder, encoder = PictureFolder(tmp_path), TwoStages().eval()
    pixels = torch.from_numpy(DrawnSamples("a", 12).pixels).permute(0, 3, 1, 2)
    clips = [
        Batch(index=torch.arange(4) + 4 * i, inputs={"clip": pixels[4 * i : 4 * i + 4, None].repeat(1, 3, 1, 1, 1)})
        for i in range(3)
    ]
    draw_neighbours(folder, encoder, clips, 8, "32-true")
    assert len(folder.listed["neighbours"]) == 8
    for entry in folder.listed["neighbours"]:
        assert [Path(name).suffix for name in (entry["query"], entry["neighbours"][0]["picture"])] == [".webp"] * 2
    last = folder.listed["neighbours"][-1]["query"]
    with Image.open(tmp_path / last) as image:
        shown = np.asarray(image.convert("RGB")).astype(float).mean((0, 1))
    assert np.abs(shown - pixels[11].float().mean((1, 2)).numpy()).max() < 4, "the last of all batches"
