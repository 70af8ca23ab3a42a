"""What the report shows of a run, drawn once at its end: samples, first-layer kernels, nearest neighbours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Generator, Tensor

from selftaught.core.files import written_whole
from selftaught.core.own_folder import record, write_json
from selftaught.data.batch import Batch
from selftaught.encoders.base import Encoder
from selftaught.encoders.kernels import first_kernels, kernel_columns
from selftaught.features.encode import encode
from selftaught.ops.colour import denormalise
from selftaught.ops.crop import centre_view
from selftaught.ops.sheet import lay_out
from selftaught.tasks.base import PretextTask

SHOWN = 8
NEIGHBOURS = 6


class PictureFolder:
    """The folder `pictures/` of a run and its list, pictures.json."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.listed: dict[str, Any] = {"samples": [], "kernels": None, "neighbours": []}
        path.mkdir(parents=True, exist_ok=True)

    def save(self, name: str, picture: Tensor, side: int = 96) -> str:
        """Write (3 or 1, H, W) in [0, 1] as a PNG, enlarged to at least `side` pixels; returns the file's name."""
        pixels = (picture.detach().float().cpu().clamp(0, 1) * 255).round().byte()
        array = pixels.expand(3, -1, -1).permute(1, 2, 0).numpy()
        image = Image.fromarray(np.ascontiguousarray(array))
        if min(image.size) < side:
            factor = -(-side // min(image.size))
            image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
        with written_whole(record(self.path / f"{name}.png")) as draft:
            image.save(draft, "PNG", optimize=True)
        return f"{name}.png"

    def finish(self) -> None:
        write_json(self.path / "pictures.json", self.listed)


@torch.no_grad()
def draw_samples(folder: PictureFolder, task: PretextTask, batch: Batch, rng: Generator) -> None:
    """Input, pseudo-label and prediction of the first samples of a held-out batch."""
    with torch.autocast(batch.index.device.type, enabled=False):  # as in training, where the network alone is in bf16
        example = task.pseudo_label(batch, rng)
    for i, shown in enumerate(task.show(example, task(example), SHOWN)):
        parts: dict[str, str] = {}
        for kind, value in (("pseudo_label", shown.pseudo_label), ("prediction", shown.prediction)):
            parts[kind] = value if isinstance(value, str) else folder.save(f"sample{i}_{kind}", value)
        inputs = [folder.save(f"sample{i}_input{j}", picture) for j, picture in enumerate(shown.inputs)]
        folder.listed["samples"].append({"inputs": inputs, **parts})


def draw_kernels(folder: PictureFolder, encoder: Encoder) -> None:
    """The first layer's kernels as one picture, each stretched to its own range (Krizhevsky et al. 2012, figure 3)."""
    kernels = first_kernels(encoder)
    if kernels is None:
        return
    sheet = lay_out(F.pad(kernels, (1, 1, 1, 1), value=1.0), kernel_columns(len(kernels)))
    folder.listed["kernels"] = folder.save("kernels", sheet, side=max(96, 4 * sheet.shape[1]))


@torch.no_grad()
def draw_neighbours(folder: PictureFolder, encoder: Encoder, batches: list[Batch], size: int, precision: str) -> None:
    """For queries spread over the held-out samples, the samples with the largest cosine similarity."""
    features = F.normalize(torch.cat([encode(encoder, batch, size, precision) for batch in batches]), dim=1)
    views = torch.cat([_thumbnail(batch, size) for batch in batches])
    index = torch.cat([batch.index for batch in batches])
    queries = torch.linspace(0, len(features) - 1, min(SHOWN, len(features))).long()
    similarity = features[queries] @ features.T
    similarity[index[queries][:, None] == index[None, :]] = -2.0
    values, found = similarity.topk(min(NEIGHBOURS, len(features) - 1), dim=1)
    for i, query in enumerate(queries.tolist()):
        neighbours = [
            {"picture": folder.save(f"query{i}_neighbour{j}", views[n]), "similarity": round(v, 4)}
            for j, (n, v) in enumerate(zip(found[i].tolist(), values[i].tolist(), strict=True))
            if v > -2
        ]
        folder.listed["neighbours"].append({"query": folder.save(f"query{i}", views[query]), "neighbours": neighbours})


def _thumbnail(batch: Batch, size: int) -> Tensor:
    """One picture of every sample (N, 3, size, size) in [0, 1]; the middle frame of a clip."""
    images = batch.image
    if images is None:
        assert batch.video is not None
        images = batch.video[:, batch.video.shape[1] // 2]
    return denormalise(centre_view(images, size))
