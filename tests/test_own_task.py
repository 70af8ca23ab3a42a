"""The guide "A pretext task of your own": its commands, its script and its mistakes, on real photos."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

import selftaught
from selftaught.cli.main import main
from selftaught.evaluation.models.folder import read_facts
from tests.guides import GUIDES, commands, rows_of, table

pytestmark = pytest.mark.slow  # two pretrainings of ResNet-18 and their probes, and a network's: three minutes

GUIDE = GUIDES / "own_task.md"
CONTRIBUTING = GUIDES.parents[1] / "CONTRIBUTING.md"
NEAR = 2.0
"""Points of accuracy by which another machine may differ, whose kernels round otherwise."""
NEAR_OF_FIT = 8.0
"""Of the accuracy on 200 held-back labels."""


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def told(mistake: str) -> list[str]:
    """The parts of the sentence that the guide has for a mistake."""
    row = re.search(rf"^\| {re.escape(mistake)} \| (.*) \|$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    assert row is not None, mistake
    return [part.strip("` ") for part in row[1].split(" ... ")]


def probed(run: str) -> dict[str, Any]:
    (path,) = Path(run, "evaluations").glob("linear-*.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def interval(name: str) -> list[float]:
    """Of a row of the guide."""
    row = re.search(rf"^\| {re.escape(name)} \| [\d.]+ % \| ([\d.]+) to ([\d.]+) \|$", GUIDE.read_text(), re.MULTILINE)
    assert row is not None, name
    return [float(row[1]), float(row[2])]


def test_the_commands_give_the_numbers_of_the_guide(
    shared_data: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").symlink_to(shared_data("cifar10"))
    Path("upside_down.py").write_text(blocks(CONTRIBUTING)[0])
    check, script = blocks(GUIDE)
    exec(compile(check, "check", "exec"), {})
    said = ""
    for words in commands(GUIDE):
        assert main(words) == 0
        said += capsys.readouterr().out
    # Which of the two is first depends on how sums are rounded, that is on the number of threads.
    assert re.search(r"(upside_down|rotation) comes first, but (rotation|upside_down) cannot be distinguished", said)
    text, page = GUIDE.read_text(encoding="utf-8"), Path("runs/upside_down/report.html").read_text()
    assert "upright" in page
    assert "upside down" in page
    pretext = json.loads(Path("runs/upside_down/summary.json").read_text())
    stated = re.search(r"right in ([\d.]+) % of all cases; chance is 50 %", text)
    assert stated is not None
    assert 100 * pretext["value"] == pytest.approx(float(stated[1]), abs=NEAR)
    assert "often end at or below random weights" in pretext["warnings"][0]
    Path("own_objects.py").write_text(script)
    monkeypatch.syspath_prepend(tmp_path)
    runpy.run_path("own_objects.py", run_name="__main__")
    assert len(rows_of(Path("predictions.csv"))) == 20000
    first, other, own = probed("runs/upside_down"), probed("runs/compared/rotation"), probed("runs/own")
    facts = read_facts("models/own")
    assert facts.random is not None
    measured = {
        "random weights": (first["random"], NEAR),
        "upside_down": (first, NEAR),
        "upside_down, compared": (probed("runs/compared/upside_down"), NEAR),
        "rotation, compared": (other, NEAR),
        "SmallNet, random weights": (own["random"], NEAR),
        "SmallNet, upside_down": (own, NEAR),
        "model of fit, upside_down": ({"value": facts.held_back["accuracy"], **facts.held_back}, NEAR_OF_FIT),
    }
    for name, (found, near) in measured.items():
        assert table(GUIDE)[name] == pytest.approx(found["value"], abs=near), name
        assert interval(name) == pytest.approx(found["interval"], abs=near), name
    assert table(GUIDE)["model of fit, random weights"] == pytest.approx(facts.random["accuracy"], abs=NEAR_OF_FIT)
    gains = re.findall(r"(-?\d+\.\d) points,\s+with\s+an\s+interval\s+of\s+(-?\d+\.\d)\s+to\s+(-?\d+\.\d)", text)
    for stated_gain, gain in zip(gains, (first["gain"], own["gain"], facts.gain), strict=True):
        near = NEAR_OF_FIT if gain is facts.gain else NEAR
        assert [float(x) for x in stated_gain] == pytest.approx([gain["value"], *gain["interval"]], abs=near)
    assert first["gain"]["interval"][0] > 0
    assert own["gain"]["interval"][0] > 0


CHANGES = {
    "a colon is missing": ("batch_size: int) -> float:", "batch_size: int) -> float"),
    "the class is an `nn.Module`": ("(PretextTask)", "(nn.Module)"),
    "two tasks in one file": ("class UpsideDown(PretextTask):", "class UpsideDown(PretextTask):\n    pass\n\n\n"
                              "class Other(PretextTask):"),
    "no method `loss`": ("def loss(", "def losses("),
    "a name that does not exist": ("nn.Linear(", "nnn.Linear("),
    "one number instead of two logits": ("self.head(self.encoder(example.images))",
                                         "self.head(self.encoder(example.images)).sum(1)"),
    "a head for other features": ("nn.Linear(encoder.num_features, 2)", "nn.Linear(7, 2)"),
    "a loss that is NaN": ("return classification(prediction, ", "return classification(prediction * float('nan'), "),
    "a loss without gradient": ("classification(prediction, ", "classification(prediction.detach(), "),
    "random numbers from elsewhere": ("(len(images),), generator=rng, device", "(len(images),), device"),
    "a number in `show`": ("pseudo_label=names[int(example.turned[i])]", "pseudo_label=int(example.turned[i])"),
    "the file is called `rotation.py`": ("", ""),
}  # fmt: skip


@pytest.mark.parametrize("mistake", CHANGES)
def test_a_mistake_in_the_file_is_told_as_the_guide_says(mistake: str, tmp_path: Path) -> None:
    text, (before, after) = blocks(CONTRIBUTING)[0], CHANGES[mistake]
    assert before in text
    path = tmp_path / ("rotation.py" if "rotation.py" in mistake else "upside_down.py")
    path.write_text(text.replace(before, after, 1))
    with pytest.raises(ValueError, match=".*".join(map(re.escape, told(mistake)))):
        selftaught.check_task(path, encoder="timm:test_resnet", size=32)


class Rows(Dataset[Any]):
    def __len__(self) -> int:
        return 24

    def __getitem__(self, row: int) -> Any:
        return torch.rand(3, 40, 40, generator=torch.Generator().manual_seed(row)), row % 2


def rows_of_class(item: Callable[[Any], Any]) -> Any:
    """A data set of the class `Wrong`, whose items are changed so."""
    return type("Wrong", (Rows,), {"__getitem__": lambda self, row: item(Rows.__getitem__(self, row)[0])})()


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.low, self.middle, self.high = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3)

    def forward(self, x: torch.Tensor) -> Any:
        return self.high(self.middle(self.low(x)))


def net_of_class(**changes: Any) -> Any:
    return type("Wrong", (Net,), changes)()


WRONG: dict[str, Callable[[], dict[str, Any]]] = {
    "a data set without `__len__`": lambda: {"data": type("Wrong", (), {"__getitem__": Rows.__getitem__})()},
    "normalised images": lambda: {"data": rows_of_class(lambda x: 4 * x - 2)},
    "tensors (H, W, C)": lambda: {"data": rows_of_class(lambda x: x.permute(1, 2, 0))},
    "items that are dicts": lambda: {"data": rows_of_class(lambda x: {"image": x, "label": 0})},
    "the class instead of an object": lambda: {"data": type("Wrong", (Rows,), {})},
    "a network that returns a tuple": lambda: {"encoder": net_of_class(forward=lambda self, x: (x, x))},
    "a network for another size": lambda: {"encoder": net_of_class(forward=lambda self, x: x.view(2, 3, 64, 64))},
    "a stage that does not exist": lambda: {"encoder": net_of_class(stages=("top",))},
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_object_is_told_as_the_guide_says(mistake: str, tmp_path: Path) -> None:
    asked = {"data": Rows(), "encoder": Net(), **WRONG[mistake]()}
    with pytest.raises(ValueError, match=re.escape(told(mistake)[0])):
        selftaught.pretrain(task="rotation", size=32, batch_size=4, steps=1, out=tmp_path / "run", **asked)
    assert not (tmp_path / "run").exists()


def test_a_network_where_a_run_belongs_is_told_as_the_guide_says() -> None:
    with pytest.raises(ValueError, match=re.escape(told("a network where a run belongs")[0])):
        selftaught.evaluate(Net(), Rows())  # type: ignore[arg-type]
