from __future__ import annotations

import ast
import math
import re
from dataclasses import dataclass
from typing import Annotated, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selftaught.core.options import describe, make_option, typed
from selftaught.core.ranges import Range, Settings, range_in_source


@dataclass(frozen=True, kw_only=True)
class Example(Settings, prefix="task."):
    min_scale: Annotated[float, Range(above=0, most=1)] = 0.5
    depth: Annotated[int | None, Range(least=1)] = None
    rates: Annotated[tuple[float, ...], Range(least=0.1)] = (0.1, 1.0)
    kind: Literal["map", "pooled"] = "map"
    free: float = 0.0


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"min_scale": 0.0}, "--task.min-scale must be in (0, 1], got 0.0"),
        ({"min_scale": math.nan}, "--task.min-scale must be in (0, 1], got nan"),
        ({"depth": 0}, "--task.depth must be at least 1, got 0"),
        ({"rates": (1.0, 0.0)}, "--task.rates must be one or more numbers at least 0.1, got 1.0,0.0"),
        ({"rates": ()}, "--task.rates must be one or more numbers at least 0.1, got none"),
        ({"kind": "mean"}, "--task.kind must be map or pooled, got 'mean'"),
    ],
)
def test_a_value_outside_of_its_range_is_one_sentence_with_the_flag(wrong: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        Example(**wrong)  # type: ignore[arg-type]
    Example(min_scale=1.0, depth=1, free=-3.0)


def test_a_range_in_words() -> None:
    words = {
        "at least 1": Range(least=1),
        "above 0": Range(above=0),
        "at most 3": Range(most=3),
        "below 3": Range(below=3),
        "in [0, 1)": Range(least=0, below=1),
        "in (0.5, 1]": Range(above=0.5, most=1),
    }
    assert {str(given): given for given in words.values()} == words


bound = st.none() | st.floats(-10, 10)


@settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(least=bound, above=bound, most=bound, below=bound, value=st.floats())
def test_a_range_read_from_source_text_holds_the_same_numbers(
    least: float | None, above: float | None, most: float | None, below: float | None, value: float
) -> None:
    given = Range(least=least, above=above, most=most, below=below)
    hint, read = range_in_source(ast.parse(f"Annotated[float, {given!r}]", mode="eval").body)
    assert ast.unparse(hint) == "float"
    assert read == given
    limits = ((least, value.__ge__), (above, value.__gt__), (most, value.__le__), (below, value.__lt__))
    inside = math.isfinite(value) and all(limit is None or holds(limit) for limit, holds in limits)
    assert (value in given) == inside


def test_the_command_line_and_the_docs_know_the_range() -> None:
    hint = ast.parse("Annotated[float | None, Range(above=0, most=1)]", mode="eval").body
    option = make_option("min_scale", hint, default=0.3, help="")
    assert describe(option) == "a number in (0, 1], or none"
    assert typed(option, "0.5", flag="--task.min-scale") == 0.5
    assert typed(option, "none", flag="--task.min-scale") is None
    with pytest.raises(ValueError, match=r"^--task.min-scale must be in \(0, 1\], got 2.0$"):
        typed(option, "2", flag="--task.min-scale")
    many = make_option(
        "lr", ast.parse("Annotated[tuple[float, ...], Range(least=1)]", mode="eval").body, default=(), help=""
    )
    assert describe(many) == "a number of at least 1, or several separated by commas"
    with pytest.raises(ValueError, match=r"^--probe.lr must be one or more numbers at least 1, got 2.0,0.5$"):
        typed(many, "2,0.5", flag="--probe.lr")
