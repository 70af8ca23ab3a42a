"""An encoder's features, computed or kept on disk."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from selftaught.data.store.subset import Subset
from selftaught.features.pool_stage import pool_stage
from selftaught.features.reader import LARGEST, POOLED, Reader
from selftaught.ops.crop import centre_view
from tests.evaluation.drawn_classes import DrawnSamples, TwoStages, drawn_reader


def all_of(reader: Reader, samples: DrawnSamples | Subset, dims: int = 50) -> dict[str, torch.Tensor]:
    found = list(reader.batches(samples, dims))
    assert np.concatenate([rows for _, rows in found]).tolist() == list(range(len(samples)))
    return {name: torch.cat([features[name] for features, _ in found]) for name in found[0][0]}


def test_features_are_pooled_stages_rounded_to_half_precision() -> None:
    samples, reader = DrawnSamples("reader", 6), drawn_reader()
    images = centre_view(torch.from_numpy(samples.pixels).permute(0, 3, 1, 2), 8)
    with torch.no_grad():
        expected = {n: pool_stage(v, 50) for n, v in reader.encoder.forward_stages(images).items()}
        pooled = reader.encoder(images)
    for name, values in all_of(reader, samples).items():
        assert torch.allclose(values, expected[name].half().float(), atol=1e-3)
    assert torch.allclose(reader.pooled(samples), pooled, atol=1e-2)


def test_what_is_kept_is_what_was_computed_and_is_not_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = DrawnSamples("reader", 6)
    fresh = all_of(drawn_reader(), samples)
    first = all_of(drawn_reader(cache=tmp_path), samples)
    monkeypatch.setattr(TwoStages, "forward_stages", lambda self, x: pytest.fail("computed again"))
    kept = all_of(drawn_reader(cache=tmp_path), samples)
    part = all_of(drawn_reader(cache=tmp_path), Subset(samples, np.array([5, 2])))
    for name, values in fresh.items():
        assert torch.equal(first[name], values)
        assert torch.equal(kept[name], values)
        assert torch.equal(part[name], values[[5, 2]])
    assert [folder.name.split("-")[0] for folder in tmp_path.iterdir()] == ["stages"]


@pytest.mark.parametrize("name", ["0.npy", "stages.txt"])
def test_kept_features_that_were_cut_are_computed_again(tmp_path: Path, name: str) -> None:
    samples = DrawnSamples("reader", 6)
    whole = all_of(drawn_reader(cache=tmp_path), samples)
    (file,) = tmp_path.glob(f"*/{name}")
    file.write_bytes(file.read_bytes()[:-3] + b"\xff" * (name == "stages.txt"))
    for _ in range(2):
        for stage, values in all_of(drawn_reader(cache=tmp_path), samples).items():
            assert torch.equal(whole[stage], values)
    assert file.is_file()


def test_features_beyond_the_limit_and_few_rows_are_not_kept(tmp_path: Path) -> None:
    samples = DrawnSamples("reader", 6)
    all_of(dataclasses.replace(drawn_reader(cache=tmp_path), cache_limit_gb=1e-9), samples)
    all_of(drawn_reader(cache=tmp_path), Subset(samples, np.array([1, 2])))
    assert not list(tmp_path.iterdir())


def test_the_identity_is_of_the_weights_and_of_how_they_are_read() -> None:
    reader = drawn_reader()
    others = [drawn_reader(seed=1), dataclasses.replace(reader, size=16), dataclasses.replace(reader, clips=2)]
    assert drawn_reader().identity == reader.identity
    assert len({reader.identity, *(other.identity for other in others)}) == 4


def test_numbers_too_large_are_cut_and_no_numbers_are_an_error() -> None:
    samples, reader = DrawnSamples("reader", 4), drawn_reader()
    with torch.no_grad():
        reader.encoder.second.weight.mul_(1e7)  # type: ignore[union-attr, operator]
    assert float(reader.pooled(samples).max()) == LARGEST
    with torch.no_grad():
        reader.encoder.second.weight.fill_(float("nan"))  # type: ignore[union-attr, operator]
    with pytest.raises(ValueError, match=f"^features of two_stages at {POOLED} are not finite; its training diverged"):
        reader.pooled(samples)


def test_features_that_are_broken_off_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(*_: object) -> None:
        raise KeyboardInterrupt

    reader = drawn_reader(cache=tmp_path / "features")
    monkeypatch.setattr(Reader, "_features", ended)
    with pytest.raises(KeyboardInterrupt):
        reader.pooled(DrawnSamples("reader", 6))
    assert list((tmp_path / "features").iterdir()) == []
