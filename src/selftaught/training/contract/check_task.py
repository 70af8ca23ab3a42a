"""The contract of a task, held for any task: one step on a few samples, on the CPU, and a sentence where it breaks."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

from selftaught.core.config import RunConfig
from selftaught.core.errors import own_code
from selftaught.core.randomness import generator, seed_from
from selftaught.data.batch import Batch
from selftaught.encoders.base import Encoder
from selftaught.tasks.base import Known, Map, PretextTask, Refreshed, Shown
from selftaught.tasks.named_encoders import with_encoders
from selftaught.tasks.resolve import resolve_class, resolve_task, with_classes
from selftaught.tasks.spec import TaskSpec
from selftaught.training.contract.clip_lengths import check_clip
from selftaught.training.contract.drawn_batch import CLASSES, drawn_batch
from selftaught.training.contract.global_numbers import no_global_numbers, random_states_kept
from selftaught.training.players import only_parameters_of, scalars_of, scalars_of_turns
from selftaught.training.refresh import fit_buffers
from selftaught.training.setup import build_task

STEPS = 100
"""Length of the run that is passed to `after_step`."""
REFRESHED = 2048
"""Samples that `before_epoch` is tried with at most."""


def check_task(
    task: str | Path | type[PretextTask],
    *,
    encoder: str | None = None,
    encoders: Mapping[str, str] | None = None,
    size: int = 64,
    task_settings: Mapping[str, Any] | None = None,
) -> None:
    """See `selftaught.check_task`."""
    spec = _spec(task, task_settings or {})
    spec.check_encoders()
    named = {"encoder": encoder or "auto", "encoders": dict(encoders or {})}
    config = with_encoders(RunConfig.from_dict({"data": "", "out": "", "task": spec.name, "size": size} | named), spec)
    with random_states_kept():
        batch = drawn_batch(spec.inputs, size, _generator())
        checked = check_contract(spec.name, lambda seed: build_task(spec, config.replace(seed=seed)), batch)
        check_clip(spec, checked, batch, _generator())


def _spec(task: str | Path | type[PretextTask], given: Mapping[str, Any]) -> TaskSpec:
    """Of a class, or of a task by its name or file."""
    if not isinstance(task, type):
        return with_classes(resolve_task(str(task), given), CLASSES)
    if not issubclass(task, PretextTask):
        raise ValueError(f"check_task needs a name, a file or a subclass of PretextTask, got class {task.__name__}")
    spec = resolve_class(task, given)
    return spec if "classes" in given else with_classes(spec, CLASSES)


def check_contract(
    name: str, build: Callable[[int], PretextTask], batch: Batch, *, count: int = REFRESHED
) -> PretextTask:
    """Return the task where it keeps the contract; a `ValueError` of one sentence names what it breaks.

    The global random states stay as they were, whatever the task does.

    Args:
        name: of the task, as people gave it.
        build: makes the task with a fresh encoder, weights from the seed it is given.
        batch: some samples on the CPU.
        count: of the training data; `before_epoch` is tried with so many, up to `REFRESHED`. Where it refuses fewer
            than it wants, nothing more is checked.
    """
    with random_states_kept():
        with _says(name, "__init__"):
            task = build(0)
        if task.refresh_epochs() and not _refreshed(task, name, batch, count):
            return task
        held_out = _check_example(task.eval(), name, batch)
        _check_evaluation(task, name, held_out, len(batch))
        example = _check_example(task.train(), name, batch)
        _check_gradients(task, name, example)
        _check_momentum_copies(task, name)
        _check_state(task.eval(), build(1).eval(), name, held_out)
    return task


def _check_example(task: PretextTask, name: str, batch: Batch) -> Any:
    """The example of the batch: a dataclass of tensors that is a function of the generator alone."""
    state = {key: value.clone() for key, value in task.state_dict().items()}
    with _says(name, "pseudo_label"), no_global_numbers(name, "pseudo_label", torch_too=True), torch.no_grad():
        example = task.pseudo_label(batch, _generator())
    if not dataclasses.is_dataclass(example) or isinstance(example, type):
        raise ValueError(
            f"task {name!r}: pseudo_label must return a dataclass of tensors, got {_type_of(example)}; declare one "
            f"with @dataclass"
        )
    if type(example).__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise ValueError(
            f"task {name!r}: pseudo_label returns the frozen dataclass {type(example).__name__}, which mixed precision "
            f"cannot convert; declare it with a plain @dataclass"
        )
    tensors = dict(tensors_of(example))
    if not tensors:
        raise ValueError(f"task {name!r}: pseudo_label returns {type(example).__name__}, which holds no tensor")
    for place, tensor in tensors.items():
        if tensor.device != batch.index.device:
            raise ValueError(
                f"task {name!r}: {place} of the example is on {tensor.device}, but the batch is on "
                f"{batch.index.device}; make it on the batch's device"
            )
    task.load_state_dict(state, strict=False)  # a module that pseudo_label makes is for `_check_state`
    with _says(name, "pseudo_label"), torch.no_grad():
        again = dict(tensors_of(task.pseudo_label(batch, _generator())))
    different = [place for place, tensor in tensors.items() if place not in again or not _equal(tensor, again[place])]
    if different or again.keys() != tensors.keys():
        raise ValueError(
            f"task {name!r}: pseudo_label gives another example from the same generator"
            + (f" ({different[0]} differs)" if different else "")
            + "; draw every random number from rng, and keep in buffers what it remembers"
        )
    return example


def _check_evaluation(task: PretextTask, name: str, example: Any, count: int) -> None:
    """Scalars and preview in evaluation, where nothing is drawn."""
    with no_global_numbers(name, "forward or loss, in evaluation,", torch_too=True), torch.no_grad():
        turns = [_scalars(task, name, example, player) for player in _players(task)]
    scalars = scalars_of_turns(turns, task.players())
    if (metric := task.metric_name()) not in scalars:
        raise ValueError(
            f"task {name!r}: its metric is {metric!r}, but the dict that loss returns holds "
            f"{', '.join(scalars)}; add {metric!r} to it, or return another name from metric_name"
        )
    chance = task.chance(count)
    if not isinstance(chance, float | int) or not math.isfinite(chance):
        raise ValueError(f"task {name!r}: chance must return a number, got {chance!r}")
    with _says(name, "show"), torch.no_grad():
        shown = task.show(example, task(example), 1)
    if not isinstance(shown, list) or len(shown) > 1 or not all(isinstance(one, Shown) for one in shown):
        held = f"{len(shown)} of them" if isinstance(shown, list) else _type_of(shown)
        raise ValueError(f"task {name!r}: show must return a list of at most 1 Shown for a count of 1, got {held}")
    for one in shown:
        if not isinstance(one.inputs, list) or not all(isinstance(x, Tensor) for x in one.inputs):
            held = _held(one.inputs)
            raise ValueError(f"task {name!r}: inputs of Shown must be a list of images or clips, got {held}")
        for field in ("pseudo_label", "prediction"):
            if not isinstance(value := getattr(one, field), str | Tensor | Map):
                raise ValueError(
                    f"task {name!r}: {field} of Shown must be text, an image or a Map, got {_type_of(value)}; write "
                    f"str(...) around a number"
                )
        images = [x for x in (*one.inputs, one.pseudo_label, one.prediction) if isinstance(x, Tensor)]
        wrong = next((x for x in images if x.ndim not in (3, 4) or x.shape[-3] not in (1, 3)), None)
        if wrong is not None:
            raise ValueError(
                f"task {name!r}: show must give images (3, H, W) or clips (T, 3, H, W), got {tuple(wrong.shape)}"
            )


def _check_gradients(task: PretextTask, name: str, example: Any) -> None:
    """Every parameter that asks for a gradient gets one, each player's in its own turn."""
    task.zero_grad(set_to_none=True)
    for player in _players(task):
        with only_parameters_of(player, task):
            with no_global_numbers(name, "forward or loss"):
                torch.manual_seed(seed_from("network", player))  # as the loop does: dropout is a function of the step
                loss = _scalars(task, name, example, player)["loss"]
            if not loss.requires_grad:
                raise ValueError(
                    f"task {name!r}: the loss{_of(player)} has no gradient; compute it from the prediction, without "
                    f"detach, item or no_grad"
                )
            with _says(name, "the backward pass"):
                loss.backward()
    idle = [path for path, p in task.named_parameters() if p.requires_grad and p.grad is None]
    if idle and (idle := [path for path in idle if path not in _pooling(task)]):
        more = f" and {len(idle) - 1} more" if len(idle) > 1 else ""
        raise ValueError(
            f"task {name!r}: the loss does not depend on parameter {idle[0]}{more}; use it, remove it, or freeze it "
            f"with requires_grad_(False)"
        )
    for path, p in task.named_parameters():
        if p.grad is not None and not bool(p.grad.isfinite().all()):
            raise ValueError(f"task {name!r}: the gradient of parameter {path} is not finite; check its loss for x / 0")


