"""Tables of single protocols: further metrics, by stage, by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from selftaught.report.facts.cells import Table, figure, gap, measure, words
from selftaught.report.facts.evaluations import Estimate, difference, protocol_words
from selftaught.report.facts.read import Json, finite
from selftaught.report.facts.wording import METRICS, interval_in, metric_of, sentence

WHO = (("encoder", "Value"), ("random", "Random weights"), ("supervised", "Supervised"))
"""Whose metrics stand beside each other: name in the files, head of the column."""

Figures = Mapping[str, Estimate]


def more_of(evaluation: Json, key: str) -> dict[str, Any]:
    """What `more` of the encoder, of random weights and of the supervised encoder holds under `key`, where it does."""
    found = {}
    for who, result in _results(evaluation).items():
        more = result.get("more")
        if isinstance(more, Mapping) and more.get(key) is not None:
            found[who] = more[key]
    return found


def more_tables(evaluation: Json) -> list[Table]:
    """Tables of all metrics in `more` whose names are known; what is not known is left to `more_details`."""
    title = sentence(protocol_words(evaluation))
    named: dict[str, dict[str, Estimate]] = {}
    tables = []
    for key in evaluation.get("more") or {}:
        each = more_of(evaluation, key)
        kind = _kind(key, each, evaluation)
        if kind == "classes":
            metric = "average_precision" if evaluation.get("metric") == "map" else "iou"
            name = metric if key == "per_class" else key
            tables.append(_by_class(f"{title}: {metric_of(name).words} by class", name, each))
        elif kind:
            named |= _named(key, kind, evaluation)
        if kind == "stages" and len(evaluation.get("stages") or {}) > 1:
            ends = more_of(evaluation, f"{key}_intervals")
            tables.append(_by_stage(f"{title}: {metric_of(key).words} by stage", key, each, ends))
    told = title if title.endswith("figures") else f"{title}: figures"
    return [*([_figures(told, named)] if named else []), *tables]


def more_details(evaluation: Json) -> dict[str, Any]:
    """The rest of `more` that is short: how the protocol was run."""
    more = evaluation.get("more") or {}
    return {
        sentence(key.replace("_", " ")): value
        for key, value in more.items()
        if not key.endswith(("_interval", "_intervals"))
        and key != "cautions"
        and _kind(key, {"encoder": value}, evaluation) == ""
        and _is_short(value)
    }


def cautions(evaluation: Json) -> list[str]:
    """What the protocol itself says a reader should know."""
    told = (evaluation.get("more") or {}).get("cautions")
    return [str(text) for text in told] if isinstance(told, list) else []


def _kind(key: str, each: Mapping[str, Any], evaluation: Json) -> str:
    """How what stands under a key of `more` is shown; "" where its name or form is not known."""
    values = list(each.values())
    if key.endswith(("_interval", "_intervals")):
        return ""
    if all(isinstance(v, int | float) for v in values):
        return "figure" if key in METRICS else ""
    if not all(isinstance(v, Mapping) and v for v in values):
        return ""
    stages, inner = set(evaluation.get("stages") or {}), [w for v in values for w in v.values()]
    if key == "figures" or all(f"{key}.{name}" in METRICS for v in values for name in v):
        return "group"
    if key == "per_class" or (key in METRICS and not all(set(v) <= stages for v in values)):
        return "classes"
    if key not in METRICS:
        return ""
    return "nested" if all(isinstance(w, Mapping) for w in inner) else "stages"


def _named(key: str, kind: str, evaluation: Json) -> dict[str, dict[str, Estimate]]:
    """Figures by name and whose they are; of metrics by stage that of each encoder's best stage."""
    found: dict[str, dict[str, Estimate]] = {}
    for who, value in more_of(evaluation, key).items():
        result = _results(evaluation)[who]
        more, stage = result.get("more") or {}, result.get("stage")
        if kind == "group":
            named = {name if key == "figures" else f"{key}.{name}": (v, None) for name, v in value.items()}
        elif kind == "figure":
            named = {key: (value, more.get(f"{key}_interval"))}
        elif kind == "stages":
            named = {key: (value.get(stage), (more.get(f"{key}_intervals") or {}).get(stage))}
        else:
            ends = (more.get(f"{key}_intervals") or {}).get(stage) or {}
            named = {f"{key}@{k}": (v, ends.get(k)) for k, v in (value.get(stage) or {}).items()}
        for name, (figure_, interval) in named.items():
            if (known := _estimate(figure_, interval)) is not None:
                found.setdefault(name, {})[who] = known
    return found


