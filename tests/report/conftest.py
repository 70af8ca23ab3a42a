"""Complete run and comparison folders, written as the run folder's contract says, for the tests of the report."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

STAGES = ("conv1", "layer1", "layer2", "layer3", "layer4")
HOSTILE = '<script>alert("x")</script>'

Pictures = list[Image.Image]


@cache
def textures(count: int = 16, side: int = 64) -> Pictures:
    """Small colour images, each with another orientation and hue, as PNG noise-free gradients."""
    y, x = np.mgrid[0:side, 0:side] / side
    pictures = []
    for i in range(count):
        wave = np.sin(2 * np.pi * (3 + i % 5) * (x * np.cos(i) + y * np.sin(i)))
        channels = [127 + 100 * wave * np.cos(i + k) + 25 * y for k in range(3)]
        pictures.append(Image.fromarray(np.stack(channels, axis=-1).clip(0, 255).astype(np.uint8)))
    return pictures


def evaluation(
    folder: Path,
    best: float,
    *,
    probe: str = "linear",
    stages: tuple[str, ...] = STAGES,
    intervals: bool = True,
) -> dict[str, Any]:
    """What `evaluate --json` prints for an encoder whose best stage reaches `best` percent.

    Intervals reach 1.5 points to both sides, that of the gain 1 point; files older than them have none.
    """
    fall = [-22.0, -4.0, -1.5, 0.0, -3.0][: len(stages)]

    def result(top: float, slope: float) -> dict[str, Any]:
        values = {s: round(top + f - slope * i, 2) for i, (s, f) in enumerate(zip(stages, fall, strict=True))}
        stage = max(values, key=lambda s: values[s])
        found: dict[str, Any] = {"value": values[stage], "stage": stage, "stages": values}
        if intervals:
            found["stage_intervals"] = {s: [round(v - 1.5, 2), round(v + 1.5, 2)] for s, v in values.items()}
            found["interval"] = found["stage_intervals"][stage]
        return found

    gain = round(result(best, 0.0)["value"] - result(58.3, 2.5)["value"], 2)
    paired = {"gain": {"value": gain, "interval": [round(gain - 1.0, 2), round(gain + 1.0, 2)]}} if intervals else {}
    return {
        **paired,
        **{"probe": probe, "metric": "top1", **result(best, 0.0), "chance": 10.0, "train_samples": 9469},
        **{"test_samples": 3925, "fraction": 1.0, "random": result(58.3, 2.5), "supervised": result(72.4, -0.8)},
        **{"labelled": f"data/{HOSTILE}.zip", "encoder": "resnet18", "run": str(folder), "seconds": 31.4},
    }


def make_run(
    folder: Path,
    task: str = "rotation",
    *,
    pictures: Pictures | None = None,
    best: float = 63.1,
    intervals: bool = True,
) -> Path:
    """A run folder with every part: the metrics follow smooth curves, the images are those given."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"data": f"photos/{HOSTILE}", "out": str(folder), "task": task, "task_settings": {"angles": 4}, "size": 64}
    _write(
        folder / "config.json", {**config, "encoder": "resnet18", "steps": 2000, "lr": 0.05, "seed": 0, "budget": None}
    )
    command = ["selftaught", "pretrain", f"photos/{HOSTILE}", "--task", task, "--out", str(folder)]
    versions = {"selftaught": "0.1.0", "torch": "2.11.0", "python": "3.11.7"}
    machine = {"cores": 2, "device": "cpu", "memory_gb": 8.0}
    _write(folder / "environment.json", {"command": command, "versions": versions, "machine": machine, "seed": 0})
    steps = np.arange(10, 2001, 10)
    noise = np.random.default_rng(len(task)).normal(0, 0.03, len(steps))
    accuracy = 0.25 + 0.5 * (1 - np.exp(-steps / 700)) + noise
    rows = [
        f"{s},{s / 400:.4f},{0.05 * np.cos(s / 1300):.6f},{1.4 - a:.6f},{a:.6f}"
        for s, a in zip(steps, accuracy, strict=True)
    ]
    (folder / "metrics.csv").write_text("step,epoch,lr,loss,accuracy\n" + "\n".join(rows) + "\n")
    held = [f"{s},{s // 400},{1.4 - a:.4f},{a:.4f},{20 + 30 * a:.3f},{1.2 - a:.4f},{-2.5 - a:.4f},{0.03 + a / 40:.4f}"
            for s, a in zip(steps[39::40], accuracy[39::40] - 0.02, strict=True)]  # fmt: skip
    head = "step,epoch,loss,accuracy,rankme,alignment,uniformity,feature_std\n"
    (folder / "heldout.csv").write_text(head + "\n".join(held) + "\n")
    (folder / "speed.csv").write_text(
        "step,seconds,images_per_second,data_seconds\n400,150,341.3,1.2\n2000,752,339.0,1.1\n"
    )
    (folder / "skipped.csv").write_text('path,reason\nbroken.jpg,truncated\n"odd, name.png",<b>1 pixel</b>\n')
    summary = {"task": task, "family": "context", "encoder": "resnet18", "size": 64, "seed": 0, "steps": 2000}
    summary |= {"epochs": 5.0, "seconds": 752.3, "images_per_second": 339.7, "metric": "accuracy"}
    summary |= {"value": float(accuracy[-1] - 0.02), "chance": 0.25, "train_samples": 9469, "heldout_samples": 1000}
    _write(folder / "summary.json", {**summary, "skipped": 2, "warnings": []})
    (folder / "evaluations").mkdir(exist_ok=True)
    _write(folder / "evaluations" / "linear-0a1b2c.json", evaluation(folder, best, intervals=intervals))
    knn = evaluation(folder, best - 9, probe="knn", stages=("layer4",), intervals=intervals)
    _write(folder / "evaluations" / "knn-0a1b2c.json", knn)
    _pictures(folder / "pictures", textures() if pictures is None else pictures)
    return folder


