"""Hostile and damaged data through `pretrain`, `embed` and `evaluate`: one line or a list of what is left out."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile import containers, images
from tests.hostile.inputs import OUTSIDE, Hostile, good_images
from tests.hostile.worker import Outcome, Worker

SEED = 20
LIMIT_MB = 2048

ALL = [
    *images.damaged_images(SEED),
    *images.bombs(),
    *images.odd_files(),
    *images.only_bad(SEED),
    *containers.zips(SEED),
    *containers.tars(SEED),
    *containers.parquets(SEED),
    *containers.label_files(),
    *containers.annotation_files(),
    *containers.videos(SEED),
]
FEW = ALL[::32]
"""For the default suite; the others are slow."""


class Room:
    """A folder for one input at a time, a worker, and a run to embed and evaluate with."""

    def __init__(self, path: Path) -> None:
        self.path, self.data, self.out = path, path / "data", path / "out"
        self.worker = Worker(path, path / "cache")
        good = path / "good"
        good_images(good)
        self.run = path / "run"
        first = self.worker.run([*self.pretrain(good, "rotation"), "--out", str(self.run)], seconds=300)
        assert first.status == 0, first.err
        # Once each, so that what is loaded on first use is no part of what an input takes.
        for number, words in enumerate(self.verbs(Hostile("good", good_images), good)):
            outcome = self.worker.run(words, seconds=300)
            assert outcome.status == 0, (number, outcome.err)
        self.clear()

    @staticmethod
    def pretrain(data: Path, task: str) -> list[str]:
        small = ["--encoder", "timm:test_resnet", "--size", "32", "--batch-size", "4", "--steps", "1"]
        return ["pretrain", str(data), "--task", task, *small]

    def verbs(self, hostile: Hostile, data: Path) -> list[list[str]]:
        """The command lines that are tried with an input."""
        return [
            [*self.pretrain(data, hostile.task), "--out", str(self.out / "run")],
            ["embed", str(self.run), str(data), "--out", str(self.out / "features.parquet")],
            ["evaluate", str(self.run), str(data), "--probe", "knn", "--out", str(self.out / "evaluation")],
        ]

    def clear(self) -> None:
        for path in (self.data, self.out, self.path / "cache"):
            _remove(path)
        self.out.mkdir()


def _remove(path: Path) -> None:
    for folder, _, _ in os.walk(path):
        Path(folder).chmod(0o755)
    shutil.rmtree(path, ignore_errors=True)


def listing(path: Path) -> dict[str, tuple[int, int, int]]:
    """Every name below a folder, with its size, kind and time; links are not followed."""
    found = {}
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            stat = os.lstat(f"{folder}/{name}")
            found[f"{folder}/{name}"] = (stat.st_size, stat.st_mode, stat.st_mtime_ns)
    return found


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    made = Room(tmp_path_factory.mktemp("hostile"))
    yield made
    made.worker.close()


def check(hostile: Hostile, room: Room) -> None:
    room.clear()
    room.data.mkdir()
    hostile.make(room.data)
    spared = (str(room.out), str(room.path / "cache"), str(room.run / "features"))
    before = {name: stamp for name, stamp in listing(room.path).items() if not name.startswith(spared)}
    for words in room.verbs(hostile, room.data / hostile.data):
        outcome = room.worker.run(words)
        _check_outcome(outcome, f"{hostile.title}: {words[0]}")
    after = {name: stamp for name, stamp in listing(room.path).items() if not name.startswith(spared)}
    for name in set(before) ^ set(after):
        pytest.fail(f"{hostile.title}: {name} was made or removed")
    changed = [name for name in before if before[name][:2] != after[name][:2]]
    assert not changed, f"{hostile.title}: {changed} changed"
    _check_listed(hostile, room.out / "run")
    # Where absolute names and those with ../ would lead.
    for file in (OUTSIDE, room.path.parent / "evil.jpg", room.path.parent.parent / "evil.jpg"):
        assert not file.exists()


def _check_outcome(outcome: Outcome, title: str) -> None:
    assert outcome.status in (0, 2), f"{title}: status {outcome.status}: {outcome.err[-3000:]}"
    assert "Traceback" not in outcome.err, f"{title}: {outcome.err[-3000:]}"
    if outcome.status == 2:
        errors = [line for line in outcome.err.splitlines() if line.startswith("selftaught: error:")]
        assert len(errors) == 1, f"{title}: {outcome.err[-2000:]}"
        assert outcome.err.rstrip("\n").splitlines()[-1] == errors[0], f"{title}: {outcome.err[-2000:]}"
        assert len(errors[0]) < 1500, f"{title}: {errors[0][:300]} ..."
        assert "bug" not in errors[0], f"{title}: {errors[0]}"
    assert outcome.megabytes < LIMIT_MB, f"{title}: {outcome.megabytes:.0f} MB"


def _check_listed(hostile: Hostile, run: Path) -> None:
    """What a run could not use is listed with a reason."""
    if hostile.files is None:
        return
    assert (run / "summary.json").exists(), f"{hostile.title}: the run was refused, though most of the data are good"
    summary = json.loads((run / "summary.json").read_text())
    with (run / "skipped.csv").open(newline="", encoding="utf-8") as file:
        skipped = list(csv.DictReader(file))
    assert all(row["reason"] for row in skipped)
    used = summary["train_samples"] + summary["heldout_samples"]
    assert used + len(skipped) >= 8 + hostile.files, f"{hostile.title}: {used} used, skipped {skipped}"


@pytest.mark.parametrize("hostile", FEW, ids=[hostile.title for hostile in FEW])
def test_a_hostile_input_harms_nothing(hostile: Hostile, room: Room) -> None:
    check(hostile, room)


@pytest.mark.slow
@pytest.mark.parametrize("hostile", ALL, ids=[hostile.title for hostile in ALL])
def test_no_hostile_input_harms_anything(hostile: Hostile, room: Room) -> None:
    check(hostile, room)


def test_there_are_two_hundred_of_all_kinds() -> None:
    assert len(ALL) >= 200
    assert len({hostile.title for hostile in ALL}) == len(ALL)
