"""What the figures of a run or comparison say, in a sentence each, no stronger than they allow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selftaught.report.read import Comparison, Json, Run, finite

PROBE_METRICS = {"top1": "top-1", "map": "mAP", "mean_ap": "mAP"}
# For the label-free figures of heldout.csv: what is plotted, and how to read it.
LABEL_FREE = {
    "rankme": ("RankMe", "effective rank of the features; higher is richer"),
    "alignment": ("Alignment", "squared distance of two views of a sample; 0 is the same, 2 unrelated"),
    "uniformity": ("Uniformity", "log mean Gaussian potential; 0 is one point, about −4 spread evenly"),
    "feature_std": ("Feature standard deviation", "1 is spread evenly, 0 is collapse"),
}


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One figure of the strip under the answer; tone is "good", "bad" or ""."""

    label: str
    value: str
    note: str = ""
    tone: str = ""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The page's first lines: one sentence, a strip of figures, what to be careful about."""

    headline: str
    facts: tuple[Fact, ...]
    cautions: tuple[str, ...] = ()


def percent(value: float | None) -> str:
    """A value in percent, one digit; a dash where there is none."""
    return "–" if value is None else f"{value:.1f} %"


def points(difference: float | None) -> str:
    """A difference of two percentages with its sign."""
    return "–" if difference is None else f"{difference:+.1f}".replace("-", "−")


def number(value: float | None) -> str:
    """A figure of unknown size, readable."""
    if value is None:
        return "–"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return (f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}").replace("-", "−")


def precise(value: float | None) -> str:
    """Three digits with their zeros, so that a column lines up."""
    return "–" if value is None else f"{value:#.3g}".rstrip(".").replace("-", "−")


def sentence(words: str) -> str:
    """The words with a capital first letter; names inside keep their case."""
    return words[:1].upper() + words[1:]


def is_share(metric: str) -> bool:
    """Whether a pretext metric is a share in [0, 1] that people read as percent."""
    return "accuracy" in metric or metric.startswith("top")


def pretext(metric: str, value: float | None) -> str:
    """A value of a task's own metric, with its unit."""
    if value is None:
        return "–"
    if is_share(metric) and 0 <= value <= 1:
        return percent(100 * value)
    return f"{value:.2f} dB" if "psnr" in metric else number(value)


def heldout_metric(run: Run) -> tuple[str, float | None, float | None]:
    """Name, value and chance of the held-out pretext metric; a run that goes on gives its latest value."""
    summary = run.summary
    if summary:
        return str(summary.get("metric", "")), finite(summary.get("value")), finite(summary.get("chance"))
    known = {"step", "epoch", "loss", *LABEL_FREE}
    name = next((column for column in run.heldout if column not in known), "")
    return name, finite(run.heldout[name][-1]) if name else None, None


def main_evaluation(evaluations: Sequence[Json]) -> Json | None:
    """The evaluation the answer is taken from: linear on all labels where there is one."""
    return in_order(evaluations)[0] if evaluations else None


def in_order(evaluations: Sequence[Json]) -> list[Json]:
    """Linear before the other probes, all labels before few."""
    return sorted(evaluations, key=lambda e: (e.get("probe") != "linear", -(finite(e.get("fraction")) or 1.0)))


def gain(evaluation: Json) -> float | None:
    """Points by which the best stage beats the best stage of random weights."""
    value, random = finite(evaluation.get("value")), finite((evaluation.get("random") or {}).get("value"))
    return None if value is None or random is None else value - random


def margin(evaluation: Json, other: Json | None = None) -> float | None:
    """Points within which two accuracies cannot be told apart: 1.96 standard errors of their difference.

    Treats the two as measured on different test samples of the same number, which is wider than the truth for the
    same samples; the spread over seeds comes on top and is not known from one run.
    """
    tested = finite(evaluation.get("test_samples"))
    values = [finite(evaluation.get("value")), finite((other or evaluation.get("random") or {}).get("value"))]
    if evaluation.get("metric") != "top1" or not tested or None in values:
        return None
    shares = [min(max((v or 0.0) / 100, 0.0), 1.0) for v in values]
    return 196 * math.sqrt(sum(p * (1 - p) for p in shares) / tested)


def probe_words(evaluation: Json) -> str:
    """Such as "linear probe on 1 % of the labels"."""
    fraction = finite(evaluation.get("fraction"))
    name = {"knn": "k-NN"}.get(str(evaluation.get("probe")), str(evaluation.get("probe")))
    few = f" on {number(100 * fraction)} % of the labels" if fraction is not None and fraction < 1 else ""
    return f"{name} probe{few}"


def metric_words(evaluation: Json) -> str:
    """The probe's metric as people write it."""
    return PROBE_METRICS.get(str(evaluation.get("metric")), str(evaluation.get("metric", "")))


