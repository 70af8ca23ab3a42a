"""Labels that are suggested against labels at random: a linear classifier on the same features.

Command:   selftaught pretrain cifar10/ --task simclr --encoder resnet18 --size 32 --stem standard --batch-size 128 \\
               --steps 2000 --task.jitter 0.5 --task.blur 0 --task.min-scale 0.2 --out runs/cifar10
           python benchmarks/suggestions.py runs/cifar10 cifar10/ --out docs/results/suggestions-cifar10.json
           Shorter runs that the guide names had `--limit 5000 --steps 600` (or 150) and the settings of the task
Time:      about 3 minutes on one core for each data set, after pretraining
Measured:  test accuracy of ridge regression on pooled features, with 50 and with 100 labels chosen at random, by
           `typical` and by `k_centre`, from 4,000 of the training images that are drawn anew for each seed; the same
           images for every way, so that differences are paired
Expected:  `typical` is above random choice by more than the interval, with both numbers of labels
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from selftaught.core.randomness import numpy_generator
from selftaught.evaluation.embed import all_samples
from selftaught.evaluation.fit.ridge import RidgeProbe
from selftaught.evaluation.subject import open_subject
from selftaught.evaluation.suggest.choose import choose
from selftaught.features.encode import all_features

POOL = 4000
"""Images that labels are chosen from."""
WAYS = ("random", "typical", "k_centre")
T_95 = 1.96


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("data")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--limit", type=int, default=5000, help="training and test images")
    args = parser.parse_args()
    parts = features(args.run, args.data, args.limit)
    found = measure(*parts, counts=(50, 100), seeds=args.seeds)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"data": Path(args.data).name, "seeds": args.seeds, "rows": found}, indent=2) + "\n")
    print(table(found))


def features(run: str, data: str, limit: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pooled features and labels of the training and of the test part."""
    from selftaught.data.store.subset import Subset

    subject = open_subject(run)
    found: list[np.ndarray] = []
    for split in ("train", "test"):
        ((samples, _),) = all_samples(subject.encoder, subject.reading(data), split, subject.network.size)
        rows = np.sort(numpy_generator("suggestions", split).permutation(len(samples))[:limit])
        some = Subset(samples, rows)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        vectors = all_features(subject.encoder, some, size=subject.network.size, device=device)
        assert some.labels is not None
        found += [vectors.numpy(), some.labels]
    return found[0], found[1], found[2], found[3]


def measure(
    train: np.ndarray, labels: np.ndarray, test: np.ndarray, truth: np.ndarray, *, counts: tuple[int, ...], seeds: int
) -> list[dict[str, Any]]:
    """A row for each number of labels and way: mean test accuracy, and the gain over random choice."""
    rows: list[dict[str, Any]] = []
    for count in counts:
        reached: dict[str, list[float]] = {way: [] for way in WAYS}
        for seed in range(seeds):
            pool = numpy_generator("pool", seed).permutation(len(train))[:POOL]
            for way in WAYS:
                if way == "random":
                    chosen = numpy_generator("labels", seed).permutation(len(pool))[:count]
                else:
                    chosen = choose(train[pool], count, way=way, seed=seed)  # type: ignore[arg-type]
                reached[way].append(accuracy(train[pool[chosen]], labels[pool[chosen]], test, truth))
        for way, values in reached.items():
            gains = np.array(values) - np.array(reached["random"])
            half = T_95 * gains.std(ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else 0.0
            rows.append(
                {
                    "labels": count,
                    "way": way,
                    "accuracy": round(float(np.mean(values)), 2),
                    "gain": round(float(gains.mean()), 2),
                    "interval": [round(float(gains.mean() - half), 2), round(float(gains.mean() + half), 2)],
                }
            )
    return rows


def accuracy(x: np.ndarray, y: np.ndarray, test: np.ndarray, truth: np.ndarray) -> float:
    """In percent, of ridge regression fitted to the rows."""
    probe = RidgeProbe(int(truth.max()) + 1)
    probe.add(torch.from_numpy(x), torch.from_numpy(y), torch.zeros(len(y), dtype=torch.bool))
    found = probe.solve()[0].predict(torch.from_numpy(test)).numpy()
    return float(100 * (found == truth).mean())


def table(rows: list[dict[str, Any]]) -> str:
    """In Markdown."""
    lines = ["| labels | chosen | accuracy | gain over random |", "|---|---|---|---|"]
    for row in rows:
        low, high = row["interval"]
        gain = "" if row["way"] == "random" else f"{row['gain']:+.1f} ({low:+.1f} to {high:+.1f})"
        lines.append(f"| {row['labels']} | {row['way']} | {row['accuracy']:.1f} % | {gain} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
