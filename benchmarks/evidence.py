"""Does it work: every pretext task on real data, beside random weights and supervised training.

Command:   python benchmarks/evidence.py                  # everything, 2 seeds; run again to go on
           python benchmarks/evidence.py --only cifar10 --seeds 0 --tasks jigsaw,counting
Needs:     the real data sets beside the checkout (../shared/data), pip install -e '.[bench]'
Result:    docs/results/evidence.json (all numbers), evidence.md (the tables), evidence.svg (the plot)
Time:      about 6 hours on 2 quiet cores with AMX

For every (data, task, seed): the held-out pretext metric against its trivial baseline, the linear probe of every
stage, weighted k-NN, and the linear probe with 1 % of the labels; each beside the same encoder with random weights.
"supervised" is the same encoder trained on the labels by the same loop for as many steps of as many images. Images a
second are the median over the training steps, peak memory is the largest resident set of the pretraining process.

How the image setting was chosen, all by measurement: with 10,000 labels a linear probe on random weights reaches 53.4 %
at its best stage and leaves little room in a run this short; with 2,000 it reaches 45.4 %. The supervised encoder with
crops of at least 0.6 of the picture reaches 59 % in 800 steps, with 0.3, as the pretext tasks crop, 51 %.

Expected: in the image setting supervised beats the best stage of random weights by 10 points or more, and rotation,
simclr and jigsaw beat it by more than the spread over seeds.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from evidence_page import RESULTS, read_rows, write_page
from evidence_settings import SETTINGS

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"


FIGURES = ("value", "stage", "stages", "random", "chance", "train_samples", "test_samples")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="names of settings, with commas")
    parser.add_argument("--tasks", help="names of tasks, with commas")
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--runs", type=Path, default=Path(tempfile.gettempdir()) / "selftaught-evidence")
    args = parser.parse_args()
    if not SHARED.exists():
        raise SystemExit("the real data sets are not beside this checkout")
    RESULTS.mkdir(parents=True, exist_ok=True)
    for seed in args.seeds.split(","):
        for name in args.only.split(",") if args.only else SETTINGS:
            for task in SETTINGS[name].tasks:
                if not args.tasks or task in args.tasks.split(","):
                    run_row(name, task, int(seed), args.runs)
    write_page()


def run_row(name: str, task: str, seed: int, runs: Path) -> None:
    """Pretrain and probe one cell of the table, unless its numbers are there already."""
    key = f"{name}/{task}/{seed}"
    if key in read_rows():
        return
    setting = SETTINGS[name]
    data, out = str(SHARED / setting.data), runs / name / f"{task}-{seed}"
    command = ["pretrain", data, "--task", task, *setting.flags.split(), *setting.tasks[task]]
    summary, memory = selftaught(*command, "--seed", str(seed), "--out", str(out), "--resume")
    row: dict[str, Any] = {
        "command": " ".join(["selftaught", *command, "--seed", str(seed)]).replace(str(SHARED), "../shared/data"),
        "pretext": {k: summary[k] for k in ("metric", "value", "chance", "epochs")},
        "rankme": summary["rankme"],
        "family": summary["family"],
        "images_per_second": round(median_speed(out), 1),
        "peak_memory_mb": memory,
    }
    labelled = str(SHARED / (setting.labelled or setting.data))
    for fraction in setting.fractions:
        probe = "linear" if fraction == 1 else f"linear {fraction:g}"
        row[probe] = probed(out, labelled, "linear", "--fraction", str(fraction), *setting.evaluate)
    row["knn"] = probed(out, labelled, "knn", *setting.evaluate)
    kept = read_rows()
    kept[key] = row
    path = RESULTS / "evidence.json"
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n")
    temporary.replace(path)
    write_page()


def probed(run: Path, labelled: str, probe: str, *flags: str) -> dict[str, Any]:
    """The figures of one probe, without the paths of the machine it ran on."""
    found, _ = selftaught("evaluate", str(run), labelled, "--probe", probe, *flags)
    return {name: found[name] for name in FIGURES}


def selftaught(*words: str) -> tuple[dict[str, Any], int]:
    """One command, as a user gives it: what it prints, and the largest resident set of its process in MB."""
    print("selftaught", *words, file=sys.stderr, flush=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "selftaught", *words, "--json"], stdout=subprocess.PIPE, text=True
    )
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
