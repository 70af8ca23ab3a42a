"""From labels to predictions, the same job with LightlyTrain: fine-tune a resnet18 on 500 labels, predict 2,000 images.

Command:   selftaught pretrain cifar10/ --task simclr --encoder resnet18 --size 32 --stem standard --batch-size 128 \\
               --steps 2000 --task.jitter 0.5 --task.blur 0 --task.min-scale 0.2 --out runs/cifar10
           selftaught export runs/cifar10 --out start.pth
           pip install 'lightly-train>=0.17'
           python benchmarks/peers.py start.pth --out docs/results/peers.json
Needs:     CIFAR-10 beside the checkout (../shared/data/cifar10)
Time:      about ten minutes of one core
Measured:  accuracy on the first 2,000 test images, seconds of fine-tuning and of predicting them as whole commands or
           calls, on 50 labelled images of each class. Both start from the same weights and see images of 32 pixels in
           batches of 32 for the same number of steps. LightlyTrain needs a part that chooses its checkpoint, a fifth
           of the labels; `fit` holds labels back itself, and also trains random weights and, as often as it does by
           default, the encoder anew
Expected:  `fit` above LightlyTrain's defaults, which are for longer training; LightlyTrain takes less time than `fit`
           to fine-tune, as it trains once
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from selftaught.evaluation.metrics.calibration import share_interval

CIFAR = Path(__file__).resolve().parents[2] / "shared" / "data" / "cifar10"
LABELS, TESTED = 50, 2000
"""Labelled images of each class, and test images."""
SIZE = 32


def write_images(folder: Path) -> None:
    """train/CLASS, chosen/CLASS (a fifth of the labels) and test/NUMBER_CLASS.jpg."""
    for part, file in (("train", "train.parquet"), ("test", "test.parquet")):
        table = pq.read_table(CIFAR / file)
        classes = table.schema.metadata[b"class_names"].decode().split(",")
        seen = dict.fromkeys(classes, 0)
        for number, row in enumerate(table.slice(0, TESTED).to_pylist()):
            name = classes[row["label"]]
            if part == "test":
                path = folder / "test" / f"{number:05d}_{name}.jpg"
            elif seen[name] < LABELS:
                path = folder / ("chosen" if seen[name] % 5 == 4 else "train") / name / f"{number:05d}.jpg"
            else:
                continue
            seen[name] += 1
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(row["image"]["bytes"] if isinstance(row["image"], dict) else row["image"])


def of_selftaught(start: Path, folder: Path, steps: int, method: str) -> dict[str, Any]:
    """`fit` on all labels, then `predict`."""
    labelled = folder / "labelled"
    if not labelled.exists():
        for path in [*folder.glob("train/*/*"), *folder.glob("chosen/*/*")]:
            copy = labelled / path.parent.name / path.name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    model, table = folder / f"selftaught-{method}", folder / f"{method}.csv"
    fitting = [*("fit", f"resnet18:{start}", labelled), *("--method", method, "--size", SIZE, "--out", model)]
    fitting += ["--steps", steps, "--batch-size", 32] if method == "finetune" else []
    trained = timed(["-m", "selftaught", *fitting])
    predicted = timed(["-m", "selftaught", "predict", model, folder / "test", "--out", table])
    with table.open() as rows:
        given = {Path(row["path"]).name: row["class"] for row in csv.DictReader(rows)}
    return row_of(f"selftaught, {method}", given, trained, predicted)


def of_lightly(start: Path, folder: Path, steps: int) -> dict[str, Any]:
    """`train_image_classification` on four fifths of the labels, `predict_batch` on images in batches."""
    classes = sorted(path.name for path in (folder / "train").iterdir())
    out = folder / "lightly"
    asked = {
        "out": str(out),
        "model": "torchvision/resnet18",
        "model_args": {"backbone_weights": str(start)},
        "data": {
            "train": str(folder / "train"),
            "val": str(folder / "chosen"),
            "classes": dict(enumerate(classes)),
        },
        "transform_args": {"image_size": (SIZE, SIZE)},
        "steps": steps,
        "batch_size": 32,
        "num_workers": 0,
        "precision": "32-true",
    }
    trained = timed(["-c", f"import lightly_train as l; l.train_image_classification(**{asked!r})"])
    best = out / "exported_models" / "exported_best.pt"
    program = f"""
import json, lightly_train
from pathlib import Path
model = lightly_train.load_model({str(best)!r})
paths = sorted(Path({str(folder / "test")!r}).iterdir())
found = {{}}
for start in range(0, len(paths), 64):
    batch = paths[start : start + 64]
    for path, one in zip(batch, model.predict_batch(batch)):
        found[path.name] = model.classes[int(one["labels"][0])]
Path({str(folder / "lightly.json")!r}).write_text(json.dumps(found))
"""
    predicted = timed(["-c", program])
    return row_of("LightlyTrain", json.loads((folder / "lightly.json").read_text()), trained, predicted)


def timed(arguments: Sequence[object]) -> float:
    """Seconds of a whole program of this Python."""
    begin = time.monotonic()
    done = subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return time.monotonic() - begin


def row_of(tool: str, given: dict[str, str], trained: float, predicted: float) -> dict[str, Any]:
    """Accuracy in percent with its 95 % interval (Wilson), and seconds."""
    right = sum(Path(name).stem.split("_")[1] == label for name, label in given.items())
    assert len(given) == TESTED, f"{tool} answered {len(given)} of {TESTED}"
    return {
        "tool": tool,
        "accuracy": round(100 * right / TESTED, 1),
        "interval": [round(end, 1) for end in share_interval(right, TESTED)],
        "fit_seconds": round(trained, 1),
        "predict_seconds": round(predicted, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("start", type=Path, help="weights of a torchvision resnet18")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    start = asked.start.resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_images(folder)
        rows = [of_lightly(start, folder, asked.steps)]
        rows += [of_selftaught(start, folder, asked.steps, method) for method in ("finetune", "linear")]
    for row in rows:
        print(row)
    asked.out.write_text(json.dumps({"steps": asked.steps, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
