from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from selftaught.data.decode.fit import fit
from selftaught.data.decode.image import Decoding
from selftaught.data.sources.shards import Shards, find_shards
from selftaught.data.store.first_samples import first_samples, in_memory
from tests.data.tar_shards import jpeg, write_shards


def shards(folder: Path) -> Shards:
    found = find_shards(str(folder))
    assert found is not None
    return found


def test_the_first_samples_of_each_shard_are_kept(tmp_path: Path) -> None:
    write_shards(tmp_path, [8, 8], broken=[1])
    source = first_samples(shards(tmp_path), 6)
    assert [entry.key for entry in source.entries] == [f"s-000.tar/{i:06d}.jpg" for i in range(3)] + [
        f"s-001.tar/{i:06d}.jpg" for i in range(8, 11)
    ]
    samples = in_memory(source, side=16, decoding=Decoding(), workers=2)
    assert list(samples.keys) == [source.entries[i].key for i in (0, 2, 3, 4, 5)]
    assert [key for key, _ in samples.skipped] == ["s-000.tar/000001.jpg"]
    host = samples.read(np.array([1]), np.full((1, 3), 0.5))
    expected = fit(jpeg(2), side=16, decoding=Decoding())
    left = int(0.5 * (expected.shape[1] - 15))
    assert np.array_equal(host["image"][0], expected[:, left : left + 16])


def test_shards_without_images_are_refused(tmp_path: Path) -> None:
    write_shards(tmp_path, [0, 0])
    with pytest.raises(ValueError, match="holds no images in 2 of its shards"):
        first_samples(shards(tmp_path), 4)
    write_shards(tmp_path / "broken", [2, 2], broken=range(4))
    source = first_samples(shards(tmp_path / "broken"), 4)
    with pytest.raises(ValueError, match="none of the first 4 images"):
        in_memory(source, side=16, decoding=Decoding(), workers=1)
