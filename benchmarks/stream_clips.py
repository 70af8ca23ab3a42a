"""Clips a second and memory of videos in tar shards that are read in order, beside the same videos in a folder.

Command:   python benchmarks/stream_clips.py --data DIR_OF_VIDEOS
           python benchmarks/stream_clips.py --data jhmdb14 --task clip_rotation --name jhmdb14
           python benchmarks/stream_clips.py    # 24 drawn videos of 8 s
Machine:   written into the result. Rates are of CPU time (of the process and its threads), which hardly depends on what
           else runs, so they are those of one core; with OMP_NUM_THREADS=1
Time:      about 2 minutes for 600 videos of 1 to 2 s

Each row is a process of its own, with one decoding thread, and has clips a second of CPU, seconds of CPU until the
first one can be read (packing or indexing the training part, of so many usable videos), and the largest resident set
(RSS) in MB, of which `imports` has the part that nothing is read for.

  packed     a folder: packed once, then random clips of the store
  indexed    a folder under a --cache-limit of nothing: indexed once, then every clip decoded by seeking
  streamed   shards of 40 videos: nothing before, every video decoded whole as it passes; two windows of 256 MB
  streamed x4   the same shards four times: the memory is to stay the same

Expected: the streamed clips are as many a second as packing handles videos, and memory of x4 is below 1.1 of x1.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from drawn_videos import drawn
from throughput import cpu_name, set_threads

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "docs" / "results" / "stream_clips.json"
EACH, BATCH, STEPS = 40, 16, 40
ROWS = ("imports", "packed", "indexed", "streamed", "streamed x4")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of videos")
    parser.add_argument("--task", default="clip_rotation")
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--name", default="drawn", help="of the data in the result")
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--row", choices=ROWS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.row:
        print(json.dumps(row(asked)))
        return
    with tempfile.TemporaryDirectory() as place:
        files = asked.data or drawn(Path(place, "drawn"), 24, 200)
        shards(files, Path(place, "shards"))
        found = {}
        for name in ROWS:
            data = files if name in ("packed", "indexed") else Path(place, "shards")
            words = ["--row", name, "--data", str(data), "--task", asked.task, "--size", str(asked.size)]
            out = subprocess.run([sys.executable, __file__, *words], check=True, capture_output=True, text=True).stdout
            found[name] = json.loads(out.splitlines()[-1])
            print(name, found[name])
    known = json.loads(asked.out.read_text()) if asked.out.exists() else {}
    known[f"{asked.name}, {asked.task}"] = {
        "machine": f"{cpu_name()}, {platform.system()}", "size": asked.size, "rows": found,
    }  # fmt: skip
    asked.out.write_text(json.dumps(known, indent=1) + "\n")


def shards(files: Path, out: Path) -> None:
    """All videos of a folder, in an order drawn by their names, in plain tars of `EACH`; and each tar four times."""
    import hashlib

    from selftaught.data.files.file_kinds import is_video

    paths = sorted(path for path in files.rglob("*") if is_video(path.name))
    paths.sort(key=lambda path: hashlib.sha256(str(path.relative_to(files)).encode()).hexdigest())
    out.mkdir()
    for start in range(0, len(paths), EACH):
        tar = out / f"s-{start // EACH:04d}.tar"
        with tarfile.open(tar, "w") as archive:
            for number, path in enumerate(paths[start : start + EACH], start):
                archive.add(path, f"{number:06d}{path.suffix}")
        for copy in range(1, 4):
            (out / "x4").mkdir(exist_ok=True)
            shutil.copy(tar, out / "x4" / f"{copy}-{tar.name}")


def row(asked: argparse.Namespace) -> dict[str, float]:
    """What is measured in a process of its own."""
    set_threads()
    import torch

    from selftaught.data.store.open import store_side
    from selftaught.tasks.resolve import resolve_task

    spec, side = resolve_task(asked.task, {}), store_side(asked.size)
    how: dict[str, Any] = {"batch_size": BATCH, "seed": 0, "device": torch.device("cpu")}
    found: dict[str, float] = {}
    if asked.row in ("packed", "indexed"):
        found = of_folder(asked.data, spec, side, how, limit=50.0 if asked.row == "packed" else 1e-9)
    elif asked.row != "imports":
        found = of_shards(asked.data, spec, side, how, times=4 if asked.row == "streamed x4" else 1)
    return found | {"rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)}


def of_folder(data: Path, spec: Any, side: int, how: dict[str, Any], *, limit: float) -> dict[str, float]:
    from selftaught.core.files import temporary_cache
    from selftaught.data.loader import Loader
    from selftaught.data.sources.open import open_source
    from selftaught.data.store.open import open_samples

    with temporary_cache():
        begin = time.process_time()
        source = open_source(str(data), split="train", needs=spec.needs, held_out=0.0)
        samples = open_samples(source, side=side, sampling=spec.sampling, cache_limit_gb=limit, workers=1)
        before = time.process_time() - begin
        loader = Loader(samples, sampling=spec.sampling, **how)
        begin = time.process_time()
        for step in range(STEPS):
            loader.batch(step)
        loader.close()
        rate = (STEPS + 1) * BATCH / (time.process_time() - begin)
    return {"before_s": round(before, 1), "videos": len(samples), "clips_per_s": round(rate, 1)}


def of_shards(data: Path, spec: Any, side: int, how: dict[str, Any], *, times: int) -> dict[str, float]:
    from selftaught.data.passing_samples import Passed, PassingClips
    from selftaught.data.sources.shards import find_shards
    from selftaught.data.stream import Stream

    shards = find_shards(str(data))
    assert shards is not None
    if times == 1:
        kept = [i for i, name in enumerate(shards.names) if not name.startswith("x4/")]
        urls, names = [shards.urls[i] for i in kept], [shards.names[i] for i in kept]
        shards = replace(shards, urls=urls, names=names, sizes=[shards.sizes[i] for i in kept])
    count = 0
    clips = PassingClips(side=side, sampling=spec.sampling)
    decode = clips.decode

    def counted(payload: Any, place: tuple[int | str, ...]) -> Passed:
        nonlocal count
        passed = decode(payload, place)
        count += clips.rows
        return passed

    clips.decode = counted  # type: ignore[method-assign]
    begin = time.process_time()
    stream = Stream(shards, clips, count=10**6, workers=1, **how)
    for step in range(times * STEPS):
        stream.batch(step)
    stream.close()
    rate = count / (time.process_time() - begin)
    return {"before_s": 0.0, "clips_per_s": round(rate, 1), "window": stream.steps_per_window * BATCH}


if __name__ == "__main__":
    main()
