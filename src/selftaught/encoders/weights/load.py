"""Weights from a file into an encoder: plain state dicts of torchvision and timm, and checkpoints of other programs.

One rule for all of them: the network's own names are looked for in every dictionary of the file, behind any prefix.
Where the tensors behind one of them fit, these are its weights. Where those of several do, and have other values, the
places that are made of usual words alone are preferred (`USUAL`: encoder_q is one, encoder_k is not), and where more
than one is left the file is refused with the choices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from selftaught.core.names import unknown_name
from selftaught.encoders.base import Encoder
from selftaught.encoders.staged import StagedEncoder
from selftaught.encoders.video.clip_image import ClipImageEncoder
from selftaught.encoders.video.mean import MeanEncoder
from selftaught.encoders.weights.content import Content, read_content
from selftaught.encoders.weights.fit import Fit, fits_in

USUAL = frozenset((
    "state_dict", "model_state_dict", "classy_state_dict", "model", "_model", "base_model", "net", "network", "module",
    "_orig_mod", "_forward_module", "backbone", "encoder", "encoder_q", "base_encoder", "online_encoder",
    "online_network", "trunk", "_feature_blocks", "visual", "image_encoder", "student", "teacher", "wrapped_model",
    "embedding_model", "student_embedding_model", "teacher_embedding_model", "task",
))  # fmt: skip
"""Words that stand before the names of the weights that a program means to be used."""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What was read of a file.

    Attributes:
        path: the file.
        fit: where the weights were in it.
        tensors: how many the network took.
        also: further places whose tensors fit, by the word that chooses each.
    """

    path: Path
    fit: Fit
    tensors: int
    also: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One line for people."""
        place = f" under {self.fit.place!r}" if self.fit.place else ""
        prefix = f" without the prefix {self.fit.prefix!r}" if self.fit.prefix else ""
        aside = f"; left aside: {', '.join(self.fit.heads)}" if self.fit.heads else ""
        also = f"; {', '.join(self.also)} would fit too: {self.path.name}#{self.also[0]}" if self.also else ""
        notes = "".join(f"; {note}" for note in self.fit.notes)
        return f"read {self.tensors} tensors of {self.path}{place}{prefix}{aside}{also}{notes}"


def load_weights(encoder: Encoder, path: Path, *, choice: str = "") -> Taken:
    """Load weights from a file: all of the network's, without those of its classifier.

    Args:
        encoder: gets the weights; stays as it was when anything does not fit.
        path: a safetensors file, or one of `torch.save`, of which tensors alone are read.
        choice: a word, or all, of what stands before the names in the file, such as "teacher", where several fit.

    Raises:
        ValueError: in one sentence, where the file does not fit or several of its parts do.
    """
    return take_weights(encoder, read_content(path), choice=choice)


def take_weights(encoder: Encoder, content: Content, *, choice: str = "") -> Taken:
    """As `load_weights`, of a file that was read."""
    net, classifier = network_of(encoder)
    fits = [fit for place, table in content.tables.items() for fit in fits_in(net, classifier, place, table)]
    whole = _different([fit for fit in fits if not fit.faults])
    words = _words(whole)
    if choice:
        chosen = [fit for fit, word in zip(whole, words, strict=True) if _is_chosen(fit, word, choice)]
        if whole and not chosen:
            raise ValueError(unknown_name(f"part of weights {content.path}", choice, words))
    else:
        usual = [fit for fit in whole if USUAL.issuperset(fit.front.split(".")) or not fit.front]
        chosen = usual or whole
    if len(chosen) > 1:
        several = [word for fit, word in zip(whole, words, strict=True) if fit in chosen]
        raise ValueError(
            f"weights {content.path} hold {len(several)} that fit encoder '{encoder.name}': {', '.join(several)}; "
            f"choose one, such as {content.path}#{several[-1]}"
        )
    if not chosen:
        raise ValueError(_misfit(encoder, content, fits))
    [fit] = chosen
    if broken := [name for name, value in fit.weights.items() if not value.isfinite().all()]:
        raise ValueError(
            f"weights {content.path} hold numbers that are not finite (such as in {broken[0]}): the training that "
            "wrote them diverged; give an earlier checkpoint"
        )
    own = net.state_dict()
    net.load_state_dict({**own, **fit.weights})
    also = () if choice else tuple(word for other, word in zip(whole, words, strict=True) if other is not fit)
    return Taken(path=content.path, fit=fit, tensors=len(fit.weights), also=also)


def network_of(encoder: Encoder) -> tuple[nn.Module, tuple[str, ...]]:
    """The module whose keys are the library's, and what its classifier's keys begin with.

    All weights of an encoder of clips that is one network of images are of that network.
    """
    if isinstance(encoder, MeanEncoder | ClipImageEncoder):
        return network_of(encoder.image)
    if isinstance(encoder, StagedEncoder):
        return encoder.net, encoder.layout.classifier
    return encoder, ()


def stem_of(encoder: Encoder) -> str:
    """ "standard" or "small", as the networks in it were built; "" for one that has no choice."""
    return next((str(module.stem) for module in encoder.modules() if hasattr(module, "stem")), "")


def _different(fits: Sequence[Fit]) -> list[Fit]:
    """Those with values of their own; of places that share them the first."""
    found: list[Fit] = []
    for fit in fits:
        if not any(fit.is_same(other) for other in found):
            found.append(fit)
    return found


def _words(fits: Sequence[Fit]) -> list[str]:
    """For each the last word before its names that no other has, else all of them."""
    parts = [fit.front.split(".") for fit in fits]
    return [
        next(
            (word for word in reversed(own) if word and not any(word in other for other in parts if other is not own)),
            fit.front or "plain",
        )
        for fit, own in zip(fits, parts, strict=True)
    ]


def _is_chosen(fit: Fit, word: str, choice: str) -> bool:
    return choice in (word, fit.front) or choice in fit.front.split(".")


def _misfit(encoder: Encoder, content: Content, fits: Sequence[Fit]) -> str:
    stem = f", stem {built}" if (built := stem_of(encoder)) else ""
    told = f"weights {content.path} do not fit encoder '{encoder.name}'{stem}: "
    if not fits:
        names = [name for table in content.tables.values() for name in table]
        return (
            f"{told}none of its {len(names)} tensors has a name of that encoder's ({', '.join(names[:3])} ...); name "
            "another encoder, or save the state dict of one of torchvision or timm"
        )
    best = max(fits, key=lambda fit: len(fit.weights))
    behind = f" behind {best.front!r}" if best.front else ""
    return f"{told}the file{behind} {' and '.join(best.faults)}"