def answer_run(run: Run) -> Answer:
    """The answer of one run: is the pretext task learned, and what are the features worth."""
    evaluation = main_evaluation(run.evaluations)
    metric, value, chance = heldout_metric(run)
    held_out = f"{pretext(metric, value)} {metric.replace('_', ' ')}"
    facts = [
        Fact(label=f"Held-out {metric.replace('_', ' ')}", value=pretext(metric, value), note=_chance(metric, chance))
    ]
    cautions = [] if run.summary else ["This run has not ended; the figures are its latest. Go on with --resume."]
    if value is None:
        headline, facts = f"{run.task} has not been looked at on held-out data yet.", []
    elif chance is None:
        headline = f"{run.task} reaches {held_out} on held-out data so far."
    elif value <= chance + _pretext_margin(run, metric, chance):
        headline = (
            f"{run.task} has not been learned: {held_out} on held-out data, where chance is {pretext(metric, chance)}."
        )
    else:
        headline = f"{run.task} was learned: {held_out} on held-out data, where chance is {pretext(metric, chance)}."
    if evaluation is not None:
        headline = _worth(run.task, evaluation) or headline
        facts += _probe_facts(evaluation)
        cautions += _margin_note(evaluation)
    return Answer(headline=headline, facts=tuple(facts), cautions=tuple(cautions))


def answer_comparison(comparison: Comparison) -> Answer:
    """The answer of a comparison: which pretext task suits these data."""
    rows = ranked(comparison)
    if not rows:
        return Answer(headline="No task of this comparison has ended yet.", facts=())
    best, second = rows[0], (rows[1] if len(rows) > 1 else None)
    name = str(best.get("task"))
    probe = best.get("probe")
    if not isinstance(probe, Mapping):
        facts = [Fact(label=str(r.get("task")), value=number(finite(r.get("rankme"))), note="RankMe") for r in rows[:4]]
        caution = (
            "No labels were given, so the tasks are ranked by label-free figures, "
            "which need not agree with a probe; --labelled ranks them by one."
        )
        return Answer(headline=f"{name} looks best without labels.", facts=tuple(facts), cautions=(caution,))
    advantage, unsure = gain(probe), margin(probe)
    if advantage is not None and advantage <= 0:
        headline = f"No task beats random weights on these data at this budget; {name} comes nearest."
    elif advantage is not None and unsure is not None and advantage < unsure:
        headline = f"{name} comes first, but no task clearly beats random weights on these data at this budget."
    else:
        headline = f"{name} suits these data best" + (_lead(probe, second) if second else "") + "."
    return Answer(headline=headline, facts=tuple(_probe_facts(probe)), cautions=tuple(_margin_note(probe)))


def ranked(comparison: Comparison) -> list[Mapping[str, Any]]:
    """The rows of the comparison, best first."""
    return sorted(comparison.table.get("rows", []), key=lambda row: finite(row.get("rank")) or math.inf)


def _lead(probe: Json, second: Json) -> str:
    other = second.get("probe")
    mine, theirs = finite(probe.get("value")), finite(other.get("value")) if isinstance(other, Mapping) else None
    if mine is None or theirs is None:
        return ""
    unsure = margin(probe, other)
    if unsure is not None and mine - theirs < unsure:
        return f", with {second.get('task')} too close to tell apart"
    return f", {mine - theirs:.1f} points ahead of {second.get('task')}"


def _worth(task: str, evaluation: Json) -> str | None:
    difference, unsure = gain(evaluation), margin(evaluation)
    if difference is None:
        return None
    where = f"in the {probe_words(evaluation)}"
    if unsure is not None and abs(difference) < unsure:
        return f"The features {task} learned cannot be told from random weights {where} ({points(difference)} points)."
    if difference <= 0:
        return f"The features {task} learned are {-difference:.1f} points worse than random weights {where}."
    return f"The features {task} learned are {difference:.1f} points better than random weights {where}."


def _probe_facts(evaluation: Json) -> list[Fact]:
    difference, unsure = gain(evaluation), margin(evaluation)
    random, supervised = evaluation.get("random") or {}, evaluation.get("supervised") or {}
    tone = "" if difference is None or abs(difference) < (unsure or 0) else "good" if difference > 0 else "bad"
    label = sentence(f"{probe_words(evaluation)}, {metric_words(evaluation)}")
    facts = [
        Fact(label=label, value=percent(finite(evaluation.get("value"))), note=_at(evaluation)),
        Fact(
            label="Against random weights",
            value=f"{points(difference)} points" if difference is not None else "–",
            note=f"{percent(finite(random.get('value')))} {_at(random)}".strip(),
            tone=tone,
        ),
    ]
    if supervised:
        value = finite(supervised.get("value"))
        facts.append(Fact(label="Supervised, same budget", value=percent(value), note=_at(supervised)))
    return facts


def _at(result: Json) -> str:
    return f"at {result['stage']}" if result.get("stage") else ""


def _chance(metric: str, chance: float | None) -> str:
    return f"chance {pretext(metric, chance)}" if chance is not None else ""


def _pretext_margin(run: Run, metric: str, chance: float) -> float:
    samples = finite(run.summary.get("heldout_samples"))
    return (
        1.96 * math.sqrt(chance * (1 - chance) / samples) if samples and is_share(metric) and 0 <= chance <= 1 else 0.0
    )


def _margin_note(evaluation: Json) -> list[str]:
    unsure, tested = margin(evaluation), finite(evaluation.get("test_samples"))
    if unsure is None:
        return []
    return [
        f"With {number(tested)} test samples, differences below {unsure:.1f} points may be luck of the draw; "
        "the spread over seeds comes on top."
    ]
