from __future__ import annotations

import tarfile
from pathlib import Path

import fsspec
import pytest

from selftaught.data.decode.encoded_video import EncodedVideo
from selftaught.data.files.file_tree import Unreadable
from selftaught.data.sources.tars.tar_stream import ending_of, holds, tar_samples
from tests.data.tar_shards import MODES, add, jpeg, served, write_shards


@pytest.mark.parametrize("ending", MODES)
def test_samples_come_in_order_and_from_any_place_on(tmp_path: Path, ending: str) -> None:
    (path,) = write_shards(tmp_path, [9], ending=ending)
    whole = list(tar_samples(str(path)))
    assert [sample.key for sample in whole] == [f"{i:06d}.jpg" for i in range(9)]
    assert [sample.payload for sample in whole] == [jpeg(i) for i in range(9)]
    assert list(tar_samples(str(path), skip=6)) == whole[6:]
    assert list(tar_samples(str(path), skip=9)) == []


def test_what_is_skipped_in_a_local_tar_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = write_shards(tmp_path, [50])
    from selftaught.data.sources.tars import tar_stream

    read = 0
    original = tar_stream._Forward.content

    def counted(self: tar_stream._Forward, size: int) -> bytes:
        nonlocal read
        read += size
        return original(self, size)

    monkeypatch.setattr(tar_stream._Forward, "content", counted)
    assert len(list(tar_samples(str(path), skip=48))) == 2
    assert read < 50 * 2 * 1100 + 3 * len(jpeg(48)) < path.stat().st_size


def test_any_url_gives_the_same(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    (path,) = write_shards(tmp_path, [5])
    whole = list(tar_samples(str(path)))
    fsspec.filesystem("memory").pipe_file("/tar_stream/s.tar", path.read_bytes())
    assert list(tar_samples("memory://tar_stream/s.tar", skip=2)) == whole[2:]
    with served(tmp_path) as url:
        assert list(tar_samples(f"{url}/{path.name}", skip=2)) == whole[2:]


def test_masks_hidden_files_and_links_are_no_samples(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name in ("x.jpg", "x.seg.png", "y.depth.png", "y.rgb.png", ".z.jpg", "two.0.jpg", "two.1.jpg"):
            add(archive, name, name.encode())
        link = tarfile.TarInfo("link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    found = list(tar_samples(str(tmp_path / "a.tar")))
    assert [sample.key for sample in found] == ["x.jpg", "y.rgb.png", "two.0.jpg", "two.1.jpg"]
    assert list(tar_samples(str(tmp_path / "a.tar"), skip=3)) == found[3:]


@pytest.mark.parametrize("ending", [".tar", ".tar.gz"])
def test_a_damaged_tar_gives_what_comes_before_the_damage(tmp_path: Path, ending: str) -> None:
    (path,) = write_shards(tmp_path, [20], ending=ending)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = list(tar_samples(str(path)))
    good = [sample.payload for sample in found if isinstance(sample.payload, bytes)]
    assert 5 <= len(good) < 20
    assert good == [jpeg(i) for i in range(len(good))]
    assert found[-1].key == ""
    assert "cut off" in str(found[-1].payload)


def test_what_is_no_tar_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"no tar at all" * 100)
    ((key, why, _),) = tar_samples(str(tmp_path / "a.tar"))
    assert key == ""
    assert "is not a tar archive" in str(why)


def test_endings() -> None:
    assert ending_of("https://host/a.TAR.gz?token=1") == ".tar.gz"
    assert ending_of("a/{000..003}.tar") == ".tar"
    assert ending_of("a/photos") is None


def videos_of(path: Path | str, *, skip: int = 0) -> list[tuple[str, bytes, bytes]]:
    """(name, content, sound) of the videos of a tar."""
    found = []
    for sample in tar_samples(str(path), skip=skip, kind="video"):
        assert isinstance(sample.payload, EncodedVideo), sample
        opened = [track() for track in (sample.payload.open, sample.payload.track) if track is not None]
        content = [file.read() for file in opened if not isinstance(file, str)]
        found.append((sample.key, content[0], content[1] if len(content) > 1 else b""))
    return found


VIDEOS = {
    "a.wav": b"1",
    "a.mp4": b"22",
    "a.jpg": b"3",
    "b.1.webm": b"4",
    "b.2.webm": b"5",
    "b.2.flac": b"6",
    "c.txt": b"7",
}


@pytest.mark.parametrize("ending", MODES)
def test_videos_come_with_the_sound_beside_them(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"s{ending}"
    with tarfile.open(str(path), MODES[ending]) as archive:  # type: ignore[call-overload]
        for name, content in VIDEOS.items():
            add(archive, name, content)
    whole = [("a.mp4", b"22", b"1"), ("b.1.webm", b"4", b""), ("b.2.webm", b"5", b"6")]
    assert [videos_of(path, skip=skip) for skip in range(4)] == [whole[skip:] for skip in range(4)]
    assert holds(str(path)) == {"image", "video", "still"}
    assert holds(str(write_shards(tmp_path / "images", [1])[0])) == {"image"}
    assert holds(str(write_shards(tmp_path / "none", [0])[0])) == set()


def test_videos_of_a_server_are_read_as_those_of_a_disk(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    with tarfile.open(tmp_path / "s.tar", "w") as archive:
        for name, content in {"a.cls": b"1", "a.json": b"{}", **VIDEOS}.items():
            add(archive, name, content)
    with served(tmp_path) as url:
        assert holds(f"{url}/s.tar") == {"image", "video", "still"}
        assert videos_of(f"{url}/s.tar", skip=1) == videos_of(tmp_path / "s.tar", skip=1)


def test_a_video_that_is_cut_off_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "s.tar"
    with tarfile.open(path, "w") as archive:
        add(archive, "a.mp4", bytes(2000))
    path.write_bytes(path.read_bytes()[:1500])
    (sample, damage) = tar_samples(str(path), kind="video")
    assert isinstance(sample.payload, EncodedVideo)
    with pytest.raises(Unreadable, match=r"cut off in s\.tar"):
        sample.payload.open()
    assert "cut off or damaged after 1 members" in str(damage.payload)
