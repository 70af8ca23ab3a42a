"""Several pretext tasks at once, one encoder: `--task jigsaw+rotation+colorization`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Generator, Tensor, nn

from selftaught.core.distributed import is_distributed
from selftaught.data.batch import Batch, Moments
from selftaught.data.inputs import Input, Sound
from selftaught.encoders.base import Encoder
from selftaught.encoders.inputs import INPUTS
from selftaught.encoders.spec import TAKES, EncoderSpec
from selftaught.encoders.video.seeing import seeing
from selftaught.tasks.base import PACES, ParameterGroup, PretextTask, Recipe, Shown
from selftaught.tasks.joined_inputs import joined_inputs
from selftaught.tasks.spec import TaskSpec, spec_of

_KEPT = 0.9
"""Of the running gradient norms, at every step."""


@dataclass
class Example:
    """The example of each part, by its name, and the number of samples."""

    of: dict[str, Any]
    samples: int


@dataclass
class Prediction:
    """The prediction of each part, and its scalars where they were needed before the loss."""

    of: dict[str, Any]
    scalars: dict[str, dict[str, Tensor]] | None


@dataclass(frozen=True, kw_only=True)
class WithParts:
    """`Combined.Config` with the parts."""

    weights: tuple[float, ...] | None
    balance: Literal["given", "gradient"]
    parts: Mapping[str, TaskSpec]

    def __post_init__(self) -> None:
        count, weights = len(self.parts), self.weights
        if weights is not None and (len(weights) != count or min(weights) < 0 or not sum(weights)):
            got = ",".join(map(str, weights))
            raise ValueError(
                f"--task.weights must be {count} numbers from 0 on, for {', '.join(self.parts)}, got {got}"
            )


class Combined(PretextTask):
    """Several pretext tasks on one encoder at once (Doersch, Zisserman, ICCV 2017).

    Link: https://arxiv.org/abs/1708.07860

    Flow: the inputs of all parts, at one moment of each sample -> each part makes its own example, with its own
    generator -> the shared encoder -> the part's own head -> the weighted sum of the parts' losses.

    Parts may have different inputs, such as an image and a clip, if their encoders take the same kind of input. Inputs
    that are equal are read once.

    A part's settings are `--task.PART.SETTING`. Every scalar of a part is logged as `PART_scalar`. The metric
    `above_chance` is the mean over the parts of (value - chance) / (1 - chance): 0 is chance, and 1 is the best that an
    accuracy can be; a gain in dB or bits, whose chance is 0, counts in its own unit. The first part's recipe is taken,
    with the least learning rate of the parts that have the same optimiser.

    Shortcut: inputs that differ between parts let the encoder recognise the part and keep separate features for each;
    batch normalisation, whose running statistics are those of all parts, is affected most. Guard: a prefix on the
    encoder, as in `--encoder grey:resnet18`, shows all parts the same kind of image, the harmonised inputs of the
    paper. Without it, a part that must not see colour sees a grey image, and the other parts do not.

    Differences from the paper: all parts read the same samples in one step, and the sum of their gradients makes one
    update, where its workers train a task each on batches of its own; all parts reach the encoder's last stage, where
    its heads join ResNet-101 after the third block; there is no lasso that chooses stages for each part; any tasks
    are combined, its motion segmentation not among them; the optimiser is the first part's (RMSProp there).
    `--task.balance gradient` is not the paper's: parts weigh in inversely to the running norm of their gradient at the
    last weight matrix of the encoder, as GradNorm (Chen et al., ICML 2018) wants in the long run, but at once.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        weights: tuple[float, ...] | None = None
        """Weight of each part's loss, in order (default: 1 each)."""
        balance: Literal["given", "gradient"] = "given"
        """gradient: weights are divided by the parts' gradient norms at the encoder's last weights, their sum kept."""

    parts: nn.ModuleDict
    weights: Tensor
    norms: Tensor

    def __init__(self, encoder: Encoder, config: WithParts, size: int, **further: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        for name, other in further.items():
            self.add_module(name, other)
        self.config = config
        self.size = size
        self.parts = nn.ModuleDict()
        for name, part in config.parts.items():
            with in_words_of(name):
                self.parts[name] = self._build(name, part)
        self._names = joined_inputs(config.parts)[1]
        self.shares_statistics = all(part.cls.shares_statistics for part in config.parts.values())
        weights = config.weights or (1.0,) * len(config.parts)
        self.register_buffer("weights", torch.tensor(weights), persistent=False)
        self.register_buffer("norms", torch.zeros(len(self.parts)))

    @classmethod
    def inputs(cls, config: WithParts) -> Mapping[str, Input]:
        """Those of all parts; equal inputs are read once."""
        return joined_inputs(config.parts)[0]

    @classmethod
    def moments(cls, config: WithParts) -> Moments:
        """The largest number of moments, and the largest gap, of all parts."""
        asked = [part.sampling for part in config.parts.values()]
        return Moments(
            clips_per_video=max(one.clips_per_video for one in asked), min_gap=max(one.min_gap for one in asked)
        )

    @classmethod
    def recipe_for(cls, config: WithParts) -> Recipe:
        """The first part's, with the least learning rate of those with its optimiser."""
        return least_rate([part.recipe for part in config.parts.values()])

    @classmethod
    def encoders_for(cls, config: WithParts) -> Mapping[str, EncoderSpec]:
        """The encoders of the parts; where parts see images differently, an encoder that sees them as they are.

        Parts that ask for the same further encoder under one name share it.
        """
        first, *others = (part.encoders["encoder"] for part in config.parts.values())
        sees = first.sees if all(other.sees == first.sees for other in others) else ""
        tokens = next((spec for spec in (first, *others) if spec.tokens), first)
        shared = EncoderSpec(first.kind, sees=sees, tokens=tokens.tokens, default=tokens.default)
        further = {name: spec for part in config.parts.values() for name, spec in part.encoders.items()}
        return further | {"encoder": shared}

    def metric_name(self) -> str:
        return "above_chance"

    def chance(self, batch_size: int) -> float:
        return 0.0

    def parameter_groups(self) -> list[ParameterGroup]:
        """Those of the parts; a group of the shared encoder applies to all of them."""
        found = []
        for name, part in self._parts().items():
            for group in part.parameter_groups():
                names = (n if n.partition(".")[0] == "encoder" else f"parts.{name}.{n}" for n in group.names)
                found.append(dataclasses.replace(group, names=tuple(names)))
        return found

    def needs_whole(self) -> str:
        if self.config.balance == "gradient":
            return "--task.balance gradient reads gradients in the midst of a step"
        return next(filter(None, (part.needs_whole() for part in self._parts().values())), "")

    def before_update(self, step: int, total: int) -> None:
        for part in self._parts().values():
            part.before_update(step, total)

    def after_step(self, step: int, total: int) -> None:
        for part in self._parts().values():
            part.after_step(step, total)

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Each part's example of the same batch; what one part draws does not depend on the others' settings."""
        parts = self._parts()
        seeds = torch.randint(2**62, (len(parts),), generator=rng, device=rng.device).tolist()
        generators = [torch.Generator(device=rng.device).manual_seed(seed) for seed in seeds]
        made = {
            name: part.pseudo_label(self._batch_of(name, batch), own)
            for (name, part), own in zip(parts.items(), generators, strict=True)
        }
        return Example(made, len(batch))

    def _batch_of(self, part: str, batch: Batch) -> Batch:
        """The batch under the names that a part has for its inputs."""
        return dataclasses.replace(batch, inputs={own: batch[name] for own, name in self._names[part].items()})

    def forward(self, example: Example) -> Prediction:
        """Each part's prediction; in training also the norms of the parts' gradients, where they are balanced."""
        made = {name: part(example.of[name]) for name, part in self._parts().items()}
        if self.config.balance == "given" or not (self.training and torch.is_grad_enabled()):
            return Prediction(made, None)
        # Here and not in `loss`: a wrapped module lets nobody but its own backward pass through its outputs.
        with torch.autocast(self.weights.device.type, enabled=False):
            scalars = {name: part.loss(made[name], example.of[name]) for name, part in self._parts().items()}
        self._measure([scalars[name]["loss"] for name in made])
        return Prediction(made, scalars)

    def loss(self, prediction: Prediction, example: Example) -> dict[str, Tensor]:
        """The weighted sum, how far the parts are above chance, and every scalar of every part."""
        samples = example.samples * (dist.get_world_size() if is_distributed() else 1)
        weights, losses, above = self.balanced_weights(), [], []
        found: dict[str, Tensor] = {}
        for number, (name, part) in enumerate(self._parts().items()):
            known = prediction.scalars
            scalars = part.loss(prediction.of[name], example.of[name]) if known is None else known[name]
            chance = part.chance(samples)
            losses.append(scalars["loss"])
            above.append((scalars[part.metric_name()].detach().float() - chance) / (1 - chance))
            found |= {f"{name}_{key}": value.detach() for key, value in scalars.items()}
            if self.config.balance == "gradient":
                found[f"{name}_weight"] = weights[number]
        total = (weights * torch.stack([loss.float() for loss in losses])).sum()
        return {"loss": total, "above_chance": torch.stack(above).mean(), **found}

    def show(self, example: Example, prediction: Prediction, count: int) -> list[Shown]:
        """Some samples of each part; text says which part it belongs to."""
        shown: list[Shown] = []
        each = -(-count // len(self.parts))
        for name, part in self._parts().items():
            for one in part.show(example.of[name], prediction.of[name], each):
                label, guess = (
                    x if isinstance(x, Tensor) else f"{name}: {x}" for x in (one.pseudo_label, one.prediction)
                )
                shown.append(Shown(inputs=one.inputs, pseudo_label=label, prediction=guess))
        return shown[:count]

    def balanced_weights(self) -> Tensor:
        """Weights (P,) of the losses; a part whose gradient is not known yet has an average one."""
        if self.config.balance == "given":
            return self.weights
        known = self.norms > 0
        mean = self.norms.sum() / known.sum().clamp(min=1)
        shares = self.weights / torch.where(known, self.norms, mean.clamp(min=1e-12))
        return shares * (self.weights.sum() / shares.sum())

    @torch.no_grad()
    def _measure(self, losses: list[Tensor]) -> None:
        """Update the running gradient norms; with several processes the gradient is that of the global batch."""
        # Of a convolution or a linear layer: scale and shift of a normalisation after it are not what GradNorm means.
        last = [p for p in self.encoder.parameters() if p.requires_grad and p.ndim > 1][-1]
        rows = []
        for loss in losses:
            (found,) = torch.autograd.grad(loss, last, retain_graph=True, allow_unused=True)
            rows.append((torch.zeros_like(last) if found is None else found).float().flatten())
        gradients = torch.stack(rows)
        if is_distributed():
            dist.all_reduce(gradients)
            gradients /= dist.get_world_size()
        norms = gradients.norm(dim=1).to(self.norms.dtype)
        self.norms.copy_(torch.where(self.norms > 0, torch.lerp(norms, self.norms, _KEPT), norms))

    def _build(self, name: str, part: TaskSpec) -> PretextTask:
        """A part that uses the shared encoder, seen as it wants, without owning it."""
        seen = self.encoder
        asked = part.encoders["encoder"]
        if asked.sees != self.encoders_for(self.config)["encoder"].sees and not self.encoder.sees:
            shared = seeing(self.encoder, asked.sees) if asked.sees in INPUTS else None
            if shared is None:
                raise ValueError(
                    f"--encoder {self.encoder.name} cannot show task {name!r} its {asked.prefix} images; "
                    f"choose one without a prefix, or {asked.prefix}ENCODER for all parts"
                )
            seen = shared
        further = {key: getattr(self, key) for key in part.encoders if key != "encoder"}
        made = part.build(seen, self.size, **further)
        if made.players():
            raise ValueError(
                f"{name} cannot be combined with other tasks under these settings, as its players take turns; "
                "switch off what makes it adversarial, as --task.adversarial 0 does"
            )
        for encoder in (seen, *further.values()):
            _disown(made, encoder, name)
        return made

    def _parts(self) -> dict[str, PretextTask]:
        return {name: part for name, part in self.parts.items() if isinstance(part, PretextTask)}


def combine(name: str, parts: Mapping[str, TaskSpec], settings: Mapping[str, Any]) -> TaskSpec:
    """The spec of one combination.

    Args:
        name: as given to --task.
        parts: by their short names.
        settings: of the combination, and of each part as `part.setting`.

    Raises:
        ValueError: where the parts cannot learn one encoder from the same samples.
    """
    _check_parts(name, parts)
    own = {field.name: settings[field.name] for field in dataclasses.fields(Combined.Config)}
    return spec_of(
        Combined,
        name=name,
        short="+".join(parts),
        family="combined",
        settings=settings,
        config=WithParts(parts=parts, **own),
        parts=parts,
    )


def _check_parts(name: str, parts: Mapping[str, TaskSpec]) -> None:
    """One encoder takes one kind of input, and a sample has one stretch of audio."""
    (first, one), *others = parts.items()
    kind = one.encoders["encoder"].kind
    for other, part in others:
        if part.encoders["encoder"].kind != kind:
            raise ValueError(
                f"--task {name} cannot train one encoder: that of {first} takes {TAKES[kind]}, that of {other} takes "
                f"{TAKES[part.encoders['encoder'].kind]}; combine tasks whose encoders take the same"
            )
    further: dict[str, tuple[str, EncoderSpec]] = {}
    for short, part in parts.items():
        for encoder, asked in part.encoders.items():
            owner, known = further.setdefault(encoder, (short, asked))
            if encoder != "encoder" and known != asked:
                raise ValueError(
                    f"--task {name} cannot be combined: {owner} and {short} ask for different encoders {encoder!r}"
                )
    lengths = {i.seconds: short for short, part in parts.items() for i in part.inputs.values() if isinstance(i, Sound)}
    if len(lengths) > 1:
        listed = ", ".join(f"{short} {seconds:g} s" for seconds, short in lengths.items())
        raise ValueError(f"--task {name} cannot read audio of several lengths at once: {listed}; combine other tasks")


def least_rate(recipes: list[Recipe]) -> Recipe:
    """The first one, with the least learning rate of those with its optimiser; so with the other optimisers."""
    first = recipes[0]
    lr = min(recipe.lr for recipe in recipes if recipe.optimizer == first.optimizer)
    others = {}
    for name in PACES:
        paces = [recipe.pace(name) for recipe in recipes]
        if name != first.optimizer and all(paces):
            others[name] = min((pace for pace in paces if pace is not None), key=lambda pace: pace.lr)
    return dataclasses.replace(first, lr=lr, others=others)


@contextmanager
def in_words_of(part: str) -> Iterator[None]:
    """Name the flags of the part in errors that name those of the task."""
    try:
        yield
    except ValueError as error:
        raise ValueError(str(error).replace("--task.", f"--task.{part}.")) from None


def _disown(part: PretextTask, encoder: Encoder, name: str) -> None:
    """Keep the encoder as a plain attribute, so that its weights are trained, moved and saved once."""
    for module in list(part.modules()):
        for attribute, child in list(module._modules.items()):
            if child is not encoder:
                continue
            if isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict):
                raise ValueError(f"task {name!r} cannot be combined: it keeps its encoder in a {type(module).__name__}")
            del module._modules[attribute]
            object.__setattr__(module, attribute, encoder)
