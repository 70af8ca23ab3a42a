"""Stores are found again by content, listed, removed when of no use, bounded together, rebuilt when damaged."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import selftaught
from selftaught.core.settings.groups import DataSettings
from selftaught.data.batch import Sampling
from selftaught.data.inputs import Clip
from selftaught.data.sources.open import open_source
from selftaught.data.sources.video_folder import open_video_folder
from selftaught.data.store.cache import find_or_build, is_in_use, list_stores
from selftaught.data.store.open import open_samples, pack
from selftaught.data.store.samples import Samples
from selftaught.data.store.store_care import make_room, prune_stores, stale_at, state_of
from tests.data.store.images import opened_at
from tests.two_processes import own_process

pytestmark = pytest.mark.usefixtures("cache")


def pixels(samples: Samples) -> np.ndarray[Any, Any]:
    image = samples.read(np.arange(len(samples)), np.full((len(samples), 3), 0.5))["image"]
    assert image is not None
    return image


def test_touched_copied_and_moved_data_find_their_store(drawn: Path, tmp_path: Path) -> None:
    before = pixels(opened_at(drawn))
    for file in drawn.iterdir():
        os.utime(file, (1, 1))
    opened_at(drawn)
    shutil.copytree(drawn, tmp_path / "copy")
    opened_at(tmp_path / "copy")
    drawn.rename(tmp_path / "moved")
    assert np.array_equal(pixels(opened_at(tmp_path / "moved")), before)
    assert len(list_stores()) == 1


def test_a_file_that_goes_before_it_is_packed_is_skipped_and_listed(drawn: Path) -> None:
    source = open_source(str(drawn), split="train", needs=frozenset({"image"}), held_out=0.0)
    gone = source.entries[1].key
    (drawn / gone).unlink()
    samples = pack(source, DataSettings(path=str(drawn)), Sampling(), size=16, title="", is_shown=False)
    assert gone not in samples.keys
    assert [key for key, _ in samples.skipped] == [gone]
    assert [state_of(store) for store in list_stores()] == ["as packed"]
    shutil.copy(drawn / source.entries[0].key, drawn / gone)
    assert [state_of(store) for store in list_stores()] == ["changed"]


def test_a_store_of_changed_data_is_reported_and_pruned(drawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    opened_at(drawn)
    (store,) = selftaught.cache()
    assert store["state"] == "as packed"
    size = (drawn / "0.png").stat().st_size
    changed = bytearray((drawn / "0.png").read_bytes())
    changed[-20] ^= 1
    (drawn / "0.png").write_bytes(changed)
    assert (drawn / "0.png").stat().st_size == size
    source = open_source(str(drawn), split="train", needs=frozenset({"image"}), held_out=0.0)
    assert [stale.key for stale in stale_at(source)] == [store["key"]]
    opened_at(drawn)
    assert "selftaught cache --prune" in capsys.readouterr().err
    assert sorted(state_of(info) for info in list_stores()) == ["as packed", "changed"]
    assert len(prune_stores()) == 0  # this process reads both


def open_elsewhere(folder: Path, cache: str) -> None:
    """Pack the folder in a process of its own, which ends."""
    os.environ["SELFTAUGHT_CACHE"] = cache
    opened_at(folder)


def test_prune_removes_what_nobody_reads(drawn: Path, tmp_path: Path) -> None:
    process = own_process(open_elsewhere, drawn, os.environ["SELFTAUGHT_CACHE"])
    process.join(300)
    assert process.exitcode == 0
    (info,) = list_stores()
    assert not is_in_use(info.path)
    assert selftaught.cache(prune=True) == []
    drawn.rename(tmp_path / "elsewhere")
    removed = selftaught.cache(prune=True)
    assert [(store["state"], store["removed"]) for store in removed] == [("gone", True)]
    assert list_stores() == []
    with pytest.raises(ValueError, match="--prune chooses the stores itself"):
        selftaught.cache(prune=True, clear=True)


def filled(key: str, size: int, used: float) -> Path:
    def build(part: Path) -> dict[str, Any]:
        (part / "pixels.bin").write_bytes(b"\0" * size)
        return {"kind": "images"}

    folder, _ = find_or_build(key, build)
    os.utime(folder / "meta.json", (used, used))
    return folder


def test_room_is_freed_from_what_was_unused_for_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    held = filled("a" * 32, 1000, 10)
    folders = {}
    monkeypatch.setattr("selftaught.data.store.cache._hold", lambda folder: None)
    for name, used in (("b", 40), ("c", 20), ("d", 30)):
        folders[name] = filled(name * 32, 1000, used)
    make_room(500, 5000, keep="")
    assert len(list_stores()) == 4
    make_room(1000, 4000, keep="")
    assert not folders["c"].exists()
    make_room(3500, 4000, keep="b" * 32)
    assert folders["b"].exists()
    assert held.exists()  # the oldest, but in use
    assert not folders["d"].exists()


def test_the_cache_limit_is_kept_by_packing(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("selftaught.data.store.cache._hold", lambda folder: None)
    opened_at(drawn, side=16)
    opened_at(drawn, side=8, limit=5e-6)
    assert [info.side for info in list_stores()] == [8]


@pytest.mark.parametrize("name", ["pixels.bin", "index.npy", "meta.json", "skipped.json"])
@pytest.mark.parametrize("damage", ["cut", "garbage", "gone"])
def test_a_damaged_store_is_built_again(drawn: Path, name: str, damage: str) -> None:
    before = pixels(opened_at(drawn))
    (info,) = list_stores()
    file = info.path / name
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-7] if damage == "cut" else b"\x93garbage")
    assert np.array_equal(pixels(opened_at(drawn)), before)
    assert len(list_stores()) == 1


@pytest.mark.parametrize("name", ["frames-0.bin", "sound-0.bin", "index.npz", "meta.json"])
def test_a_damaged_store_of_videos_is_built_again(tmp_path: Path, write_video: Any, name: str) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (12, 32, 32, 3), dtype=np.uint8)
    write_video(tmp_path / "videos" / "a.mp4", frames, sound=np.zeros(16000, np.float32))

    def read() -> np.ndarray[Any, Any]:
        source = open_video_folder(tmp_path / "videos", split="train", needs=frozenset({"video"}), seed=0, held_out=0.0)
        samples = open_samples(
            source, side=16, sampling=Sampling(inputs={"video": Clip(frames=2)}), cache_limit_gb=1.0, workers=1
        )
        video = samples.read(np.zeros(1, np.int64), np.zeros((1, 3)))["video"]
        assert video is not None
        return video

    before = read()
    (info,) = list_stores()
    file = info.path / name
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert np.array_equal(read(), before)
