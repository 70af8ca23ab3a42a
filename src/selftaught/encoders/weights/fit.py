"""Whether the tensors behind one prefix are the weights of a network, under the names that programs give them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from timm.layers.pos_embed import resample_abs_pos_embed
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from selftaught.encoders.spec import COLOURS

_CHUNK = re.compile(r"(^|\.)blocks\.\d+\.(\d+)\.")


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Tensors from one place of a file, beside what a network needs.

    Attributes:
        place: dictionary in the file that holds them, as in `Content.tables`.
        prefix: what the names in it begin with, such as "module.encoder_q.".
        weights: own name -> tensor, of all that the network has and the file too.
        faults: what does not fit; empty where the network can take them.
        heads: modules beside the network under the same prefix, which are left aside.
        notes: what was done to make them fit.
    """

    place: str
    prefix: str
    weights: Mapping[str, Tensor]
    faults: tuple[str, ...]
    heads: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def front(self) -> str:
        """Place and prefix in one, without the last dot: "state_dict.module.encoder_q"."""
        return ".".join(filter(None, (self.place, self.prefix.rstrip("."))))

    def is_same(self, other: Fit) -> bool:
        """Whether both hold the same values; one may lack the counters of batches."""
        shared = self.weights.keys() & other.weights.keys()
        return all(torch.equal(self.weights[key], other.weights[key]) for key in shared)


def fits_in(net: nn.Module, classifier: tuple[str, ...], place: str, table: Mapping[str, Tensor]) -> list[Fit]:
    """One for every prefix in a table of tensors behind which a network's names are found; best first.

    Args:
        classifier: first parts of the names that the network does without.
    """
    own = net.state_dict()
    needed = [key for key in own if not key.endswith("num_batches_tracked")]
    named = _without_chunks(net, table)
    found = []
    for spelled in (dict(zip(own, own, strict=True)), _numbered(net, own)):
        for prefix in _prefixes(named, [spelled[key] for key in needed]):
            found.append(_fit(net, own, classifier, place, prefix, named, spelled))
    return sorted(found, key=lambda fit: (len(fit.faults) > 0, -len(fit.weights)))


def _prefixes(table: Mapping[str, Tensor], names: list[str]) -> list[str]:
    """What stands before the network's names; a few of these suffice, as others may be missing or misfit."""
    sample = {names[0], names[len(names) // 2], names[-1]}
    found = {key[: -len(name)]: None for key in table for name in sample if key == name or key.endswith(f".{name}")}
    return list(found)


def _fit(
    net: nn.Module,
    own: Mapping[str, Tensor],
    classifier: tuple[str, ...],
    place: str,
    prefix: str,
    table: Mapping[str, Tensor],
    spelled: Mapping[str, str],
) -> Fit:
    names = {theirs: ours for ours, theirs in spelled.items()}
    behind = {key.removeprefix(prefix): value for key, value in table.items() if key.startswith(prefix)}
    rest = {key: value for key, value in behind.items() if key not in names and not key.startswith(classifier or "\0")}
    given, notes = _of_other_size(net, {names[key]: value for key, value in behind.items() if key in names}, own)
    given, more = _of_other_channels(given, own)
    notes = (*notes, *more)
    parts = {_stem(name) for name in names}
    unknown = [key for key in rest if _stem(key) in parts or ("." not in key and not _is_beside(key))]
    heads = dict.fromkeys(key.partition(".")[0] for key in rest if key not in unknown)
    left = {key.partition(".")[0] for key in behind if classifier and key.startswith(classifier)}
    shapes = [
        f"{key} ({tuple(given[key].shape)} instead of {tuple(value.shape)})"
        for key, value in own.items()
        if key in given and given[key].shape != value.shape
    ]
    wrong = {
        "lacks": [key for key in own if key not in given and not key.endswith("num_batches_tracked")],
        "has unknown": unknown,
        "has other shapes for": shapes,
    }
    return Fit(
        place=place,
        prefix=prefix,
        weights=given,
        faults=tuple(f"{what} {_first_few(keys)}" for what, keys in wrong.items() if keys),
        heads=tuple(sorted({*heads, *left} - set(unknown))),
        notes=notes,
    )


def _is_beside(name: str) -> bool:
    """Whether a tensor of that name is for pretraining alone; others, such as register tokens, a network needs."""
    return name.startswith(("mask_token", "decoder", "queue", "center"))


def _stem(key: str) -> str:
    """First part of a name without its number: "layer" of layer4.0.conv1.weight."""
    return re.sub(r"\d+$", "", key.partition(".")[0])


def _numbered(net: nn.Module, own: Mapping[str, Tensor]) -> dict[str, str]:
    """The names in `nn.Sequential(*net.children())`, which numbers them."""
    numbers = {name: str(i) for i, (name, _) in enumerate(net.named_children())}
    if len(numbers) < 3:
        return {key: f"\0{key}" for key in own}
    first = {key: key.partition(".") for key in own}
    return {key: f"{numbers.get(name, name)}.{rest}" for key, (name, _, rest) in first.items()}


def _without_chunks(net: nn.Module, table: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """DINOv2 trains transformers in chunks of blocks: block 7 of 12 in 4 chunks is blocks.2.7 there."""
    if not isinstance(net, VisionTransformer):
        return table
    return {_CHUNK.sub(r"\1blocks.\2.", key): value for key, value in table.items()}


def _of_other_size(
    net: nn.Module, given: dict[str, Tensor], own: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Resample the position embedding of a transformer that was trained on images of another size."""
    theirs, ours = given.get("pos_embed"), own.get("pos_embed")
    if not isinstance(net, VisionTransformer) or theirs is None or ours is None or theirs.shape == ours.shape:
        return given, ()
    extra = 0 if net.no_embed_class else net.num_prefix_tokens
    side = max(0, theirs.shape[1] - extra) ** 0.5 if theirs.ndim == 3 else 0.0
    if side < 1 or side != int(side) or theirs.shape[2:] != ours.shape[2:]:
        return given, ()
    grid: Any = net.patch_embed.grid_size
    resampled = resample_abs_pos_embed(theirs, list(grid), num_prefix_tokens=extra)
    note = f"its position embedding was resampled from {int(side)} x {int(side)} to {grid[0]} x {grid[1]} patches"
    return given | {"pos_embed": resampled}, (note,)


def _of_other_channels(
    given: dict[str, Tensor], own: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Average the first layer's kernels over the colours, for a network of another number of channels.

    The sum over the channels stays, so that a grey image excites the layer as before.
    """
    key = next((key for key, value in own.items() if value.ndim >= 4), "")
    theirs, ours = given.get(key), own.get(key)
    if theirs is None or ours is None or theirs.ndim != ours.ndim or theirs.shape[1] != COLOURS:
        return given, ()
    channels = ours.shape[1]
    if channels == COLOURS:
        return given, ()
    averaged = theirs.mean(1, keepdim=True).expand(-1, channels, *theirs.shape[2:]) * (COLOURS / channels)
    if averaged.shape != ours.shape:
        return given, ()
    note = f"its first layer was averaged over {COLOURS} colours and repeated for {channels} channels"
    return given | {key: averaged.contiguous()}, (note,)


def _first_few(keys: list[str]) -> str:
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return ", ".join(keys[:3]) + more