def _results(evaluation: Json) -> dict[str, Json]:
    """The results that stand beside each other, by whose they are."""
    found = {who: evaluation if who == "encoder" else evaluation.get(who) for who, _ in WHO}
    return {who: result for who, result in found.items() if isinstance(result, Mapping)}


def _figures(title: str, rows: Mapping[str, Figures]) -> Table:
    heads = [(who, head) for who, head in WHO if any(who in row for row in rows.values())]
    body = []
    for name, row in rows.items():
        cells = [words(sentence(metric_of(name).words)), *(measure(name, row.get(who)) for who, _ in heads)]
        body.append([*cells, gap(name, difference(row.get("encoder"), row.get("random")))])
    told = [f"{metric_of(name).words}: {metric_of(name).help}." for name in rows if metric_of(name).help]
    head = ["Figure", *(head for _, head in heads), "Difference"]
    return Table(title=title, head=head, rows=[_neutral(row) for row in body], note=" ".join(told))


def _neutral(row: Sequence[Any]) -> list[Any]:
    """A difference of metrics of which neither direction is the better one has no colour."""
    return [*row[:-1], replace(row[-1], tone="unsure" if row[-1].tone == "unsure" else "")]


def _by_stage(title: str, metric: str, each: Mapping[str, Any], ends: Mapping[str, Any]) -> Table:
    stages = list(dict.fromkeys(stage for values in each.values() for stage in values))
    rows = []
    for who, head in WHO:
        if who not in each:
            continue
        found = {s: _estimate(v, (ends.get(who) or {}).get(s)) for s, v in each[who].items()}
        known = {s: e.value for s, e in found.items() if e is not None}
        best = max(known, key=lambda stage: known[stage], default=None)
        cells = [measure(metric, found.get(s), best=s == best) for s in stages]
        rows.append([words("this encoder" if who == "encoder" else head.lower()), *cells])
    return Table(title=title, head=["", *stages], rows=rows, folded=True)


def _by_class(title: str, metric: str, each: Mapping[str, Any]) -> Table:
    names = list(dict.fromkeys(name for values in each.values() for name in values))
    heads = [(who, head) for who, head in WHO if who in each]
    body = []
    for name in names:
        found = _estimates({who: each[who].get(name) for who, _ in heads})
        cells = [words(name), *(measure(metric, found.get(who), bar=who == "encoder") for who, _ in heads)]
        body.append([*cells, gap(metric, difference(found.get("encoder"), found.get("random")))])
    body.sort(key=lambda row: -(row[1].value if row[1].value is not None else -1.0))
    head = ["Class", *(metric_of(metric).words if who == "encoder" else head for who, head in heads), "Gain"]
    return Table(title=title, head=head, rows=body)


def _estimates(each: Mapping[str, Any]) -> dict[str, Estimate]:
    found = {who: _estimate(value, None) for who, value in each.items()}
    return {who: known for who, known in found.items() if known is not None}


def _estimate(value: Any, ends: Any) -> Estimate | None:
    """A number, or {"value", "interval"}."""
    if isinstance(value, Mapping):
        value, ends = value.get("value"), value.get("interval")
    known = finite(value)
    return None if known is None else Estimate(known, interval_in(ends))


def _is_short(value: Any) -> bool:
    if isinstance(value, Mapping):
        return len(value) <= 40 and all(isinstance(v, str | int | float) or v is None for v in value.values())
    if isinstance(value, list):
        return len(value) <= 40 and all(isinstance(v, str | int | float) for v in value)
    return figure(value).value is not None or isinstance(value, str | bool)
