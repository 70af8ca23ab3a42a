from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from selftaught.data.inputs import needs_of
from selftaught.tasks.catalogue import TaskInfo, list_tasks, load_task, named_tasks, read_task, settings_for, task_info

OWN = '''
"""Title.

Module text with the flow line: images (N, 3, H, W) -> angles (N,).
"""
from dataclasses import dataclass
from typing import ClassVar, Literal
from selftaught.tasks import Image, PretextTask


class Halves(PretextTask):
    """Predict which half of the image was shown.  (Somebody, Else, ICCV 2021)

    More text (with other brackets, 1999).
    """

    @classmethod
    def inputs(cls, config):
        return {"image": Image()}

    @dataclass(frozen=True, kw_only=True)
    class Config:
        parts: Literal[2, 4] = 4
        """Pieces of the image,
        two or four."""
        scale: tuple[float, float] = (0.2, 1.0)
        """Area of a crop."""
        jitter: float | None = None
        flip: bool = False
        mode: Literal["near", "far"] = "near"
        rate: float = 1e-3
'''


@pytest.fixture
def own(tmp_path: Path) -> TaskInfo:
    (tmp_path / "halves.py").write_text(OWN)
    return read_task(tmp_path / "halves.py", name="halves", family="own")


def test_a_task_file_is_read_without_running_it(own: TaskInfo) -> None:
    assert (own.kind, own.needs, own.class_name, own.short) == ("image", ("image",), "Halves", "halves")
    assert (own.paper, own.year) == ("Somebody, Else, ICCV 2021", 2021)
    assert own.summary == "Predict which half of the image was shown."
    assert "flow line" in own.description
    assert [(o.name, o.type, o.default) for o in own.options] == [
        ("parts", "int", 4), ("scale", "float", (0.2, 1.0)), ("jitter", "float", None),
        ("flip", "bool", False), ("mode", "str", "near"), ("rate", "float", 0.001),
    ]  # fmt: skip
    assert own.options[0].help == "Pieces of the image, two or four."
    assert own.options[0].choices == (2, 4)


