"""What the figures of a run or comparison say, in a sentence each, no stronger than they allow."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selftaught.report.evaluations import (
    Estimate,
    behind,
    estimate,
    gain,
    interval_words,
    main_evaluation,
    metric_words,
    protocol_words,
    within_words,
)
from selftaught.report.read import Comparison, Json, Run, finite
from selftaught.report.runs import heldout_metric, is_learned
from selftaught.report.savings import Saving, first_saving, saving_words
from selftaught.report.wording import between, gained, listed, measured, metric_of, number, pretext, sentence


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One figure of the strip under the answer; tone is "good", "bad" or ""."""

    label: str
    value: str
    note: str = ""
    tone: str = ""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The page's first lines: one sentence, what follows from it, a strip of figures, what to be careful about."""

    headline: str
    more: str = ""
    facts: tuple[Fact, ...] = ()
    cautions: tuple[str, ...] = ()


def answer_run(run: Run) -> Answer:
    """The answer of one run: what the features are worth, how many labels they save, is the pretext task learned."""
    evaluation = main_evaluation(run.evaluations)
    saving = first_saving(run.evaluations)
    metric, value, chance = heldout_metric(run)
    reached = f"{pretext(metric, value)} {metric.replace('_', ' ')} on held-out data"
    cautions = [] if run.summary else ["This run has not ended; the figures are its latest. Go on with --resume."]
    learned = is_learned(run)
    if value is None:
        headline = f"{run.task} has not been looked at on held-out data yet."
    elif learned is None:
        headline = f"{run.task} reaches {reached} so far."
    else:
        words = "was learned" if learned else "has not been learned"
        headline = f"{run.task} {words}: {reached}, where chance is {pretext(metric, chance)}."
    facts = []
    if evaluation is not None:
        headline = _worth(run.task, evaluation) or headline
        facts += _worth_facts(evaluation, saving)
        cautions += [note for note in [interval_words(evaluation)] if note]
    if value is not None:
        label = f"Held-out {metric.replace('_', ' ')} of {run.task}"
        facts.append(Fact(label=label, value=pretext(metric, value), note=_chance(metric, chance)))
    return Answer(
        headline=headline,
        more=sentence(saving_words(saving)) if saving else "",
        facts=tuple(facts),
        cautions=tuple(cautions),
    )


def answer_comparison(comparison: Comparison) -> Answer:
    """The answer of a comparison: which pretext task suits these data."""
    rows = ranked(comparison.table)
    if not rows:
        return Answer(headline="No task of this comparison has ended yet.")
    best, probe = rows[0], rows[0].get("probe")
    name = str(best.get("task"))
    if not isinstance(probe, Mapping):
        facts = [Fact(label=str(r.get("task")), value=number(finite(r.get("rankme"))), note="RankMe") for r in rows[:4]]
        caution = (
            "No labels were given, so the tasks are ranked by label-free figures, "
            "which need not agree with a probe; --labelled ranks them by one."
        )
        near = [str(row.get("task")) for row in rows[1:] if row.get("distinguishable") is False]
        but = f", but {listed(near)} cannot be told from it" if near else ""
        return Answer(headline=f"{name} looks best without labels{but}.", facts=tuple(facts), cautions=(caution,))
    saving = first_saving([probe])
    return Answer(
        headline=_suits(rows),
        more=sentence(saving_words(saving)) if saving else "",
        facts=tuple(_worth_facts(probe, saving)),
        cautions=tuple(note for note in [interval_words(probe)] if note),
    )


def answer_collection(runs: Mapping[str, Run], over_seeds: Mapping[str, Sequence[float]]) -> Answer:
    """The answer of a folder of runs, by their names: which gains most over random weights.

    Where tasks were run several times, `over_seeds` has their gains, and the means are compared: the best of several
    seeds would be luck as well.
    """
    count = f"{len(runs)} runs" if len(runs) != 1 else "1 run"
    if over_seeds:
        task, values = max(over_seeds.items(), key=lambda pair: statistics.mean(pair[1]))
        ends = f" ({between((min(values), max(values)))} over {len(values)} runs)" if len(values) > 1 else ""
        mean = gained("top1", statistics.mean(values))
        most = "gains most over random weights" if len(over_seeds) > 1 else "against random weights"
        return Answer(headline=f"{count}; {task} {most}: {mean} points{ends}.")
    gains = [(g, name) for name, run in runs.items() if (e := main_evaluation(run.evaluations)) and (g := gain(e))]
    if not gains:
        return Answer(headline=f"{count}; none has been probed yet.")
    found, name = max(gains, key=lambda pair: pair[0].value)
    ends = f" ({between(found.interval)})" if found.interval else ""
    return Answer(
        headline=f"{count}; {name} gains most over random weights: {gained('top1', found.value)} points{ends}."
    )


