"""What `fit` is asked for, and the recipe it becomes."""

from __future__ import annotations

import pytest

from selftaught.evaluation.models.settings import HowToFit
from tests.evaluation.models.test_linear import known_of


def test_the_recipe_follows_the_number_of_labels() -> None:
    recipe = HowToFit().fine_tuning(known_of(160))
    assert (recipe.steps, recipe.batch_size, recipe.lr, recipe.flag) == (150, 32, (0.01, 0.1), "--lr")
    assert HowToFit().fine_tuning(known_of(40)).steps == 100
    asked = HowToFit(steps=7, batch_size=16).fine_tuning(known_of(40, weights=(1.0, 2.0, 1.0, 1.0)), (0.5,))
    assert (asked.steps, asked.batch_size, asked.lr, asked.class_weights) == (7, 16, (0.5,), (1.0, 2.0, 1.0, 1.0))


def test_methods_and_wrong_values() -> None:
    assert HowToFit().methods == ("linear", "finetune")
    assert HowToFit(method="linear").methods == ("linear",)
    with pytest.raises(ValueError, match=r"^--batch-size must be at least 2, got 1"):
        HowToFit(batch_size=1)
