from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from selftaught.cli.printing import show
from selftaught.report.writers.terminal import print_comparison, print_evaluation
from tests.report.made_evaluations import add_finetune, add_label_free, add_qualitative
from tests.terminal import Terminal

Folder = Callable[..., Path]


def test_an_evaluation_is_a_table_of_stages(tmp_path: Path, run_folder: Folder) -> None:
    evaluation = json.loads((run_folder(tmp_path / "run") / "evaluations" / "linear-0a1b2c.json").read_text())
    evaluation["encoder"] = "[red]resnet18[/red]"
    file = io.StringIO()
    print_evaluation(evaluation, file)
    lines = [line.split() for line in file.getvalue().splitlines() if line.strip()]
    assert lines[0] == ["linear", "probe,", "top-1", "in", "%,", "chance", "10.0", "%"]
    assert lines[1] == ["conv1", "layer1", "layer2", "layer3", "layer4", "best", "95", "%"]
    random = ["36.3", "51.8", "51.8", "50.8", "45.3", "51.8", "%", "50.3", "to", "53.3"]
    assert lines[3] == ["random", "weights", *random]
    own = ["41.1", "59.1", "61.6", "63.1", "60.1", "63.1", "%", "61.6", "to", "64.6"]
    assert lines[4] == ["[red]resnet18[/red]", *own]
    assert " ".join(lines[-1]).endswith("+11.3 points (10.3 to 12.3)")


def test_an_evaluation_of_more_stages_than_fit_has_a_row_for_each(tmp_path: Path, run_folder: Folder) -> None:
    evaluation = json.loads((run_folder(tmp_path / "run") / "evaluations" / "linear-0a1b2c.json").read_text())
    evaluation |= {"encoder": "twostream:resnet18", "supervised": None}
    for result in (evaluation, evaluation["random"]):
        result["stages"] = {f"flow_image_{stage}": value for stage, value in result["stages"].items()}
        result["stages"] |= {f"image_layer{number}": 10.0 + number for number in range(8)}
        result["stage"] = f"flow_image_{result['stage']}"
    file = io.StringIO()
    print_evaluation(evaluation, file)
    lines = [line.split() for line in file.getvalue().splitlines() if line.strip()]
    assert lines[1] == ["stage", "random", "weights", "twostream:resnet18"]
    assert ["flow_image_layer3", "50.8", "63.1"] in lines
    assert ["image_layer7", "17.0", "17.0"] in lines
    assert ["best", "51.8", "%", "63.1", "%"] in lines
    assert ["95", "%", "50.3", "to", "53.3", "61.6", "to", "64.6"] in lines


def test_a_comparison_is_printed_best_first(tmp_path: Path, comparison_folder: Folder) -> None:
    folder = comparison_folder(tmp_path, {"rotation": 61.2, "simclr": 66.4, "jigsaw": 66.0})
    table = json.loads((folder / "compare.json").read_text())
    table["rows"].reverse()
    file = io.StringIO()
    print_comparison(table, file)
    text = file.getvalue()
    assert text.index("simclr") < text.index("rotation") < text.index("random weights")
    assert "66.4 %" in text
    assert "+14.6" in text
    assert "−5.2" in text
    assert "≈ −0.4" in text
    assert "≈ cannot be distinguished from the first" in text


def test_a_comparison_fits_a_terminal_of_80_columns(
    tmp_path: Path, comparison_folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "80")
    folder = comparison_folder(tmp_path, {"rotation": 61.2, "simclr": 66.4, "jigsaw": 66.0})
    file = Terminal()
    print_comparison(json.loads((folder / "compare.json").read_text()), file)
    lines = file.getvalue().splitlines()
    assert all(len(line) <= 80 for line in lines)
    row = next(line.split() for line in lines if " simclr " in line)
    assert row[:4] == ["1", "simclr", "66.4", "%"]
    assert "+14.6" in row
    assert "left out, as the terminal is narrow: uniformity, alignment" in " ".join(file.getvalue().split())


def test_compare_ends_with_the_verdict_and_the_page(
    tmp_path: Path, comparison_folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = comparison_folder(tmp_path, {"rotation": 61.2, "simclr": 66.4})
    table = json.loads((folder / "compare.json").read_text())
    show("compare", table | {"report": str(folder / "report.html")})
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].startswith("simclr suits these data best, 5.2 points")
    assert lines[-1] == f"the page of this comparison: {(folder / 'report.html').resolve()}"


def test_text_goes_to_stderr_by_default(
    tmp_path: Path, comparison_folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = comparison_folder(tmp_path, {"rotation": 61.2}, labelled=False)
    print_comparison(json.loads((folder / "compare.json").read_text()))
    out, error = capsys.readouterr()
    assert out == ""
    assert "no labels given" in error


def test_images_say_where_they_are_seen(tmp_path: Path, run_folder: Folder) -> None:
    """A page is made of a run folder; of a folder that --out named and that is none, the images' folders are told."""

    def printed(folder: Path) -> str:
        file = io.StringIO()
        said = {"run": "runs/a", "folder": str(folder), "encoder": "resnet18"}
        print_evaluation(json.loads(add_qualitative(folder).read_text()) | said, file)
        return file.getvalue()

    run, elsewhere = run_folder(tmp_path / "run"), tmp_path / "elsewhere"
    assert printed(run) == f"images of resnet18, no metric; see them with: selftaught report {run}\n"
    shown = [elsewhere / "evaluations" / "qualitative-0a1b2c3d" / who for who in ("encoder", "random")]
    assert printed(elsewhere) == f"images of resnet18, no metric; see them in {shown[0]} and {shown[1]}\n"
    assert all(folder.is_dir() for folder in shown)


def test_shares_of_the_labels_have_a_row_each(tmp_path: Path) -> None:
    file = io.StringIO()
    evaluation = json.loads(add_finetune(tmp_path).read_text()) | {"encoder": "resnet18", "limit": 9469}
    print_evaluation(evaluation, file)
    lines = [" ".join(line.split()) for line in file.getvalue().splitlines() if line.strip()]
    start = next(i for i, line in enumerate(lines) if line.startswith("Labels"))
    assert lines[start + 2].startswith("95 1 % 3 41.0 % ± 1.0 24.0 % ± 1.0")
    assert "Shares are of the labels that --limit 9469 left." in " ".join(lines)


def test_metrics_without_labels_have_a_row_each(tmp_path: Path) -> None:
    file = io.StringIO()
    print_evaluation(json.loads(add_label_free(tmp_path).read_text()) | {"encoder": "resnet18"}, file)
    lines = [" ".join(line.split()) for line in file.getvalue().splitlines() if line.strip()]
    assert lines[0].startswith("label-free metrics")
    assert lines[1] == "resnet18 95 % random weights 95 %"
    assert lines[3] == "RankMe 40.0 38.0 to 42.0 16.0 15.2 to 16.8"
    assert lines[5].startswith("Alignment 0.600 0.580 to 0.620")
    assert lines[-1] == "900 held-out samples for 512 features"
