"""Losses and queues that compare the samples of all processes: two with half of a batch each are one with the whole."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from selftaught.tasks.base import PretextTask
from selftaught.tasks.crossmodal.egomotion import Egomotion
from selftaught.tasks.crossmodal.egomotion_equivariance import EgomotionEquivariance
from selftaught.tasks.crossmodal.egomotion_equivariance import Example as Moved
from selftaught.tasks.crossmodal.rgb_flow import Example as Seen
from selftaught.tasks.crossmodal.rgb_flow import RgbFlow
from tests.tasks.conftest import TinyEncoder
from tests.two_processes import in_two_processes, join_group

VIDEO = torch.tensor([0, 1, 1, 2, 3, 0])


def features(seed: int) -> Tensor:
    return torch.randn(6, 5, generator=torch.Generator().manual_seed(seed))


def rgb_flow(rows: slice) -> tuple[PretextTask, list[Tensor], Seen]:
    task = RgbFlow(TinyEncoder(), RgbFlow.Config(width=5), 16, flow_encoder=TinyEncoder())
    empty = torch.zeros(6, 1)
    return task, [F.normalize(features(k), dim=1) for k in (1, 2)], Seen(empty, empty, VIDEO[rows])


def equivariance(rows: slice) -> tuple[PretextTask, list[Tensor], Moved]:
    torch.manual_seed(0)
    config = EgomotionEquivariance.Config(patterns=3, width=5, margin=3.0, coherence=0.5)
    task = EgomotionEquivariance(TinyEncoder(), config, 16)
    pattern = torch.tensor([0, 2, 1, 1, 0, 2])
    return task, [features(3), features(4)], Moved(torch.zeros(12, 1), torch.zeros(6, 3), pattern[rows], VIDEO[rows])


TASKS = (rgb_flow, equivariance)


def outcome(place: int, rows: slice) -> tuple[Tensor, list[Tensor]]:
    """The loss on some rows, and its gradient by their features."""
    task, whole, example = TASKS[place](rows)
    own = [one[rows].clone().requires_grad_() for one in whole]
    loss = task.loss(tuple(own), example)["loss"]
    loss.backward()
    return loss.detach(), [one.grad for one in own if one.grad is not None]


def remembered(rows: slice) -> Tensor:
    task = Egomotion(TinyEncoder(), Egomotion.Config(), 16)
    for seed in (5, 6):
        task.remember(features(seed)[rows, :3])
    return task.queue


def _work(rank: int, port: int) -> None:
    all_rows, own = slice(0, 6), slice(3 * rank, 3 * rank + 3)
    alone, queue = [outcome(place, all_rows) for place in range(len(TASKS))], remembered(all_rows)
    join_group(rank, port)
    for place, (value, gradients) in enumerate(alone):
        found, parts = outcome(place, own)
        torch.distributed.all_reduce(found)
        assert torch.allclose(found / 2, value, atol=1e-6), TASKS[place].__name__
        for part, gradient in zip(parts, gradients, strict=True):  # gradients are means over processes
            assert torch.allclose(part / 2, gradient[own], atol=1e-6), TASKS[place].__name__
    assert torch.equal(remembered(own)[-12:], queue[-12:])


def test_two_processes_are_one() -> None:
    in_two_processes(_work)