def make_comparison(
    folder: Path,
    bests: dict[str, float],
    *,
    labelled: bool = True,
    pictures: Pictures | None = None,
    intervals: bool = True,
) -> Path:
    """A comparison folder of these tasks with the best probe value of each.

    The paired difference to the first reaches 1 point to both sides; tables older than it have none.
    """
    rows = []
    first = max(bests.values())
    for rank, (task, best) in enumerate(sorted(bests.items(), key=lambda pair: -pair[1]), start=1):
        make_run(folder / task, task, pictures=pictures, best=best, intervals=intervals)
        row: dict[str, Any] = {
            "task": task,
            "run": task,
            "rank": rank,
            "metric": "accuracy",
            "pretext_value": 0.6,
            "pretext_chance": 0.25,
        }
        row |= {
            "rankme": 30.0 + best / 10,
            "alignment": 0.6,
            "uniformity": -2.9,
            "images_per_second": 339.7,
            "steps": 2000,
        }
        if labelled and intervals:
            gap = round(first - best, 2)
            row["behind"] = {"value": gap, "interval": [gap - 1.0, gap + 1.0]} if rank > 1 else None
            row["distinguishable"] = gap > 1.0 if rank > 1 else None
        rows.append({**row, "probe": evaluation(folder / task, best, intervals=intervals) if labelled else None})
    table = {"data": "photos", "labelled": "labelled.zip" if labelled else None, "encoder": "resnet18", "size": 64}
    random = evaluation(folder, 60.0)["random"] if labelled else None
    _write(folder / "compare.json", {**table, "budget": "5m", "seed": 0, "rows": rows, "random": random})
    return folder


@pytest.fixture
def run_folder() -> Callable[..., Path]:
    return make_run


@pytest.fixture
def comparison_folder() -> Callable[..., Path]:
    return make_comparison


def _pictures(folder: Path, pictures: Pictures) -> None:
    folder.mkdir(exist_ok=True)
    for i, picture in enumerate(pictures):
        picture.save(folder / f"p{i}.png")
    turns = ("0°", "90°", "180°", "270°")
    samples = []
    for i in range(8):
        pictures[i % len(pictures)].rotate(90 * (i % 4)).save(folder / f"s{i}.png")
        predicted = turns[(i + (i == 5)) % 4]
        samples.append({"inputs": [f"s{i}.png"], "pseudo_label": turns[i % 4], "prediction": predicted})
    kernels = np.random.default_rng(0).integers(0, 255, (8 * 8, 8 * 8, 3), dtype=np.uint8)
    Image.fromarray(kernels).save(folder / "kernels.png")
    near = [{"picture": f"p{i}.png", "similarity": 0.97 - 0.03 * i} for i in range(5)]
    neighbours = [{"query": f"p{i + 5}.png", "neighbours": near} for i in range(8)]
    _write(folder / "pictures.json", {"samples": samples, "kernels": "kernels.png", "neighbours": neighbours})


def _write(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value))
