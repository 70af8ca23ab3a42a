"""Batch normalisation must not tell a label: whatever is to be distinguished passes the encoder in one batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from selftaught.core.randomness import generator
from selftaught.data.batch import Batch
from selftaught.data.computed.catalogue import load_program
from selftaught.data.inputs import GIVEN, Clip, Computed, Given, Sound, needs_of
from selftaught.encoders.build import build_encoder
from selftaught.tasks.base import Known, PretextTask
from selftaught.tasks.catalogue import list_tasks, load_task
from tests.fitting_encoder import needs_tokens

COUNT, SIZE = 12, 32
GAMES = ("artifacts", "bigan", "gan", "motion_content_gan", "super_resolution", "temporal_gan", "video_gan")
"""Their discriminators' batches are held by `test_adversarial_guard`."""
TASKS = [task.name for task in list_tasks() if task.name not in GAMES and not needs_tokens(task.name)]
SETTINGS: dict[str, dict[str, Any]] = {
    "clip_rotation": {"frames": 2},
    "deep_embedded_clustering": {"clusters": 2, "restarts": 1},
    "dense_prediction": {"frames": 1, "blocks": 2, "predicted": 1},
    "graph_constraint": {"neighbours": 3},
    "video_colorization_direct": {"frames": 2, "width": 16},
    "video_prediction": {"frames": 2, "future": 2, "width": 16},
    "video_simclr": {"frames": 2},
}


def sample(task: PretextTask) -> Batch:
    """Random images, or clips and sound of two videos each."""
    rng = generator("samples")
    named = task.inputs(task.config)
    inputs: dict[str, torch.Tensor] = {}
    for name, one in named.items():
        if isinstance(one, Sound):
            inputs[name] = torch.randn(COUNT, 16000, generator=rng) * 0.1
        elif isinstance(one, Computed):
            shape = (*inputs[one.like].shape[:-3], load_program(one.program).channels, 80, 80)
            inputs[name] = torch.rand(shape, generator=rng).round()
        elif isinstance(one, Given) and one.what == "pose":
            steps = inputs["video"].shape[1]
            inputs[name] = torch.eye(4).repeat(COUNT, steps, 1, 1)
            inputs[name][..., :3, 3] = torch.randn(COUNT, steps, 3, generator=rng)
        elif isinstance(one, Given) and GIVEN[one.what].is_map:
            inputs[name] = torch.rand((COUNT, *GIVEN[one.what].shape, 80, 80), generator=rng)
        else:
            shape = (one.frames, 3, 80, 80) if isinstance(one, Clip) else (3, 80, 80)
            inputs[name] = torch.randint(0, 256, (COUNT, *shape), generator=rng, dtype=torch.uint8)
    index = torch.arange(COUNT)
    if "video" not in needs_of(named):
        return Batch(index=index, inputs=inputs)
    return Batch(index=index // 2, inputs=inputs, time=torch.arange(COUNT) * 2.0)


def prepared(name: str) -> tuple[PretextTask, Batch]:
    task_class = load_task(name)
    torch.manual_seed(0)
    spec = task_class.encoders["encoder"]
    inner = (
        f"mean:{spec.prefix}timm:test_resnet"
        if spec.kind == "video"
        else spec.prefix + ("resnet18" if spec.sees == "split" else "timm:test_resnet")
    )
    encoder = build_encoder(inner, size=SIZE, stem="standard")
    further = {
        key: build_encoder(other.architecture, size=SIZE)
        for key, other in task_class.encoders.items()
        if key != "encoder"
    }
    task = task_class(encoder, task_class.Config(**SETTINGS.get(name, {})), SIZE, **further)
    batch = sample(task)
    if task.refresh_epochs():
        task.after_step(9, 10)
        with torch.no_grad():
            features = task.eval().embed(batch).float()
            task.train().before_epoch(Known(index=batch.index, features=features, labels=None), 16, generator(0))
    return task, batch


@pytest.mark.parametrize("name", TASKS)
def test_guard_all_that_is_compared_passes_the_encoder_in_one_batch(name: str) -> None:
    """Views, tiles, angles, matched and mismatched pairs: statistics that all share say nothing of any of them."""
    task, batch = prepared(name)
    norms = [module for module in task.encoder.modules() if isinstance(module, _BatchNorm)]
    passes = [0] * len(norms)

    def count(number: int) -> Any:
        def hook(module: _BatchNorm, given: tuple[torch.Tensor]) -> None:
            assert module.training
            passes[number] += 1

        return hook

    for number, norm in enumerate(norms):
        norm.register_forward_pre_hook(count(number))
    example = task.pseudo_label(batch, generator(0))
    assert not any(passes), "pseudo-labels are made without the encoder in training"
    scalars = task.loss(task(example), example)
    assert set(passes) == {1}
    assert torch.isfinite(scalars["loss"])
    assert task.metric_name() in scalars, "the metric is logged in training too"
