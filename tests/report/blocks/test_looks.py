from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selftaught.report.blocks.looks import Look, Tiles, looks_blocks, looks_of, map_figure
from selftaught.report.blocks.pictures import SHRINKS, Album
from selftaught.report.facts.read import read_run
from selftaught.report.writers.html_page import block_html
from tests.report import made_evaluations as made


def evaluation(folder: Path) -> Any:
    (folder / "config.json").write_text('{"task": "rotation"}')
    return read_run(folder).evaluations[0]


def html_of(evaluation: Any) -> str:
    album = Album()
    return "".join(block_html(block, album) for block in looks_blocks(evaluation, "rotation"))


def test_every_part_stands_beside_that_of_random_weights(tmp_path: Path) -> None:
    made.add_qualitative(tmp_path)
    html = html_of(evaluation(tmp_path))
    assert html.count('<i class="sheet') == 2 * (1 + 1), "kernels and attention"
    assert html.count('<i class="cell"') == html.count('<i class="row"') == 2 * 2 * 2, "two channels of two stages"
    assert "<b>layer4</b>, sees 27 × 27 pixels" in html
    assert '<div class="heads"><span>image</span><span>conv1</span><span>layer4</span></div>' in html
    assert "Map of the data, rotation" in html
    assert "map.jpg." in html, "its caption"


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
    assert value["thumbs"]["picture"] == "var(--p0)"


def test_what_is_missing_or_elsewhere_is_left_out(tmp_path: Path) -> None:
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
    html = html_of(found)
    assert html.count('<i class="sheet') == 2, "kernels and attention of random weights"
    assert (html.count('<i class="cell"'), html.count('<i class="row"')) == (2 + 4, 4 + 4)
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
    albums = [Album(shrink) for shrink in SHRINKS]
    assert all(map_figure(album, look) for album in albums)
    sizes = [len(album.style()) for album in albums]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < sizes[0] / 3


def test_what_the_probe_writes_is_shown(tmp_path: Path) -> None:
    from tests.evaluation.visualise.made import make_qualitative_folder

    (tmp_path / "evaluations").mkdir()
    make_qualitative_folder(tmp_path / "evaluations", supervised=True)
    found = evaluation(tmp_path)
    assert [look.name for look in looks_of(found, "rotation")] == ["rotation", "random weights", "supervised"]
    html = html_of(found)
    assert html.count("Map of the data, ") >= 3
    assert html.count('<i class="sheet') == 3 * (1 + 1)
    assert html.count('<i class="row"') == 3 * 2 * 2


def test_a_tile_is_found_by_its_share_of_the_sheet() -> None:
    tiles = Tiles(picture="", side=30, gap=2, columns=4, rows=3)
    assert tiles.wide == pytest.approx((4 * 30 + 3 * 2) / 30)
    # A browser puts a background of size B on an element of size E at share * (E - B); here E is a tile.
    whole, place = 4 * 30 + 3 * 2, 2 * (30 + 2)
    assert f"background-position:{100 * place / (whole - 30):.4g}% 50%" in tiles.cell(6, "words")
    assert "background-position:0 100%" in tiles.row(2, "words")
    assert "background-position:0 0" in Tiles(picture="", side=30, gap=2, columns=1, rows=1).cell(0, "words")
