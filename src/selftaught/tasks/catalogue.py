"""Which pretext tasks there are, read from their files without running them: this module imports no torch.

The listing of `tasks/` is the registry. A task's name is its file's name, its family the folder, and what it needs,
its paper and its settings are read from the source text, so `--help` and `tasks --json` answer at once.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from selftaught.core.names import unknown_name
from selftaught.core.options import Option, read_options
from selftaught.core.plugins import (
    PAPER,
    assigned_names,
    check_no_file,
    first_sentence,
    import_own,
    is_path,
    module_file,
    nested_class,
    own_file,
    parsed,
    settings_of,
)
from selftaught.data import inputs as kinds_of_inputs
from selftaught.data.inputs import Given, Input, needs_of_kinds
from selftaught.data.modality import kind_of_task
from selftaught.encoders.spec import ONE, TAKES, EncoderSpec, check_names
from selftaught.tasks.other_names import nearest_task

if TYPE_CHECKING:
    from selftaught.tasks.base import PretextTask

_TASKS = Path(__file__).parent
_COMBINED = "combined"
"""Family of combinations."""


@dataclass(frozen=True, kw_only=True)
class TaskInfo:
    """Facts about a task, read from its file.

    Attributes:
        name: as given to --task.
        family: folder of the task, "own" for a user's file, "" for tasks/supervised.py.
        kind: what it learns from, as `data.modality` lists tasks: image, video, audio-visual.
        needs: of "image", "video", "audio", "label", ..., as `inputs` names them: what a source must provide.
        paper: authors and venue with year.
        summary: first sentence of the docstring, without the paper.
        description: the docstrings of the module and of the class, for the docs page.
        encoders: what it trains, by name.
        kept: name of the encoder that is the result.
        alone: why it cannot be a part of a combination; "" where it can.
        parts: the tasks of a combination such as jigsaw+rotation.
    """

    name: str
    family: str
    kind: str
    needs: tuple[str, ...]
    paper: str
    year: int | None
    summary: str
    description: str
    options: tuple[Option, ...]
    path: Path
    class_name: str
    encoders: Mapping[str, EncoderSpec]
    kept: str = "encoder"
    alone: str = ""
    parts: tuple[TaskInfo, ...] = ()

    @property
    def short(self) -> str:
        """A name that can be a folder: "rotation", "my_task" of my_package.my_task, or "jigsaw+rotation"."""
        return "+".join(part.short for part in self.parts) or self.path.stem

    def to_dict(self) -> dict[str, Any]:
        """What people are shown of it, as plain values."""
        shown = {"name": self.name, "family": self.family, "kind": self.kind, "needs": list(self.needs)}
        encoders = {name: spec.kind for name, spec in self.encoders.items()}
        return shown | {"summary": self.summary, "encoders": encoders, "paper": self.paper, "year": self.year}

    @property
    def further(self) -> dict[str, EncoderSpec]:
        """The encoders that --encoder does not set."""
        return {name: spec for name, spec in self.encoders.items() if name != "encoder"}

    @property
    def encoder_options(self) -> tuple[Option, ...]:
        """Their flags."""
        return tuple(_encoder_option(name, spec) for name, spec in self.further.items())


def list_tasks() -> list[TaskInfo]:
    """All pretext tasks of the library, by family and name, without supervised training."""
    paths = _task_files()
    return [_library_task(path, path.stem, path.parent.name) for path in paths]


def _encoder_option(name: str, spec: EncoderSpec) -> Option:
    return Option(
        name=name,
        type="str",
        default=spec.usual,
        help=f"The {name.replace('_', ' ')}, which takes {TAKES[spec.kind]}; a name from `selftaught encoders`.",
    )


def _task_files() -> list[Path]:
    """One file a task, in a folder for each family; `parts` is what tasks share."""
    paths = (path for path in _TASKS.glob("*/*.py") if not path.name.startswith("_"))
    return sorted(path for path in paths if path.parent.name != "parts")


def named_tasks(text: str) -> list[str]:
    """The names in a list with commas; a kind (image, video, audio-visual) or family stands for all tasks of it."""
    names: list[str] = []
    for name in text.split(","):
        named = [task.name for task in list_tasks() if name in (task.kind, task.family)]
        names += named or [name]
    return list(dict.fromkeys(names)) if names != text.split(",") else names


def task_info(name: str) -> TaskInfo:
    """The task of that name, `package.module` or `path/to/file.py`; or several of them with + between."""
    if "+" in name and not Path(name).expanduser().is_file():
        return _combination(name)
    if is_path(name):
        return _own_task(own_file(name, flag="task"), name)
    if "." in name:
        return _own_task(module_file(name, flag="task", listing="tasks"), name)
    family = {path.stem: path.parent.name for path in _task_files()}
    if name in family:
        return _library_task(_TASKS / family[name] / f"{name}.py", name, family[name])
    if name == "supervised" and (_TASKS / "supervised.py").is_file():
        return _library_task(_TASKS / "supervised.py", name, "")
    check_no_file(name, flag="task")
    raise ValueError(unknown_name("task", name, sorted(family), nearest=nearest_task(name)))


def load_task(info: TaskInfo | str) -> type[PretextTask]:
    """Import the class of a task, given by what its file says or by its name; this imports torch."""
    info = task_info(info) if isinstance(info, str) else info
    if info.family == "own":
        module = import_own(info.name, info.path)
    else:
        place = info.path.relative_to(_TASKS).with_suffix("")
        module = importlib.import_module(".".join(["selftaught.tasks", *place.parts]))
    return cast("type[PretextTask]", getattr(module, info.class_name))


def settings_for(info: TaskInfo, given: dict[str, Any]) -> dict[str, Any]:
    """The task's complete settings: its defaults with `given` over them, typed as its Config declares.

    Values may be text from the command line or plain values from Python or JSON.
    """
    return settings_of(f"task {info.name!r}", info.options, given, prefix="task.")


def read_task(path: Path, *, name: str, family: str) -> TaskInfo:
    """Read one task file."""
    module = parsed(path, name=name, flag="task")
    declared = [node for node in module.body if isinstance(node, ast.ClassDef)]
    classes = [node for node in declared if _is_task(node)]
    if len(classes) != 1:
        named = ", ".join(node.name for node in classes or declared)
        held = f"{len(classes)}{' among' if not classes else ':'} {named}" if named else "0, and no class at all"
        do = "move each into a file of its own" if classes else "write the class as class MyTask(PretextTask)"
        raise ValueError(f"--task {name}: {path} must hold exactly one subclass of PretextTask, got {held}; {do}")
    docs = [text for text in (ast.get_docstring(classes[0]), ast.get_docstring(module)) if text]
    papers = [match for text in docs if (match := PAPER.search(" ".join(text.split("\n\n")[0].split())))]
    needs = () if family == _COMBINED else _needs(classes[0], name=name)  # a combination has those of its parts
    encoders, kept = _encoders(classes[0], name=name)
    return TaskInfo(
        name=name,
        family=family,
        kind=kind_of_task(needs),
        needs=needs,
        paper=papers[0][1] if papers else "",
        year=int(papers[0][2]) if papers else None,
        summary=first_sentence(docs[0]) if docs else "",
        description="\n\n".join(text for text in reversed(docs) if "\n" in text or text is docs[0]),
        options=read_options(nested_class(classes[0], "Config")),
        path=path,
        class_name=classes[0].name,
        encoders=encoders,
        kept=kept,
        alone=_alone(classes[0], encoders, kept),
    )


def _own_task(path: Path, name: str) -> TaskInfo:
    """A task in a user's file, whose name is that of its runs and rows."""
    if path.stem in {"supervised", *(known.stem for known in _task_files())}:
        raise ValueError(f"--task {name}: {path.stem} is the name of a built-in task; rename the file")
    return read_task(path, name=name, family="own")


