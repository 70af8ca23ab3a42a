from __future__ import annotations

from pathlib import Path

import pytest

from selftaught.data.sources.shards import Shards, estimate, find_shards
from tests.data.tar_shards import jpeg, served, write_shards


def found(data: Path | str) -> Shards:
    shards = find_shards(str(data))
    assert shards is not None
    return shards


def test_a_folder_a_range_and_a_url_name_the_same_shards(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    paths = write_shards(tmp_path, [3, 5, 4])
    names = [path.name for path in paths]
    sizes = [path.stat().st_size for path in paths]
    with served(tmp_path) as url:
        remote = found(f"{url}/s-{{000..002}}.tar")
    assert remote.is_remote
    for shards in (found(tmp_path), found(tmp_path / "s-{000..002}.tar"), remote):
        assert (list(shards.names), list(shards.sizes)) == (names, sizes)
    assert found(tmp_path).fingerprint == found(tmp_path / "s-*.tar").fingerprint
    paths[1].write_bytes(paths[0].read_bytes())
    assert found(tmp_path).fingerprint != remote.fingerprint


def test_shards_are_held_out_by_name_or_by_a_seeded_share(tmp_path: Path) -> None:
    write_shards(tmp_path / "plain", [1] * 20)
    shards = found(tmp_path / "plain")
    train, rest = (shards.part(split, held_out=0.2) for split in ("train", "held_out"))
    assert sorted([*train.names, *rest.names]) == list(shards.names)
    assert 1 <= len(rest) <= 8
    assert train.fingerprint != rest.fingerprint
    for split in ("train", "val"):
        write_shards(tmp_path / "own" / split, [1, 1])
    own = found(tmp_path / "own")
    assert list(own.part("held_out", held_out=0.2).names) == ["val/s-000.tar", "val/s-001.tar"]
    assert list(own.part("train", held_out=0.2).names) == ["train/s-000.tar", "train/s-001.tar"]


def test_one_shard_cannot_be_held_out(tmp_path: Path) -> None:
    write_shards(tmp_path, [4])
    with pytest.raises(ValueError, match="is 1 shard, none of them for the held-out part"):
        found(tmp_path).part("held_out", held_out=0.2)


def test_images_parquet_and_names_are_no_shards(tmp_path: Path) -> None:
    write_shards(tmp_path, [4])
    assert find_shards("demo") is None
    assert find_shards(str(tmp_path / "nowhere")) is None
    (tmp_path / "a.jpg").write_bytes(jpeg(0))
    assert find_shards(str(tmp_path)) is None


def test_the_number_of_images_is_estimated_from_the_first_ones(tmp_path: Path) -> None:
    write_shards(tmp_path, [90, 120, 60])
    assert found(tmp_path).about() == pytest.approx(270, rel=0.1)
    unknown = Shards("data", ["a.tar", "b.tar"], ["a", "b"], [0, 0], "")
    assert estimate(10, 1000, unknown) == 20


def test_absent_shards_are_one_sentence(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    with pytest.raises(ValueError, match=r"no tar file .*s-000\.tar"):
        find_shards(str(tmp_path / "s-{000..001}.tar"))
    with served(tmp_path) as url, pytest.raises(ValueError, match=r"s-000\.tar cannot be opened"):
        find_shards(f"{url}/s-000.tar")
