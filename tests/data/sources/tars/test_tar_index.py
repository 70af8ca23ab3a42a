"""What hostile and damaged tars make of a walk: the members before the damage, listed, in bounded time and memory."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from selftaught.core.files import cache_root
from selftaught.data.files.file_tree import Unreadable
from selftaught.data.sources.base import Source
from selftaught.data.sources.open import open_source

LABELLED = frozenset({"image", "label"})


def pack(members: Sequence[tuple[str, bytes, dict[str, Any]]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content, fields in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for field, value in fields.items():
                setattr(info, field, value)
            if info.size == len(content):
                archive.addfile(info, io.BytesIO(content))
            else:  # a header that lies
                archive.fileobj.write(info.tobuf(tarfile.GNU_FORMAT) + content)
    return out.getvalue()


def opened(path: Path, content: bytes, split: str = "train", needs: frozenset[str] = LABELLED) -> Source:
    path.write_bytes(content)
    return open_source(str(path), split=split, needs=needs, held_out=0.0)


def test_a_member_that_claims_more_than_there_is(tmp_path: Path, photos: list[bytes]) -> None:
    for size in (1 << 62, 1 << 80, 1 << 32):
        members = [("a.jpg", photos[0], {}), ("b.jpg", b"x" * 512, {"size": size}), ("c.jpg", photos[2], {})]
        source = opened(tmp_path / f"{size}.tar", pack(members), needs=frozenset({"image"}))
        payloads = [payload for _, payload in source.iterate()]
        assert payloads[0] == photos[0]
        assert all(isinstance(payload, Unreadable) for payload in payloads[1:])
        assert any("after" in why or "1 members" in why for _, why in source.skipped), source.skipped
        assert source.notes
        for i in range(1, len(source)):
            with pytest.raises(Unreadable, match=r"more than 256 MB|cut off"):
                source.read(i)


def test_negative_sizes_do_not_walk_in_circles(tmp_path: Path, photos: list[bytes]) -> None:
    whole = bytearray(pack([("a.jpg", photos[0], {}), ("b.jpg", photos[1], {})]))
    at = whole.index(b"b.jpg")
    whole[at + 124 : at + 136] = b"\xff" * 8 + (-2048).to_bytes(4, "big", signed=True)
    block = bytes(whole[at : at + 148]) + b" " * 8 + bytes(whole[at + 156 : at + 512])
    whole[at + 148 : at + 156] = b"%06o\0 " % sum(block)
    source = opened(tmp_path / "a.tar", bytes(whole), needs=frozenset({"image"}))
    assert [entry.key for entry in source.entries] == ["a.tar/a.jpg"]
    assert "negative" in source.skipped[-1][1]


def test_links_devices_and_names_that_lead_out(tmp_path: Path, photos: list[bytes]) -> None:
    members: list[tuple[str, bytes, dict[str, Any]]] = [
        ("/etc/a.jpg", photos[0], {}),
        ("../../b.jpg", photos[1], {}),
        ("link.jpg", b"", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}),
        ("hard.jpg", b"", {"type": tarfile.LNKTYPE, "linkname": "b.jpg"}),
        ("fifo.jpg", b"", {"type": tarfile.FIFOTYPE}),
        ("device.jpg", b"", {"type": tarfile.CHRTYPE}),
        ("n" * 5000 + ".jpg", photos[2], {}),
    ]
    before = sorted(tmp_path.rglob("*"))
    source = opened(tmp_path / "a.tar", pack(members), needs=frozenset({"image"}))
    assert [entry.key for entry in source.entries] == ["a.tar/etc/a.jpg", "a.tar/../../b.jpg"]
    assert [source.read(i) for i in (0, 1)] == photos[:2]
    assert sorted(tmp_path.rglob("*")) == [*before, tmp_path / "a.tar"]
    reasons = dict(source.skipped)
    assert reasons["a.tar/link.jpg"] == reasons["a.tar/hard.jpg"] == reasons["a.tar/fifo.jpg"]
    assert any("5004 characters" in why for why in reasons.values())
    assert len(reasons) == 5


def test_labels_too_large_or_too_deep_are_none(tmp_path: Path, photos: list[bytes]) -> None:
    deep = b'{"label": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    texts = [b'{"label": "cat"}', deep, b"9" * 5000, b'{"label": 1e999}', b'{"label": "' + b"x" * (1 << 21) + b'"}']
    members: list[tuple[str, bytes, dict[str, Any]]] = []
    for i, text in enumerate(texts):
        members += [(f"{i}.jpg", photos[i], {}), (f"{i}.json", text, {})]
    members += [("8.jpg", photos[8], {}), ("8.cls", b"7" * 4999, {}), ("9.jpg", photos[9], {}), ("9.cls", b"dog", {})]
    source = opened(tmp_path / "a.tar", pack(members))
    assert source.classes == ("cat", "dog")
    assert [entry.label for entry in source.entries] == [0, None, None, None, None, None, 1]


def test_a_damaged_index_is_rebuilt(tmp_path: Path, photos: list[bytes]) -> None:
    content = pack([(f"{i}.jpg", photos[i], {}) for i in range(4)])
    kept = cache_root() / "indexes"
    before = set(kept.glob("*.json"))
    keys = opened(tmp_path / "a.tar", content, needs=frozenset({"image"})).entries
    (index,) = set(kept.glob("*.json")) - before
    told = json.loads(index.read_text())
    for damage in ("", "[1, 2]", '{"keys": 3}', json.dumps({**told, "sizes": []}), "[" * 100_000):
        index.write_text(damage)
        again = open_source(str(tmp_path / "a.tar"), split="train", needs=frozenset({"image"}), held_out=0.0)
        assert again.entries == keys
        assert [again.read(i) for i in range(4)] == photos[:4]


def test_a_header_damaged_in_the_middle_is_said(tmp_path: Path, photos: list[bytes]) -> None:
    whole = bytearray(pack([(f"{i}.jpg", photos[i], {}) for i in range(8)]))
    at = whole.index(b"5.jpg")
    whole[at + 20] ^= 255
    source = opened(tmp_path / "a.tar", bytes(whole), needs=frozenset({"image"}))
    assert len(source) == 5
    assert source.skipped == [("a.tar", f"damaged after 5 members, {len(whole) - at} bytes before its end")]
    assert source.notes == [
        "1 shards or members of them cannot be used in whole, such as a.tar (" + source.skipped[0][1] + ")"
    ]


def test_tars_without_images_are_one_sentence(tmp_path: Path, photos: list[bytes]) -> None:
    for name, content, sentence in (
        ("empty", pack([]), "holds no images or videos in its 1 tar files"),
        ("nothing", b"", "is not a tar archive"),
        ("text", pack([("a.txt", b"a", {})]), "holds no images"),
        ("zeros", bytes(1 << 21), "is not a tar archive|holds no images"),
    ):
        with pytest.raises(ValueError, match=sentence):
            opened(tmp_path / f"{name}.tar", content)


def test_members_of_other_kinds_and_maps_are_counted(tmp_path: Path, photos: list[bytes]) -> None:
    members: list[tuple[str, bytes, dict[str, Any]]] = [("a.jpg", photos[0], {}), ("a.seg.png", b"x", {})]
    members += [("a.npy", b"x", {}), ("b.npy", b"x", {}), ("a.txt", b"a caption", {})]
    source = opened(tmp_path / "a.tar", pack(members), needs=frozenset({"image"}))
    assert dict(source.left_out.counts) == {"masks": 1, ".npy": 2}
    assert [key for key, _ in source.left_out.files] == ["a.tar/a.seg.png", "a.tar/a.npy", "a.tar/b.npy"]
    assert len(source.notes) == 2


def test_a_folder_of_compressed_tars_says_to_unpack_them(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"unpack a\.tar\.gz to a plain \.tar first"):
        open_source(str(tmp_path), split="train", needs=frozenset({"image"}))
