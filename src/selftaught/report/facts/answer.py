"""Conclusions from the metrics of a run or comparison, one sentence each, no stronger than the evidence."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selftaught.report.facts.evaluations import (
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
from selftaught.report.facts.read import GIVEN_WEIGHTS, Comparison, Json, Run, finite
from selftaught.report.facts.runs import heldout_metric, is_learned, is_short, too_few_to_tell
from selftaught.report.facts.savings import Saving, first_saving, saving_words
from selftaught.report.facts.wording import (
    MOST_NAMES,
    between,
    few,
    gained,
    measured,
    metric_of,
    number,
    pretext,
    sentence,
    spoken,
)

SUPERVISED = "supervised"
"""The task that learns from the labels."""


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One metric of the strip under the answer; tone is "good", "bad" or ""."""

    label: str
    value: str
    note: str = ""
    tone: str = ""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The page's first lines: one sentence, what follows from it, a strip of metrics, what to be careful about."""

    headline: str
    more: str = ""
    facts: tuple[Fact, ...] = ()
    cautions: tuple[str, ...] = ()


def answer_run(run: Run) -> Answer:
    """The answer of one run: what the features are worth, how many labels they save, is the pretext task learned."""
    evaluation = main_evaluation(run.evaluations)
    saving = first_saving(run.evaluations)
    metric, value, chance = heldout_metric(run)
    reached = f"{pretext(metric, value)} {spoken(metric)} on held-out data"
    cautions = (
        []
        if run.summary or run.is_given
        else ["This run has not ended; the metrics are its latest. Go on with --resume."]
    )
    learned = is_learned(run)
    if value is None:
        headline = f"{run.task} has not been looked at on held-out data yet."
    elif learned is None:
        headline = f"{run.task} reaches {reached} so far."
    else:
        words = "was learned" if learned else "has not been learned"
        headline = f"{run.task} {words}: {reached}, where chance is {pretext(metric, chance)}."
        if (few := too_few_to_tell(run)) is not None:
            count = f"{few} held-out samples are" if few > 1 else "1 held-out sample is"
            headline = f"{count} too few to show whether {run.task} was learned: {reached}."
    facts = []
    if evaluation is not None:
        headline = _worth(run.task, evaluation) or headline
        if (found := gain(evaluation)) and found.value < 0 and found.is_distinct and is_short(run):
            headline = headline.removesuffix(".") + f": the run was probably too short, {_length(run)}."
        facts += _worth_facts(evaluation, saving)
        cautions += [note for note in [interval_words(evaluation)] if note]
    if value is not None:
        label = f"Held-out {spoken(metric)} of {run.task}"
        facts.append(Fact(label=label, value=pretext(metric, value), note=_chance(metric, chance)))
    return Answer(
        headline=headline,
        more=sentence(saving_words(saving)) if saving else "",
        facts=tuple(facts),
        cautions=tuple(cautions),
    )


def _length(run: Run) -> str:
    """Steps and passes beside what is needed at least."""
    steps, passes = finite(run.summary.get("steps")) or 0.0, finite(run.summary.get("epochs")) or 0.0
    return f"{number(steps)} steps and {passes:.2g} passes where about 400 steps and 2 passes are the least"


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
            "No labels were given, so the tasks are ranked by label-free metrics, "
            "which need not agree with a probe; --labelled ranks them by one."
        )
        near = [str(row.get("task")) for row in rows[1:] if row.get("distinguishable") is False]
        but = f", but {few(near)} cannot be distinguished from it" if near else ""
        headline = f"{name} looks best without labels{but}."
        if all(row.get("label_free", "") is None for row in rows):  # measured on too few samples
            headline = "The held-out part is too small to show without labels which task suits the data."
        return Answer(headline=headline, facts=tuple(facts), cautions=(caution,))
    # Of the tasks only one carries the supervised encoder, which is that of all; and what was fine-tuned later lies in
    # the run's folder.
    probe = {**probe, "supervised": probe.get("supervised") or comparison.table.get("supervised")}
    run = next((run for run in comparison.runs if run.folder.name == str(best.get("run") or name)), None)
    saving = first_saving([probe, *(run.evaluations if run else ())])
    told = [_against_given(rows), _beaten(rows), sentence(saving_words(saving)) if saving else ""]
    return Answer(
        headline=_suits(rows),
        more=" ".join(filter(None, told)),
        facts=tuple(_worth_facts(probe, saving, whose=name)),
        cautions=tuple(note for note in [interval_words(probe)] if note),
    )


