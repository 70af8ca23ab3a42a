"""Does it work: every pretext task on real data, beside random weights and supervised training.

Command:   python benchmarks/evidence.py                  # everything, 2 seeds each; run again to go on
           python benchmarks/evidence.py --setting cifar10 --seeds 0 --tasks jigsaw,counting
Needs:     the real data sets beside the checkout (../shared/data), pip install -e '.[bench]'
Result:    docs/results/evidence.json (all numbers), evidence.md (the tables), evidence.svg (the plot)
Time:      about 5 hours on 2 quiet cores with AMX

Rows run side by side, each on one core of its own (--cores): two such rows together are 1.5 times as fast as one row
after the other on both cores, and do not slow each other. On a GPU they run one after the other.

For every (data, task, seed): the held-out pretext metric against its trivial baseline, the linear probe of every
stage, weighted k-NN, and the linear probe with 1 % of the labels; each beside the same encoder with random weights.
"supervised" is the same encoder trained on the labels by the same loop for as many steps of as many images. Images a
second are the median over the training steps, peak memory is the largest resident set of the pretraining process.

How the image setting was chosen, all by measurement: with 10,000 labels a linear probe on random weights reaches 53.4 %
at its best stage and leaves little room in a run this short; with 2,000 it reaches 45.4 %. The supervised encoder with
crops of at least 0.6 of the image reaches 59 % in 800 steps, with 0.3, as the pretext tasks crop, 51 %.

Expected: in the image setting supervised beats the best stage of random weights by 10 points or more, and rotation,
simclr and jigsaw beat it by more than the spread over seeds.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import queue
import statistics
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from evidence_cuts import MOUTHS, SCENES, WALK, write_mouths, write_scenes, write_walk
from evidence_page import ALL, RESULTS, read_rows, write_pages
from evidence_settings import TEACHER, Setting, teacher_words

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"


STRETCHES = Path(tempfile.gettempdir()) / "selftaught-walk"
"""Where the stretches of the walk are written."""
LIPS = Path(tempfile.gettempdir()) / "selftaught-mouths"
SOUNDING = Path(tempfile.gettempdir()) / "selftaught-scenes"
"""Where the mouths of the sentences are written."""
MOVING = "moving:"
FIGURES = ("value", "stage", "stages", "random", "gain", "chance", "train_samples", "test_samples")
ON_GPU = torch.cuda.is_available()
FREE: queue.SimpleQueue[int] = queue.SimpleQueue()
"""Cores that no row runs on."""
WRITING = threading.Lock()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--setting", help="names of settings, or of pages (video for evidence-video), with commas")
    parser.add_argument("--tasks", help="names of tasks, with commas")
    parser.add_argument("--seeds", default="0,1")
    allowed = [0] if ON_GPU else sorted(os.sched_getaffinity(0))
    parser.add_argument("--cores", default=",".join(map(str, allowed)), help="cores to use, one row on each")
    parser.add_argument("--runs", type=Path, default=Path(tempfile.gettempdir()) / "selftaught-evidence")
    args = parser.parse_args()
    if not SHARED.exists():
        raise SystemExit("the real data sets are not beside this checkout")
    RESULTS.mkdir(parents=True, exist_ok=True)
    rows = [
        (name, task, int(seed))
        for seed in args.seeds.split(",")
        for name in settings_of(args.setting)
        for task in ALL[name].tasks
        if int(seed) in ALL[name].seeds and (not args.tasks or task in args.tasks.split(","))
    ]
    cores = [int(core) for core in args.cores.split(",")]
    for core in cores:
        FREE.put(core)
    with ThreadPoolExecutor(len(cores)) as pool:
        for row in [pool.submit(run_row, *row, args.runs) for row in rows]:
            row.result()
    write_pages()


def settings_of(asked: str | None) -> list[str]:
    """The settings of these names and pages; all for None."""
    if asked is None:
        return list(ALL)
    pages: dict[str, list[str]] = {}
    for name, setting in ALL.items():
        pages.setdefault(setting.page.removeprefix("evidence-"), []).append(name)
    found = [name for word in asked.split(",") for name in pages.get(word, [word])]
    if unknown := [name for name in found if name not in ALL]:
        raise SystemExit(f"--setting {unknown[0]}: give names of {', '.join([*ALL, *pages])}")
    return found


def run_row(name: str, task: str, seed: int, runs: Path) -> None:
    """Measure one cell of the table on a core that is free, unless its numbers are there already."""
    key = f"{name}/{task}/{seed}"
    if key in read_rows():
        return
    core = FREE.get()
    try:
        row = measure_row(ALL[name], task, seed, runs / name / f"{task}-{seed}", core)
    finally:
        FREE.put(core)
    with WRITING:
        path = RESULTS / "evidence.json"
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(dict(sorted({**read_rows(), key: row}.items())), indent=1) + "\n")
        temporary.replace(path)
        write_pages()


def measure_row(setting: Setting, task: str, seed: int, out: Path, core: int) -> dict[str, Any]:
    """Pretrain and probe."""
    command = pretrain_words(setting, task, seed)
    if TEACHER in command:
        teacher = out.parent / "teacher"
        selftaught(core, "pretrain", place_of(setting.data), *teacher_words(setting), "--out", str(teacher), "--resume")
        command[command.index(TEACHER)] = str(teacher)
    summary, memory = selftaught(core, *command, "--out", str(out), "--resume")
    row: dict[str, Any] = {
        "command": " ".join(["selftaught", *command])
        .replace(str(out.parent / "teacher"), TEACHER)
        .replace(str(SHARED), "../shared/data")
        .replace(str(STRETCHES), "WALK")
        .replace(str(LIPS), "MOUTHS")
        .replace(str(SOUNDING), "SCENES"),
        "pretext": {k: summary[k] for k in ("metric", "value", "chance", "epochs")},
        "measured": datetime.now(UTC).date().isoformat(),
        "rankme": summary["rankme"],
        "family": summary["family"],
        "hardware": torch.cuda.get_device_name() if ON_GPU else "one core of a CPU",
        "images_per_second": round(median_speed(out), 1),
        "peak_memory_mb": memory,
    }
    for name, (probe, labelled, flags) in setting.measurements(task).items():
        row[name] = probed(core, out, place_of(labelled), probe, *flags)
    return row


def pretrain_words(setting: Setting, task: str, seed: int) -> list[str]:
    """The command that trains one cell of the table, without its folder."""
    return [
        "pretrain",
        place_of(setting.data_of(task)),
        "--task",
        task,
        *setting.flags.split(),
        *setting.tasks[task],
        "--seed",
        str(seed),
    ]


def place_of(data: str) -> str:
    """Where the data of a setting are: a folder of the real data sets, or sequences that are drawn or cut from one."""
    if data == WALK:
        return str(write_walk(SHARED, STRETCHES))
    if data == MOUTHS:
        return str(write_mouths(SHARED, LIPS))
    if data == SCENES:
        return str(write_scenes(SHARED, SOUNDING))
    if data.startswith((f"{MOVING}digits", "world")):
        return data
    prefix = MOVING if data.startswith(MOVING) else ""
    return prefix + str(SHARED / data.removeprefix(MOVING))


def probed(core: int, run: Path, labelled: str, probe: str, *flags: str) -> dict[str, Any]:
    """The figures of one probe, without the paths of the machine it ran on."""
    found, _ = selftaught(core, "evaluate", str(run), labelled, "--probe", probe, *flags)
    return {name: found[name] for name in FIGURES}


def selftaught(core: int, *words: str) -> tuple[dict[str, Any], int]:
    """One command, as a user gives it: what it prints, and the largest resident set of its process in MB."""
    print("selftaught", *words, file=sys.stderr, flush=True)
    environment = os.environ if ON_GPU else {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "selftaught", *words, "--json"], stdout=subprocess.PIPE, text=True, env=environment
    )
    if not ON_GPU:
        os.sched_setaffinity(process.pid, {core})  # A moment old: its threads are still to come, and inherit this.
    assert process.stdout is not None
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"selftaught {words[0]} ended with {os.waitstatus_to_exitcode(status)}; run again to go on")
    return json.loads(printed), usage.ru_maxrss // 1024


def median_speed(run: Path) -> float:
    """Images a second: the median over the rows of speed.csv, so that a pause of the machine does not count."""
    with (run / "speed.csv").open() as file:
        return statistics.median(float(row["images_per_second"]) for row in csv.DictReader(file))


if __name__ == "__main__":
    main()
