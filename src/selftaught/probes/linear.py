"""Linear probe: how well a linear classifier on each frozen stage tells the classes of labelled data.

The survey's protocol (section 5.2 of Jing & Tian 2020): every stage, average-pooled to about 9,000 numbers, each
standardised (RotNet's batch normalisation without affine), one linear layer. Solved in closed form by ridge
regression; its strength is chosen on a part of the training set, never on the test set.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from selftaught.probes.ridge import LinearClassifier, RidgeProbe
from selftaught.probes.stages import Reader, stage_features
from selftaught.randomness import numpy_generator
from selftaught.store import Samples

metric = "top1"


@dataclass(frozen=True, kw_only=True)
class Score:
    """Accuracy in percent: the best stage and all of them."""

    value: float
    stage: str
    stages: dict[str, float]


def probe(reader: Reader, train: Samples, test: Samples, *, dims: int = 9000, seed: int = 0) -> Score:
    """Fit on `train`, score on `test`; top-1 accuracy of every stage in percent.

    The best stage is named by the test figures, as in the field's tables; its strength is not chosen by them.
    """
    classifiers = _fit(reader, train, dims, seed)
    hits = dict.fromkeys(classifiers, 0)
    count = 0
    for features, labels in stage_features(reader, test, dims):
        count += len(labels)
        for name, rows in features.items():
            hits[name] += int((classifiers[name].predict(rows) == labels).sum())
    stages = {name: round(100 * hit / count, 3) for name, hit in hits.items()}
    best = max(stages, key=lambda name: stages[name])
    return Score(value=stages[best], stage=best, stages=stages)


def _fit(reader: Reader, train: Samples, dims: int, seed: int) -> dict[str, LinearClassifier]:
    assert train.labels is not None
    num_classes = int(train.labels.max()) + 1
    share = 0.2 if len(train) < 2000 else 0.1
    held = torch.from_numpy(numpy_generator(seed, "held back").random(len(train)) < share)
    probes: dict[str, RidgeProbe] = {}
    done = 0
    for features, labels in stage_features(reader, train, dims):
        is_held = held[done : done + len(labels)].to(labels.device)
        done += len(labels)
        for name, rows in features.items():
            probes.setdefault(name, RidgeProbe(num_classes)).add(rows, labels, is_held)
    return {name: probes.pop(name).solve()[0] for name in list(probes)}