def answer_collection(
    runs: Mapping[str, Run], alike: Mapping[str, Json], over_seeds: Mapping[str, Sequence[Json]]
) -> Answer:
    """The answer of a folder of runs, by their names: which gains most over random weights.

    Runs are compared by `alike`, their evaluations in one way, where there are two or more. Where tasks were run
    several times, `over_seeds` has the same by task, and the means of the gains are compared: the best of several seeds
    would be luck as well. Supervised training is what tasks are compared with, no answer.
    """
    count = f"{len(runs)} runs" if len(runs) != 1 else "1 run"
    if seeds := {task: known for task, found in over_seeds.items() if (known := gains_of(found))}:
        return _over_seeds(count, seeds, over_seeds)
    found_each = alike if len(alike) > 1 else {name: main_evaluation(run.evaluations) for name, run in runs.items()}
    probes = {name: e for name, e in found_each.items() if e and gain(e)}
    tasks = {name: e for name, e in probes.items() if runs[name].task != SUPERVISED} or probes
    if not tasks:
        return Answer(headline=f"{count}; none has been probed yet.")
    gains = {name: found for name, e in tasks.items() if (found := gain(e))}
    name, found = max(gains.items(), key=lambda pair: pair[1].value)
    ends = f" ({between(found.interval)})" if found.interval else ""
    most = _most(found.value, is_clear=found.is_distinct is not False)
    return Answer(
        headline=f"{count}; {name} {most}: {gained('top1', found.value)} points{ends}.",
        facts=tuple(_worth_facts(tasks[name], first_saving(runs[name].evaluations), whose=name)),
        cautions=tuple(filter(None, [interval_words(tasks[name])])),
    )


def _over_seeds(count: str, gains: Mapping[str, Sequence[float]], evaluations: Mapping[str, Sequence[Json]]) -> Answer:
    tasks = {task: values for task, values in gains.items() if task != SUPERVISED} or gains
    task, values = max(tasks.items(), key=lambda pair: statistics.mean(pair[1]))
    ends = f" ({between((min(values), max(values)))} over {len(values)} runs)" if len(values) > 1 else ""
    mean = gained("top1", statistics.mean(values))
    is_clear = len(values) < 2 or not min(values) <= 0 <= max(values)
    most = _most(statistics.mean(values), is_clear=is_clear) if len(tasks) > 1 else "against random weights"
    first = evaluations[task][0]
    by = sentence(f"{protocol_words(first)}, {metric_words(first)}")
    facts = [_mean_fact(f"{by} of {task}", evaluations[task])]
    random = _mean_fact("", [e["random"] for e in evaluations[task] if e.get("random")], first)
    note = f"{ends.strip(' ()')} · {random.value}".removeprefix(" · ")
    tone = "good" if min(values) > 0 else "bad" if max(values) < 0 else ""
    facts.append(Fact(label="Against random weights", value=f"{mean} points", note=note, tone=tone))
    if task != SUPERVISED and evaluations.get(SUPERVISED):
        facts += [_mean_fact("Supervised, same budget", evaluations[SUPERVISED], first)]
    return Answer(headline=f"{count}; {task} {most}: {mean} points{ends}.", facts=tuple(facts))


def _most(gain: float, *, is_clear: bool) -> str:
    """What the headline of a folder says of its best, no more than that run's own page does."""
    if not is_clear:
        return "comes first, but cannot be distinguished from random weights"
    return "gains most over random weights" if gain > 0 else "comes nearest to random weights, which none beats"


def gains_of(evaluations: Sequence[Json]) -> list[float]:
    """By how many points each beats random weights, where that is known."""
    return [found.value for e in evaluations if (found := gain(e))]


def _mean_fact(label: str, results: Sequence[Json], evaluation: Json | None = None) -> Fact:
    """Mean of the values of several runs, and the lowest and the highest."""
    metric = (evaluation or results[0]).get("metric") if results else None
    values = [value for result in results if (value := finite(result.get("value"))) is not None]
    if not values:
        return Fact(label=label, value="–")
    ends = f"{between((min(values), max(values)), metric)} over {len(values)} runs" if len(values) > 1 else "1 run"
    return Fact(label=label, value=measured(metric, statistics.mean(values)), note=ends)


def ranked(table: Json) -> list[Json]:
    """The rows of a comparison, best first."""
    return sorted(table.get("rows", []), key=lambda row: finite(row.get("rank")) or math.inf)