@torch.no_grad()
def _check_momentum_copies(task: PretextTask, name: str) -> None:
    """What `after_step` leads after other parameters, a teacher, gets no gradient.

    A teacher moves at each call, unlike weights that are clipped or normalised after the step.
    """
    learned = {path: p for path, p in task.named_parameters() if p.grad is not None}
    with _says(name, "before_update"), no_global_numbers(name, "before_update", torch_too=True):
        task.before_update(0, STEPS)
    rng = _generator()
    for p in learned.values():
        p.add_(torch.randn(p.shape, generator=rng) * 1e-2)
    moves = []
    for step in range(2):
        before = {path: p.clone() for path, p in learned.items()}
        with _says(name, "after_step"), no_global_numbers(name, "after_step", torch_too=True):
            task.after_step(step, STEPS)
        moves.append({path: float((p - before[path]).abs().sum()) for path, p in learned.items()})
    for path in learned:
        if moves[0][path] > 0 and moves[1][path] > 0.01 * moves[0][path]:
            raise ValueError(
                f"task {name!r}: after_step updates parameter {path}, as of a teacher, but it gets a gradient as well; "
                f"freeze the teacher with requires_grad_(False)"
            )


def _check_state(task: PretextTask, other: PretextTask, name: str, example: Any) -> None:
    """A new task continues from the state of the first one."""
    state = {key: value.clone() for key, value in task.state_dict().items() if isinstance(value, Tensor)}
    fit_buffers(other, state)
    try:
        other.load_state_dict(state)
    except (RuntimeError, KeyError, TypeError, AttributeError) as error:
        why = " ".join(str(error).split("\n", 1)[-1].split()) or type(error).__name__
        raise ValueError(
            f"task {name!r}: a new task does not load the state_dict of a trained one ({why[:200]}); make all modules "
            f"and buffers in __init__"
        ) from error
    losses = []
    with torch.no_grad():
        for one in (task, other):
            losses.append([float(_scalars(one, name, example, player)["loss"]) for player in _players(one)])
    if losses[0] != losses[1]:
        raise ValueError(
            f"task {name!r}: a new task with the state_dict of a trained one has the loss {losses[1][0]:.6g} instead "
            f"of {losses[0][0]:.6g}; keep everything that is learned or drawn in parameters and buffers"
        )


