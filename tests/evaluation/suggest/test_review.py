"""Near duplicates, outliers and label errors that were put there are found, and little else."""

from __future__ import annotations

import numpy as np

from selftaught.evaluation.suggest.review import label_errors, near_duplicates, outliers
from tests.evaluation.suggest.test_choose import blobs


def test_copies_are_found_and_other_images_of_a_scene_are_not() -> None:
    vectors, _ = blobs((20, 20))
    rng = np.random.default_rng(1)
    thumbnails = rng.random((40, 64)).astype(np.float32)
    vectors[7], thumbnails[7] = vectors[3], thumbnails[3] * 0.8 + 0.1  # another exposure
    vectors[30] = vectors[31]  # the same features of other pixels
    thumbnails[12] = thumbnails[38]  # the same pixels far away in features are not looked for
    (pair,) = near_duplicates(vectors, thumbnails)
    assert (pair.first, pair.second) == (3, 7)
    assert pair.similarity > 0.999


def test_many_equal_samples_are_no_neighbours_of_themselves() -> None:
    vectors = np.ones((15, 4), np.float32)
    pairs = near_duplicates(vectors, np.tile(np.arange(9, dtype=np.float32), (15, 1)))
    assert all(pair.first < pair.second for pair in pairs)
    assert {row for pair in pairs for row in (pair.first, pair.second)} == set(range(15))


def test_what_is_far_from_all_is_an_outlier() -> None:
    vectors, _ = blobs((30, 30))
    vectors[41] = np.eye(12, dtype=np.float32)[11]
    rows, distance = outliers(vectors, 3)
    assert rows[0] == 41
    assert distance[0] > 3 * distance[1]
    assert (np.diff(distance) <= 0).all()


def test_labels_are_suspected_as_confident_learning_has_it() -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.45, 0.55], [0.95, 0.05], [0.65, 0.35]])
    labels = np.array([0, 0, 0, 1, 1, 1, 1])
    # t_0 = mean(0.9, 0.8, 0.1) = 0.6, t_1 = mean(0.8, 0.55, 0.05, 0.35) = 0.44: sample 6 is above t_0, and errors are
    # ordered by the probability of the label: 0.05, 0.1 and 0.35.
    assert label_errors(probabilities, labels).tolist() == [5, 2, 6]


def test_the_least_probable_label_comes_first() -> None:
    certain = [[0.9, 0.05, 0.05], [0.3, 0.4, 0.3], [0.1, 0.1, 0.8]]
    probabilities = np.array([[0.3, 0.68, 0.02], [0.25, 0.4, 0.35], *certain])
    # t = (0.48, 0.4, 0.8): 0 and 1 count as of class 1, and 0 by the larger margin.
    assert label_errors(probabilities, np.array([0, 0, 0, 1, 2])).tolist() == [1, 0]


def test_flipped_labels_are_most_of_what_is_found() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 300)
    logits = np.eye(3)[truth] * 3 + rng.normal(0, 1, (300, 3))
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = truth.copy()
    flipped = rng.permutation(300)[:20]
    labels[flipped] = (labels[flipped] + 1) % 3
    found = label_errors(probabilities, labels)
    assert len(set(found) & set(flipped)) >= 14
    assert len(set(found) - set(flipped)) <= 2