def _suits(rows: Sequence[Json]) -> str:
    best, probe = rows[0], rows[0]["probe"]
    name, advantage = str(best.get("task")), gain(probe)
    if advantage is not None and advantage.value <= 0:
        nearest = f"No task beats random weights on these data at this budget; {name} comes nearest"
        if advantage.is_distinct and (finite(best.get("steps")) or 400) < 400:
            steps = number(finite(best.get("steps")))
            return f"{nearest}: its {steps} steps are probably too few, at least 400 are needed."
        return f"{nearest}."
    if advantage is not None and advantage.is_distinct is False:
        return f"{name} comes first, but no task clearly beats random weights on these data at this budget."
    gaps = [(str(row.get("task")), gap) for row in rows[1:] if (gap := behind(row, best)) is not None]
    near = [task for task, gap in gaps if gap.is_distinct is False]
    if near:
        return f"{name} comes first, but {few(near)} cannot be distinguished from it on these data."
    if not gaps:
        return f"{name} suits these data best."
    second, gap = gaps[0]
    return f"{name} suits these data best, {_amount(probe, gap)} ahead of {second}."


def _against_given(rows: Sequence[Json]) -> str:
    """Whether the best pretraining is better than the best of the given weights; nothing where there are none."""
    best = rows[0]
    other = next((row for row in rows if bool(row.get("given")) != bool(best.get("given"))), None)
    gap = None if other is None else behind(other, best)
    if other is None or gap is None:
        return ""
    task, given = (other, best) if best.get("given") else (best, other)
    names = f"the pretraining here ({task.get('task')})", f"the given weights {given.get('task')}"
    if gap.is_distinct is False:
        return sentence(f"{names[0]} cannot be distinguished from {names[1]}.")
    which = "worse" if best.get("given") else "better"
    return sentence(f"{names[0]} is {_amount(best['probe'], gap)} {which} than {names[1]}.")


def _beaten(rows: Sequence[Json]) -> str:
    """How many of several tasks are better than random weights, and how many are not; nothing where it is not known."""
    gains = [found for row in rows if row.get("probe") and (found := gain(row["probe"]))]
    if len(gains) <= MOST_NAMES or any(found.is_distinct is None for found in gains):
        return ""
    better = sum(bool(found.is_distinct) and found.value > 0 for found in gains)
    worse = sum(bool(found.is_distinct) and found.value < 0 for found in gains)
    unsure = len(gains) - better - worse
    rest = [
        f"{unsure} cannot be distinguished from them" if unsure else "",
        f"{worse} {_are(worse)} worse" if worse else "",
    ]
    told = [f"{better} of {len(gains)} tasks {_are(better)} better than random weights", *filter(None, rest)]
    return f"{', '.join(told)}."


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _made(task: str) -> str:
    return "of these weights" if task == GIVEN_WEIGHTS else f"{task} learned"


def _worth(task: str, evaluation: Json) -> str | None:
    found = gain(evaluation)
    if found is None:
        return None
    where = within_words(evaluation)
    if found.is_distinct is False:
        ends = f", {between(found.interval, evaluation.get('metric'))}" if found.interval else ""
        amount = f"{gained(evaluation.get('metric'), found.value)} {_unit(evaluation)}".strip()
        return f"The features {_made(task)} cannot be distinguished from random weights {where} ({amount}{ends})."
    better = "worse" if found.value <= 0 else "better"
    return f"The features {_made(task)} are {_amount(evaluation, found)} {better} than random weights {where}."


def _amount(evaluation: Json, found: Estimate) -> str:
    """Such as "11.3 points (9.2 to 13.4)"; a loss is written without its sign."""
    metric, ends = evaluation.get("metric"), found.interval
    if ends is not None and found.value < 0:
        ends = -ends[1], -ends[0]
    size = gained(metric, abs(found.value)).lstrip("+")
    return f"{size} {_unit(evaluation)}".strip() + (f" ({between(ends, metric)})" if ends else "")


def _unit(evaluation: Json) -> str:
    return "points" if metric_of(evaluation.get("metric")).percent else ""


def _worth_facts(evaluation: Json, saving: Saving | None, *, whose: str = "") -> list[Fact]:
    metric, found = evaluation.get("metric"), gain(evaluation)
    by = sentence(f"{protocol_words(evaluation)}, {metric_words(evaluation)}")
    facts = [_value_fact(f"{by} of {whose}" if whose else by, evaluation, evaluation)]
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
