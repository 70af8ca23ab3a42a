"""The probes there are, read from the source text of their files; no torch until one is loaded."""

from __future__ import annotations

import ast
import importlib
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from selftaught.core.names import unknown_name
from selftaught.core.options import Option, read_options
from selftaught.core.plugins import (
    check_no_file,
    first_sentence,
    import_own,
    is_path,
    module_file,
    nested_class,
    own_file,
    parsed,
    read_needs,
    settings_of,
)
from selftaught.data.modality import WORDS

if TYPE_CHECKING:
    from selftaught.evaluation.probes.base import Probe

FOLDER = Path(__file__).parent
AUTO = ("linear", "action", "mask_propagation")
"""Probes whose settings may be given where the probe is chosen by the data."""


@dataclass(frozen=True, kw_only=True)
class ProbeInfo:
    """What the file of a probe says about it.

    Attributes:
        name: as given to --probe.
        needs: of the data, in words such as "label".
        path: the file.
        own: whether it is a user's file.
    """

    name: str
    summary: str
    description: str
    needs: tuple[str, ...]
    options: tuple[Option, ...]
    path: Path
    class_name: str
    own: bool = False

    @property
    def short(self) -> str:
        """The name in files and tables: "linear", "my_probe" of my_package.my_probe."""
        return self.path.stem


def list_probes() -> list[ProbeInfo]:
    """Every file of the folder that holds a probe, by name."""
    found = (_library_probe(path) for path in sorted(FOLDER.glob("[!_]*.py")))
    return [info for info in found if info is not None]


def probe_info(name: str) -> ProbeInfo:
    """The probe of that name, `package.module` or `path/to/file.py`."""
    if is_path(name):
        return _own_probe(own_file(name, flag="probe"), name)
    if "." in name:
        return _own_probe(module_file(name, flag="probe", listing="probes"), name)
    known = {info.name: info for info in list_probes()}
    if name not in known:
        check_no_file(name, flag="probe")
        raise ValueError(unknown_name("probe", name, list(known)))
    return known[name]


def options_of(name: str) -> list[Option]:
    """The settings of a probe; of "auto" those of the probes that may be chosen, each name once."""
    found: dict[str, Option] = {}
    for one in AUTO if name == "auto" else (name,):
        for option in probe_info(one).options:
            found.setdefault(option.name, option)
    return list(found.values())


def make_probe(name: str, settings: dict[str, Any], *, seed: int) -> Probe:
    """The probe with its settings, text or plain values; this imports torch."""
    info = probe_info(name)
    values = settings_of(f"probe {name!r}", info.options, settings, prefix="probe.")
    if info.own:
        module = import_own(name, info.path)
    else:
        module = importlib.import_module(f"selftaught.evaluation.probes.{name}")
    probe_class = cast("type[Probe]", getattr(module, info.class_name))
    if absent := sorted(getattr(probe_class, "__abstractmethods__", ())):
        raise ValueError(f"--probe {name}: class {info.class_name} must define {' and '.join(absent)}")
    return probe_class(probe_class.Config(**values), seed)


def _own_probe(path: Path, name: str) -> ProbeInfo:
    """A user's file, read each time: it may change in between."""
    info = _read(path, name)
    if info is None:
        raise ValueError(f"--probe {name}: {path} must hold a subclass of Probe")
    if unknown := sorted({*info.needs} - WORDS.keys()):
        raise ValueError(unknown_name(f"word in the needs of --probe {name},", unknown[0], list(WORDS)))
    if info.name in {known.name for known in list_probes()}:
        raise ValueError(f"--probe {name}: {info.name} is the name of a built-in probe; rename the file")
    return replace(info, name=name, own=True)


@cache
def _library_probe(path: Path) -> ProbeInfo | None:
    """A file of the folder, parsed once per process, as all take 0.1 s."""
    return _read(path, path.stem)


def _read(path: Path, name: str) -> ProbeInfo | None:
    """What a file says about its probe, None where it has none."""
    module = parsed(path, name=name, flag="probe")
    classes = [n for n in module.body if isinstance(n, ast.ClassDef) and _is_probe(n)]
    if not classes:
        return None
    docs = ast.get_docstring(classes[0]) or ""
    needs = read_needs(classes[0])
    return ProbeInfo(
        name=path.stem,
        summary=first_sentence(docs),
        description=docs,
        needs=("label",) if needs is None else needs,
        options=read_options(nested_class(classes[0], "Config")),
        path=path,
        class_name=classes[0].name,
    )


def _is_probe(node: ast.ClassDef) -> bool:
    names = {base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", None) for base in node.bases}
    return "Probe" in names
