"""Speed and memory of video: packing, reading packed clips, flow, and training clip_rotation, beside what is bare.

Command:   python benchmarks/video_throughput.py
           python benchmarks/video_throughput.py --only packing,reading    # the result keeps what is not measured
           python benchmarks/video_throughput.py --quick --out quick.json    # its ratios say little
           python benchmarks/video_throughput.py --data DIR_OF_VIDEOS --only packing,reading    # other videos
Machine:   written into the result. Rates are given twice: by the wall, for a quiet machine, and by CPU time (of the
           process, its threads and its workers), which hardly depends on what else runs. With OMP_NUM_THREADS=1 and
           `taskset -c 0` it measures one core
Time:      about 12 minutes on one quiet core: packing, reading and flow 3, memory 1, training 5, tasks 3

Without --data, 6 videos of 8 s are drawn: 320 x 240 pixels, 25 frames a second, H.264, a textured ground that pans, a
thing that moves over it, noise. Rows are measured in turns, in processes of their own; medians with the extremes of
--rounds are reported. All use as many threads as there are cores, one for each video.

  packing   `pack`, at a short side of 128 pixels (upright RGB, cuts, bars, checksums, index, written to disk), beside
            PyAV alone: `decode`, its frames as they come; `rgb`, scaled and turned into RGB, as any loader must
  reading   frames a second of random clips of 16 frames: packed raw, as JPEG, and decoded as they are read
  flow      packing DIS flow, beside bare `DISOpticalFlow.calc` on the same grey frames in memory
  memory    largest resident set (RSS) of packing and reading 1 x, 4 x and 16 x as many hours, in a process each
  training  clips a second of `clip_rotation`, r3d_18 at 16 x 56 x 56, batch 8 (32 rotated a step): `train a` ours,
            by `selftaught pretrain`; `train d` the bare model, forward, backward and SGD on one constant batch, in the
            precision of ours; `train b` the loop that torchvision offers, in fp32 as nothing else is asked. torchvision
            0.27 and later decode no video, so its Dataset seeks and decodes with PyAV; transforms are those of
            torchvision.transforms.v2 (resize, crop, flip, normalise), with as many workers as cores. `load a` and
            `load b` are the same without the network
  tasks     largest RSS of one step of `video_gan` and `video_prediction --task.model convlstm` at their defaults

Expected (targets): pack >= 0.8 of decode; read raw >= 10 x decode; flow >= 0.9 of bare; 16 x the hours cost less than
1.25 x the memory; train a >= 0.95 d and >= 2 b, load a >= 2 b; tasks <= 6 GB. docs/decisions/0011 says why the first is
out of reach for small frames.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

sys.path.insert(0, str(Path(__file__).resolve().parent))
from drawn_videos import drawn
from throughput import cpu_name, fast_precision, set_threads, spread

ROOT = Path(__file__).resolve().parents[1]
SIDE, FRAMES, BATCH = 128, 16, 8
READING = 1.5
"""Seconds that clips are read for."""
TARGETS = {
    "pack/decode": 0.8,
    "read raw/decode": 10.0,
    "flow/bare flow": 0.9,
    "train a/train d": 0.95,
    "train a/train b": 2.0,
    "load a/load b": 2.0,
}
RATIOS = (*TARGETS, "pack/rgb", "read jpeg/decode", "read live/decode")
MOST_GB, MOST_GROWTH = 6.0, 1.25
ROWS = {
    "packing": ("decode", "rgb", "pack"),
    "reading": ("decode", "read raw", "read jpeg", "read live"),
    "flow": ("bare flow", "flow"),
    "training": ("load a", "load b", "train a", "train b", "train d"),
}
TASKS = {
    "video_gan": ("--task", "video_gan"),
    "convlstm": ("--task", "video_prediction", "--task.model", "convlstm"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of videos")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "video_throughput.json")
    parser.add_argument("--only", default="packing,reading,flow,memory,training,tasks")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3, help="timed steps of training in a round")
    parser.add_argument("--hours", type=float, default=0.1, help="hours of video of 1 x")
    parser.add_argument("--quick", action="store_true", help="one round of little, to see that it runs")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        print(json.dumps(INSIDE[args.inside](args)))
        return
    if args.quick:
        args.rounds, args.steps, args.hours = 1, 1, 0.01
    with tempfile.TemporaryDirectory() as scratch:
        args.data = args.data or drawn(Path(scratch) / "videos", 4 if args.quick else 6, 50 if args.quick else 200)
        result = json.loads(args.out.read_text()) if args.out.exists() else {}
        for part in args.only.split(","):
            result |= measure(args, part, Path(scratch))
            result["machine"] = {"cpu": cpu_name(), "cores": cores(), "python": platform.python_version()}
            result["missed"] = missed(result)
            args.out.parent.mkdir(parents=True, exist_ok=True)
            args.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


def measure(args: argparse.Namespace, part: str, scratch: Path) -> dict[str, Any]:
    """What one part adds to the result."""
    if part == "memory":
        return {"memory": hours_of_video(args, scratch)}
    if part == "tasks":
        return {"tasks": {name: run_inside(f"task {name}", args, scratch / "cache-tasks") for name in TASKS}}
    found: dict[str, list[dict[str, float]]] = {}
    for round_ in range(args.rounds):
        for name in ROWS[part]:
            value = run_inside(name, args, scratch / f"cache-{part}-{round_}")
            if value is not None:
                found.setdefault(name, []).append(value)
            print(f"round {round_ + 1} {name}: {value}", file=sys.stderr)
    result: dict[str, Any] = {
        name: {clock: spread([value[clock] for value in values]) for clock in ("wall", "cpu")}
        for name, values in found.items()
    }
    if part == "training":
        result["precision"] = fast_precision()
    pairs = {pair: pair.split("/") for pair in RATIOS}
    result[f"{part} ratios"] = {
        pair: {clock: ratio(found[ours], found[theirs], clock) for clock in ("wall", "cpu")}
        for pair, (ours, theirs) in pairs.items()
        if ours in found and theirs in found
    }
    return result


def ratio(ours: list[dict[str, float]], theirs: list[dict[str, float]], clock: str) -> float:
    """Of the medians, which the rows of one part give in turns."""
    medians = [statistics.median([value[clock] for value in values]) for values in (ours, theirs)]
    return round(medians[0] / medians[1], 3)


def missed(result: dict[str, Any]) -> list[str]:
    """Targets that are not met by the wall or by CPU time, in words."""
    ratios: dict[str, dict[str, float]] = {}
    for part in ROWS:
        ratios |= result.get(f"{part} ratios", {})
    lines = [
        f"{pair} is {ratios[pair]['wall']} by the wall and {ratios[pair]['cpu']} by CPU time, target {least}"
        for pair, least in TARGETS.items()
        if pair in ratios and min(ratios[pair].values()) < least
    ]
    growth = result.get("memory", {}).get("ratio", 0.0)
    if growth > MOST_GROWTH:
        lines.append(f"16 x the hours take {growth} x the memory, target {MOST_GROWTH}")
    for name, peak in result.get("tasks", {}).items():
        if peak and peak["rss_gb"] > MOST_GB:
            lines.append(f"{name} takes {peak['rss_gb']} GB, target {MOST_GB}")
    return lines


def run_inside(name: str, args: argparse.Namespace, cache: Path) -> Any:
    """A row in a fresh process with a cache of its round: what one row leaves behind must not touch the next."""
    command = [sys.executable, __file__, "--inside", name, "--data", str(args.data), "--steps", str(args.steps)]
    environment = os.environ | {"SELFTAUGHT_CACHE": str(cache)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        print(f"{name}: {(done.stderr.strip().splitlines() or ['failed'])[-1]}", file=sys.stderr)
        return None
    found: Any = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def videos_of(args: argparse.Namespace) -> list[str]:
    from selftaught.data.files.file_kinds import VIDEO_SUFFIXES

    return sorted(str(path) for path in args.data.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES)


def cores() -> int:
    from selftaught.core.threads import usable_cores

    return usable_cores()


class Clock:
    """Since it was made, by the wall and by the CPU time of this process and of others."""

    def __init__(self, others: Sequence[int] = ()) -> None:
        self._others = others
        self._begin = self._now()

    def _now(self) -> tuple[float, float]:
        stats = [Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split() for pid in self._others]
        ticks = sum(int(stat[11]) + int(stat[12]) for stat in stats)  # in user mode and in the kernel
        return time.perf_counter(), time.process_time() + ticks / os.sysconf("SC_CLK_TCK")

    def rates(self, count: float) -> dict[str, float]:
        """Of `count` things, a second."""
        wall, cpu = (now - begin for now, begin in zip(self._now(), self._begin, strict=True))
        return {"wall": count / wall, "cpu": count / cpu}


def per_second(work: Callable[[str], int], args: argparse.Namespace) -> dict[str, float]:
    """Frames a second of `work` on each video, by a thread for each core."""
    work(videos_of(args)[0])  # imports
    clock = Clock()
    with ThreadPoolExecutor(cores()) as pool:
        frames = sum(pool.map(work, videos_of(args)))
    return clock.rates(frames)


def decoded(path: str) -> Iterator[Any]:
    import av

    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        yield from container.decode(stream)


def decode(args: argparse.Namespace) -> dict[str, float]:
    return per_second(lambda path: sum(1 for _ in decoded(path)), args)


def rgb(args: argparse.Namespace) -> dict[str, float]:
    from selftaught.data.decode.video import Shrink

    def work(path: str) -> int:
        count, shrink = 0, None
        for frame in decoded(path):
            shrink = shrink or Shrink(SIDE, _Square())
            shrink(frame)
            count += 1
        return count

    return per_second(work, args)


class _Square:
    """A stream whose pixels are as wide as high."""

    sample_aspect_ratio = None


def opened(
    args: argparse.Namespace, *, side: int = SIDE, limit: float = 50.0, fresh: bool = False, workers: int | None = None
) -> Any:
    from selftaught.data.batch import Sampling
    from selftaught.data.inputs import Clip
    from selftaught.data.sources.open import open_source
    from selftaught.data.store.cache import clear_stores
    from selftaught.data.store.open import open_samples

    set_threads()  # also says that freed memory is kept, as the command line does
    if fresh:
        clear_stores()
    source = open_source(str(args.data), split="train", needs=frozenset({"video"}), held_out=0.0)
    sampling = Sampling(inputs={"video": Clip(frames=FRAMES)})
    return open_samples(source, side=side, sampling=sampling, cache_limit_gb=limit, workers=workers)


def pack(args: argparse.Namespace) -> dict[str, float]:
    opened(args, fresh=True)  # imports, and the videos are in the page cache as they are for the other rows
    clock = Clock()
    samples = opened(args, fresh=True)
    return clock.rates(float(samples.stored.frames.sum()))


def reading(kept: str) -> Row:
    """Frames a second of random clips; the store is built before."""

    def read(args: argparse.Namespace) -> dict[str, float]:
        import numpy as np

        size = float((opened(args).stored.frames * SIDE * SIDE * 4).sum()) / 1e9
        limit = {"raw": 50.0, "jpeg": size / 2, "live": 1e-9}[kept]
        opened(args, limit=limit)  # packs
        samples = opened(args, limit=limit, workers=cores())
        rng, count = np.random.default_rng(0), 0
        clock, until = Clock(), time.perf_counter() + READING
        while time.perf_counter() < until:
            rows = rng.integers(0, len(samples), BATCH)
            count += samples.read(rows, rng.random((BATCH, 3)))["video"].shape[0] * FRAMES
        return clock.rates(count)

    return read


def flow(args: argparse.Namespace) -> dict[str, float]:
    """Flow of a packed store, with its reading, halving and writing."""
    from selftaught.data.computed.maps import open_computed
    from selftaught.data.computed.optical_flow import OpticalFlow
    from selftaught.data.store.cache import clear_stores

    samples = opened(args)
    clear_stores([store.key for store in _flow_stores()])
    clock = Clock()
    open_computed(OpticalFlow(), samples, cache_limit_gb=50.0)
    return clock.rates(float(samples.stored.frames.sum()))


def _flow_stores() -> list[Any]:
    from selftaught.data.store.cache import list_stores

    return [store for store in list_stores() if store.kind == "optical_flow"]


def bare_flow(args: argparse.Namespace) -> dict[str, float]:
    """DIS of OpenCV on grey frames in memory."""
    import cv2
    import numpy as np

    samples = opened(args)
    grey = [
        [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in samples.stored.read(item)]
        for item in range(len(samples.stored))
    ]
    cv2.setNumThreads(1)

    def work(frames: list[Any]) -> int:
        dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        for first, second in itertools.pairwise(frames):
            dis.calc(first, second, np.empty(0))
        return len(frames)

    clock = Clock()
    with ThreadPoolExecutor(cores()) as pool:
        count = sum(pool.map(work, grey))
    return clock.rates(count)


def hours_of_video(args: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Largest RSS in MB at 1 x, 4 x and 16 x the hours: one video of 1 x, under as many names."""
    frames = round(args.hours * 3600 * 25)
    long = drawn(scratch / "long", 1, frames, height=48, width=64) / "000.mp4"
    result: dict[str, Any] = {}
    for times in (1, 4, 16):
        folder = scratch / f"hours-{times}"
        folder.mkdir()
        for number in range(times):
            (folder / f"{number}.mp4").symlink_to(long)
        of_these = argparse.Namespace(**{**vars(args), "data": folder})
        result[f"{times}x"] = run_inside("memory", of_these, scratch / f"cache-hours-{times}")
        print(f"memory {times}x: {result[f'{times}x']}", file=sys.stderr)
    result["ratio"] = round(result["16x"]["rss_mb"] / result["1x"]["rss_mb"], 3)
    return result