@cache
def _library_task(path: Path, name: str, family: str) -> TaskInfo:
    """A task of the library, read once a process; a user's file may change in between."""
    return read_task(path, name=name, family=family)


def _combination(name: str) -> TaskInfo:
    """The tasks of `jigsaw+rotation` as one: the settings of each under its name, and those of the combination."""
    names = name.split("+")
    if not all(names):
        raise ValueError(f"--task {name} must name a task on both sides of every +, such as jigsaw+rotation")
    parts = tuple(task_info(part) for part in names)
    for part in parts:
        if part.alone:
            raise ValueError(f"--task {name}: {part.name} cannot be combined with other tasks, as {part.alone}")
    if len({part.short for part in parts}) < len(parts):
        raise ValueError(f"--task {name} must name different tasks, got {', '.join(part.short for part in parts)}")
    info = replace(_library_task(_TASKS / "combined.py", "combined", _COMBINED), name=name)
    options = [replace(o, name=f"{part.short}.{o.name}") for part in parts for o in part.options]
    needs = tuple(sorted(needs_of_kinds(kind for part in parts for kind in part.needs)))
    encoders = {key: spec for part in parts for key, spec in part.further.items()} | {
        "encoder": info.encoders["encoder"]
    }
    info = replace(info, options=(*options, *info.options), parts=parts, encoders=encoders)
    return replace(info, needs=needs, kind=kind_of_task(needs))


def _alone(node: ast.ClassDef, encoders: Mapping[str, EncoderSpec], kept: str) -> str:
    """What keeps a task from being a part of a combination, read from its class."""
    defined = {line.name: line for line in node.body if isinstance(line, ast.FunctionDef)}
    # Where the settings decide who plays, the combination asks the task once it is built.
    if "players" in defined and _returns_literal(defined["players"]):
        return "its players take turns"
    if "refresh_epochs" in defined:
        return "it makes pseudo-labels of all samples between epochs"
    if kept != "encoder":
        return f"it keeps its {kept}"
    return "it splits the encoder" if encoders["encoder"].sees == "split" else ""


