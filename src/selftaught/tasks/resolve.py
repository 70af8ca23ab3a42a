"""A name and the settings that were given become a `TaskSpec`; this imports torch and the task's file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from selftaught.tasks.base import PretextTask
from selftaught.tasks.catalogue import TaskInfo, load_task, settings_for, task_info
from selftaught.tasks.combined import combine, in_words_of
from selftaught.tasks.spec import TaskSpec, spec_of


def resolve_task(name: str, given: Mapping[str, Any]) -> TaskSpec:
    """The task of that name, or of names with + between, under its settings: those given, else its defaults.

    Classes that are counted in the data, as supervised training does, are not known yet: see `with_classes`.

    Raises:
        ValueError: for an unknown task, an unknown setting or a value that cannot be, and for tasks that cannot be
            combined.
    """
    return _resolve(task_info(name), given)


def resolve_class(cls: type[PretextTask], given: Mapping[str, Any]) -> TaskSpec:
    """The spec of a class that needs no file."""
    return spec_of(cls, name=cls.__name__, short=cls.__name__, family="own", settings=dict(given))


def with_classes(spec: TaskSpec, count: int) -> TaskSpec:
    """The spec of a task that learns from labels with the number of classes of the data; of others, itself.

    Its inputs and its recipe do not depend on that number.
    """
    if "label" not in spec.needs:
        return spec
    if not spec.parts:
        settings = {**spec.settings, "classes": count}
        return replace(spec, settings=settings, config=spec.cls.Config(**settings))
    parts = {name: with_classes(part, count) for name, part in spec.parts.items()}
    counted = {f"{name}.{key}": value for name, part in parts.items() for key, value in part.settings.items()}
    config = replace(spec.config, parts=parts)
    return replace(spec, settings={**spec.settings, **counted}, config=config, parts=parts)


def _resolve(info: TaskInfo, given: Mapping[str, Any]) -> TaskSpec:
    settings = settings_for(info, dict(given))
    if not info.parts:
        cls = load_task(info)
        return spec_of(cls, name=info.name, short=info.short, family=info.family, settings=settings)
    parts = {}
    for part in info.parts:
        prefix = f"{part.short}."
        own = {key.removeprefix(prefix): value for key, value in settings.items() if key.startswith(prefix)}
        with in_words_of(part.short):
            parts[part.short] = _resolve(part, own)
    return combine(info.name, parts, settings)
