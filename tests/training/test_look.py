"""A look at held-out data: the task's scalars and the metrics of its features."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric

from selftaught.core.config import RunConfig
from selftaught.core.randomness import generator
from selftaught.data.batch import Batch
from selftaught.features.diagnostics import rankme
from selftaught.features.encode import encode
from selftaught.tasks.base import PretextTask
from selftaught.training.data import Data, open_data
from selftaught.training.look import draw_pictures, held_out_batches, judge, other_view
from selftaught.training.setup import build_task, resolve, spec_for
from tests.training.small_run import config

FABRIC = Fabric(accelerator="cpu", devices=1)


@pytest.fixture(scope="module")
def opened() -> Iterator[tuple[PretextTask, Data, RunConfig]]:
    asked = config(Path("run"), held_out=0.25)
    data = open_data(asked, spec_for(asked), FABRIC)
    settings = resolve(asked, spec_for(asked), data)
    torch.manual_seed(0)
    yield build_task(spec_for(settings), settings), data, settings
    data.loader.close()


def test_metrics_are_means_over_the_samples(opened: tuple[PretextTask, Data, RunConfig]) -> None:
    task, data, settings = opened
    task.train()
    found = judge(task, data, settings, FABRIC)
    assert task.training
    assert judge(task, data, settings, FABRIC) == found  # the same pseudo-labels at every look
    task.eval()
    losses, features, count = 0.0, [], 0
    with torch.no_grad():
        for number, batch in enumerate(held_out_batches(data, settings, FABRIC)):
            example = task.pseudo_label(batch, generator("held-out", number, 0))
            losses += float(task.loss(task(example), example)["loss"]) * len(batch)
            count += len(batch)
            features.append(encode(task.encoder, batch, settings.network.size, settings.machine.precision))
    assert count == len(data.held_out)
    assert found["loss"] == pytest.approx(losses / count, rel=1e-5)
    assert found["rankme"] == pytest.approx(rankme(torch.cat(features)), rel=1e-4)
    assert list(found)[:2] == ["loss", task.metric_name()]


def test_features_that_are_no_numbers_are_said(opened: tuple[PretextTask, Data, RunConfig]) -> None:
    task, data, settings = opened
    weights = next(task.encoder.parameters())
    kept = weights.detach().clone()
    with torch.no_grad():
        weights.fill_(float("nan"))
    with pytest.raises(ValueError, match=r"no finite numbers any more; lower --lr .it is .* or set --clip 1"):
        judge(task, data, settings, FABRIC)
    with torch.no_grad():
        weights.copy_(kept)


def test_a_last_batch_of_too_few_is_left_out(opened: tuple[PretextTask, Data, RunConfig]) -> None:
    _, data, settings = opened
    sizes = {
        (samples, size): [
            len(batch) for batch in held_out_batches(data, settings.replace(batch_size=size), FABRIC, samples)
        ]
        for samples, size in ((19, 8), (20, 8), (24, 8), (3, 8))
    }
    assert sizes == {(19, 8): [8, 8], (20, 8): [8, 8, 4], (24, 8): [8, 8, 8], (3, 8): [3]}


def test_the_other_view_is_a_light_crop_which_all_frames_of_a_clip_share() -> None:
    pixels = torch.randint(0, 256, (2, 3, 20, 20), generator=generator("view"), dtype=torch.uint8)
    image = other_view(Batch(index=torch.arange(2), inputs={"image": pixels}), 16, generator("crop"))["image"]
    clips = pixels[:, None].repeat(1, 3, 1, 1, 1)
    video = other_view(Batch(index=torch.arange(2), inputs={"video": clips}), 16, generator("crop"))["video"]
    assert image.shape == (2, 3, 16, 16)
    for t in range(3):
        assert torch.allclose(video[:, t], image, atol=1e-6)


def test_the_folder_of_a_run_is_filled(opened: tuple[PretextTask, Data, RunConfig], tmp_path: Path) -> None:
    task, data, settings = opened
    draw_pictures(tmp_path / "pictures", task, data, settings, torch.device("cpu"))
    listed = json.loads((tmp_path / "pictures" / "pictures.json").read_text())
    assert (len(listed["samples"]), len(listed["neighbours"]), listed["kernels"]) == (8, 8, "kernels.png")
    assert task.training