def _returns_literal(method: ast.FunctionDef) -> bool:
    """Whether a method does nothing but return a dict that has entries."""
    *before, last = method.body
    does_more = any(not isinstance(line, ast.Expr) for line in before)  # an expression is its docstring
    return not does_more and isinstance(last, ast.Return) and isinstance(last.value, ast.Dict) and bool(last.value.keys)


def _is_task(node: ast.ClassDef) -> bool:
    names = {base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", None) for base in node.bases}
    return "PretextTask" in names


_NOW = {
    "needs": 'an inputs method, such as def inputs(cls, config): return {"image": Image()}',
    "sampling": 'an inputs method, such as def inputs(cls, config): return {"clip": Clip(frames=16)}',
    "encoder_kind": 'encoders = {"encoder": EncoderSpec("video")}',
    "encoder_input": 'encoders = {"encoder": EncoderSpec("image", sees="grey")}',
}
"""Names in task files of older versions -> what replaces them."""


def _needs(node: ast.ClassDef, *, name: str) -> tuple[str, ...]:
    """What the inputs that are named in the method `inputs` need of a source."""
    methods = {line.name: line for line in node.body if isinstance(line, ast.FunctionDef)}
    for old in {*methods, *(one for line in node.body for one in assigned_names(line))} & _NOW.keys():
        raise ValueError(
            f"--task {name}: class {node.name} has {old!r}, which is of an older version; "
            f"write {_NOW[old]} (the page of concepts lists the kinds)"
        )
    if "embed" in methods and "images" in [word.arg for word in methods["embed"].args.args]:
        raise ValueError(
            f"--task {name}: class {node.name} has 'embed' of images, which is of an older version; "
            'write def embed(self, batch) and read batch["image"]'
        )
    if "inputs" not in methods:
        raise ValueError(f"--task {name}: class {node.name} must say what it is given by {_NOW['needs']}")
    takes = [found for call in _by_default(methods["inputs"]) if (found := _takes(call)) is not None]
    if not any(takes):
        raise ValueError(f"--task {name}: inputs of class {node.name} must name its inputs itself, by {_NOW['needs']}")
    return tuple(sorted(needs_of_kinds(takes)))


def _encoders(node: ast.ClassDef, *, name: str) -> tuple[Mapping[str, EncoderSpec], str]:
    """What the class says of its encoders, and the name of the kept one."""
    assigned = {key: getattr(line, "value", None) for line in node.body for key in assigned_names(line)}
    said, encoders = assigned.get("encoders"), ONE
    try:
        kept = ast.literal_eval(assigned["kept"] or "") if "kept" in assigned else "encoder"
        if said is not None:
            assert isinstance(said, ast.Dict)
            pairs = [
                (ast.literal_eval(key or ""), _arguments(value))
                for key, value in zip(said.keys, said.values, strict=True)
            ]
    except (AssertionError, ValueError, SyntaxError):
        raise ValueError(
            f"--task {name}: class {node.name} must write its encoders as plain values, which are read without running "
            'the file, such as encoders = {"encoder": EncoderSpec("image"), "flow_encoder": EncoderSpec("image", '
            'channels=20)} and kept = "encoder"'
        ) from None
    try:
        if said is not None:
            encoders = {key: EncoderSpec(*given, **named) for key, (given, named) in pairs}
        check_names(name, encoders, kept)
    except (TypeError, ValueError) as error:
        raise ValueError(f"--task {name}: encoders of class {node.name}: {error}") from None
    return encoders, kept


def _arguments(node: ast.expr) -> tuple[list[Any], dict[str, Any]]:
    """The plain arguments of a call."""
    assert isinstance(node, ast.Call)
    named = {str(word.arg): ast.literal_eval(word.value) for word in node.keywords}
    return [ast.literal_eval(given) for given in node.args], named


def _by_default(node: ast.AST) -> Iterator[ast.AST]:
    """`node` and all below it; of `A if setting else B`, what comes after "else" alone."""
    yield node
    for child in [node.orelse] if isinstance(node, ast.IfExp) else ast.iter_child_nodes(node):
        yield from _by_default(child)


def _takes(node: ast.AST) -> str | None:
    """What an input needs where `node` makes one, as `Clip(...)` or `inputs.Clip(...)` does."""
    if not isinstance(node, ast.Call):
        return None
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    kind = getattr(kinds_of_inputs, called, None)
    if not isinstance(kind, type) or not issubclass(kind, Input):
        return None
    if kind is Given:
        given = [*node.args, *(word.value for word in node.keywords if word.arg == "what")]
        return str(given[0].value) if given and isinstance(given[0], ast.Constant) else ""
    return str(kind.takes)
