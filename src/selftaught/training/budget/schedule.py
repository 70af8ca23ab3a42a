"""Number of steps of a run, steps between held-out evaluations, and their history: a budget may change both."""

from __future__ import annotations

import json
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

BUDGET = "budget.json"
"""File of a run folder that was given a time: the lengths that the run has had."""
FEWEST_HELD_OUT = 5
"""Held-out samples below which a run is warned."""
HELD_OUT_SAMPLES = 1024
"""Held-out samples a look during training takes at most."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The lengths a run has had, and its looks at held-out data.

    Attributes:
        parts: (step, steps) of each change: from that step on the run was to have so many steps; the first is of
            step 0.
        look_every: steps between two looks.
        look_samples: held-out samples a look takes at most.
        budget: the time that was asked for, None where the steps were.
    """

    parts: tuple[tuple[int, int], ...]
    look_every: int
    look_samples: int = HELD_OUT_SAMPLES
    budget: str | None = None

    @property
    def steps(self) -> int:
        """Steps of the whole run, as known now."""
        return self.parts[-1][1]

    @property
    def first(self) -> int:
        """Steps as they were thought to be at the start: what is fixed once for a run is fixed by this."""
        return self.parts[0][1]

    def place(self, step: int) -> float:
        """Where `step` stands in a run of `first` steps: what the learning rate is a function of.

        A change of length stretches or shrinks what is left, so that the rate goes on where it is and ends at the
        same height. Exactly `step` where nothing was changed.
        """
        begun, place, total = 0, 0.0, self.first
        for start, steps in self.parts[1:]:
            if step < start:
                break
            place += (start - begun) * (self.first - place) / max(1, total - begun)
            begun, total = start, steps
        return place + (step - begun) * (self.first - place) / max(1, total - begun) if begun else float(step)

    def passes(self, step: int, marks: Container[int]) -> bool:
        """Whether a mark among the steps of a run of `first` steps is at `step`, or between it and the one before."""
        return any(
            mark in marks for mark in range(int(self.place(step - 1)) + 1 if step else 0, int(self.place(step)) + 1)
        )

    def changed(self, step: int, steps: int) -> Schedule:
        """The same run with another length from `step` on."""
        return replace(self, parts=(*self.parts, (step, steps)))

    def to_dict(self) -> dict[str, Any]:
        """As budget.json has it."""
        return {
            "budget": self.budget,
            "steps": [list(part) for part in self.parts],
            "look_every": self.look_every,
            "look_samples": self.look_samples,
        }

    @classmethod
    def load(cls, path: Path) -> Schedule:
        """From a run's budget.json."""
        try:
            found = json.loads(path.read_text())
            return cls(
                parts=tuple((int(step), int(steps)) for step, steps in found["steps"]),
                look_every=int(found["look_every"]),
                look_samples=int(found["look_samples"]),
                budget=found["budget"],
            )
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"{path} is damaged ({error}); start the run again with --overwrite") from None


def looks_between(steps: int, per_epoch: float, evaluate_every: float, look_steps: float = 0.0) -> int:
    """Steps between two held-out evaluations: at most 50 evaluations, each at most a fifth of the time between two.

    `look_steps` is the time of a look in steps. Who asks for looks within an epoch gets them.
    """
    least = round(5 * look_steps) if evaluate_every >= 1 else 0
    return max(1, round(evaluate_every * per_epoch), -(-steps // 50), min(least, steps))


def needed(per_epoch: float) -> int:
    """Steps below which a run has hardly learned anything in the experience of docs/results/evidence.md.

    At least 400 steps and 2 passes over the data; 800 steps are enough where a pass is longer than 400.
    """
    return max(400, min(800, round(2 * per_epoch)))


def too_short(steps: int, per_epoch: float) -> bool:
    """Whether a run has too few steps to learn anything."""
    return steps < needed(per_epoch)


def length_in_words(steps: int, batch: int, per_epoch: float, samples: int, noun: str = "image") -> str:
    """Such as "90 steps of 128 images, 1.3 passes over 9,000 images"."""
    passes = steps / per_epoch
    count = f"{passes:.2f}" if passes < 0.95 else f"{passes:.1f}" if passes < 20 else f"{passes:.0f}"
    return (
        f"{steps:,} {plural('step', steps)} of {batch} {plural(noun, batch)}, "
        f"{count} {plural('pass', 1 if count == '1.0' else 2)} over {samples:,} {plural(noun, samples)}"
    )


def plural(noun: str, count: int) -> str:
    """The noun for so many."""
    return noun if count == 1 else noun + ("es" if noun.endswith("s") else "s")


def repeats(batch: int, per_epoch: float) -> str:
    """One sentence where a batch is larger than the data, so that it holds the same samples several times; else ""."""
    if per_epoch >= 0.75:
        return ""
    count = max(1, round(per_epoch * batch))
    return (
        f"each batch of {batch} holds each of the {count} {plural('sample', count)} about {1 / per_epoch:.0f} times; "
        "give more data or lower --batch-size"
    )


def few_held_out(count: int) -> str:
    """One sentence where so few samples are held out that their metrics are mostly luck, else ""."""
    if count >= FEWEST_HELD_OUT:
        return ""
    return (
        f"{count} held-out {plural('sample', count)} {'is' if count == 1 else 'are'} too few to measure by: the "
        "held-out metrics are mostly luck; give more data or raise --held-out"
    )


def warning_of_length(steps: int, per_epoch: float, better: Sequence[str] = ()) -> str:
    """One sentence on a run that is too short, with what would fit better."""
    passes = steps / per_epoch
    sentence = (
        f"{steps:,} {plural('step', steps)} ({passes:.2g} passes) {'is' if steps == 1 else 'are'} too few to "
        "learn much: "
        f"runs below about {needed(per_epoch)} steps or 2 passes often end at or below random weights"
    )
    return sentence + (f"; better: {'; '.join(better)}" if better else "")
