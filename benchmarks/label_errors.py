"""Labels that were changed on purpose: how many of them `suggest` lists, and cleanlab on the same probabilities.

Command:   selftaught embed runs/photos labelled/ --out features.npz
           pip install cleanlab
           python benchmarks/label_errors.py features.npz --out docs/results/label_errors.json
Time:      about half a minute on one core for 2,000 images
Measured:  a tenth of the labels is exchanged for another class at random. Both get the same probabilities, by a
           classifier that did not learn from the sample. Precision and recall of the list of likely errors, the share
           of errors among as many samples at its top as there are errors, and seconds without the probabilities; means
           over the seeds
Expected:  the lists agree in precision within a few points; without cleanlab its rows are left out
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from selftaught.core.randomness import numpy_generator
from selftaught.evaluation.suggest.find import out_of_fold
from selftaught.evaluation.suggest.review import label_errors

SHARE = 0.1
"""Of the labels that are changed."""
METRICS = ("listed", "precision", "recall", "top", "seconds")

Rows = NDArray[np.int64]
Finder = Callable[[NDArray[np.float64], Rows], Rows]


def finders() -> dict[str, Finder]:
    """Each lists rows, the most suspicious first, from probabilities (M, K) and labels (M,)."""
    found: dict[str, Finder] = {"selftaught": label_errors}
    if importlib.util.find_spec("cleanlab") is not None:
        found |= {f"cleanlab, {way}": _of_cleanlab(way) for way in ("prune_by_noise_rate", "confident_learning")}
    return found


def _of_cleanlab(way: str) -> Finder:
    find = importlib.import_module("cleanlab.filter").find_label_issues

    def ranked(probabilities: NDArray[np.float64], labels: Rows) -> Rows:
        how = {"return_indices_ranked_by": "self_confidence", "filter_by": way, "n_jobs": 1}
        return np.asarray(find(labels, probabilities, **how), np.int64)

    return ranked


def changed(labels: Rows, classes: int, seed: int) -> tuple[Rows, NDArray[np.bool_]]:
    """Labels (M,) of which a tenth are of another class, and which (M,)."""
    rng = numpy_generator("label errors", seed)
    wrong = np.zeros(len(labels), bool)
    wrong[rng.permutation(len(labels))[: round(SHARE * len(labels))]] = True
    given = labels.copy()
    given[wrong] = (labels[wrong] + rng.integers(1, classes, int(wrong.sum()))) % classes
    return given, wrong


def measure(vectors: NDArray[np.float32], labels: Rows, *, seeds: int) -> list[dict[str, float | str]]:
    """A row for each finder."""
    classes = int(labels.max()) + 1
    reached: dict[str, list[list[float]]] = {}
    for seed in range(seeds):
        given, wrong = changed(labels, classes, seed)
        probabilities = out_of_fold(vectors, given, classes, seed, torch.device("cpu"))
        for name, find in finders().items():
            start = time.process_time()
            rows = find(probabilities, given)
            seconds = time.process_time() - start
            right = int(wrong[rows].sum())
            top = float(wrong[rows[: wrong.sum()]].sum() / wrong.sum())
            values = [len(rows), 100 * right / max(1, len(rows)), 100 * right / int(wrong.sum()), 100 * top, seconds]
            reached.setdefault(name, []).append(values)
    return [
        {"finder": name} | {key: round(float(v), 3) for key, v in zip(METRICS, np.mean(values, axis=0), strict=True)}
        for name, values in reached.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("features", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    with np.load(args.features) as file:
        vectors, names = file["vector"], file["label"]
    labels = np.unique(names, return_inverse=True)[1].astype(np.int64)
    rows = measure(vectors, labels, seeds=args.seeds)
    args.out.write_text(json.dumps({"samples": len(labels), "seeds": args.seeds, "rows": rows}, indent=2) + "\n")
    print("| list | samples | precision | recall | among the first | seconds |\n|---|---|---|---|---|---|")
    for row in rows:
        shares = "".join(f" {row[key]:.0f} % |" for key in ("precision", "recall", "top"))
        print(f"| {row['finder']} | {row['listed']:.0f} |{shares} {row['seconds']:.3f} |")


if __name__ == "__main__":
    main()