def test_settings_are_complete_and_typed(own: TaskInfo) -> None:
    given = {"parts": "2", "scale": "0.5,0.9", "jitter": "0.4", "flip": "true", "mode": "far", "rate": "1e-2"}
    expected = {"parts": 2, "scale": (0.5, 0.9), "jitter": 0.4, "flip": True, "mode": "far", "rate": 0.01}
    assert settings_for(own, given) == expected
    assert settings_for(own, expected) == expected
    assert settings_for(own, {"scale": [0.5, 0.9]})["scale"] == (0.5, 0.9)
    assert settings_for(own, {})["parts"] == 4


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"part": 2}, "unknown setting of task 'halves' 'part'; did you mean parts"),
        ({"parts": "3"}, "--task.parts must be one of 2, 4, got '3'"),
        ({"rate": "fast"}, "--task.rate must be a number, got 'fast'"),
        ({"flip": "maybe"}, "--task.flip must be true or false"),
        ({"parts": 2.5}, "--task.parts must be one of 2, 4"),
        ({"jitter": "x"}, "--task.jitter must be a number, or none"),
        ({"scale": "0.5,x"}, "--task.scale must be a number, or several separated by commas"),
    ],
)
def test_wrong_settings_are_one_clear_sentence(own: TaskInfo, given: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        settings_for(own, given)


def test_a_users_module_and_file_are_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "my_package_of_tasks"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "halves.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    by_module = load_task("my_package_of_tasks.halves")
    by_path = load_task("./my_package_of_tasks/halves.py")
    assert by_module.__name__ == by_path.__name__ == "Halves"
    assert load_task("./my_package_of_tasks/halves.py") is by_path
    assert task_info("my_package_of_tasks.halves").family == "own"


def test_tasks_with_plus_between_are_one_task() -> None:
    info = task_info("simclr+rotation")
    assert (info.name, info.short, info.kind, info.needs) == ("simclr+rotation", "simclr+rotation", "image", ("image",))
    assert (info.paper, info.year) == ("Doersch, Zisserman, ICCV 2017", 2017)
    assert [part.name for part in info.parts] == ["simclr", "rotation"]
    names = [option.name for option in info.options]
    assert names[0] == "simclr.temperature"
    assert {"rotation.angles", "rotation.min_scale", "weights", "balance"} < set(names)
    assert all(option.help for option in info.options)
    given = {"rotation.angles": "2", "weights": "1,0.5", "balance": "gradient"}
    settings = settings_for(info, given)
    assert settings_for(info, settings) == settings
    expected = {"rotation.angles": 2, "simclr.hidden": 512, "weights": (1.0, 0.5), "balance": "gradient"}
    assert expected.items() < settings.items()
    with pytest.raises(ValueError, match=r"--task.rotation.angles must be one of 2, 4, got '3'"):
        settings_for(info, {"rotation.angles": "3"})
    with pytest.raises(ValueError, match=r"'rotation.angels'; did you mean rotation.angles"):
        settings_for(info, {"rotation.angels": 2})
    assert "simclr+rotation" not in [info.name for info in list_tasks()]
    assert "combined" not in [info.name for info in list_tasks()]


def test_a_users_file_can_be_a_part(tmp_path: Path) -> None:
    (tmp_path / "own_halves.py").write_text(OWN)
    info = task_info(f"rotation+{tmp_path / 'own_halves.py'}")
    assert info.short == "rotation+own_halves"
    assert "own_halves.parts" in [option.name for option in info.options]
    (tmp_path / "c++.py").write_text(OWN)
    assert task_info(str(tmp_path / "c++.py")).parts == ()


ALONE = """
class A(PretextTask):
    def inputs(cls, config): return {"image": Image()}
    BODY
"""


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ('def players(self): return {"one": ("a",)}', "as its players take turns"),
        ("def refresh_epochs(self): return 1", "as it makes pseudo-labels of all samples between epochs"),
        ('encoders = {"encoder": EncoderSpec("image", sees="split")}', "as it splits the encoder"),
    ],
)
def test_tasks_that_cannot_be_combined(tmp_path: Path, body: str, sentence: str) -> None:
    path = tmp_path / "alone.py"
    path.write_text(ALONE.replace("BODY", body) if "def inputs" not in body else f"class A(PretextTask):\n    {body}\n")
    assert task_info(str(path)).name == str(path)
    with pytest.raises(ValueError, match=sentence):
        task_info(f"rotation+{path}")


def test_a_task_whose_players_its_settings_decide_is_asked_once_it_is_built(tmp_path: Path) -> None:
    path = tmp_path / "alone.py"
    path.write_text(ALONE.replace("BODY", 'def players(self): return {"one": ("a",)} if self.config.weight else {}'))
    assert [part.alone for part in task_info(f"rotation+{path}").parts] == ["", ""]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("rotation+", "must name a task on both sides of every \\+, such as jigsaw\\+rotation"),
        ("rotation+rotation", "must name different tasks, got rotation, rotation"),
        ("rotation+simcrl", "unknown task 'simcrl'; did you mean simclr"),
    ],
)
def test_combinations_that_are_none(name: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        task_info(name)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("no_such_package.task", "no Python module of that name"),
        ("./nothing.py", "there is no such file"),
        ("rotatoin", "unknown task 'rotatoin'"),
    ],
)
def test_names_that_are_not_there(name: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        task_info(name)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x = 1\n", "exactly one subclass of PretextTask, got 0, and no class at all"),
        (
            "class A:\n    pass\n",
            "one subclass of PretextTask, got 0 among A; write the class as class MyTask",
        ),
        (OWN + "\nclass Other(PretextTask):\n    pass\n", "got 2: Halves, Other; move each into a file of its own"),
        ("class A(PretextTask):\n    pass\n", r'must say what it is given by an inputs method.*"image": Image\(\)'),
        (
            "class A(PretextTask):\n    def inputs(cls, config): return OTHERS\n",
            "inputs of class A must name its inputs",
        ),
        ('class A(PretextTask):\n    needs = frozenset({"image"})\n', "has 'needs', .* write an inputs method"),
        ("class A(PretextTask):\n    def sampling(cls, config): return None\n", "has 'sampling', .*Clip\\(frames=16"),
        ('class A(PretextTask):\n    encoder_kind = "video"\n', r"has 'encoder_kind', .*EncoderSpec\(\"video\"\)"),
        ('class A(PretextTask):\n    encoder_input = "grey:"\n', "has 'encoder_input', .*sees=\"grey\""),
        (
            "class A(PretextTask):\n    def embed(self, images): return None\n",
            "has 'embed' of images, .*embed.self, batch",
        ),
        ("class A(:\n", "own.py is not readable as Python: line 1: invalid syntax"),
    ],
)
def test_files_that_are_no_task(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "own.py").write_text(text)
    with pytest.raises(ValueError, match=sentence):
        task_info(str(tmp_path / "own.py"))


