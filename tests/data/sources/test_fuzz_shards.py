"""Seeded damage of every kind to tars, Parquet, Arrow, COCO's JSON and VOC's XML: one line at opening, or a reason.

`SELFTAUGHT_FUZZ=300` makes so many of each kind instead of a few.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from selftaught.data.files.file_tree import Unreadable
from selftaught.data.sources.open import open_source
from selftaught.evaluation.data.dense import open_dense
from tests.data.trees import DOG, coco, text, voc, xml

COUNT = int(os.environ.get("SELFTAUGHT_FUZZ", "25"))


def damaged(whole: bytes, draw: random.Random) -> bytes:
    """One of: bits that flip, a cut, a part that is gone, zeroed, doubled or moved, a number that is another."""
    data = bytearray(whole)
    kind = draw.randrange(7)
    at = draw.randrange(len(data)) if draw.random() < 0.5 else len(data) - 1 - draw.randrange(min(600, len(data)))
    length = draw.choice((1, 4, 8, 64, 512, 4096))
    if kind == 0:
        for _ in range(draw.choice((1, 5, 50))):
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    elif kind == 1:
        del data[at:]
    elif kind == 2:
        del data[at : at + length]
    elif kind == 3:
        data[at : at + length] = bytes(len(data[at : at + length]))
    elif kind == 4:
        data[at:at] = data[at : at + length]
    elif kind == 5:
        there = draw.randrange(len(data))
        data[at : at + length] = data[there : there + length]
    else:
        data[at : at + 8] = draw.choice((b"\xff" * 8, b"\x7f" + b"\xff" * 7, b"77777777", b"\x80" + bytes(7)))
    return bytes(data)


def a_tar(photos: list[bytes], draw: random.Random) -> bytes:
    out = io.BytesIO()
    form = draw.choice((tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT))
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for i in range(6):
            long = "n" * draw.choice((1, 90, 90, 150)) if form != tarfile.USTAR_FORMAT else "n"
            for suffix, content in ((".jpg", photos[i]), (".cls", b"1"), (".json", b'{"label": "cat"}')):
                info = tarfile.TarInfo(f"{long}/{i}{suffix}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def a_parquet(photos: list[bytes], draw: random.Random) -> bytes:
    out = io.BytesIO()
    cells: list[Any] = photos[:12]
    if draw.random() < 0.5:
        cells = [{"bytes": photo, "path": "a.jpg"} for photo in cells]
    labels: list[Any] = draw.choice(([0, 1] * 6, ["a", "b"] * 6, [0.0, float("nan")] * 6, [[0], [0, 1]] * 6))
    table = pa.table({"image": cells, "label": labels, "split": ["train", "test"] * 6})
    settings: dict[str, Any] = {"row_group_size": 4, "compression": draw.choice(("none", "snappy", "zstd", "gzip"))}
    settings["data_page_version"] = draw.choice(("1.0", "2.0"))
    pq.write_table(table, out, use_dictionary=draw.random() < 0.5, **settings)
    return out.getvalue()


def an_arrow(photos: list[bytes], draw: random.Random) -> bytes:
    out = io.BytesIO()
    table = pa.table({"image": photos[:12], "label": draw.choice(([0, 1] * 6, ["a", "b"] * 6))})
    new = draw.choice((pa.ipc.new_stream, pa.ipc.new_file))
    with new(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=4)
    return out.getvalue()


@pytest.mark.parametrize(
    ("suffix", "make"),
    [(".tar", a_tar), (".parquet", a_parquet), (".arrow", an_arrow)],
    ids=["tar", "parquet", "arrow"],
)
def test_damaged_shards(
    tmp_path: Path, photos: list[bytes], suffix: str, make: Callable[[list[bytes], random.Random], bytes]
) -> None:
    small = [photo[:400] for photo in photos]
    opened = 0
    for seed in range(COUNT):
        draw = random.Random(seed)
        path = tmp_path / f"{seed}{suffix}"
        path.write_bytes(damaged(make(small, draw), draw))
        begin = time.process_time()
        for needs in (frozenset({"image"}), frozenset({"label"})):
            try:
                source = open_source(str(path), split="train", needs=needs, held_out=0.2)
            except ValueError as refused:
                told = str(refused)
                assert "\n" not in told, (seed, told)
                assert len(told) < 600, (seed, told)
                continue
            opened += 1
            found = list(source.iterate())
            assert [i for i, _ in sorted(found, key=lambda pair: pair[0])] == list(range(len(source))), seed
            assert all(isinstance(payload, bytes | Unreadable | OSError) for _, payload in found), seed
            assert len({entry.key for entry in source.entries}) == len(source), seed
            for i in range(min(3, len(source))):
                _read(source.read, i)
        assert time.process_time() - begin < 5, seed
        path.unlink()
    assert opened >= COUNT // 5, "of twice as many openings"


def _read(read: Callable[[int], Any], i: int) -> None:
    with contextlib.suppress(Unreadable, OSError):
        read(i)


def swapped(content: Any, draw: random.Random) -> Any:
    """JSON with one value somewhere that is another."""
    odd: list[Any] = [
        None, "", "x", -1, 0, 1e308, float("nan"), float("inf"), True, [], {}, [[]], "../../a.png", 1 << 70, ["a"] * 4,
    ]  # fmt: skip
    place = content
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return content
        key = draw.choice(keys)
        if isinstance(place[key], dict | list) and place[key] and draw.random() < 0.9:
            place = place[key]
            continue
        if draw.random() < 0.2:
            del place[key]
        else:
            place[key] = draw.choice(odd)
        return content


def opened_dense(root: Path, seed: int, needs: str) -> None:
    for skip in (False, True):
        begin = time.process_time()
        try:
            data = open_dense(str(root), needs=frozenset({needs}), skip_broken=skip)
            for part in (data.train, data.test):
                for i in range(len(part)):
                    part.read(i)
        except ValueError as refused:
            told = str(refused)
            assert "\n" not in told, (seed, told)
            assert len(told) < 900, (seed, told)
        assert time.process_time() - begin < 5, seed


def test_damaged_json(tmp_path: Path) -> None:
    square = [[10, 10, 20, 10, 20, 20, 10, 20]]
    note: dict[str, Any] = {"image_id": 7, "category_id": 5, "bbox": [1, 2, 3, 4], "segmentation": square}
    runs = {**note, "segmentation": {"size": [30, 40], "counts": [30 * 30, 30 * 10]}}
    coco(tmp_path, "val", [note])
    content = coco(tmp_path, "train", [note, runs])
    for seed in range(COUNT):
        draw = random.Random(seed)
        changed = json.loads(json.dumps(content))
        for _ in range(draw.choice((1, 1, 3))):
            changed = swapped(changed, draw)
        told = json.dumps(changed).encode()
        file = tmp_path / "annotations" / "instances_train.json"
        file.write_bytes(damaged(told, draw) if draw.random() < 0.3 else told)
        opened_dense(tmp_path, seed, draw.choice(("box", "mask")))


def test_damaged_xml(tmp_path: Path) -> None:
    root = voc(tmp_path, {"train": "000001 000002", "val": "000003 000004"})
    for seed in range(COUNT):
        draw = random.Random(seed)
        told = damaged(xml([DOG]).encode(), draw)
        (root / "Annotations" / "000002.xml").write_bytes(told)
        opened_dense(root, seed, "box")
    text(root / "Annotations" / "000002.xml", xml([DOG]))
