"""What the features are worth: every protocol with its intervals, by stage, and by number of labels."""

from __future__ import annotations

from selftaught.report.blocks.document import Block
from selftaught.report.blocks.few_labels import few_labels_figure
from selftaught.report.blocks.figures import Figure, stage_figure
from selftaught.report.blocks.markup import absent, note
from selftaught.report.blocks.tables import stage_rows, stage_table, worth_table
from selftaught.report.facts.evaluations import WITHOUT_LABELS, data_name, in_order, metric_words, protocol_words
from selftaught.report.facts.read import Json, Run, finite
from selftaught.report.facts.savings import first_saving, labels_table, saving_words
from selftaught.report.facts.wording import sentence


def worth_blocks(run: Run) -> list[Block]:
    """The table of all protocols, then accuracy by stage."""
    probed = [e for e in in_order(run.evaluations) if e.get("probe") not in WITHOUT_LABELS]
    if not probed:
        return [
            absent(
                "Not probed yet; this adds accuracy by stage against random weights:",
                f"selftaught evaluate {run.folder} LABELLED",
            )
        ]
    staged = [e for e in probed if len(e.get("stages") or {}) > 1]
    figures = [
        stage_figure(stage_rows({run.task: e}), e, title=stage_title(e), wide=i == 0) for i, e in enumerate(staged)
    ]
    tables = [stage_table(stage_rows({run.task: e}), e, title=stage_title(e)) for e in staged]
    blocks: list[Block] = [worth_table(probed)]
    blocks += [figures[:1], figures[1:]]
    return [*blocks, *tables]


def stage_title(evaluation: Json) -> str:
    """Title of a plot by stage, with what differs from others of the same protocol."""
    samples = finite(evaluation.get("train_samples"))
    on = f", {samples:,.0f} labels of {data_name(evaluation)}" if samples else ""
    return sentence(f"{protocol_words(evaluation)}, {metric_words(evaluation)} by stage{on}")


def labels_blocks(run_evaluations: tuple[Json, ...]) -> list[Block]:
    """Accuracy over the number of labels: plots beside each other, what is saved in words, tables."""
    found = [e for e in in_order(run_evaluations) if e.get("few_labels")]
    figures: list[Figure] = [few_labels_figure(e) for e in found]
    saving = first_saving(found)
    tables = [table for e in found if (table := labels_table(e))]
    return [note(sentence(saving_words(saving))) if saving else "", figures, *tables] if found else []
