"""Turns of adversarial tasks: one player's parameters learn while the others' are frozen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from selftaught.tasks.base import PretextTask


@contextmanager
def only_parameters_of(player: str, task: PretextTask) -> Iterator[None]:
    """Within, only `player`'s parameters ask for a gradient; all that did ask for one do again after."""
    if not player:
        yield
        return
    own = {id(p) for name in task.players()[player] for p in task.get_submodule(name).parameters()}
    still = [p for p in task.parameters() if p.requires_grad and id(p) not in own]
    for parameter in still:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in still:
            parameter.requires_grad_(True)


def scalars_of(task: PretextTask, forward: Callable[..., Any], example: Any, player: str) -> dict[str, Tensor]:
    """The task's scalars for `player`, "" where there are none; its loss is there as `loss_<player>` too."""
    if not player:
        scalars: dict[str, Tensor] = task.loss(forward(example), example)
        return scalars
    scalars = task.loss(forward(example, player), example, player)
    return scalars | {f"loss_{player}": scalars["loss"]}


def scalars_of_turns(turns: Sequence[Mapping[str, Tensor]], players: Iterable[str]) -> dict[str, Tensor]:
    """One dict of several turns' scalars: means over the turns that have them; "loss" is the sum over the players."""
    if len(turns) == 1:
        return dict(turns[0])
    names = dict.fromkeys(name for scalars in turns for name in scalars)
    means = {name: torch.stack([s[name].detach() for s in turns if name in s]).mean() for name in names}
    means["loss"] = torch.stack([means[f"loss_{p}"] for p in players if f"loss_{p}" in means]).sum()
    return means
