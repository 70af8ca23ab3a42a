"""The page of one run, and its part in the page of many."""

from __future__ import annotations

from selftaught.report.blocks.document import Block, Document, Section
from selftaught.report.blocks.looks import looks_blocks
from selftaught.report.blocks.markup import answer_html, esc, warnings_html
from selftaught.report.blocks.protocol_sections import protocol_sections
from selftaught.report.blocks.sections import (
    curves_blocks,
    health_blocks,
    kernels_block,
    neighbours_blocks,
    repeat_blocks,
    samples_blocks,
    skipped_blocks,
)
from selftaught.report.blocks.worth import labels_blocks, worth_blocks
from selftaught.report.facts.answer import answer_run
from selftaught.report.facts.evaluations import in_order
from selftaught.report.facts.read import Run
from selftaught.report.facts.runs import anchor, run_line, run_name


def run_document(run: Run) -> Document:
    """The page of one run."""
    return Document(
        title=f"{run.task}: {run_name(run.folder)}",
        eyebrow=f"Run {run_name(run.folder)}",
        answer=answer_run(run),
        line=run_line(run),
        warnings=_warnings(run),
        sections=_sections(run, prefix=""),
    )


def run_section(run: Run, title: str) -> Section:
    """A run among others: folded, with its answer as the first thing in it."""
    answer = answer_run(run)
    head = f'<p class="line">{esc(run_line(run))}</p>{answer_html(answer, heading="p")}{warnings_html(_warnings(run))}'
    return Section(
        anchor=anchor(run),
        title=title,
        lead=answer.headline,
        blocks=[head],
        children=_sections(run, prefix=f"{anchor(run)}-"),
        folded=True,
    )


def _sections(run: Run, *, prefix: str) -> list[Section]:
    parts: list[tuple[str, str, list[Block]]] = [
        ("worth", "What the features are worth", worth_blocks(run)),
        ("labels", "How many labels it saves", labels_blocks(run.evaluations)),
    ]
    parts += protocol_sections(run)
    looks = [block for e in in_order(run.evaluations) for block in looks_blocks(e, run.task)]
    kernels = run.pictures.kernels if run.pictures and not looks else None
    parts += [
        ("looks", "What the encoder looks at", looks),
        ("sees", "What the task sees", samples_blocks(run.pictures)),
        ("curves", "Learning curves", curves_blocks(run)),
        ("label-free", "Quality without labels", health_blocks(run)),
        ("neighbours", "Nearest neighbours", neighbours_blocks(run.pictures)),
        ("kernels", "First-layer kernels", [kernels_block(kernels)]),
        ("skipped", "Skipped files", skipped_blocks(run)),
        ("repeat", "To repeat it", repeat_blocks(run)),
    ]
    of_training = ("sees", "curves", "label-free", "repeat") if run.is_given else ()
    shown = [part for part in parts if part[0] not in of_training]
    return [Section(anchor=f"{prefix}{a}", title=title, blocks=blocks) for a, title, blocks in shown]


def _warnings(run: Run) -> list[str]:
    return [str(text) for text in run.summary.get("warnings") or []]