def ranked(table: Json) -> list[Json]:
    """The rows of a comparison, best first."""
    return sorted(table.get("rows", []), key=lambda row: finite(row.get("rank")) or math.inf)


def _suits(rows: Sequence[Json]) -> str:
    best, probe = rows[0], rows[0]["probe"]
    name, advantage = str(best.get("task")), gain(probe)
    if advantage is not None and advantage.value <= 0:
        return f"No task beats random weights on these data at this budget; {name} comes nearest."
    if advantage is not None and advantage.is_distinct is False:
        return f"{name} comes first, but no task clearly beats random weights on these data at this budget."
    gaps = [(str(row.get("task")), gap) for row in rows[1:] if (gap := behind(row, best)) is not None]
    near = [task for task, gap in gaps if gap.is_distinct is False]
    if near:
        return f"{name} comes first, but {listed(near)} cannot be told from it on these data."
    if not gaps:
        return f"{name} suits these data best."
    second, gap = gaps[0]
    return f"{name} suits these data best, {_amount(probe, gap)} ahead of {second}."


def _worth(task: str, evaluation: Json) -> str | None:
    found = gain(evaluation)
    if found is None:
        return None
    where = within_words(evaluation)
    if found.is_distinct is False:
        ends = f", {between(found.interval, evaluation.get('metric'))}" if found.interval else ""
        amount = f"{gained(evaluation.get('metric'), found.value)} {_unit(evaluation)}".strip()
        return f"The features {task} learned cannot be told from random weights {where} ({amount}{ends})."
    better = "worse" if found.value <= 0 else "better"
    return f"The features {task} learned are {_amount(evaluation, found)} {better} than random weights {where}."


def _amount(evaluation: Json, found: Estimate) -> str:
    """Such as "11.3 points (9.2 to 13.4)"; a loss is told without its sign."""
    metric, ends = evaluation.get("metric"), found.interval
    if ends is not None and found.value < 0:
        ends = -ends[1], -ends[0]
    size = gained(metric, abs(found.value)).lstrip("+")
    return f"{size} {_unit(evaluation)}".strip() + (f" ({between(ends, metric)})" if ends else "")


def _unit(evaluation: Json) -> str:
    return "points" if metric_of(evaluation.get("metric")).percent else ""


def _worth_facts(evaluation: Json, saving: Saving | None) -> list[Fact]:
    metric, found = evaluation.get("metric"), gain(evaluation)
    facts = [_value_fact(sentence(f"{protocol_words(evaluation)}, {metric_words(evaluation)}"), evaluation, evaluation)]
    if found is not None:
        tone = "" if found.is_distinct is False else "good" if found.value > 0 else "bad"
        random = evaluation.get("random") or {}
        base = f"{measured(metric, finite(random.get('value')))} {_at(random)}".strip()
        facts.append(
            Fact(
                label="Against random weights",
                value=f"{gained(metric, found.value)} {_unit(evaluation)}".strip(),
                note=f"{_ends(found, metric)}{base}",
                tone=tone,
            )
        )
    if saving is not None:
        facts.append(Fact(label="Labels saved", value=saving.short, note=saving.note, tone=saving.tone))
    if evaluation.get("supervised"):
        facts.append(_value_fact("Supervised, same budget", evaluation["supervised"], evaluation))
    return facts


def _value_fact(label: str, result: Json, evaluation: Json) -> Fact:
    found, metric = estimate(result, evaluation), evaluation.get("metric")
    if found is None:
        return Fact(label=label, value="–")
    return Fact(label=label, value=measured(metric, found.value), note=f"{_ends(found, metric)}{_at(result)}")


def _ends(found: Estimate, metric: object) -> str:
    return f"{between(found.interval, metric)} · " if found.interval else ""


def _at(result: Mapping[str, Any]) -> str:
    return f"at {result['stage']}" if result.get("stage") else ""


def _chance(metric: str, chance: float | None) -> str:
    return f"chance {pretext(metric, chance)}" if chance is not None else ""
