"""What the report shows of a run, drawn once at its end: samples, first-layer kernels, nearest neighbours."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Generator, Tensor

from selftaught.core.files import flush_together, written_whole
from selftaught.core.own_folder import record, write_json
from selftaught.data.batch import Batch
from selftaught.encoders.base import Encoder
from selftaught.encoders.kernels import first_kernels, kernel_columns
from selftaught.encoders.modality import BY_AXES, modality_of
from selftaught.features.encode import encode
from selftaught.ops.draw_maps import draw_maps
from selftaught.ops.false_colours import in_colours
from selftaught.ops.sheet import evenly, lay_out
from selftaught.ops.sound.spectrogram import SAMPLE_RATE
from selftaught.tasks.base import Map, PretextTask, Shown

SHOWN = 8
NEIGHBOURS = 6
MOST_FRAMES = 32
FRAME_MS = 125
"""Milliseconds for which a frame of a clip is shown."""
SOUND_SECONDS = 2
"""Of audio that a page plays."""
QUALITY = 85
"""Of the WebP files of clips, 0 to 100."""


class PictureFolder:
    """The folder `pictures/` of a run and its list, pictures.json."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.listed: dict[str, Any] = {"samples": [], "kernels": None, "neighbours": [], "about": {}}
        self._saved: list[str] = []
        path.mkdir(parents=True, exist_ok=True)

    def save(self, name: str, picture: Tensor, side: int = 96) -> str:
        """Write an image (C, H, W) or a clip (T, C, H, W) in [0, 1], enlarged to at least `side` pixels.

        Images are PNG files; clips are animated WebP files of at most `MOST_FRAMES`, evenly chosen. Returns the name.
        """
        self._saved.append(f"{name}.webp" if picture.dim() == 4 else f"{name}.png")
        with written_whole(record(self.path / self._saved[-1]), flush=False) as draft:
            if picture.dim() == 4:
                first, *others = [_enlarged(picture[t], side) for t in evenly(len(picture), MOST_FRAMES)]
                first.save(
                    draft, "WEBP", save_all=True, append_images=others, duration=FRAME_MS, loop=0, quality=QUALITY
                )
            else:
                # Pillow's `optimize` takes ten times as long and saves 2 % of images this small.
                _enlarged(picture, side).save(draft, "PNG")
        return self._saved[-1]

    def save_sound(self, name: str, waveform: Tensor) -> str:
        """Write the first seconds of audio (S,) in [-1, 1] at 16 kHz as a WAV file at 8 kHz, which a page can hold."""
        self._saved.append(f"{name}.wav")
        heard = waveform.detach().float().cpu()[: SOUND_SECONDS * SAMPLE_RATE]
        halved = heard[: len(heard) // 2 * 2].view(-1, 2).mean(1)
        with (
            written_whole(record(self.path / self._saved[-1]), flush=False) as draft,
            wave.open(str(draft), "wb") as file,
        ):
            file.setparams((1, 2, SAMPLE_RATE // 2, 0, "NONE", "not compressed"))
            file.writeframes((halved.clamp(-1, 1) * 32767).to(torch.int16).numpy().tobytes())
        return self._saved[-1]

    def finish(self) -> None:
        """Write the list of what was saved, once all of it is on the disk."""
        flush_together(self.path, self._saved)
        write_json(self.path / "pictures.json", self.listed)


@torch.no_grad()
def draw_samples(folder: PictureFolder, task: PretextTask, batch: Batch, rng: Generator) -> None:
    """Input, pseudo-label and prediction of the first samples of a held-out batch."""
    with torch.autocast(batch.index.device.type, enabled=False):  # as in training, where the network alone is in bf16
        example = task.pseudo_label(batch, rng)
    for i, shown in enumerate(task.show(example, task(example), SHOWN)):
        label, prediction = _drawn(shown)
        parts = {
            part: value if isinstance(value, str) else folder.save(f"sample{i}_{part}", value)
            for part, value in (("pseudo_label", label), ("prediction", prediction))
        }
        inputs = [folder.save(f"sample{i}_input{j}", picture) for j, picture in enumerate(shown.inputs)]
        folder.listed["samples"].append({"inputs": inputs, **parts})


def _drawn(shown: Shown) -> tuple[str | Tensor, str | Tensor]:
    """Label and prediction as text, image or clip; two maps of one kind have one scale of colours."""
    label, prediction = shown.pseudo_label, shown.prediction
    if isinstance(label, Map) and isinstance(prediction, Map) and label.kind == prediction.kind:
        first, second = draw_maps([label.values, prediction.values], label.kind)
        return first, second
    return _one_drawn(label), _one_drawn(prediction)


def _one_drawn(value: str | Tensor | Map) -> str | Tensor:
    return draw_maps([value.values], value.kind)[0] if isinstance(value, Map) else value


def draw_kernels(folder: PictureFolder, encoder: Encoder) -> None:
    """The first layer's kernels as one image, each stretched to its own range (Krizhevsky et al. 2012, figure 3)."""
    kernels = first_kernels(encoder)
    if kernels is None:
        return
    sheet = lay_out(F.pad(kernels, (1, 1, 1, 1), value=1.0), kernel_columns(len(kernels)))
    folder.listed["kernels"] = folder.save("kernels", sheet, side=max(96, 4 * sheet.shape[1]))


@torch.no_grad()
def draw_neighbours(
    folder: PictureFolder,
    encoder: Encoder,
    batches: list[Batch],
    size: int,
    precision: str,
    *,
    keys: Sequence[str] = (),
) -> None:
    """For queries spread over the held-out samples, the samples with the largest cosine similarity.

    `keys` are the paths of all held-out samples, whose names are listed. Of a query and of its nearest sample the
    audio is saved too, where there is some.
    """
    features = F.normalize(torch.cat([encode(encoder, batch, size, precision) for batch in batches]), dim=1)
    index = torch.cat([batch.index for batch in batches])
    queries = torch.linspace(0, len(features) - 1, min(SHOWN, len(features))).long()
    similarity = features[queries] @ features.T
    similarity[index[queries][:, None] == index[None, :]] = -2.0
    values, found = similarity.topk(min(NEIGHBOURS, len(features) - 1), dim=1)
    saved: dict[int, str] = {}  # the same sample may be near to several queries

    def file_of(row: int) -> str:
        if row not in saved:
            saved[row] = folder.save(f"held_out{row}", _seen(batches, row, size))
            if keys:
                folder.listed["about"][saved[row]] = {"name": PurePath(keys[int(index[row])]).name}
        return saved[row]

    def listen(row: int) -> None:
        about = folder.listed["about"].setdefault(file_of(row), {})
        if "sound" not in about and (heard := _heard(batches, row)) is not None:
            about["sound"] = folder.save_sound(f"held_out{row}", heard)

    for query, rows, near in zip(queries.tolist(), found.tolist(), values.tolist(), strict=True):
        neighbours = [
            {"picture": file_of(row), "similarity": round(v, 4)} for row, v in zip(rows, near, strict=True) if v > -2
        ]
        folder.listed["neighbours"].append({"query": file_of(query), "neighbours": neighbours})
        for row in (query, *rows[:1]):
            listen(row)


def _heard(batches: list[Batch], row: int) -> Tensor | None:
    """The waveform (S,) of row `row` of all batches; None where there is none."""
    for batch in batches:
        if row < len(batch):
            return next((x[row] for x in batch.inputs.values() if x.ndim == 2 and x.is_floating_point()), None)
        row -= len(batch)
    return None


def _enlarged(picture: Tensor, side: int) -> Image.Image:
    """(C, H, W) in [0, 1], in false colours where C is not 3 or 1; pixels repeated until the short side has `side`."""
    pixels = (in_colours(picture.detach().float().cpu().clamp(0, 1)) * 255).round().byte()
    image = Image.fromarray(np.ascontiguousarray(pixels.permute(1, 2, 0).numpy()))
    factor = max(1, -(-side // min(image.size)))
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def _seen(batches: list[Batch], row: int, size: int) -> Tensor:
    """Row `row` of all batches as an image (3, size, size) or clip (T, 3, size, size) in [0, 1]; black for audio."""
    for batch in batches:
        if row < len(batch):
            break
        row -= len(batch)
    one = batch.rows(slice(row, row + 1))
    views = (modality_of(x).seen(x, size) for x in one.inputs.values() if x.ndim in BY_AXES)
    found = next((view for view in views if view is not None), None)
    return torch.zeros(3, size, size) if found is None else found[0]