def memory(args: argparse.Namespace) -> dict[str, float]:
    import numpy as np

    samples = opened(args)
    rng = np.random.default_rng(0)
    for _ in range(200):
        samples.read(rng.integers(0, len(samples), BATCH), rng.random((BATCH, 3)))
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # in KiB
    return {"hours": round(float(samples.stored.frames.sum()) / 90_000, 3), "rss_mb": round(rss, 1)}


def task_memory(name: str) -> Callable[[argparse.Namespace], Any]:
    """One step, one held-out evaluation and the pictures of a run with the defaults of its task."""

    def measured(args: argparse.Namespace) -> dict[str, float]:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "selftaught", "pretrain", str(args.data), *TASKS[name]]
            command += ["--steps", "1", "--held-out", "0.1", "--out", f"{folder}/run"]
            subprocess.run(command, check=True, capture_output=True)
        return {"rss_gb": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2, 2)}

    return measured


Row: TypeAlias = Callable[[argparse.Namespace], dict[str, float]]
INSIDE: dict[str, Callable[[argparse.Namespace], Any]] = {
    "decode": decode,
    "rgb": rgb,
    "pack": pack,
    **{f"read {how}": reading(how) for how in ("raw", "jpeg", "live")},
    "bare flow": bare_flow,
    "flow": flow,
    "memory": memory,
    **{f"task {name}": task_memory(name) for name in TASKS},
}

if __name__ == "__main__":
    from video_training import ROWS_OF_TRAINING

    INSIDE |= ROWS_OF_TRAINING
    main()
