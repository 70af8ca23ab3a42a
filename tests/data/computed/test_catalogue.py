"""Programs by name: the package's own, a user's, and what is said of unknown ones."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import selftaught.data.computed
from selftaught.data.computed.catalogue import PROGRAMS, load_program, make_program
from selftaught.data.computed.moving_mask import MovingMask
from selftaught.data.computed.optical_flow import OpticalFlow
from selftaught.data.inputs import Computed


def test_every_program_has_the_name_of_its_file() -> None:
    (folder,) = selftaught.data.computed.__path__
    files = {path.stem for path in Path(folder).glob("*.py") if "(Program)" in path.read_text()}
    assert files == set(PROGRAMS)
    assert [load_program(name).name for name in PROGRAMS] == list(PROGRAMS)


def test_a_program_of_ones_own_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_programs").mkdir()
    (tmp_path / "own_programs" / "faster.py").write_text(
        "from selftaught.data.computed.optical_flow import OpticalFlow\nclass Faster(OpticalFlow): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert issubclass(load_program("own_programs.faster"), OpticalFlow)
    sys.modules.pop("own_programs.faster")


def test_unknown_programs_are_answered() -> None:
    with pytest.raises(ValueError, match="unknown program 'optical_flows'; did you mean optical_flow"):
        load_program("optical_flows")
    with pytest.raises(ValueError, match=r"'no\.such' cannot be imported"):
        load_program("no.such")
    with pytest.raises(ValueError, match="exactly one class derived from Program, got 0"):
        load_program("os.path")


def test_an_input_says_the_settings_of_its_program() -> None:
    assert make_program(Computed("optical_flow", like="clip")) == OpticalFlow()
    asked = Computed("moving_mask", like="clip", settings={"threshold": 1.5, "preset": "fast"})
    assert make_program(asked) == MovingMask(threshold=1.5, preset="fast")
    assert make_program(asked).settings() != MovingMask().settings()


@pytest.mark.parametrize(
    ("program", "settings", "sentence"),
    [
        ("optical_flow", {"presets": "fast"}, "unknown setting of optical_flow 'presets'; did you mean preset"),
        (
            "optical_flow",
            {"preset": "slow"},
            "optical_flow must be one of ultrafast, fast, medium, got 'slow'",
        ),
        ("moving_mask", {"preset": 1}, "preset of moving_mask must be one of ultrafast, fast, medium, got 1"),
        ("moving_mask", {"threshold": 0}, "threshold of moving_mask must be more than 0 pixels, got 0"),
    ],
)
def test_settings_that_a_program_does_not_take_are_refused(
    program: str, settings: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        make_program(Computed(program, like="clip", settings=settings))
