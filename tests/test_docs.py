from __future__ import annotations

import ast
import inspect
import re
import runpy
import shlex
from pathlib import Path

import pytest
import torch

import selftaught
from selftaught.cli import flags
from selftaught.cli import main as cli
from selftaught.core.config import RunSettings
from selftaught.data.batch import Batch
from selftaught.encoders.build import build_encoder
from selftaught.tasks.catalogue import load_task, task_info

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def python_blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    lines = re.findall(r"^ {4}(selftaught .*)$", page.read_text(), flags=re.MULTILINE)
    return [shlex.split(line, comments=True)[1:] for line in lines]


def test_task_pages_are_those_of_the_docstrings() -> None:
    pages = runpy.run_path(str(ROOT / "docs" / "generate.py"))["pages"]()
    on_disk = {path.name: path.read_text() for path in (ROOT / "docs" / "tasks").glob("*.md")}
    assert on_disk == pages, "run python docs/generate.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_in_the_docs_are_commands(page: Path) -> None:
    for words in commands(page):
        if "./upside_down.py" in words:
            words[words.index("./upside_down.py")] = "rotation"
        verb = cli.verb_of(words[0])
        parser = flags.make_parser(verb, cli.further_options(verb, words), note="")
        parsed, extra = parser.parse_known_args(words[1:])
        assert not extra, words
        flags.read_values((*verb.positional, *verb.flags, *verb.settings), parsed)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_calls_in_the_docs_fit_the_library(page: Path) -> None:
    for block in python_blocks(page):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("selftaught."):
                function = getattr(selftaught, ast.unparse(node.func).split(".")[1])
                values = {str(k.arg): ast.literal_eval(k.value) for k in node.keywords}
                bound = inspect.signature(function).bind(*node.args, **values)
                assert set(bound.arguments.get("settings", {})) <= set(RunSettings.__annotations__)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_in_the_docs_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_the_example_task_of_contributing_works(tmp_path: Path) -> None:
    path = tmp_path / "upside_down.py"
    path.write_text(python_blocks(ROOT / "CONTRIBUTING.md")[0])
    info = task_info(str(path))
    assert (info.needs, info.year, [o.name for o in info.options]) == (("image",), 2018, ["min_scale"])
    task_class = load_task(str(path))
    task = task_class(build_encoder("resnet18", size=32), task_class.Config(), 32)
    image = torch.randint(256, (8, 3, 48, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    example = task.pseudo_label(Batch(index=torch.arange(8), image=image), torch.Generator().manual_seed(0))
    prediction = task(example)
    scalars = task.loss(prediction, example)
    scalars["loss"].backward()
    assert {"loss", task.metric_name()} <= set(scalars)
    assert len(task.show(example, prediction, 4)) == 4
