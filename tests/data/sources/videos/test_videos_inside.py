"""Videos in tars, Parquet and Arrow files: the same clips as of files, with labels and parts."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from selftaught.data.batch import Sampling
from selftaught.data.inputs import Clip, Sound
from selftaught.data.sources.base import Source
from selftaught.data.sources.open import open_source
from selftaught.data.store.open import open_samples
from selftaught.data.store.video_samples import VideoSamples
from tests.conftest import WriteVideo
from tests.data.sources.videos.sounds_of import tone, write_sound
from tests.data.store.videos import PAIRS, counted, numbers
from tests.data.tar_shards import add, jpeg

VIDEO = frozenset({"video"})


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory, write_video: WriteVideo) -> list[bytes]:
    """Four encoded videos of 16, 15, 14 and 13 counted frames."""
    folder = tmp_path_factory.mktemp("clips")
    return [write_video(folder / f"{n}.mp4", counted(16 - n)).read_bytes() for n in range(4)]


def opened(data: Path, split: str = "train", needs: frozenset[str] = VIDEO) -> Source:
    return open_source(str(data), split=split, needs=needs, held_out=0.0)


def read(source: Source, limit: float = 1.0) -> VideoSamples:
    sampling = Sampling(inputs={"clip": Clip(frames=4, stride=2)})
    samples = open_samples(source, side=32, sampling=sampling, cache_limit_gb=limit, workers=2)
    assert isinstance(samples, VideoSamples)
    first = samples.read(np.arange(len(samples)), np.tile([0.5, 0.5, 0.0], (len(samples), 1)))["clip"]
    assert all(numbers(clip) == [0, 2, 4, 6] for clip in first)
    return samples


def tar(path: Path, members: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            add(archive, name, content)
    return path


@pytest.mark.parametrize("limit", [1.0, 1e-9], ids=["packed", "as they are read"])
def test_tars_of_mp4_members(cache: Path, tmp_path: Path, clips: list[bytes], limit: float) -> None:
    tar(
        tmp_path / "data" / "train-000.tar",
        {"a.mp4": clips[0], "a.cls": b"run", "a.jpg": jpeg(1), "b.mp4": clips[1][:200], "b.cls": b"run"},
    )
    tar(tmp_path / "data" / "train-001.tar", {"c.mp4": clips[2], "c.json": b'{"label": "walk"}'})
    tar(tmp_path / "data" / "val-000.tar", {"d.mp4": clips[3], "d.cls": b"walk"})
    source = opened(tmp_path / "data", needs=VIDEO | {"label"})
    assert [entry.key.rpartition("/")[2] for entry in source.entries] == ["a.mp4", "b.mp4", "c.mp4"]
    assert (source.classes, [entry.label for entry in source.entries]) == (("run", "walk"), [0, 0, 1])
    assert source.left_out.counts == {".jpg": 1}
    samples = read(source, limit)
    assert samples.num_frames.tolist() == [16, 14]
    assert [(key.rpartition("/")[2], why.split(";")[0]) for key, why in samples.skipped] == [
        ("b.mp4", "it is not a video in a known format, or its header is lost")
    ]
    assert len(opened(tmp_path / "data", "held_out")) == 1


def test_images_beside_videos_in_tars_serve_tasks_on_images(tmp_path: Path, clips: list[bytes]) -> None:
    path = tar(tmp_path / "both.tar", {"a.mp4": clips[0], "a.jpg": jpeg(1), "b.mp4": clips[1], "b.jpg": jpeg(2)})
    source = opened(path, needs=frozenset({"image"}))
    assert [entry.key.rpartition("/")[2] for entry in source.entries] == ["a.jpg", "b.jpg"]
    assert source.left_out.counts == {".mp4": 2}
    only = tar(tmp_path / "only.tar", {"a.mp4": clips[0], "b.mp4": clips[1]})
    assert opened(only, needs=frozenset({"image"})).provides >= {"image", "video"}


@pytest.mark.parametrize("form", ["bytes", "struct", "path"])
@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_tables_with_a_column_of_videos(cache: Path, tmp_path: Path, clips: list[bytes], form: str, kind: str) -> None:
    for n, clip in enumerate(clips):
        (tmp_path / f"{n}.mp4").write_bytes(clip)
    cells: dict[str, Any] = {
        "bytes": pa.array(clips, pa.binary()),
        "struct": pa.array(
            [{"bytes": clip if n else None, "path": f"{n}.mp4"} for n, clip in enumerate(clips)],
            pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
        ),
        "path": pa.array([f"{n}.mp4" for n in range(4)]),
    }
    table = pa.table({"video": cells[form], "label": ["run", "walk"] * 2, "image": pa.array([jpeg(1)] * 4)})
    (tmp_path / "table").mkdir()
    file = tmp_path / f"data.{kind}"
    if kind == "parquet":
        pq.write_table(table, file, row_group_size=2)
    else:
        with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    source = opened(file, needs=VIDEO | {"label"})
    assert source.provides == {"video", "image", "audio", "label"}
    samples = read(source)
    assert samples.num_frames.tolist() == [16, 15, 14, 13]
    assert [entry.label for entry in source.entries] == [0, 1, 0, 1]
    images = opened(file, needs=frozenset({"image"}))
    assert images.provides == {"image", "label"}
    assert images.fingerprint != source.fingerprint


def test_rows_without_a_video_are_skipped_with_a_reason(cache: Path, tmp_path: Path, clips: list[bytes]) -> None:
    rows = ["0.mp4", "gone.mp4", "https://host/a.mp4", None]
    (tmp_path / "0.mp4").write_bytes(clips[0])
    pq.write_table(pa.table({"video": pa.array(rows, pa.string())}), tmp_path / "data.parquet")
    samples = read(opened(tmp_path / "data.parquet"))
    assert len(samples) == 1
    assert [why.partition(";")[0] for _, why in samples.skipped] == [
        "No such file or directory",
        "the row has an address instead of the video",
        "the row has no video",
    ]


def test_sound_of_videos_in_tars(cache: Path, tmp_path: Path, write_video: WriteVideo, clips: list[bytes]) -> None:
    beep = (np.sin(np.arange(2 * 44100) / 8) / 2).astype(np.float32)
    loud = write_video(tmp_path / "loud.mp4", counted(50), sound=beep).read_bytes()
    path = tar(tmp_path / "a.tar", {"loud.mp4": loud, "mute.mp4": clips[0]})
    samples = open_samples(
        opened(path, needs=frozenset({"video", "audio"})), side=32, sampling=PAIRS, cache_limit_gb=1, workers=1
    )
    assert [key.rpartition("/")[2] for key in samples.keys] == ["loud.mp4"]
    assert {key.rpartition("/")[2]: why for key, why in samples.skipped}["mute.mp4"] == "no sound"
    heard = samples.read(np.zeros(1, np.int64), np.full((1, 3), 0.5))["audio"]
    assert 0.2 < np.abs(heard).mean() < 0.5


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_of_videos(cache: Path, tmp_path: Path, clips: list[bytes], compression: int) -> None:
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w", compression) as archive:
        for n, clip in enumerate(clips):
            archive.writestr(f"data/{'train' if n else 'test'}/{'ab'[n % 2]}/{n}.mp4", clip)
        archive.writestr("data/cover.jpg", jpeg(1))
    source = opened(path, needs=VIDEO | {"label"})
    assert [entry.key for entry in source.entries] == [f"data/train/{'ab'[n % 2]}/{n}.mp4" for n in (2, 1, 3)]
    assert source.classes == ("a", "b")
    assert source.left_out.counts == {".jpg": 1}
    assert read(source).num_frames.tolist() == [14, 15, 13]
    assert opened(path, needs=frozenset({"image"})).provides == {"image"}
    with pytest.raises(ValueError, match="sound is needed, but none of the 4 videos of"):
        opened(path, needs=frozenset({"video", "audio"}))


def test_a_file_of_sound_in_a_tar_is_that_of_its_video(cache: Path, tmp_path: Path, clips: list[bytes]) -> None:
    sound = write_sound(tmp_path / "x.wav", tone(0.6, 1000)).read_bytes()
    path = tar(tmp_path / "data.tar", {"a.mp4": clips[0], "a.wav": sound, "b.mp4": clips[1], "z.wav": sound})
    source = opened(path, needs=VIDEO | {"audio"})
    assert source.left_out.counts == {".wav": 1}
    sampling = Sampling(inputs={"video": Clip(frames=2), "audio": Sound(seconds=0.2)})
    samples = open_samples(source, side=32, sampling=sampling, cache_limit_gb=1.0, workers=1)
    assert [(key[-5:], why) for key, why in samples.skipped] == [("b.mp4", "no sound")]
    heard = samples.read(np.array([0]), np.full((1, 3), 0.5))["audio"][0]
    assert np.abs(np.fft.rfft(heard)).argmax() / 0.2 == pytest.approx(1000, abs=5)
    assert opened(path).left_out.counts == {".wav": 2}
    assert opened(path).fingerprint != source.fingerprint
