"""What selftaught wrote is known by its mark: it is no data, and nothing else is ever removed."""

from __future__ import annotations

import json
import signal
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from selftaught.core.own_folder import (
    LIST,
    is_kind,
    is_own,
    mark,
    own_files,
    record,
    record_all,
    remove_drafts,
    remove_own,
    written_folder,
)
from selftaught.core.signals import Terminated, terminating
from selftaught.data.files.file_walk import find_files
from selftaught.data.sources.base import Source
from selftaught.data.sources.open import open_source

OLD = {"asked": {"data": "photos", "out": "run", "task": "rotation"}, "versions": {"selftaught": "0.1.0"}}


def photographs(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        Image.fromarray(np.full((8, 8, 3), i, np.uint8)).save(folder / f"p{i:02d}.png")
    return folder


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")


def old_run(folder: Path) -> Path:
    """A run folder of a version that kept no list."""
    photographs(folder / "pictures", 3)
    put(folder, "config.json", "metrics.csv", "checkpoints/last.safetensors", "pictures/kernels.png")
    (folder / "environment.json").write_text(json.dumps(OLD))
    return folder


def test_runs_below_the_data_are_no_data(tmp_path: Path) -> None:
    data = photographs(tmp_path / "photos", 24)
    old_run(data / "runs" / "a")
    mark(data / "runs" / "b", "run")  # killed just after it began
    photographs(data / "runs" / "b" / "pictures", 2)
    put(data / "compared", "report.html")
    (data / "compared" / "compare.json").write_text(
        json.dumps({"rows": [], "ranked_by": "", "encoder": "", "data": ""})
    )
    photographs(data / "compared" / "x", 1)
    photographs(data / "w-evaluated" / "evaluations" / "knn-00000000" / "encoder", 1)
    assert [found.key for found in find_files(data)] == [f"p{i:02d}.png" for i in range(24)]

    sources = [open_all(str(data), split) for split in ("train", "held_out")]
    assert sum(len(source) for source in sources) == 24
    assert sources[0].classes is None
    assert sources[0].notes == [
        "left out, as selftaught itself wrote them: compared, runs/a, runs/b and 1 more",
    ]


def open_all(data: str, split: str = "train") -> Source:
    return open_source(data, split=split, needs=frozenset({"image"}), held_out=0.2)


def test_runs_in_a_zip_are_no_data(tmp_path: Path) -> None:
    data = photographs(tmp_path / "photos", 6)
    old_run(data / "runs" / "a")
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for file in sorted(data.rglob("*")):
            archive.write(file, file.relative_to(tmp_path))
    for name in ("photos.zip", "photos.zip/photos"):
        sources = [open_all(str(tmp_path / name), split) for split in ("train", "held_out")]
        assert sum(len(source) for source in sources) == 6
        assert len(sources[0].notes) == 1


def test_what_the_user_names_is_looked_at(tmp_path: Path) -> None:
    run = old_run(tmp_path / "run")
    photographs(run / "photos", 5)
    assert len(find_files(run / "photos")) == 5
    assert {found.key for found in find_files(run)} == {
        *(f"photos/p{i:02d}.png" for i in range(5)),
        *(f"pictures/p{i:02d}.png" for i in range(3)),  # not the names a run writes
    }


@pytest.mark.parametrize("name", ["config.json", "environment.json", "compare.json", "meta.json", "labels.csv"])
@pytest.mark.parametrize("content", ['{"name": "my web app"}', "[" * 100_000, "", "\0\0"])
def test_files_of_others_are_no_mark(tmp_path: Path, name: str, content: str) -> None:
    data = photographs(tmp_path / "photos" / "sub", 2)
    (data / name).write_text(content)
    assert not is_own(data)
    assert len(find_files(tmp_path / "photos")) == 3
    remove_own(data)
    assert len(list(data.iterdir())) == 3


def test_a_folder_with_files_of_others_is_not_marked(tmp_path: Path) -> None:
    data = photographs(tmp_path / "photos", 1)
    assert not mark(data, "run")
    assert not is_own(data)


def test_only_listed_files_are_removed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert mark(run, "run")
    photographs(run / "photos", 2)
    for name in ("config.json", "pictures/kernels.png", "checkpoints/last.safetensors"):
        record(run / name)
        record(run / name)
        put(run, name)
    put(run, "notes.txt", "pictures/mine.png", "checkpoints/.last.safetensors.part", "checkpoints/.tmpAb12Cd", ".keep")
    mark(run / "evaluations", "evaluations")
    record(run / "evaluations")
    record(run / "evaluations" / "knn.json")
    put(run, "evaluations/knn.json")

    drafts = {"checkpoints/.last.safetensors.part", "checkpoints/.tmpAb12Cd"}
    listed = {"config.json", "pictures/kernels.png", "checkpoints/last.safetensors", "evaluations/knn.json"}
    assert set(own_files(run)) == drafts | listed
    remove_drafts(run)
    assert set(own_files(run)) == listed
    remove_own(run)
    left = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    assert left == {"photos/p00.png", "photos/p01.png", "notes.txt", "pictures/mine.png", ".keep", ".selftaught"}
    assert not (run / "checkpoints").exists()
    assert not (run / "evaluations").exists()


def files_in(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}


def test_a_folder_is_written_by_one_process_and_whole_or_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "masks"

    def written(name: str, error: BaseException | None = None) -> None:
        with written_folder(folder, "masks") as draft:
            assert is_kind(draft, "masks")
            for path in (draft / "a" / "same.png", draft / name):
                path.parent.mkdir(exist_ok=True)
                record(path).write_text(name)
            with pytest.raises(ValueError, match="is being written by another process"), written_folder(folder, "k"):
                pass
            if error is not None:
                raise error

    with pytest.raises(OSError, match="full") as caught:
        written("b.png", OSError(28, "full", str(folder / ".new.part" / "b.png")))
    assert caught.value.filename == str(folder)
    assert folder.parent.exists()
    assert not folder.exists()
    written("old/b.png")
    assert is_kind(folder, "masks")
    assert not is_kind(folder, "model")
    assert not is_kind(tmp_path, "masks")
    put(folder, "mine.png")
    before = files_in(folder)
    assert before.keys() == {LIST, "a/same.png", "old/b.png", "mine.png"}
    for error in (KeyboardInterrupt(), OSError("full")):
        with pytest.raises(type(error)):
            written("c.png", error)
        assert files_in(folder) == before
    mark(folder / ".new.part", "masks")  # as a killed process leaves it
    put(folder / ".new.part", "d.png")
    record(folder / ".new.part" / "d.png")
    written("c.png")
    assert set(own_files(folder)) == {"a/same.png", "c.png"}
    assert files_in(folder).keys() == {LIST, "a/same.png", "c.png", "mine.png"}
    assert not (folder / "old").exists()


def test_a_signal_while_the_old_makes_place_for_the_new_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def removed(folder: Path, spare: Path | None = None) -> None:
        remove_own(folder, spare=spare)
        if folder == tmp_path / "out":
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("selftaught.core.own_folder.remove_own", removed)
    with pytest.raises(Terminated), terminating(), written_folder(tmp_path / "out", "masks") as draft:
        record(draft / "a.png").write_text("new")
    assert files_in(tmp_path / "out").keys() == {LIST, "a.png"}


def test_old_runs_are_removed_by_the_names_they_wrote(tmp_path: Path) -> None:
    run = old_run(tmp_path / "run")
    put(run, "report.html", "thesis.txt", "evaluations/knn-01234567.json", "checkpoints/mine.pt")
    old_run(run / "supervised")
    remove_own(run)
    left = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    kept = {f"pictures/p{i:02d}.png" for i in range(3)}
    assert left == {"thesis.txt", "checkpoints/mine.pt", *kept, *(f"supervised/{name}" for name in kept)}


def test_a_list_of_somebody_else_removes_nothing_outside(tmp_path: Path) -> None:
    outside = photographs(tmp_path / "outside", 1)
    run = tmp_path / "run"
    mark(run, "run")
    (run / "link").symlink_to(outside)
    with (run / ".selftaught").open("a") as file:
        file.write(f"../outside/p00.png\n{outside}/p00.png\nlink/p00.png\nlink/\n\n..\nhalf-writ")
    remove_own(run)
    assert (outside / "p00.png").exists()
    assert (run / "link").is_symlink()


def test_files_of_several_processes_are_listed_before(tmp_path: Path) -> None:
    mark(tmp_path, "vectors")
    (tmp_path / "a").write_text("a")
    record(tmp_path / "a")
    record_all(tmp_path, ["a", "b", "c"])
    assert (tmp_path / LIST).read_text() == "selftaught vectors\na\nb\nc\n"
    (tmp_path / "c").write_text("c")
    assert own_files(tmp_path) == ["a", "c"]
