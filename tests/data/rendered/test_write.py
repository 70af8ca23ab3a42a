"""Written scenes are those that are rendered, in formats that other tools read."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from selftaught.data.annotations.coco import open_coco
from selftaught.data.files.file_tree import FolderTree
from selftaught.data.rendered.write import regions_of, write_world
from selftaught.data.sources.world.files import png_of
from selftaught.data.sources.world.settings import WorldSettings
from selftaught.data.sources.world.textures import drawn_textures
from selftaught.data.sources.world.video import Scenes

pytest.importorskip("mujoco", reason="needs MuJoCo, the extra [world]")
coco = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")
coco_mask = pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed")


def scenes(**settings: int) -> Scenes:
    small = {"side": 32, "frames": 3, "most": 8, "fps": 10}
    return Scenes(WorldSettings(**small | settings), "train", drawn_textures())  # type: ignore[arg-type]


def test_scenes_are_written_once_and_read_by_other_tools(tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = write_world(scenes(), out, count=1, workers=1)
    assert (first["scenes"], first["frames"], first["written"]) == (1, 3, 1)
    before = (out / "rgb/000000/000002.png").stat().st_mtime_ns
    assert write_world(scenes(), out, count=2, workers=1)["written"] == 1
    assert (out / "rgb/000000/000002.png").stat().st_mtime_ns == before
    video = scenes().video(1)
    simulation = video.simulation()
    frame = video.frame(simulation, 2)
    assert (out / "rgb/000001/000002.png").read_bytes() == png_of(frame.image())
    with av.open(str(out / "videos/000001.mp4")) as container:
        shown = [one.to_ndarray(format="rgb24") for one in container.decode(video=0)]
        assert float(container.streams.video[0].average_rate or 0) == 10
    assert len(shown) == 3
    assert np.abs(shown[2].astype(int) - frame.image()).mean() < 12
    whole = coco.COCO(str(out / "instances.json"))
    assert len(whole.imgs) == 6
    image = next(i for i, one in whole.imgs.items() if one["file_name"] == "rgb/000001/000002.png")
    drawn = np.zeros((32, 32), np.int16)
    for region in whole.imgToAnns[image]:
        drawn[whole.annToMask(region) > 0] = region["instance"]
    assert np.array_equal(drawn, frame.instances())
    ours = open_coco(FolderTree(out), masks=False)
    assert ours is not None
    assert not ours.wrong
    assert sorted(ours.keys) == sorted(one["file_name"] for one in whole.imgs.values())


def test_another_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"holds other files; give a new folder to --out$"):
        write_world(scenes(), tmp_path, count=1)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "selftaught-world.json").write_text(json.dumps({"frames": 9}))
    with pytest.raises(ValueError, match=r"holds scenes with other settings; give a new folder to --out$"):
        write_world(scenes(), tmp_path / "new", count=1)
    with pytest.raises(ValueError, match=r"^--size must be even, as videos need it, got 33$"):
        write_world(scenes(side=33), tmp_path / "odd", count=1)
    assert not (tmp_path / "odd").exists()


def test_regions_are_runs_down_the_columns() -> None:
    instances = np.zeros((4, 5), np.int16)
    instances[1:3, 1:4], instances[0, 0] = 7, 2
    moving = (instances == 7).astype(np.uint8)
    corner, block = regions_of(instances, moving)
    assert (corner["instance"], corner["moving"], corner["bbox"], corner["area"]) == (2, 0, [0, 0, 1, 1], 1)
    assert (block["instance"], block["moving"], block["bbox"], block["area"]) == (7, 1, [1, 1, 3, 2], 6)
    for region in (corner, block):
        assert np.array_equal(decoded(region["segmentation"]), instances == region["instance"])


def decoded(region: dict[str, object]) -> NDArray[np.bool_]:
    return np.asarray(coco_mask.decode(coco_mask.frPyObjects(region, *region["size"]))) > 0  # type: ignore[misc]
