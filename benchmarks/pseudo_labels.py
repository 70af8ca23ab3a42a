"""What pseudo-labels cost: for every image task the share of a training step that goes into making them.

Command:   python benchmarks/pseudo_labels.py              # photographs at 64 px, ResNet-18
           python benchmarks/pseudo_labels.py --only jigsaw,counting
Needs:     the real data sets beside the checkout (../shared/data), and nothing else running
Result:    docs/results/pseudo_labels.json and docs/results/pseudo_labels.md
Time:      about 12 minutes on 2 quiet cores with AMX
Measured:  `pretrain` as a user gives it; medians over the steps after the first five, of the whole step (reading,
           pseudo-label, forward, backward, update) and of `pseudo_label` in it. "anew" is what making the pseudo-labels
           anew between epochs adds, as a share of the steps between, for the tasks that do
Expected:  at most 10 % for every task
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import selftaught
from selftaught.tasks.base import PretextTask
from selftaught.tasks.catalogue import list_tasks, load_task
from selftaught.training import train as loop
from selftaught.training.refresh import refresh as made_anew
from selftaught.training.step import Training

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data" / "imagenette128"
RESULTS = ROOT / "docs" / "results"
WARM_UP = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="names of tasks, with commas")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=64)
    args = parser.parse_args()
    if not DATA.exists():
        raise SystemExit("the real data sets are not beside this checkout")
    path = RESULTS / "pseudo_labels.json"
    known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    names = [task.name for task in list_tasks() if task.needs == ("image",)]
    for name in args.only.split(",") if args.only else names:
        known[name] = measure(name, args.steps, args.size, args.batch_size)
        print(name, known[name], file=sys.stderr)
        path.write_text(json.dumps({n: known[n] for n in names if n in known}, indent=1) + "\n")
        (RESULTS / "pseudo_labels.md").write_text(table(known, args.size, args.batch_size))


def measure(name: str, steps: int, size: int, batch_size: int) -> dict[str, float]:
    """Milliseconds of a step and of the pseudo-labels in it."""
    task = load_task(name)
    labels: list[float] = []
    whole: list[float] = []
    anew: list[float] = []
    epochs_between: list[float] = []

    def timed(function: Callable[..., Any], into: list[float]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            begin = time.perf_counter()
            result = function(*args)
            if isinstance(args[0], Training) or args[0].training:
                into.append(time.perf_counter() - begin)
            return result

        return call

    def refresh(module: PretextTask, *args: Any) -> dict[str, float]:
        epochs_between.append(module.refresh_epochs())
        begin = time.perf_counter()
        scalars = made_anew(module, *args)
        anew.append(time.perf_counter() - begin)
        return scalars

    with (
        patch.object(task, "pseudo_label", timed(task.pseudo_label, labels)),
        patch.object(Training, "step", timed(Training.step, whole)),
        patch.object(loop, "refresh", refresh),
        tempfile.TemporaryDirectory() as folder,
    ):
        settings: dict[str, Any] = {"size": size, "batch_size": batch_size, "steps": steps}
        encoder = task.encoders["encoder"].usual
        summary = selftaught.pretrain(DATA, task=name, encoder=encoder, out=Path(folder) / "run", **settings)
    step, label = statistics.median(whole[WARM_UP:]), statistics.median(labels[WARM_UP:])
    row = {"step_ms": round(1000 * step, 1), "pseudo_label_ms": round(1000 * label, 2), "share": round(label / step, 4)}
    row["images_per_second"] = round(batch_size / step, 1)
    if anew:
        row["anew_seconds"] = round(statistics.mean(anew), 2)
        # Where they are made once, a run of 100 epochs is taken to share it.
        steps_between = summary["train_samples"] // batch_size * min(100.0, epochs_between[0])
        row["anew_share"] = round(statistics.mean(anew) / (steps_between * step), 4)
    return row


def table(known: dict[str, Any], size: int, batch_size: int) -> str:
    lines = [
        "# What pseudo-labels cost",
        "",
        f"Made by `python benchmarks/pseudo_labels.py`: ResNet-18, {size} px, batches of {batch_size} photographs, "
        f"{os.cpu_count()} CPU cores.",
        'Share: of a whole training step. "Anew": pseudo-labels made anew between epochs, as a share of one epoch.',
        "",
        "| task | step, ms | pseudo-label, ms | share | anew | images/s |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, row in sorted(known.items()):
        anew = f"{100 * row['anew_share']:.1f} %" if "anew_share" in row else ""
        cells = [name, row["step_ms"], row["pseudo_label_ms"], f"{100 * row['share']:.1f} %", anew]
        lines.append(f"| {' | '.join(map(str, [*cells, row['images_per_second']]))} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
