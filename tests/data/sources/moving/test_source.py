"""Moving sequences as a source: parts, seeds, labels, and one packed store for all labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from selftaught.core.files import digest
from selftaught.data.batch import Sampling
from selftaught.data.decode.frame_sequence import FrameSequence
from selftaught.data.inputs import Clip
from selftaught.data.sources.base import Source
from selftaught.data.sources.moving.objects import Digits
from selftaught.data.sources.moving.source import MovingSequences
from selftaught.data.sources.open import open_source
from selftaught.data.store.open import open_samples
from tests.data.trees import PNG

LABELLED = frozenset({"video", "label"})


def opened(name: str, split: str = "train") -> Source:
    return open_source(name, split=split, needs=LABELLED)


def first_frame(source: Source, i: int) -> NDArray[np.uint8]:
    video = source.read(i)
    assert isinstance(video, FrameSequence)
    frame = next(video.frames([0]))
    assert isinstance(frame, np.ndarray)
    return frame


def packed(source: Source) -> str:
    clips = Sampling(inputs={"clip": Clip(frames=4)})
    samples = open_samples(source, side=32, sampling=clips, cache_limit_gb=1.0, workers=1)
    rows = np.arange(len(samples))
    return digest([samples.read(rows, np.full((len(rows), 3), 0.5))["clip"].tobytes().hex()])


def test_parts_have_their_numbers_and_videos_of_their_own() -> None:
    parts = [opened("moving:digits,videos=40", part) for part in ("train", "held_out", "test")]
    assert [(len(part), part.part) for part in parts] == [(40, "train"), (10, "val"), (10, "test")]
    shown = {first_frame(part, i).tobytes() for part in parts for i in range(len(part))}
    assert len(shown) == 60


def test_a_video_depends_on_its_number_and_the_seed() -> None:
    few, many, other = (opened(f"moving:digits,{more}") for more in ("videos=16", "videos=64", "videos=16,seed=1"))
    for i in range(16):
        assert np.array_equal(first_frame(few, i), first_frame(many, i))
        assert not np.array_equal(first_frame(few, i), first_frame(other, i))
    assert len({source.fingerprint for source in (few, many, other)}) == 3


def test_labels_are_of_the_factors() -> None:
    by_direction, by_speed, by_digit = (
        opened(f"moving:digits,videos=48,label={label}") for label in ("direction", "speed", "identity")
    )
    assert [entry.label for entry in by_direction.entries] == [i % 8 for i in range(48)]
    assert [entry.label for entry in by_speed.entries] == [i // 8 % 3 for i in range(48)]
    assert by_digit.classes == tuple("0123456789")
    digits = Digits("train").labels
    assert isinstance(by_digit, MovingSequences)
    assert [entry.label for entry in by_digit.entries] == [digits[known.image] for known in by_digit.factors]
    assert by_direction.fingerprint == by_speed.fingerprint == by_digit.fingerprint


@pytest.mark.parametrize("name", ["digits,videos=8,side=32,ground=texture", "synthetic:N=20,videos=8,side=32"])
def test_packed_bytes_are_the_same_twice(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stores = []
    for cache in ("first", "second"):
        monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path / cache))
        found = packed(open_source(f"moving:{name}", split="train", needs=frozenset({"video"}), held_out=0.3))
        (frames,) = (tmp_path / cache).rglob("frames-0.bin")
        stores.append((found, frames.read_bytes()))
    assert stores[0] == stores[1]
    assert len(stores[0][1]) == 8 * 32 * 32 * 32 * 3


def test_the_class_of_a_photograph_is_its_identity() -> None:
    source = opened("moving:demo,label=identity,videos=24")
    assert len(source.classes or ()) == 12
    assert {entry.label for entry in source.entries} <= set(range(12))


def test_what_cannot_move_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no file or folder .*nowhere"):
        opened(f"moving:{tmp_path / 'nowhere'}")
    for number in range(30):
        (tmp_path / f"{number}.png").write_bytes(PNG)
    with pytest.raises(ValueError, match="labels are needed, but"):
        opened(f"moving:{tmp_path},label=identity")
