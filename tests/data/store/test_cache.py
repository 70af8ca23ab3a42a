"""The cache folder: stores are listed, cleared and built so that no half of one is seen."""

from __future__ import annotations

import os
import time
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from selftaught.data.store.cache import clean_rests, clear_stores, find_or_build, list_stores, stores_root
from tests.data.store.images import opened, opened_at, pictures, source_of
from tests.two_processes import own_process

pytestmark = pytest.mark.usefixtures("cache")


def test_stores_are_listed_and_cleared(folder: Path) -> None:
    samples = opened(source_of(folder))
    opened(source_of(folder), side=32)
    stores = list_stores()
    assert [info.side for info in stores] == [64, 32]
    assert all(info.bytes > 40 * 3 * 32 * 32 and info.data == str(folder) and info.kind == "images" for info in stores)
    with pytest.raises(ValueError, match="no packed store 'nonsense'"):
        clear_stores(["nonsense"])
    assert clear_stores([stores[0].key[:8]]) == 1
    assert [info.side for info in list_stores()] == [32]
    assert pictures(samples).any()  # who reads it goes on
    assert clear_stores() == 1
    assert list_stores() == []


def test_a_crash_leaves_no_half_store(folder: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        opened(source_of(folder), progress=stop)
    assert list_stores() == []
    assert not list(stores_root().glob("*.part"))
    assert len(opened(source_of(folder))) == 40


def build(folder: str, cache: str, pause: float, told: Connection) -> None:
    """Open the folder in a process of its own, and tell when an image is packed and when all are opened."""
    os.environ["SELFTAUGHT_CACHE"] = cache

    def slow(done: int, total: int) -> None:
        told.send("packed")
        time.sleep(pause)

    samples = opened(source_of(Path(folder)), progress=slow)
    told.send(f"opened {len(samples)}")


def builder(folder: Path, pause: float) -> tuple[BaseProcess, Connection]:
    heard, told = Pipe(duplex=False)
    process = own_process(build, str(folder), os.environ["SELFTAUGHT_CACHE"], pause, told)
    told.close()
    return process, heard


def all_heard(process: BaseProcess, heard: Connection) -> list[str]:
    process.join(300)
    assert process.exitcode == 0
    found = []
    while heard.poll():
        try:
            found.append(str(heard.recv()))
        except EOFError:
            break
    return found


def test_two_processes_at_once_build_one_store(folder: Path) -> None:
    builders = [builder(folder, 0.3) for _ in range(2)]
    outputs = [all_heard(*one) for one in builders]
    assert all("opened 40" in heard for heard in outputs), outputs
    assert sum("packed" in heard for heard in outputs) == 1
    assert len(list_stores()) == 1


def test_a_killed_builder_blocks_nobody_and_its_rest_is_cleaned(folder: Path) -> None:
    process, heard = builder(folder, 60)
    assert heard.recv() == "packed"
    process.kill()
    process.join()
    assert list_stores() == []
    assert list(stores_root().glob(".*.part"))
    assert len(opened(source_of(folder))) == 40
    assert not list(stores_root().glob(".*.part"))


def test_an_error_while_building_leaves_nothing(cache: Path) -> None:
    def fail(folder: Path) -> dict[str, str]:
        (folder / "half").write_bytes(b"x")
        raise RuntimeError("broken on purpose")

    with pytest.raises(RuntimeError):
        find_or_build("a" * 32, fail)
    assert not [path for path in stores_root().iterdir() if not path.name.endswith(".lock")]


def test_rests_of_killed_builds_are_cleaned(drawn: Path) -> None:
    opened_at(drawn)
    rest = stores_root() / f".{'e' * 32}.abc.part"
    rest.mkdir()
    (rest / "pixels.bin").write_bytes(b"half")
    (stores_root() / f".{'e' * 32}.lock").touch()
    (stores_root() / "mine.txt").touch()
    clean_rests()
    assert not rest.exists()
    assert not list(stores_root().glob(".*"))
    assert (stores_root() / "mine.txt").exists()


def test_a_cache_that_cannot_be_written_is_one_line(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path / "file"))
    with pytest.raises(ValueError, match="set the environment variable SELFTAUGHT_CACHE"):
        opened_at(drawn)
