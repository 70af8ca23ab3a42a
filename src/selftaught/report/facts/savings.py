"""How many labels the features save: rows of `labels_saved` in words, and the table of metrics by number of labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selftaught.report.facts.cells import Cell, Table, figure, measure, words
from selftaught.report.facts.evaluations import Estimate, in_order, protocol_words
from selftaught.report.facts.read import Json, finite
from selftaught.report.facts.wording import measured, metric_of, number, sentence


@dataclass(frozen=True, kw_only=True)
class Saving:
    """One number of labels, and what training from scratch needs for the same metric.

    Attributes:
        labels: of the fine-tuned encoder.
        scratch: labels from scratch; a bound where `is_bound`.
        is_bound: "more than" or "fewer than" that, or "" where it was measured.
        ends: fewest and most of `scratch` over the draws of the labels, where known.
    """

    labels: float
    scratch: float
    is_bound: str = ""
    ends: tuple[float | None, float | None] | None = None
    words: str = "fine-tuning"

    @property
    def factor(self) -> float:
        return self.scratch / self.labels

    @property
    def short(self) -> str:
        """Such as "4.2 ×", the quotient of the two numbers of labels."""
        return f"{_BOUND.get(self.is_bound, '')}{self.factor:.2g} ×".replace("1e+", "10^")

    @property
    def note(self) -> str:
        return f"{number(self.labels)} labels in place of {_bounded(self)}"

    @property
    def tone(self) -> str:
        return "good" if self.factor > 1 and self.is_bound != "fewer than" else ""


_BOUND = {"more than": "> ", "fewer than": "< "}


def savings(evaluation: Json) -> list[Saving]:
    """Every number of labels at which both curves can be compared, fewest first."""
    found = []
    for row in evaluation.get("labels_saved") or []:
        labels, scratch = finite(row.get("labels")), finite(row.get("scratch_labels"))
        bound = str(row.get("bound") or "") if scratch is None else ""
        scratch = finite(row.get("bound_labels")) if scratch is None else scratch
        if labels and scratch:
            ends = row.get("range")
            pair = (finite(ends[0]), finite(ends[1])) if isinstance(ends, list) and len(ends) == 2 else None
            probe = protocol_words({"probe": evaluation.get("probe")})
            found.append(Saving(labels=labels, scratch=scratch, is_bound=bound, ends=pair, words=probe))
    return sorted(found, key=lambda saving: saving.labels)


def first_saving(evaluations: Sequence[Json]) -> Saving | None:
    """The saving that is reported first: at the fewest labels, so that none is picked for its size."""
    return next((found[0] for evaluation in in_order(evaluations) if (found := savings(evaluation))), None)


def saving_words(saving: Saving) -> str:
    """The saving as a sentence."""
    if saving.is_bound == "fewer than" or saving.factor <= 1:
        return (
            f"{saving.words} with {number(saving.labels)} labels is no better than training from scratch "
            f"with {_bounded(saving)}: no labels are saved."
        )
    times = saving.short.replace("> ", "more than ").replace(" ×", " times")
    return (
        f"{saving.words} with {number(saving.labels)} labels is as good as training from scratch "
        f"with {_bounded(saving)}{_range(saving)}: {times} as many."
    )


def labels_table(evaluation: Json) -> Table | None:
    """The metric by number of labels, with its spread over the draws; None where it was measured at one number only."""
    rows = sorted(evaluation.get("few_labels") or [], key=lambda row: finite(row.get("train_samples")) or 0.0)
    if not rows:
        return None
    trains = bool(evaluation.get("labels_saved"))
    names = [("encoder", "Pretrained"), ("random", "From scratch" if trains else "Random weights")]
    names += [("supervised", "Supervised")] if any(row.get("supervised") for row in rows) else []
    by_labels = {saving.labels: saving for saving in savings(evaluation)}
    metric = evaluation.get("metric")
    body: list[list[Cell]] = []
    for row in rows:
        share = finite(row.get("fraction"))
        cells = [figure(row.get("train_samples")), figure(share, f"{number(100 * share)} %" if share else "–")]
        cells += [figure(row.get("draws")), *(_spread_cell(metric, row.get(name)) for name, _ in names)]
        if trains:
            saving = by_labels.get(finite(row.get("train_samples")) or -1.0)
            cells += [figure(saving.scratch, _bounded(saving)), words(saving.short)] if saving else [words("")] * 2
        body.append(cells)
    head = ["Labels", "Share", "Draws", *(name for _, name in names)]
    head += ["Labels from scratch for the same", "Factor"] if trains else []
    unit = " in %" if metric_of(metric).percent else ""
    title = sentence(f"{protocol_words({'probe': evaluation.get('probe')})}: {metric_of(metric).words}{unit} by labels")
    notes = ["± is one standard deviation over the draws of the labels."] if any(_spread(row) for row in rows) else []
    if (limit := finite(evaluation.get("limit"))) is not None:
        notes.append(f"Shares are of the labels that --limit {limit:.0f} left.")
    return Table(title=title, head=head, rows=body, text=(), note=" ".join(notes))


def _spread(row: Json) -> float | None:
    return finite((row.get("encoder") or {}).get("spread"))


def _spread_cell(metric: object, result: Json | None) -> Cell:
    value = finite((result or {}).get("value"))
    if value is None or result is None:
        return words("")
    spread = finite(result.get("spread"))
    if spread is None:
        return measure(metric, Estimate(value))
    return Cell(text=f"{measured(metric, value)} ± {spread:.1f}", value=value)


def _bounded(saving: Saving) -> str:
    return f"{saving.is_bound} {number(saving.scratch)}".strip()


def _range(saving: Saving) -> str:
    if saving.ends is None or saving.is_bound:
        return ""
    low, high = saving.ends
    fewest = f"{number(low)}" if low is not None else "the fewest measured"
    most = f"{number(high)}" if high is not None else "the most measured"
    return f" ({fewest} to {most} over the draws)"
