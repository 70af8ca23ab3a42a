"""The settings of a run: frozen, plain values in groups, to and from JSON. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, asdict, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Unpack, get_type_hints

from selftaught.core.files import read_object
from selftaught.core.names import unknown_name
from selftaught.core.ranges import Range
from selftaught.core.settings.groups import (
    FLAGS,
    DataSettings,
    FolderSettings,
    Group,
    LengthSettings,
    MachineSettings,
    NetworkSettings,
    OptimSettings,
)
from selftaught.core.settings.keywords import AllSettings


@dataclass(frozen=True, kw_only=True)
class RunConfig(Group):
    """Every setting of one pretraining run.

    The settings are in groups, such as `config.network.size`. Flags, keywords and config.json have no groups: `of`,
    `replace`, `from_dict` and `to_dict` take and give settings by the names of their flags, such as `size=96`.

    Attributes:
        network: `encoder`, `size`, `stem`.
        data: what is read and how; `data.path` is the data themselves.
        length: `epochs`, `steps` or `budget`.
        optim: `batch_size`, `optimizer`, `lr` and the rest of the optimisation.
        machine: `precision`, `accelerator`, `devices`, `num_nodes`, `strategy`.
        folder: `out`, `resume`, `overwrite`, and how often a run writes.
    """

    task: str = "simclr"
    """Pretext task: a name from `selftaught tasks`, or package.module of your own."""
    task_settings: dict[str, Any] = field(default_factory=dict)
    """The task's own settings (--task.NAME VALUE)."""
    seed: Annotated[int, Range(least=0, most=9_223_372_036_854_775_807)] = 0
    """Seed of weights, order, crops and pseudo-labels."""
    network: NetworkSettings = field(default_factory=NetworkSettings)
    data: DataSettings
    length: LengthSettings = field(default_factory=LengthSettings)
    optim: OptimSettings = field(default_factory=OptimSettings)
    machine: MachineSettings = field(default_factory=MachineSettings)
    folder: FolderSettings

    def __post_init__(self) -> None:
        super().__post_init__()
        parts = self.optim.accumulate * self.machine.world
        if self.optim.batch_size is not None and self.optim.batch_size % parts:
            raise ValueError(
                f"--batch-size {self.optim.batch_size} cannot be cut into {parts} equal parts "
                f"({self.optim.accumulate} accumulated x {self.machine.world} devices)"
            )

    @classmethod
    def of(cls, **settings: Unpack[AllSettings]) -> RunConfig:
        """The settings by the names of their flags; what is not given has its default."""
        return cls.from_dict(settings)

    def replace(self, **changes: Unpack[AllSettings]) -> RunConfig:
        """The same settings but for some, by the names of their flags."""
        return self.from_dict({**self.to_dict(), **changes})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunConfig:
        """As `of`, from plain values; an unknown name is an error that lists the near matches."""
        if missing := [name for name in ("data", "out") if name not in values]:
            raise TypeError(f"the settings of a run must hold {' and '.join(missing)}")
        places = {setting.name: setting for setting in run_settings()}
        top: dict[str, Any] = {}
        groups: dict[str, dict[str, Any]] = {group: {} for group in _groups()}
        for name, value in values.items():
            if name not in places:
                raise ValueError(unknown_name("setting", name, list(places)))
            setting = places[name]
            (groups[setting.group] if setting.group else top)[setting.field.name] = value
        return cls(**top, **{group: kind(**groups[group]) for group, kind in _groups().items()})

    def to_dict(self) -> dict[str, Any]:
        """All settings by the names of their flags."""
        values = asdict(self)
        return {s.name: (values[s.group] if s.group else values)[s.field.name] for s in run_settings()}

    @classmethod
    def load(cls, path: Path) -> RunConfig:
        """Of a config.json; a damaged one is a `ValueError`."""
        try:
            return cls.from_dict(read_object(path))
        except (TypeError, AttributeError) as error:
            raise ValueError(f"{path} is damaged: {error}") from None


@dataclass(frozen=True)
class Setting:
    """One setting of a run.

    Attributes:
        name: of its flag, with underscores.
        group: field of `RunConfig` that holds it; "" for its own fields.
        owner: the class that declares it.
    """

    name: str
    group: str
    owner: Any
    field: Field[Any]


@cache
def run_settings() -> tuple[Setting, ...]:
    """Every setting of a run, in order."""
    found = []
    for own in fields(RunConfig):
        kind = _groups().get(own.name)
        if kind is None:
            found.append(Setting(own.name, "", RunConfig, own))
        else:
            found += [Setting(FLAGS.get(f.name, f.name), own.name, kind, f) for f in fields(kind)]
    return tuple(found)


@cache
def _groups() -> dict[str, Any]:
    """Fields of `RunConfig` that are groups, with their classes."""
    hints = get_type_hints(RunConfig)
    return {name: kind for name, kind in hints.items() if isinstance(kind, type) and issubclass(kind, Group)}
