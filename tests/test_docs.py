from __future__ import annotations

import ast
import importlib
import inspect
import re
import runpy
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, ModuleType

import numpy as np
import pytest
import torch
from scipy.io import savemat

import selftaught
from selftaught.cli import flags
from selftaught.cli import main as cli
from selftaught.core.settings.keywords import RunSettings
from selftaught.tasks.catalogue import list_tasks, task_info
from selftaught.tasks.resolve import resolve_task
from tests.evaluation.drawn_classes import drawn_data, drawn_reader

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

EXAMPLES = {"./upside_down.py": "rotation", "./backwards.py": "clip_rotation", "nearest_mean": "knn"}
"""Names that the guides invent -> names whose flags are the same."""


def python_blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    lines = re.findall(r"^ {4}(selftaught .*)$", page.read_text(), flags=re.MULTILINE)
    return [shlex.split(line, comments=True)[1:] for line in lines]


def test_pages_of_tasks_and_probes_are_those_of_the_docstrings() -> None:
    script = runpy.run_path(str(ROOT / "docs" / "generate.py"))
    paths = [path for folder in script["FOLDERS"] for path in (ROOT / "docs" / folder).glob("*.md")]
    paths.append(ROOT / "docs" / script["SURVEY_PAGE"])
    on_disk = {path.relative_to(ROOT / "docs").as_posix(): path.read_text() for path in paths}
    pages = script["pages"]()
    assert on_disk == pages, "run python docs/generate.py"
    text = (ROOT / "README.md").read_text()
    assert text == script["readme"](text), "run python docs/generate.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_in_the_docs_are_commands(page: Path) -> None:
    for words in commands(page):
        words = [EXAMPLES.get(word, word) for word in words]
        verb = cli.verb_of(words[0])
        parser = flags.make_parser(verb, cli.further_options(verb, words), note="")
        parsed, extra = parser.parse_known_args(words[1:])
        assert not extra, words
        flags.read_values((*verb.positional, *verb.flags, *verb.settings), parsed)


def test_every_task_is_of_one_kind_of_the_survey_or_newer() -> None:
    tables = runpy.run_path(str(ROOT / "docs" / "survey_tables.py"))
    kinds = [kind for family in tables["KINDS"].values() for kind in family.items()]
    listed = [task for _, tasks in (*kinds, *tables["NEWER"].items()) for task in tasks]
    assert sorted(listed) == sorted(task.name for task in list_tasks())
    assert len(kinds) == 19
    assert all(tasks for _, tasks in kinds)


def test_the_commands_of_the_surveys_methods_are_commands() -> None:
    tables = runpy.run_path(str(ROOT / "docs" / "survey_tables.py"))
    methods = (*tables["IMAGES"], *tables["VIDEOS"])
    assert (len(tables["IMAGES"]), len(tables["VIDEOS"])) == (32, 34)
    verb = cli.verb_of("pretrain")
    for method in methods:
        assert method.flags or method.note, method.name
        if method.flags:
            words = ["pretrain", "DATA", *shlex.split(method.flags), "--out", "RUN"]
            parsed, extra = flags.make_parser(verb, cli.further_options(verb, words), note="").parse_known_args(
                words[1:]
            )
            assert not extra, words
            resolve_task(
                flags.read_values(verb.flags, parsed)["task"],
                flags.read_values(cli.further_options(verb, words)["task_settings"], parsed, prefix="task."),
            )


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_calls_in_the_docs_fit_the_library(page: Path) -> None:
    for block in python_blocks(page):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("selftaught."):
                function = getattr(selftaught, ast.unparse(node.func).split(".")[1])
                named = {str(k.arg): k.value for k in node.keywords}
                bound = inspect.signature(function).bind(*node.args, **named)
                assert set(bound.arguments.get("settings", {})) <= set(RunSettings.__annotations__)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_in_the_docs_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_the_reference_names_what_is_public() -> None:
    names = re.findall(r"^::: (\S+)$", (ROOT / "docs" / "api.md").read_text(), flags=re.MULTILINE)
    for name in names:
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name
    assert {f"selftaught.{name}" for name in selftaught.__all__ if name != "PretextTask"} <= set(names)
    assert "selftaught.tasks" in names


