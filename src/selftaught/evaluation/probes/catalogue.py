"""The probes there are, read from the source text of their files; no torch until one is loaded."""

from __future__ import annotations

import ast
import importlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from selftaught.core.names import unknown_name
from selftaught.core.options import Option, read_options
from selftaught.core.plugins import first_sentence, nested_class, read_needs, settings_of

if TYPE_CHECKING:
    from selftaught.evaluation.probes.base import Probe

FOLDER = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class ProbeInfo:
    """One probe: its name on the command line, what it needs of the data and its settings."""

    name: str
    summary: str
    description: str
    needs: tuple[str, ...]
    options: tuple[Option, ...]
    class_name: str


def list_probes() -> list[ProbeInfo]:
    """Every file of the folder that holds a probe, by name."""
    found = (_read(path) for path in sorted(FOLDER.glob("[!_]*.py")))
    return [info for info in found if info is not None]


def probe_info(name: str) -> ProbeInfo:
    """The probe of that name."""
    known = {info.name: info for info in list_probes()}
    if name not in known:
        raise ValueError(unknown_name("probe", name, list(known)))
    return known[name]


def make_probe(name: str, settings: dict[str, Any], *, seed: int) -> Probe:
    """The probe with its settings, text or plain values; this imports torch."""
    info = probe_info(name)
    values = settings_of(f"probe {name!r}", info.options, settings, prefix="probe.")
    probe_class = cast(
        "type[Probe]", getattr(importlib.import_module(f"selftaught.evaluation.probes.{name}"), info.class_name)
    )
    return probe_class(probe_class.Config(**values), seed)


@cache
def _read(path: Path) -> ProbeInfo | None:
    """What a file says about its probe, None where it has none; parsed once per process, as all take 0.1 s."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    classes = [n for n in module.body if isinstance(n, ast.ClassDef) and "Probe" in map(ast.unparse, n.bases)]
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
        class_name=classes[0].name,
    )
