from __future__ import annotations

from selftaught.report.tables import markdown_table, stage_table_markdown

RANDOM = {"value": 58.3, "stage": "layer1", "stages": {"layer1": 58.3, "layer2": 54.5}}


def test_tasks_by_stages_with_the_references_around_them() -> None:
    rotation = {"value": 61.25, "stage": "layer2", "stages": {"layer1": 60.0, "layer2": 61.25}, "random": RANDOM}
    simclr = {"value": 57.0, "stage": "layer1", "stages": {"layer1": 57.0, "layer3": None}, "random": RANDOM}
    simclr["supervised"] = {"value": 70.0, "stage": "layer2", "stages": {"layer1": 65.0, "layer2": 70.0}}
    assert stage_table_markdown({"rotation": rotation, "simclr": simclr}).splitlines() == [
        "|                |   layer1 |   layer2 | layer3 | best − random |",
        "|----------------|---------:|---------:|-------:|--------------:|",
        "| random weights | **58.3** |     54.5 |      – |               |",
        "| rotation       |     60.0 | **61.2** |      – |          +3.0 |",
        "| simclr         | **57.0** |        – |      – |          -1.3 |",
        "| supervised     |     65.0 | **70.0** |      – |         +11.7 |",
    ]


def test_without_random_weights_there_is_no_gain() -> None:
    table = stage_table_markdown({"a": {"value": 50.0, "stages": {"s": 50.0}}}, digits=2)
    assert table.splitlines()[-1].split("|")[2:4] == [" **50.00** ", "               "]


def test_cells_cannot_break_the_table() -> None:
    table = markdown_table(["a", "b"], [["x|y\nz", 1]])
    assert table.splitlines()[2] == "| x\\|y z |   1 |"
