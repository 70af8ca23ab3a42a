"""Settings as people give them: read from a class's source, typed, described."""

from __future__ import annotations

import ast
from typing import Any, Literal

import pytest

from selftaught.core.options import (
    Option,
    describe,
    flag_of,
    option_of,
    read_options,
    run_options,
    typed,
    with_settings,
)

SOURCE = '''
class Config:
    whole: int = 3
    """How
    many."""
    share: float | None = None
    scale: tuple[float, float] = (0.2, 1.0)
    kind: Literal["fast", "exact"] = "fast"
    """Which."""
    angles: Literal[2, 4] = 4
    computed: float = 2 * 3
    known: ClassVar[int] = 1
'''


def option(name: str) -> Option:
    config = ast.parse(SOURCE).body[0]
    assert isinstance(config, ast.ClassDef)
    return {found.name: found for found in read_options(config)}[name]


def test_fields_are_read_with_type_default_and_docstring() -> None:
    assert read_options(None) == ()
    assert option("whole") == Option(name="whole", type="int", default=3, help="How many.")
    assert option("share") == Option(name="share", type="float", default=None, help="", optional=True)
    assert option("scale") == Option(name="scale", type="float", default=(0.2, 1.0), help="", many=True)
    assert option("kind") == Option(name="kind", type="str", default="fast", help="Which.", choices=("fast", "exact"))
    assert option("angles").type == "int"
    assert not option("computed").has_default
    with pytest.raises(KeyError):
        option("known")


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("whole", "12", 12),
        ("whole", 12.0, 12),
        ("share", "none", None),
        ("share", "1e-3", 0.001),
        ("scale", "0.5,1", (0.5, 1.0)),
        ("scale", [0.5, 1], (0.5, 1.0)),
        ("angles", "2", 2),
    ],
)
def test_text_and_plain_values_get_the_fields_type(name: str, given: Any, value: Any) -> None:
    found = typed(option(name), given, flag="--x")
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "given", "sentence"),
    [
        ("whole", "2.5", "--x must be a whole number, got '2.5'"),
        ("whole", 2.5, "--x must be a whole number, got 2.5"),
        ("whole", True, "--x must be a whole number, got True"),
        ("whole", None, "--x must be a whole number, got None"),
        ("share", "nan", "--x must be a number, or none, got 'nan'"),
        ("scale", "1,b", "--x must be a number, or several separated by commas, got '1,b'"),
        ("kind", "fats", "--x must be one of fast, exact, got 'fats'; did you mean fast?"),
        ("angles", "3", "--x must be one of 2, 4, got '3'"),
    ],
)
def test_a_wrong_value_is_one_sentence(name: str, given: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=r"^--x must be") as caught:
        typed(option(name), given, flag="--x")
    assert str(caught.value) == sentence


def test_switches_take_the_usual_words() -> None:
    switch = option_of("resume", bool, False, "")
    assert describe(switch) == "true or false"
    for word, value in {"true": True, "No": False, "1": True, "0": False, True: True}.items():
        assert typed(switch, word, flag="--resume") is value
    with pytest.raises(ValueError, match=r"^--resume must be true or false, got 'maybe'$"):
        typed(switch, "maybe", flag="--resume")


def test_flags_have_dashes_but_for_a_tasks_name() -> None:
    assert flag_of("batch_size") == "--batch-size"
    assert flag_of("task.graph_constraint.num_pairs") == "--task.graph_constraint.num-pairs"


def test_the_settings_of_a_run_are_those_of_its_class() -> None:
    options = run_options()
    assert "task_settings" not in options
    assert options["stem"].choices == ("auto", "standard", "small")
    assert options["budget"] == Option(
        name="budget", type="str", default=None, help=options["budget"].help, optional=True
    )
    assert not options["data"].has_default
    assert all(found.help for found in options.values())


def test_a_docstring_gets_the_settings_that_are_no_arguments() -> None:
    def verb(data: str, size: int) -> Literal[1]:
        """Summary."""
        return 1

    text = with_settings(verb).__doc__ or ""
    assert text.startswith("Summary.\n\nSettings, each with its default:\n    task = 'simclr': text. Pretext task")
    assert "    out = None: text. Run folder" in text
    assert "\n    seed = 0: a whole number in [0, 9223372036854775807]. Seed" in text
    assert "\n    size = " not in text