def test_a_file_has_a_name_of_its_own_and_is_given_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("rotation.py", "supervised.py", "halves.py", "halves.txt"):
        Path(name).write_text(OWN)
    assert task_info("halves.py").short == "halves"
    for name, sentence in {
        "./rotation.py": "rotation is the name of a built-in task; rename the file",
        "./supervised.py": "supervised is the name of a built-in task; rename the file",
        "./halves.txt": "a task is a Python file; give it a name that ends with .py",
        "./thirds.py": "there is no such file; give a path to a Python file or a task's name",
        "halves": "there is no task of this name, but a file; give --task ./halves.py",
    }.items():
        with pytest.raises(ValueError, match=f"^--task {name}: {sentence}$"):
            task_info(name)


def test_a_kind_stands_for_all_its_tasks() -> None:
    named = named_tasks("image")
    assert {"rotation", "gan", "simclr"} < set(named)
    assert not {"audio_visual", "frame_order_verification", "supervised"} & set(named)
    assert sorted(named_tasks("image,video,audio-visual")) == sorted(task.name for task in list_tasks())
    assert named_tasks("rotation,jigsaw+simclr") == ["rotation", "jigsaw+simclr"]


def test_the_registry_is_the_folder() -> None:
    names = [info.name for info in list_tasks()]
    assert len(names) == len(set(names))
    assert "supervised" not in names
    for info in list_tasks():
        assert task_info(info.name) == info
        assert info.summary, info.name
        assert info.year, info.name
        assert all(option.help for option in info.options), info.name
        task = load_task(info.name)
        assert needs_of(task.inputs(task.Config())) == frozenset(info.needs)


def test_listing_imports_no_torch() -> None:
    code = "import sys, selftaught.tasks.catalogue as c; c.list_tasks(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("inputs", "needs"),
    [
        ('{"image": Image()}', ("image",)),
        ('{"a": Clip(frames=4), "b": Clip(frames=4, after="a"), "flow": Computed("flow", like="a")}', ("video",)),
        ('{"frame": Image(), "audio": Sound(seconds=1.0)}', ("audio", "video")),
        ('{"clip": Clip(frames=config.frames)} if config.frames else {"image": Image()}', ("image",)),
        (
            '{"c": Clip(frames=2), "pose": Given(like="c", what="pose"), "flow": Given("flow", like="c")}',
            ("flow", "pose", "video"),
        ),
        (
            '{"image": tasks.Image(), "label": Given("label"), "depth": Given(what="depth")}',
            ("depth", "image", "label"),
        ),
    ],
)
def test_what_a_task_needs_is_read_from_its_inputs(tmp_path: Path, inputs: str, needs: tuple[str, ...]) -> None:
    path = tmp_path / "own.py"
    path.write_text(f"class A(PretextTask):\n    def inputs(cls, config):\n        return {inputs}\n")
    assert read_task(path, name="own", family="own").needs == needs
