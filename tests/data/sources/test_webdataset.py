"""Tars by offset: local files, brace ranges, and any fsspec URL, with the same entries."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import fsspec
import pytest

from selftaught.data.sources.open import open_source
from tests.data.sources.tars.written import opened, plain_tar


def tar_of(photos: list[bytes], *, first: int, label: str = "cls") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for i, data in enumerate(photos, start=first):
            text = str(i % 2) if label == "cls" else json.dumps({"label": ("tench", "church")[i % 2]})
            for suffix, content in (("jpg", data), (label, text.encode())):
                info = tarfile.TarInfo(f"samples/{i:06d}.{suffix}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def test_local_ranges_and_remote_urls_agree(tmp_path: Path, photos: list[bytes]) -> None:
    remote = fsspec.filesystem("memory")
    for n in range(3):
        tar = tar_of(photos[8 * n : 8 * n + 8], first=8 * n)
        (tmp_path / f"shard-{n:03d}.tar").write_bytes(tar)
        remote.pipe_file(f"/shards/shard-{n:03d}.tar", tar)
    local = opened(tmp_path / "shard-{000..002}.tar")
    assert [e.key for e in opened(tmp_path).entries] == [e.key for e in local.entries]
    streamed = opened("memory://shards/shard-{000..002}.tar")
    assert local.random_access
    assert not streamed.random_access
    assert len(local) + len(opened(tmp_path, "held_out")) == 24
    for source in (local, streamed):
        assert source.classes == ("0", "1")
        read = dict(source.iterate())
        for i, entry in enumerate(source.entries):
            number = int(entry.key[-10:-4])
            assert read[i] == source.read(i) == photos[number]
            assert entry.label == number % 2


def test_shards_named_by_split(tmp_path: Path, photos: list[bytes]) -> None:
    (tmp_path / "train-000.tar").write_bytes(tar_of(photos[:6], first=0, label="json"))
    (tmp_path / "val-000.tar").write_bytes(tar_of(photos[6:8], first=6, label="json"))
    assert len(opened(tmp_path)) == 6
    assert len(opened(tmp_path, "held_out")) == 2
    assert opened(tmp_path).classes == ("church", "tench")


def test_a_download_that_stopped_gives_what_came(tmp_path: Path, photos: list[bytes]) -> None:
    whole = tar_of(photos, first=0)
    (tmp_path / "a.tar").write_bytes(whole[: len(whole) // 2])
    source = opened(tmp_path / "a.tar")
    kinds = [type(payload).__name__ for _, payload in source.iterate()]
    assert kinds.count("bytes") >= 5
    assert kinds.count("Unreadable") <= 1


def test_errors_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a-000.tar").write_bytes(b"")
    with pytest.raises(ValueError, match=r"no tar file .*a-001\.tar"):
        opened(tmp_path / "a-{000..001}.tar")
    with pytest.raises(ValueError, match="compressed tar"):
        opened(tmp_path / "a.tar.gz")
    (tmp_path / "b.tar").write_bytes(b"no tar at all" * 100)
    with pytest.raises(ValueError, match="is not a tar archive"):
        opened(tmp_path / "b.tar")
    with pytest.raises(ValueError, match=r"memory://gone\.tar cannot be opened"):
        opened("memory://gone.tar")


def test_shards_in_folders_of_the_splits(tmp_path: Path, photos: list[bytes]) -> None:
    for part, chosen in (("train", range(8)), ("val", range(8, 12))):
        plain_tar(tmp_path / "wds" / part / "00000.tar", {f"{i % 4}.jpg": photos[i] for i in chosen if i % 8 < 4})
        plain_tar(
            tmp_path / "wds" / part / "00001.tar", {f"{i % 4}.jpg": photos[i] for i in chosen if i % 8 >= 4} or {}
        )
    for data in (tmp_path / "wds", tmp_path / "wds/*/*.tar"):
        train, val = (opened(data, split, frozenset({"image"})) for split in ("train", "held_out"))
        assert (len(train), len(val), val.part) == (8, 4, "val")
        assert len({entry.key for entry in (*train.entries, *val.entries)}) == 12
        assert train.entries[0].key == "train/00000.tar/0.jpg"


@pytest.mark.parametrize("name", ["[v1] shards", "a*b?", "{000..001}"])
def test_a_path_that_exists_is_no_pattern(tmp_path: Path, photos: list[bytes], name: str) -> None:
    plain_tar(tmp_path / name / "0.tar", {f"{i}.jpg": photos[i] for i in range(4)})
    plain_tar(tmp_path / name / "1.tar", {f"{i}.jpg": photos[i] for i in range(4)})
    counts = []
    for data in (name, f"{name}/0.tar", f"{name}/*.tar", f"{name}/{{0..1}}.tar"):
        if name[0] == "{" and "{0.." in data:
            continue
        found = open_source(str(tmp_path / data), split="train", needs=frozenset({"image"}), held_out=0.0)
        counts.append(len(found))
    assert counts == [8, 4, 8, 8][: len(counts)]


def test_a_shard_that_is_no_tar_is_left_out_and_listed(tmp_path: Path, photos: list[bytes]) -> None:
    plain_tar(tmp_path / "0.tar", {f"{i}.jpg": photos[i] for i in range(4)})
    (tmp_path / "1.tar").write_bytes(b"no tar at all" * 100)
    source = open_source(str(tmp_path), split="train", needs=frozenset({"image"}), held_out=0.25)
    assert [key for key, _ in source.skipped] == ["1.tar"]
    assert "is not a tar" in source.skipped[0][1]
    assert len(source.notes) == 1
    other = open_source(str(tmp_path), split="held_out", needs=frozenset({"image"}), held_out=0.25)
    assert len(source) + len(other) == 4
    assert not other.skipped
