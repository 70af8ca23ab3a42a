"""A look at held-out data during training: the pretext metric, and what can be said with no label at all."""

from __future__ import annotations

from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor

from selftaught.core.config import RunConfig
from selftaught.core.distributed import gather_rows
from selftaught.core.precision import autocast, autocast_forward
from selftaught.core.randomness import generator
from selftaught.data.batch import Batch
from selftaught.data.loader import ordered_batches
from selftaught.encoders.modality import input_for, modality_of
from selftaught.encoders.names import Kind
from selftaught.features.diagnostics import describe_features, frechet_distance
from selftaught.features.encode import encode
from selftaught.tasks.base import PretextTask
from selftaught.training.budget.schedule import HELD_OUT_SAMPLES
from selftaught.training.data import Data
from selftaught.training.pictures import PictureFolder, draw_kernels, draw_neighbours, draw_samples
from selftaught.training.players import scalars_of, scalars_of_turns


@torch.no_grad()
def judge(
    task: PretextTask, data: Data, config: RunConfig, fabric: Fabric, *, samples: int = HELD_OUT_SAMPLES
) -> dict[str, float]:
    """Means of the task's scalars over so many held-out samples, and the label-free metrics of its features.

    The pseudo-labels are drawn from the same generators at every look, so looks can be compared. Where the task makes
    images or clips, "frechet" is the Frechet distance of their features to those of light random crops of real ones,
    divided by the variance of the latter: 1 is what a single sample in the middle of the real ones would get. The
    features are those of the kept encoder as it is now, so numbers of other runs and other steps have another scale.
    """
    task.eval()
    encoder = task.kept_encoder()
    forward = autocast_forward(task, fabric.device, config.machine.precision)
    totals: dict[str, float] = {}
    weight = 0
    first, second, made = [], [], []
    for number, batch in enumerate(held_out_batches(data, config, fabric, samples)):
        rng = generator("held-out", number, fabric.global_rank, device=fabric.device)
        example = task.pseudo_label(batch, rng)
        turns = [scalars_of(task, forward, example, player) for player in tuple(task.players()) or ("",)]
        for name, value in scalars_of_turns(turns, task.players()).items():
            totals[name] = totals.get(name, 0.0) + float(value) * len(batch)
        weight += len(batch)
        with autocast(fabric.device, config.machine.precision):
            if (pictures := task.generate(example)) is not None:
                made.append(encoder(pictures).float())
        first.append(encode(encoder, batch, config.network.size, config.machine.precision))
        other = other_view(batch, config.network.size, rng, encoder.kind)
        second.append(encode(encoder, other, config.network.size, config.machine.precision))
    task.train()
    names = sorted(totals, key=lambda name: (name != "loss", name != task.metric_name(), name))
    sums = torch.tensor([*[totals[name] for name in names], float(weight)], dtype=torch.float64, device=fabric.device)
    reduced = fabric.all_reduce(sums, reduce_op="sum")
    assert isinstance(reduced, Tensor)
    means = (reduced[:-1] / reduced[-1]).tolist()
    real, seen = gather_rows(torch.cat(second)), gather_rows(torch.cat(first))
    if not bool(seen.isfinite().all() & real.isfinite().all()):
        raise ValueError(
            f"the features of the encoder are no finite numbers any more; lower --lr (it is {config.optim.lr}) or set "
            "--clip 1"
        )
    figures = describe_features(seen, real)
    if made and len(real) > 1:  # a single image has no variance
        distance = frechet_distance(real, gather_rows(torch.cat(made)))
        figures["frechet"] = distance / float(real.double().var(0).sum().clamp(min=1e-12))
    return dict(zip(names, means, strict=True)) | figures


def held_out_batches(data: Data, config: RunConfig, fabric: Fabric, samples: int = HELD_OUT_SAMPLES) -> list[Batch]:
    """This process's share of the held-out samples a look takes; every process gets as many batches."""
    clips = data.sampling.clips_per_video
    count = min(len(data.held_out), max(1, samples // clips)) // fabric.world_size * fabric.world_size
    batches = ordered_batches(
        data.held_out,
        sampling=data.sampling,
        batch_size=config.optim.batch // fabric.world_size,
        device=fabric.device,
        limit=count,
        rank=fabric.global_rank,
        world=fabric.world_size,
    )
    full = list(batches)
    # A last batch of one or two samples has too few negatives or statistics to say anything.
    if len(full) > 1 and len(full[-1]) < len(full[0]) // 2:
        full.pop()
    return full


def other_view(batch: Batch, size: int, rng: torch.Generator, kind: Kind = "image") -> Batch:
    """The same samples through a light random crop (at least half of the area), the second view of alignment."""
    name = input_for(kind, batch.inputs)
    return batch.using(**{name: modality_of(batch[name]).light_crop(batch[name], size, rng)})


def draw_pictures(
    path: Path,
    task: PretextTask,
    data: Data,
    config: RunConfig,
    device: torch.device,
    *,
    samples: int = HELD_OUT_SAMPLES,
) -> None:
    """Fill the run's image folder from so many held-out samples; only the first process calls this."""
    task.eval()
    folder = PictureFolder(path)
    batches = list(
        ordered_batches(
            data.held_out,
            sampling=data.sampling,
            batch_size=config.optim.batch,
            device=device,
            limit=samples // data.sampling.clips_per_video,
        )
    )
    with autocast(device, config.machine.precision):
        draw_samples(folder, task, batches[0], generator("pictures", device=device))
    encoder = task.kept_encoder()
    draw_kernels(folder, encoder)
    size, precision = config.network.size, config.machine.precision
    draw_neighbours(folder, encoder, batches, size, precision, keys=data.held_out.keys)
    folder.finish()
    task.train()
