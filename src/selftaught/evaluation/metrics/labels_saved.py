"""How many labels pretraining saves: where the curve of training from scratch reaches what fine-tuning does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Bound = Literal["more than", "fewer than"]


@dataclass(frozen=True, kw_only=True)
class Needed:
    """Labels that a curve needs to reach a value.

    Attributes:
        labels: their number; where the curve does not reach that far, the end of it that is nearest.
        bound: how the true number relates to `labels` there; None where `labels` is the number.
    """

    labels: float
    bound: Bound | None = None


def labels_needed(labels: Sequence[int], values: Sequence[float], value: float) -> Needed:
    """The fewest labels with which a curve reaches `value`.

    Between two measured points the curve is a straight line over the logarithm of the number of labels, the axis on
    which such curves are drawn (Henaff et al., ICML 2020, figure 1). Where it goes up and down, the first crossing
    counts, so that noise makes savings look smaller rather than larger. Nothing is extrapolated.

    Args:
        labels: ascending numbers of labels, all above 0.
        values: what is reached with each.
        value: what has to be reached.
    """
    if value < values[0]:
        return Needed(labels=labels[0], bound="fewer than")
    previous: tuple[int, float] | None = None
    for count, reached in zip(labels, values, strict=True):
        if reached >= value:
            if previous is None:
                return Needed(labels=count)
            before, low = previous
            share = (value - low) / (reached - low)
            return Needed(labels=before * (count / before) ** share)
        previous = count, reached
    return Needed(labels=labels[-1], bound="more than")


def labels_saved(few_labels: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For every number of labels: how many training from scratch needs to be as good as the fine-tuned encoder.

    Args:
        few_labels: rows {"fraction", "train_samples", "encoder": {"value", "values"}, "random": {"value", "values"}},
            where "random" is training from scratch and "values" has one metric for each draw of the labels.

    Returns:
        A row for each, by number of labels: "labels" and "value" of the encoder; "scratch_labels", "saved" (the
        difference) and "factor" (the quotient), all None where the curve from scratch was not measured that far, and
        then "bound" ("more than" or "fewer than") with "bound_labels"; "range", [fewest, most] of "scratch_labels" when
        each draw is taken by itself, an end None where a draw leaves the curve, or None with a single draw.
    """
    rows = sorted(few_labels, key=lambda row: row["train_samples"])
    labels = [int(row["train_samples"]) for row in rows]
    scratch = [float(row["random"]["value"]) for row in rows]
    found = []
    for row, count in zip(rows, labels, strict=True):
        value = float(row["encoder"]["value"])
        needed = labels_needed(labels, scratch, value)
        is_known = needed.bound is None
        found.append(
            {
                "fraction": row["fraction"],
                "labels": count,
                "value": value,
                "scratch_labels": round(needed.labels) if is_known else None,
                "bound": needed.bound,
                "bound_labels": None if is_known else int(needed.labels),
                "saved": round(needed.labels) - count if is_known else None,
                "factor": round(needed.labels / count, 2) if is_known else None,
                "range": _range(rows, labels, row),
            }
        )
    return found


def _range(rows: Sequence[Mapping[str, Any]], labels: Sequence[int], row: Mapping[str, Any]) -> list[int | None] | None:
    """Fewest and most labels over the draws; what was drawn fewer times, as all labels are, stands for every draw."""
    draws = max(len(other["random"]["values"]) for other in rows)
    if draws == 1:
        return None
    each = [
        labels_needed(labels, [_of_draw(other["random"], draw) for other in rows], _of_draw(row["encoder"], draw))
        for draw in range(draws)
    ]
    bounds = {needed.bound for needed in each}
    return [
        None if "fewer than" in bounds else round(min(needed.labels for needed in each)),
        None if "more than" in bounds else round(max(needed.labels for needed in each)),
    ]


def _of_draw(score: Mapping[str, Any], draw: int) -> float:
    values = score["values"]
    return float(values[min(draw, len(values) - 1)])