def _scalars(task: PretextTask, name: str, example: Any, player: str) -> dict[str, Tensor]:
    """What `loss` returns for the player: finite scalars with "loss" among them."""
    with _says(name, "forward or loss"), warnings.catch_warnings():
        warnings.filterwarnings("error", message="Using a target size")
        scalars: Any = scalars_of(task, task, example, player)
    if not isinstance(scalars, dict) or "loss" not in scalars:
        held = f"holds {', '.join(map(str, scalars)) or 'nothing'}" if isinstance(scalars, dict) else "is no dict"
        raise ValueError(f"task {name!r}: loss must return a dict that holds 'loss', but what it returns {held}")
    for key, value in scalars.items():
        if not isinstance(value, Tensor) or value.ndim:
            got = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else _type_of(value)
            raise ValueError(f"task {name!r}: {key!r} of loss{_of(player)} must be a tensor with one number, got {got}")
        if not bool(value.isfinite()):
            raise ValueError(f"task {name!r}: {key!r} of loss{_of(player)} is {value.item()}, not a finite number")
    return dict(scalars)


def _refreshed(task: PretextTask, name: str, batch: Batch, count: int) -> bool:
    """Whether `before_epoch` takes samples, as many as there are up to `REFRESHED`, with the features
    of the batch, scaled at random.

    False where it refuses so few; there may be enough of them when all are read.
    """
    with _says(name, "embed"), torch.no_grad():
        features = task.eval().embed(batch).float().cpu()
    rows = min(count, REFRESHED)
    rng = _generator()
    drawn = features[torch.arange(rows) % len(features)]
    # Of the same signs: what `embed` says may be counts or energies.
    drawn = drawn * (torch.rand(drawn.shape, generator=rng) + 0.5)
    known = Known(index=torch.arange(rows), features=drawn, labels=None)
    try:
        with no_global_numbers(name, "before_epoch", torch_too=True), torch.no_grad():
            made = task.before_epoch(known, rows, rng)
    except ValueError:
        if rows == count:
            raise
        return False
    if not isinstance(made, Refreshed):
        raise ValueError(f"task {name!r}: before_epoch must return Refreshed, got {type(made).__name__}")
    return True


def _says(name: str, part: str) -> AbstractContextManager[None]:
    """Errors of the task's own code become one sentence with the place; those that are sentences stay."""
    return own_code(f"task {name!r}: {part}")


def tensors_of(value: Any, place: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every tensor of an example with its place in it, such as "images" or "of.jigsaw.tiles"."""
    if isinstance(value, Tensor):
        yield place, value
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from tensors_of(getattr(value, field.name), f"{place}.{field.name}".lstrip("."))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from tensors_of(item, f"{place}.{key}".lstrip("."))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from tensors_of(item, f"{place}.{number}".lstrip("."))


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one.nan_to_num(), other.nan_to_num())


def _players(task: PretextTask) -> tuple[str, ...]:
    return tuple(task.players()) or ("",)


def _generator() -> Generator:
    return generator("try", device="cpu")


def _of(player: str) -> str:
    return f" of player {player}" if player else ""


def _pooling(task: PretextTask) -> set[str]:
    """Parameters of encoders that a task which reads their unpooled features does not meet: timm's attention pools."""
    idle: set[str] = set()
    for name, encoder in task.named_children():
        own = {path: p for path, p in task.named_parameters() if path.startswith(f"{name}.") and p.requires_grad}
        if isinstance(encoder, Encoder) and encoder.kind == "image" and own:
            features = encoder.forward_features(torch.zeros(2, encoder.channels, task.size, task.size))
            found = torch.autograd.grad(features.sum(), list(own.values()), allow_unused=True)
            idle |= {path for path, gradient in zip(own, found, strict=True) if gradient is None}
    return idle


def _held(value: Any) -> str:
    return f"a list of {', '.join(type(x).__name__ for x in value)}" if isinstance(value, list) else _type_of(value)


def _type_of(value: Any) -> str:
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