def texts_in(constant: object) -> Iterator[str]:
    """All strings of compiled code; an f-string is in parts."""
    if isinstance(constant, str):
        yield constant
    elif isinstance(constant, CodeType | tuple | frozenset):
        for part in constant.co_consts if isinstance(constant, CodeType) else constant:
            yield from texts_in(part)


def test_troubleshooting_quotes_messages_of_the_program() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    codes = [compile(path.read_text(), str(path), "exec") for path in (ROOT / "src").rglob("*.py")]
    texts = {text for code in codes for text in texts_in(code)}
    quotes = re.findall(r"`([^`]+)`", "\n".join(re.findall(r"^### (`.*)$", page, flags=re.MULTILINE)))
    assert len(quotes) > 20
    for fragment in (part.strip() for quote in quotes for part in quote.split(" ... ")):
        assert any(fragment in text for text in texts), fragment


def test_the_example_task_of_contributing_works(tmp_path: Path) -> None:
    path = tmp_path / "upside_down.py"
    path.write_text(python_blocks(ROOT / "CONTRIBUTING.md")[0])
    info = task_info(str(path))
    assert (info.needs, info.year, [o.name for o in info.options]) == (("image",), 2018, ["min_scale"])
    selftaught.check_task(path, encoder="timm:test_resnet")


@pytest.fixture
def example_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """The first block of a guide as a module; types of its settings are looked up by the module's name."""

    def example(page: str) -> ModuleType:
        path = tmp_path / f"example_{Path(page).stem}.py"
        path.write_text(python_blocks(ROOT / "docs" / "guides" / page)[0])
        monkeypatch.syspath_prepend(tmp_path)
        return importlib.import_module(path.stem)

    return example


def test_the_example_task_of_clips_works(tmp_path: Path) -> None:
    path = tmp_path / "backwards.py"
    path.write_text(python_blocks(ROOT / "docs" / "guides" / "add_a_task.md")[0])
    info = task_info(str(path))
    assert (info.needs, info.year, [o.name for o in info.options]) == (("video",), 2018, ["frames"])
    selftaught.check_task(path, encoder="mc3_18", size=16, task_settings={"frames": 2})


def test_the_example_probe_of_the_guide_works(example_of: Callable[[str], ModuleType]) -> None:
    probe = example_of("add_a_probe.md").NearestMean
    reader, data = drawn_reader(), drawn_data()
    train, test = reader.pooled(data.train), reader.pooled(data.test)
    labels = torch.from_numpy(data.train.labels)
    means = torch.stack([train[labels == k].mean(0) for k in range(len(data.classes))])
    right = torch.cdist(test, means).argmin(1).numpy() == data.test.labels
    score = probe(probe.Config(stage="pooled")).score(reader, data)
    assert score.value == pytest.approx(100 * right.mean(), abs=1e-3)


def test_the_example_source_of_the_guide_works(tmp_path: Path, example_of: Callable[[str], ModuleType]) -> None:
    images = np.random.default_rng(0).integers(0, 255, (4, 5, 3, 40), dtype=np.uint8)
    digits = np.arange(40) % 3 + 1
    savemat(tmp_path / "data.mat", {"X": images, "y": digits[:, None]})
    open_mat = example_of("add_a_source.md").open_mat
    train, held = (open_mat(tmp_path / "data.mat", split=s, seed=0, held_out=0.25) for s in ("train", "held_out"))
    keys = [{entry.key for entry in part.entries} for part in (train, held)]
    assert not keys[0] & keys[1]
    assert len(keys[0] | keys[1]) == 40
    row = int(held.entries[0].key)
    assert np.array_equal(held.read(0), images[..., row])
    assert held.classes[held.entries[0].label] == str(digits[row])
    assert train.fingerprint != held.fingerprint
    for arrays, told in (
        ({"X": images}, "lacks images X or labels y"),
        ({"X": images[..., :39], "y": digits}, r"X \(4, 5, 3, 39\) of uint8 for 40 labels; give uint8 images"),
    ):
        savemat(tmp_path / "wrong.mat", arrays)
        with pytest.raises(ValueError, match=told):
            open_mat(tmp_path / "wrong.mat", split="train", seed=0, held_out=0.25)
    (tmp_path / "wrong.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(400))
    with pytest.raises(ValueError, match=r"cannot be read \(.*HDF.*\); save it again with -v7"):
        open_mat(tmp_path / "wrong.mat", split="train", seed=0, held_out=0.25)
