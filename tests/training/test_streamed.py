"""Pretraining on shards that are read in order: local and served ones, resumed, by two processes."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import selftaught
from selftaught.core.config import RunConfig
from selftaught.data.sources.shards import Shards
from selftaught.data.store.cache import list_stores
from selftaught.data.stream import Stream
from selftaught.tasks.context import rotation
from selftaught.training.checkpoint import load_checkpoint
from selftaught.training.setup import spec_for
from selftaught.training.streamed import shards_to_stream
from tests.conftest import WriteVideo
from tests.data.tar_shards import served, write_shards
from tests.data.video_shards import write_clip_shards
from tests.training.stopping import assert_same_run, stopped_before
from tests.two_processes import in_two_processes

SETTINGS: dict[str, Any] = {
    "task": "rotation", "encoder": "timm:test_resnet", "size": 32, "batch_size": 8, "steps": 7, "accelerator": "cpu",
    "precision": "32-true", "evaluate_every": 100.0, "checkpoint_every": 3,
}  # fmt: skip
BROKEN = {1, 2, 11, 12, 25, 26, 37, 38, 46, 47}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    write_shards(folder, [10, 14, 12, 9, 11], broken=BROKEN)
    return folder


def stop_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """End the run while the batch of a step is read."""
    original = Stream.batch

    def reading(self: Stream, at: int) -> Any:
        if at == step:
            monkeypatch.setattr(Stream, "batch", original)
            raise KeyboardInterrupt
        return original(self, at)

    monkeypatch.setattr(Stream, "batch", reading)


@pytest.fixture(scope="module")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The summary of a run on the local shards."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    return selftaught.pretrain(folder, out=out, stream="always", **SETTINGS)


def test_nothing_is_packed_and_what_is_broken_is_listed(folder: Path, whole: dict[str, Any]) -> None:
    assert [store for store in list_stores() if str(folder) in store.data] == []
    assert "4 shards with about" in whole["notes"][0]
    assert "read in order while training, 1 are held out" in whole["notes"][0]
    assert 38 <= whole["train_samples"] <= 54  # 45 or so, of which broken ones are smaller
    with (Path(whole["run"]) / "skipped.csv").open() as file:
        listed = [row["path"] for row in csv.DictReader(file)]
    assert len(listed) == whole["skipped"] == len(set(listed)) >= 6
    assert {int(path[-10:-4]) for path in listed} <= BROKEN


def test_a_run_resumes_to_the_bit_with_any_number_of_threads(
    folder: Path, whole: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_at(5, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        selftaught.pretrain(folder, out=tmp_path / "run", stream="always", **SETTINGS)
    resumed = selftaught.pretrain(folder, out=tmp_path / "run", stream="always", resume=True, workers=3, **SETTINGS)
    assert_same_run(tmp_path / "run", Path(whole["run"]))
    assert resumed["value"] == whole["value"]


@pytest.mark.parametrize(("began", "resumed"), [(1e-5, 50.0), (50.0, 1e-5)])
def test_auto_decides_once_and_a_resumed_run_reads_as_it_began(
    folder: Path, began: float, resumed: float, tmp_path: Path
) -> None:
    """Whatever the cache may hold by then: another order of the samples would be another run."""
    short = SETTINGS | {"steps": 3, "batch_size": 4, "checkpoint_every": 1}
    whole = selftaught.pretrain(folder, out=tmp_path / "whole", cache_limit=began, **short)
    is_streamed = "read in order" in " ".join(whole["notes"])
    assert is_streamed == (began < 1)
    with stopped_before(2):
        selftaught.pretrain(folder, out=tmp_path / "run", cache_limit=began, **short)
    decided = json.loads((tmp_path / "run" / "config.json").read_text())["stream"]
    assert decided == ("always" if is_streamed else "never")
    selftaught.pretrain(folder, out=tmp_path / "run", cache_limit=resumed, resume=True, **short)
    assert_same_run(tmp_path / "run", tmp_path / "whole")


def test_a_task_of_ones_own_is_tried_with_held_out_images(folder: Path, tmp_path: Path) -> None:
    own = shutil.copy(str(rotation.__file__), str(tmp_path / "own_rotation.py"))
    short = SETTINGS | {"steps": 1, "task": own}
    summary = selftaught.pretrain(folder, out=tmp_path / "run", stream="always", **short)
    assert (summary["task"], summary["family"]) == ("own_rotation", "own")


def test_a_served_run_is_that_of_the_same_local_shards(folder: Path, whole: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    with served(folder) as url:
        selftaught.pretrain(f"{url}/s-{{000..004}}.tar", out=tmp_path / "served", **SETTINGS)
    assert_same_run(tmp_path / "served", Path(whole["run"]))


def train_one(rank: int, port: int, data: str, out: str) -> None:
    import os

    os.environ.update(
        MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2",
        LOCAL_WORLD_SIZE="2", NODE_RANK="0",
    )  # fmt: skip
    torch.set_num_threads(1)
    read: list[str] = []
    original = Stream._shard

    def noted(self: Stream, shard: int, skip: int) -> Any:
        read.append(f"{self.shards.names[shard]} {skip}")
        return original(self, shard, skip)

    Stream._shard = noted  # type: ignore[method-assign]
    from selftaught.training.train import train

    train(RunConfig.of(data=data, out=f"{out}/run", devices=2, stream="always", **SETTINGS))
    Path(out, f"{rank}.json").write_text(json.dumps(read))


@pytest.mark.slow  # two processes that import torch
def test_two_processes_read_every_shard_once_in_an_epoch(folder: Path, tmp_path: Path) -> None:
    in_two_processes(train_one, str(folder), str(tmp_path))
    read = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)]
    assert sorted([*read[0][:2], *read[1][:2]]) == sorted({*read[0], *read[1]})
    _, meta = load_checkpoint(tmp_path / "run" / "checkpoints" / "last.safetensors")
    assert len(meta["stream"]["starts"]) == 2
    assert meta["stream"]["starts"][0] != meta["stream"]["starts"][1]
    with (tmp_path / "run" / "skipped.csv").open() as file:
        listed = {row["path"].split("/")[0] for row in csv.DictReader(file)}
    assert listed >= {name.split()[0] for name in [*read[0][:2], *read[1][:2]]}


def found_by(config: RunConfig) -> Shards | None:
    return shards_to_stream(config, spec_for(config))


def asked(data: Path | str, **settings: Any) -> RunConfig:
    return RunConfig.of(data=str(data), out="run", **SETTINGS | settings)


def test_auto_streams_what_is_compressed_or_larger_than_the_limit(folder: Path, tmp_path: Path) -> None:
    assert found_by(asked(folder)) is None
    assert found_by(asked(folder, cache_limit=1e-5)) is not None
    assert found_by(asked(folder, cache_limit=1e-5, stream="never")) is None
    assert found_by(asked(folder, cache_limit=1e-5, task="clustering")) is None
    assert found_by(asked(folder, cache_limit=1e-5, limit=10)) is None
    write_shards(tmp_path, [2, 2], ending=".tar.gz")
    assert found_by(asked(tmp_path)) is not None
    assert found_by(asked("demo")) is None


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"task": "clustering"}, "task 'clustering' needs all of them at once"),
        ({"task": "noise_as_targets"}, "task 'noise_as_targets' needs all of them at once"),
        ({"task": "supervised"}, "task 'supervised' needs label too"),
        ({"task": "moving_object"}, "packs nothing, but task 'moving_object' learns from what the program"),
        ({"task": "clip_order"}, "task 'clip_order' needs videos, but the shards of .* hold none"),
        ({"task": "synthetic_labels"}, "task 'synthetic_labels' needs contours and depth and normals too"),
        ({"limit": 10}, "leave one of them out"),
        ({"data": "demo"}, "reads tar shards .* and demo is none"),
    ],
)
def test_what_cannot_be_streamed_is_refused(folder: Path, settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        found_by(asked(settings.pop("data", folder), stream="always", **settings))


def test_fewer_shards_than_processes_are_refused_before_training(tmp_path: Path) -> None:
    write_shards(tmp_path / "data", [4, 4])
    with pytest.raises(ValueError, match="has 1 shard to train on, fewer than the 2 processes"):
        selftaught.pretrain(tmp_path / "data", out=tmp_path / "run", devices=2, stream="always", **SETTINGS)
    assert not (tmp_path / "run" / "config.json").exists()


CLIPS: dict[str, Any] = SETTINGS | {
    "task": "frame_order_verification", "batch_size": 4, "steps": 5, "checkpoint_every": 2, "stream": "always",
}  # fmt: skip


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory, write_video: WriteVideo) -> Path:
    """Shards of videos, of which one cannot be read."""
    return write_clip_shards(tmp_path_factory.mktemp("clips"), [4, 3, 4, 3], write_video, broken={5}, frames=31)


@pytest.mark.slow  # three runs; the stream alone is resumed in tests/data/test_clip_stream.py
def test_a_task_on_clips_learns_from_shards_and_resumes_to_the_bit(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = selftaught.pretrain(clips, out=tmp_path / "whole", **CLIPS)
    assert "3 shards with about" in whole["notes"][0]
    assert "videos are read in order while training, 1 are held out; nothing is packed" in whole["notes"][0]
    assert not [store for store in list_stores() if str(clips) in store.data]
    with (tmp_path / "whole" / "skipped.csv").open() as file:
        assert [row["path"] for row in csv.DictReader(file)] == ["s-001.tar/005.mp4"]
    stop_at(3, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        selftaught.pretrain(clips, out=tmp_path / "run", **CLIPS)
    selftaught.pretrain(clips, out=tmp_path / "run", resume=True, workers=1, **CLIPS)
    assert_same_run(tmp_path / "run", tmp_path / "whole")


def test_no_video_is_in_both_parts(clips: Path) -> None:
    found = found_by(asked(clips, **CLIPS))
    assert found is not None
    train, held_out = (found.part(split, held_out=0.1) for split in ("train", "held_out"))
    assert sorted([*train.names, *held_out.names]) == list(found.names)
    assert len(held_out) == 1


@pytest.mark.slow  # steps are timed for seconds
def test_a_dry_run_says_what_is_streamed(clips: Path, tmp_path: Path) -> None:
    found = selftaught.pretrain(clips, out=tmp_path / "run", dry_run=True, **CLIPS)
    assert (found["is_streamed"], found["skipped"], found["unit"]) == (True, 0, "clips")
    assert found["decoded"] == found["heldout_samples"]
    assert 8 <= found["train_samples"] <= 24
    assert found["disk"]["store"]["bytes"] == 0
    assert not (tmp_path / "run").exists()


def test_videos_are_streamed_where_their_frames_as_jpeg_exceed_the_limit(clips: Path) -> None:
    frames = 14 * 32 * 32 * 32 * 3 / 1e9
    auto = CLIPS | {"stream": "auto"}
    assert found_by(asked(clips, cache_limit=frames / 5 * 4, **auto)) is None
    assert found_by(asked(clips, cache_limit=frames / 5 / 4, **auto)) is not None
    few = auto | {"cache_limit": 1e-9}
    assert found_by(asked(clips, **few | {"task": "moving_object"})) is None  # which needs what is packed
    images = found_by(asked(clips, **few | {"task": "rotation"}))
    assert images is not None
    assert images.kind_for(frozenset({"image"})) == "video"
