"""Optimisers, parameter groups and the learning-rate schedule."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from selftaught.core.distributed import part_like
from selftaught.core.precision import in_order
from selftaught.tasks.base import ParameterGroup


class LARS(Optimizer):
    """Layer-wise adaptive rate scaling with momentum (You, Gitman, Ginsburg 2017, algorithm 1).

    For a layer with weights w and gradient g: v <- momentum * v + lr * trust * |w| / (|g| + decay * |w|) *
    (g + decay * w), then w <- w - v. Vectors (biases, normalisation) take the plain momentum step, as in SimCLR and
    BYOL, and so does a layer whose weights or gradient are all 0.

    `timm.optim.Lars` has the rate outside of the momentum, w <- w - lr * v, which is the same at a constant rate only:
    the paper's keeps each step's rate with its gradient while the rate rises and falls.
    """

    def __init__(self, params: Any, lr: float, momentum: float = 0.9, weight_decay: float = 0.0, trust: float = 1e-3):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "trust": trust})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update from the gradients at hand."""
        for group in self.param_groups:
            decay = group["weight_decay"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                update = p.grad.add(p, alpha=decay) if decay else p.grad
                if p.ndim > 1:
                    w, g = p.norm(), p.grad.norm()
                    ratio = torch.where((w > 0) & (g > 0), group["trust"] * w / (g + decay * w), torch.ones_like(w))
                    update = update * ratio
                state = self.state[p]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(p)
                p.sub_(state["momentum_buffer"].mul_(group["momentum"]).add_(update, alpha=group["lr"]))


def build_optimizer(
    task: nn.Module,
    name: str,
    lr: float,
    weight_decay: float,
    betas: tuple[float, float] = (0.9, 0.999),
    own: Sequence[ParameterGroup] = (),
    momentum: float = 0.9,
    rates: Mapping[str, float] = MappingProxyType({}),
) -> Optimizer:
    """An optimiser over all trainable parameters; vectors (biases, normalisation) are not decayed.

    `own` are the task's `parameter_groups`; `rates` are factors of the learning rate by name of a module, such as
    "encoder", by which those of its parameters are multiplied, whichever group they are in. The optimiser's groups have
    a `lr_factor` and a `decay_factor`, by which `set_rates` multiplies what the schedule says.
    """
    groups: list[dict[str, Any]] = []
    for params, lr_factor, is_decayed in _by_rates(task, _split(task, own), rates):
        for decay_factor, some in ((1.0, [p for p in params if p.ndim > 1]), (0.0, [p for p in params if p.ndim <= 1])):
            decay_factor *= is_decayed
            factors = {"lr_factor": lr_factor, "decay_factor": decay_factor}
            groups.append({"params": some, "lr": lr * lr_factor, "weight_decay": weight_decay * decay_factor} | factors)
    if name == "sgd":
        has_fused = not any(isinstance(p, DTensor) for p in task.parameters())  # split ones have none of SGD
        return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=momentum > 0, fused=has_fused or None)
    if name == "adamw":
        return torch.optim.AdamW(groups, lr=lr, betas=betas, fused=True)
    if name == "lars":
        return LARS(groups, lr=lr, momentum=momentum)
    raise ValueError(f"unknown optimizer {name!r}; it is sgd, adamw or lars")


Part = tuple[list[nn.Parameter], float, bool]
"""Parameters, their factor of the learning rate, and whether they are decayed."""


def _by_rates(task: nn.Module, parts: Sequence[Part], rates: Mapping[str, float]) -> list[Part]:
    """Each part cut into the parameters of modules that have a rate of their own and the others, which come first."""
    factor = {id(p): rate for name, rate in rates.items() for p in task.get_submodule(name).parameters()}
    found: list[Part] = []
    for params, lr_factor, is_decayed in parts:
        for rate in dict.fromkeys((1.0, *(factor[id(p)] for p in params if id(p) in factor))):
            chosen = [p for p in params if factor.get(id(p), 1.0) == rate]
            found.append((chosen, lr_factor * rate, is_decayed))
    return found


def _split(task: nn.Module, own: Sequence[ParameterGroup]) -> list[Part]:
    """Trainable parameters with their factor of the learning rate and whether they are decayed; the rest come first."""
    named = {name: p for name, p in task.named_parameters() if p.requires_grad}
    rest, found = dict(named), []
    for group in own:
        chosen = []
        for wanted in group.names:
            names = [name for name in named if name == wanted or name.startswith(f"{wanted}.")]
            if not names or any(name not in rest for name in names):
                reason = "is in two groups" if names else "has no trainable parameter"
                raise ValueError(f"parameter_groups of {type(task).__name__}: {wanted!r} {reason}; name each part once")
            chosen += [rest.pop(name) for name in names]
        found.append((chosen, group.lr_factor, group.is_decayed))
    return [(list(rest.values()), 1.0, True), *found]


def set_rates(optimizer: Optimizer, lr: float, weight_decay: float | None = None) -> None:
    """Give each group its learning rate for the next update, and its weight decay where that changes."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_factor"]
        if weight_decay is not None:
            group["weight_decay"] = weight_decay * group["decay_factor"]


def load_state(optimizer: Optimizer, state: dict[str, Any]) -> None:
    """`load_state_dict` of whole tensors, laid out like their parameters and split where those are.

    Factors of groups that an earlier version did not write stay as they are.
    """
    factors = [{name: group[name] for name in ("lr_factor", "decay_factor")} for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for parameter, values in optimizer.state.items():
        values.update({name: _as_held(value, parameter) for name, value in values.items()})
    for group, own in zip(optimizer.param_groups, factors, strict=True):
        group.update(own | {name: group[name] for name in own if name in group})


def _as_held(value: Any, parameter: Tensor) -> Any:
    if not isinstance(value, Tensor):
        return value
    part = part_like(value, parameter)
    return part if isinstance(part, DTensor) else in_order(part)


def learning_rate(step: float, steps: int, peak: float, warmup: float) -> float:
    """Linear from 0 in the first `warmup` x `steps` steps, then a cosine to 0 (Loshchilov & Hutter 2017)."""
    rising = int(warmup * steps)
    if step < rising:
        return peak * (step + 1) / (rising + 1)
    return peak * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))


def weight_decay_at(step: float, steps: int, first: float, last: float) -> float:
    """A cosine from `first` at step 0 to `last` at step `steps`, without warm-up, as in DINO (Caron et al. 2021)."""
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * step / max(1, steps)))
