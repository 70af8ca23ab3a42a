"""Written scenes are read back as they were rendered, and what is missing or broken is said."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from selftaught.core.settings.groups import DataSettings
from selftaught.data.batch import Sampling
from selftaught.data.computed.with_maps import pack_with_maps
from selftaught.data.inputs import Clip, Given, Input, needs_of
from selftaught.data.rendered.write import write_world
from selftaught.data.sources.open import open_source
from selftaught.data.sources.world.settings import WorldSettings
from selftaught.data.sources.world.source import KINDS
from selftaught.data.sources.world.textures import drawn_textures
from selftaught.data.sources.world.video import Scenes

pytest.importorskip("mujoco", reason="needs MuJoCo, the extra [world]")
SCENES = Scenes(WorldSettings(side=24, frames=3, most=8), "train", drawn_textures())


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    write_world(SCENES, folder, count=3, workers=1)
    return folder


@pytest.fixture
def written(once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path / "cache"))
    return Path(shutil.copytree(once, tmp_path / "out"))


def test_everything_is_read_back(written: Path) -> None:
    inputs: dict[str, Input] = {"clip": Clip(frames=3)}
    inputs |= {kind: Given(kind) for kind in KINDS}  # type: ignore[arg-type]
    source = open_source(str(written), split="train", needs=needs_of(inputs), held_out=0.0)
    assert (len(source), list(source.notes), source.entries[2].key) == (3, [], "rgb/000002")
    reading = DataSettings(path=str(written), workers=1)
    samples = pack_with_maps(source, reading, Sampling(inputs=inputs), size=24, title="packing", is_shown=False)
    host = samples.read(np.arange(3), np.full((3, 3), 0.5))
    for number in range(3):
        video = SCENES.video(number)
        simulation = video.simulation()
        for frame in range(3):
            assert np.array_equal(host["clip"][number, frame], video.frame(simulation, frame).image())
            for kind, values in video.given(KINDS, frame, simulation).items():
                tolerance = {"depth": 6e-4, "normals": 1e-3, "pose": 1e-6, "intrinsics": 1e-5}.get(kind, 0)
                assert np.abs(host[kind][number, frame] - values).max() <= tolerance, kind


def test_parts_are_drawn_and_scenes_that_are_not_whole_left_out(written: Path) -> None:
    needs = frozenset({"video", "flow"})
    parts = [open_source(str(written), split=split, needs=needs, held_out=0.34) for split in ("train", "held_out")]
    assert sorted(entry.key for part in parts for entry in part.entries) == [f"rgb/{n:06d}" for n in range(3)]
    (written / "poses" / "000001.txt").unlink()
    rest = open_source(str(written), split="train", needs=needs, held_out=0.0)
    assert len(rest) == 2
    assert rest.notes == [f"1 of 3 scenes of {written} are not written yet and left out"]


def test_broken_files_are_named(written: Path) -> None:
    source = open_source(str(written), split="train", needs=frozenset({"video", "pose"}), held_out=0.0)
    (written / "poses" / "000000.txt").write_text("1 0 0 0 0 1 0 0 0 0 1 0\n")
    with pytest.raises(ValueError, match=r"^poses/000000\.txt has 1 poses, but its video 3 frames$"):
        source.maps["pose"].read(0, 0.0)
    (written / "flow" / "000000" / "000000.flo").write_bytes(b"")
    with pytest.raises(ValueError, match=r"^flow/000000/000000\.flo does not begin"):
        source.maps["flow"].read(0, 0.0)
    (written / "selftaught-world.json").write_text("{}")
    with pytest.raises(
        ValueError, match=r"selftaught-world\.json is damaged; write the scenes again with selftaught world$"
    ):
        open_source(str(written), split="train", needs=frozenset({"video"}))
