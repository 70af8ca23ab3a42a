"""A section for every protocol with more than one metric."""

from __future__ import annotations

from selftaught.report.blocks.document import Block
from selftaught.report.blocks.galleries import gallery_blocks
from selftaught.report.blocks.markup import details_html, note
from selftaught.report.blocks.protocols import cautions, more_details, more_tables
from selftaught.report.facts.evaluations import PROTOCOLS, in_order, protocol_words
from selftaught.report.facts.read import Json, Run
from selftaught.report.facts.wording import sentence


def protocol_sections(run: Run) -> list[tuple[str, str, list[Block]]]:
    """Anchor, title and blocks of each protocol with tables or images of its own, in the order of the page."""
    found: dict[str, list[Block]] = {}
    for evaluation in in_order(run.evaluations):
        if blocks := _blocks(evaluation):
            found.setdefault(str(evaluation.get("probe")), []).extend(blocks)
    titles = {probe: sentence(PROTOCOLS.get(probe, probe.replace("_", " "))) for probe in found}
    return [(f"protocol-{probe}", titles[probe], blocks) for probe, blocks in found.items() if probe != "qualitative"]


def _blocks(evaluation: Json) -> list[Block]:
    tables, pictures = more_tables(evaluation), gallery_blocks(evaluation)
    if not tables and not pictures:
        return []
    details = more_details(evaluation)
    told = [note(f"{sentence(text).rstrip('.')}.") for text in cautions(evaluation)]
    title = f"{sentence(protocol_words(evaluation))}: how it was run"
    return [*pictures, *tables, *told, *([details_html(title, details)] if details else [])]
