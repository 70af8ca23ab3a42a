"""What a run may write to and remove: its own files, never data, never the files of others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import selftaught
from selftaught.core.own_folder import Locked, is_own, mark, others_in, own_files
from selftaught.training.run_folder import RunFolder
from tests.training.small_run import config

SETTINGS: Any = {
    "task": "rotation",
    "encoder": "timm:test_resnet",
    "size": 32,
    "batch_size": 4,
    "steps": 2,
    "precision": "32-true",
    "held_out": 0.3,
}


def photographs(folder: Path, count: int = 12) -> Path:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(count):
        Image.fromarray(rng.integers(0, 255, (40, 40, 3), np.uint8)).save(folder / f"p{i:02d}.png")
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with the data, a thesis and an image of the user's inside; the data are its own."""
    out = tmp_path_factory.mktemp("runs") / "run"
    data = photographs(out.with_name("photos"))
    selftaught.pretrain(data, out=out, **SETTINGS)
    data.rename(out / "photos")
    (out / "thesis.txt").write_text("years of work")
    (out / "pictures" / "mine.png").write_bytes(b"mine")
    return out


def test_every_file_of_a_run_is_listed(run: Path) -> None:
    others = {".selftaught", "thesis.txt", "pictures/mine.png"}
    written = {name for name in files(run) if name not in others and not name.startswith("photos/")}
    assert set(own_files(run)) == written
    assert {"checkpoints/last.safetensors", "pictures/kernels.png", "skipped.csv", "summary.json"} <= written


def test_overwrite_removes_no_data_and_no_file_of_others(run: Path) -> None:
    before = files(run)
    with pytest.raises(ValueError, match="already holds a run; go on with --resume or replace it with --overwrite"):
        selftaught.pretrain(run / "photos", out=run, **SETTINGS)
    assert files(run) == before
    selftaught.pretrain(run / "photos", out=run, overwrite=True, seed=1, **SETTINGS)
    after = files(run)
    for name in (*(n for n in before if n.startswith("photos/")), "thesis.txt", "pictures/mine.png"):
        assert after[name] == before[name]
    assert json.loads(after["environment.json"])["seed"] == 1


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["config.json", "environment.json", "compare.json", "summary.json"])
def test_a_project_is_no_run(tmp_path: Path, name: str, overwrite: bool) -> None:
    data = photographs(tmp_path / "project" / "photos", 4)
    (tmp_path / "project" / name).write_text('{"name": "my web app"}')
    before = files(tmp_path)
    with pytest.raises(ValueError, match=r"--out .*project holds other files"):
        selftaught.pretrain(data, out=data.parent, overwrite=overwrite, **SETTINGS)
    with pytest.raises(ValueError, match=r"--out .*project holds other files"):
        selftaught.compare(data, out=data.parent, tasks=["rotation"], overwrite=overwrite, steps=1)
    with pytest.raises(ValueError, match=r"--out .*project holds other files, and no demo"):
        selftaught.demo(out=str(data.parent))
    assert files(tmp_path) == before


def test_a_demo_replaces_no_run(run: Path) -> None:
    with pytest.raises(ValueError, match=r"holds a run on .*, and no demo"):
        selftaught.demo(out=str(run))


def test_out_may_be_no_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    data = photographs(tmp_path / "photos", 4)
    calls: Any = (selftaught.pretrain, selftaught.compare)
    for call in calls:
        with pytest.raises(ValueError, match=r"--out .*f is a file"):
            call(data, out=tmp_path / "f", **({"tasks": ["rotation"]} if call is selftaught.compare else SETTINGS))


def test_an_early_kill_leaves_a_folder_that_can_be_written_to(tmp_path: Path) -> None:
    data = photographs(tmp_path / "photos")
    out = tmp_path / "run"
    selftaught.pretrain(data, out=out, **SETTINGS)
    for name in own_files(out):
        if name.startswith(("checkpoints", "summary")):
            (out / name).unlink()
    (out / "checkpoints" / ".last.safetensors.part").write_bytes(b"half")
    selftaught.pretrain(data, out=out, **SETTINGS)
    assert not list(out.rglob(".*.part"))


def test_a_folder_that_another_process_begins_to_mark_holds_no_files_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def marked(folder: Path) -> list[str]:
        mark(folder, "run")
        return others_in(folder)

    (tmp_path / "run").mkdir()
    monkeypatch.setattr("selftaught.training.run_folder.others_in", marked)
    RunFolder(tmp_path / "run").check(config(tmp_path / "run"))


def test_a_folder_that_another_process_writes_to_is_refused(run: Path) -> None:
    command = "import sys; from pathlib import Path; from selftaught.core.own_folder import Locked\n"
    command += "lock = Locked(Path(sys.argv[1])); print('locked', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", command, str(run)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"locked\n"
        with pytest.raises(ValueError, match="is being written by another process"):
            selftaught.pretrain(run / "photos", out=run, overwrite=True, **SETTINGS)
        other.kill()  # the lock goes with it
    Locked(run).release()


def test_checkpoints_follow_the_umask(run: Path) -> None:
    assert (run / "checkpoints" / "last.safetensors").stat().st_mode == (run / "config.json").stat().st_mode
    assert is_own(run)


def test_nodes_must_see_the_same_data_and_the_run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("selftaught.training.run_folder._SEEN_AFTER", 0.15)
    asked = config(tmp_path / "run", data="photos")
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(ValueError, match="photos holds other samples, names or labels on node 1 than on node 0; copy"):
        folder.check_shared(asked, node=1, is_same_data=False)
    with pytest.raises(ValueError, match=r"--out .*run of node 0 cannot be seen on node 1; give a folder that all"):
        folder.check_shared(asked, node=1, is_same_data=True)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "environment.json").write_text("{}")
    folder.check_shared(asked, node=1, is_same_data=True)
