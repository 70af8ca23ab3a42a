"""A section for every protocol that has more to tell than one figure."""

from __future__ import annotations

from pathlib import Path

from selftaught.report.blocks.protocol_sections import protocol_sections
from selftaught.report.facts.cells import Table
from selftaught.report.facts.read import read_run
from tests.report import made_evaluations as made
from tests.report.read_page import Folder


def test_sections_are_in_the_order_of_the_page(tmp_path: Path, run_folder: Folder) -> None:
    sections = protocol_sections(read_run(made.add_all(run_folder(tmp_path / "run"))))
    assert [(anchor, title) for anchor, title, _ in sections] == [
        ("protocol-retrieval", "Retrieval"),
        ("protocol-segmentation", "Segmentation"),
        ("protocol-detection", "Detection"),
        ("protocol-label_free", "Label-free metrics"),
    ]
    for _, _, blocks in sections:
        assert any(isinstance(block, Table) for block in blocks)


def test_protocols_of_one_metric_have_none(tmp_path: Path, run_folder: Folder) -> None:
    assert protocol_sections(read_run(run_folder(tmp_path / "run"))) == []


def test_two_evaluations_of_a_protocol_share_a_section(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"task": "rotation"}')
    first = made.add_label_free(tmp_path)
    one = len(protocol_sections(read_run(tmp_path))[0][2])
    text = first.read_text().replace('"labelled": "photos"', '"labelled": "others"')
    first.with_name("label_free-other.json").write_text(text)
    ((anchor, _, blocks),) = protocol_sections(read_run(tmp_path))
    assert anchor == "protocol-label_free"
    assert len(blocks) == 2 * one
