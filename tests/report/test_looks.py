from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selftaught.report.looks import Look, looks_blocks, looks_of, map_figure
from selftaught.report.pictures import SHRINKS, Album
from selftaught.report.read import read_run
from tests.report import made_evaluations as made


def evaluation(folder: Path) -> Any:
    (folder / "config.json").write_text('{"task": "rotation"}')
    return read_run(folder).evaluations[0]


def html_of(evaluation: Any) -> str:
    return "".join(
        block if isinstance(block, str) else block(Album()) for block in looks_blocks(evaluation, "rotation")
    )  # type: ignore[operator]


def test_every_part_stands_beside_that_of_random_weights(tmp_path: Path) -> None:
    made.add_qualitative(tmp_path)
    html = html_of(evaluation(tmp_path))
    assert html.count("<img") == 2 * (1 + 1 + 2 * 2), "kernels, attention, filters and patches of two stages"
    assert "layer4 sees 27 × 27 pixels of its input; channels 3, 11." in html
    assert '<div class="heads"><span>picture</span><span>conv1</span><span>layer4</span></div>' in html
    assert "Map of the data, rotation" in html
    assert "61.2 % of nearest neighbours are neighbours on the map." in html


def test_the_map_has_a_group_for_each_class_and_a_tile_for_each_point(tmp_path: Path) -> None:
    made.add_qualitative(tmp_path, points=30)
    look = looks_of(evaluation(tmp_path), "rotation")[0]
    figure = map_figure(Album(), look)
    assert figure is not None
    assert [line.name for line in figure.lines] == ["cat", "dog", "no label"]
    assert sorted(tile for line in figure.lines for tile in line.tiles) == list(range(30))
    assert figure.lines[1].names[0] == "dog · 0.png"
    assert list(figure.lines[1].tiles) == list(range(0, 30, 3))
    assert figure.thumbs is not None
    assert (figure.thumbs.side, figure.thumbs.gap, figure.thumbs.columns, figure.thumbs.rows) == (32, 2, 10, 3)
    value = json.loads(figure.to_json())
    assert value["data"][1]["customdata"] == list(range(0, 30, 3))
    assert value["thumbs"]["uri"].startswith("data:image/webp;base64,")


def test_what_is_missing_or_lies_elsewhere_is_left_out(tmp_path: Path) -> None:
    path = made.add_qualitative(tmp_path)
    index = path.with_suffix("") / "encoder" / "index.json"
    value = json.loads(index.read_text())
    (tmp_path / "secret.png").write_bytes((index.parent / "kernels.png").read_bytes())
    value["kernels"]["file"] = "../../../secret.png"
    (index.parent / "attention.png").unlink()
    value["stages"][0]["filters"] = None
    value["map"] = None
    index.write_text(json.dumps(value))
    found = evaluation(tmp_path)
    assert html_of(found).count("<img") == 6 + 3
    listed = json.loads(path.read_text())
    path.write_text(json.dumps({**listed, "files": {"encoder": "../../elsewhere", "random": None}}))
    assert looks_of(evaluation(tmp_path), "rotation") == []


@pytest.mark.parametrize("text", ["[]", "{", '"text"'])
def test_a_damaged_index_is_named(tmp_path: Path, text: str) -> None:
    path = made.add_qualitative(tmp_path)
    (path.with_suffix("") / "encoder" / "index.json").write_text(text)
    with pytest.raises(ValueError, match=r"index\.json"):
        looks_of(evaluation(tmp_path), "rotation")


def test_a_map_of_many_classes_has_one_colour(tmp_path: Path) -> None:
    sheet = {"x": [0.1, 0.2] * 20, "y": [0.3, 0.4] * 20, "labels": [str(i) for i in range(40)], "keys": []}
    figure = map_figure(Album(), Look(name="rotation", folder=tmp_path, index={"map": sheet}))
    assert figure is not None
    assert [line.name for line in figure.lines] == ["samples"]
    assert len(figure.lines[0].tiles) == 40
    assert figure.thumbs is None


def test_sheets_shrink_with_the_page(tmp_path: Path) -> None:
    made.add_qualitative(tmp_path, points=400, tile=96)
    look = looks_of(evaluation(tmp_path), "rotation")[0]
    sizes = [len(map_figure(Album(shrink), look).to_json()) for shrink in SHRINKS]  # type: ignore[union-attr]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < sizes[0] / 3


def test_what_the_probe_writes_is_shown(tmp_path: Path) -> None:
    from tests.visualise.made import make_qualitative_folder

    (tmp_path / "evaluations").mkdir()
    make_qualitative_folder(tmp_path / "evaluations", supervised=True)
    found = evaluation(tmp_path)
    assert [look.name for look in looks_of(found, "rotation")] == ["rotation", "random weights", "supervised"]
    html = html_of(found)
    assert html.count("Map of the data, ") >= 3
    assert html.count("<img") == 3 * (1 + 1 + 2 * 2)
