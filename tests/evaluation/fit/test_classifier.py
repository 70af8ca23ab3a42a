"""An encoder with a linear layer behind it, trained on labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from selftaught.data.store.subset import Subset
from selftaught.evaluation.fit.classifier import Classifier, Recipe, fit, parameter_groups
from tests.evaluation.stripes import CPU, SIDE, Stripes, encoder


def test_head_and_encoder_have_their_own_rates_and_vectors_do_not_decay() -> None:
    network = Classifier(encoder(), 3, "32-true")
    recipe = Recipe(steps=1, batch_size=4, lr=0.01, head_lr=0.2, weight_decay=0.5, min_scale=0.3)
    groups = parameter_groups(network, recipe)
    assert sum(len(group["params"]) for group in groups) == len(list(network.parameters()))
    for group in groups:
        is_head = any(p is q for p in group["params"] for q in network.head.parameters())
        assert group["peak"] == (0.2 if is_head else 0.01)
        assert {p.ndim > 1 for p in group["params"]} == {group["weight_decay"] > 0}
    wide = encoder()
    wide.num_features = 2048
    assert parameter_groups(Classifier(wide, 3, "32-true"), recipe)[-1]["peak"] == pytest.approx(0.05)


def test_the_first_step_is_nesterov_sgd_on_the_cross_entropy() -> None:
    """With a head of zeros the first step is known: only the linear layer moves, along features and errors."""
    network = Classifier(encoder(), 3, "32-true")
    recipe = Recipe(steps=1, batch_size=6, lr=0.5, head_lr=0.1, weight_decay=0.0, min_scale=0.3)
    before = {name: p.detach().clone() for name, p in network.encoder.named_parameters()}
    samples = Subset(Stripes(60, 1), np.array([0, 1, 3, 4, 6, 7]))  # no checked ones
    fit(network, samples, recipe, size=SIDE, device=CPU, seed=0)
    assert all(torch.equal(before[name], p) for name, p in network.encoder.named_parameters())
    linear = network.head[1]
    assert isinstance(linear, torch.nn.Linear)
    # The mean error is 1/3 - 1/2 for the classes shown, 1/3 for the other; Nesterov's first step is 1 + momentum long.
    expected = -0.1 * 1.9 * torch.tensor([1 / 3 - 1 / 2, 1 / 3 - 1 / 2, 1 / 3])
    assert torch.allclose(linear.bias.detach(), expected, atol=1e-6)
