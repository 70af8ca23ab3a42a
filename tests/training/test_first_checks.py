"""What cannot be is refused before anything is packed or written."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from selftaught.core.config import RunConfig
from selftaught.evaluation.compare import compare_tasks
from selftaught.evaluation.side_by_side import one_task
from selftaught.tasks import supervised
from selftaught.training.first_checks import check_asked, try_own_task_early
from selftaught.training.setup import spec_for, with_batch
from selftaught.training.train import train
from tests.own_task import bright


def asked(out: Path, **changes: object) -> RunConfig:
    values: dict[str, object] = {
        "data": "synthetic:N=24,side=32", "out": str(out), "task": "rotation", "encoder": "timm:test_resnet",
        "size": 32, "batch_size": 8, "steps": 1, "accelerator": "cpu",
    }  # fmt: skip
    return RunConfig.of(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("returned", "sentence"),
    [
        ("{'loss': scalars['loss']}", "its metric is 'accuracy', but the dict that loss returns holds loss"),
        ("{'accuracy': scalars['accuracy']}", "must return a dict that holds 'loss', but what it returns holds accur"),
        ("scalars['loss']", "must return a dict that holds 'loss', but what it returns is no dict"),
        ("{**scalars, 'loss': scalars['loss'].detach()}", "bright.py': the loss has no gradient"),
        ("{**scalars, 'loss': scalars['loss'] * float('nan')}", "bright.py': 'loss' of loss is nan, not a finite num"),
        ("classification(prediction.sum(1), example.bright)", r"takes logits .*, got \(8,\) and \(8,\)"),
        (
            "{**scalars, 'margin': prediction.nope}",
            r"bright.py': forward or loss fails at .*bright.py:\d+: AttributeEr",
        ),
    ],
)
def test_what_an_own_task_lacks_is_said_before_there_is_a_folder(tmp_path: Path, returned: str, sentence: str) -> None:
    file = tmp_path / "bright.py"
    file.write_text(bright(returned))
    with pytest.raises(ValueError, match=sentence):
        train(asked(tmp_path / "run", task=str(file)))
    assert not (tmp_path / "run").exists()


def test_compare_says_it_before_the_first_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "bright.py"
    file.write_text(bright("{'loss': scalars['loss']}"))
    monkeypatch.setattr(one_task, "train", lambda config: pytest.fail("trained"))
    with pytest.raises(ValueError, match="its metric is 'accuracy', but the dict that loss returns holds loss"):
        compare_tasks(asked(tmp_path / "compared"), ["rotation", str(file)])
    assert not (tmp_path / "compared").exists()


REFRESHING = """
    def refresh_epochs(self):
        return 1.0

    def embed(self, batch):
        return self.encoder(centre_view(batch["image"], self.size))

    def before_epoch(self, known, count, rng):
        BODY
"""


@pytest.mark.parametrize(
    ("body", "returned", "sentence"),
    [
        ("return None", "scalars", "before_epoch must return Refreshed, got NoneType"),
        ("raise ValueError(f'{len(known.index)} samples are too few')", "scalars", "^20 samples are too few"),
        ("return Refreshed(scalars={})", "{'loss': scalars['loss']}", "its metric is 'accuracy'"),
    ],
)
def test_a_task_that_labels_all_samples_at_once_is_tried_too(
    tmp_path: Path, body: str, returned: str, sentence: str
) -> None:
    file = tmp_path / "bright.py"
    own = bright(returned) + REFRESHING.replace("BODY", body)
    file.write_text(own.replace("Image, PretextTask", "Image, PretextTask, Refreshed"))
    config = asked(tmp_path / "run", task=str(file), limit=20)
    with pytest.raises(ValueError, match=sentence):
        try_own_task_early(config, spec_for(config))


@pytest.mark.parametrize(
    "changes",
    [{"encoder": "nosuch"}, {"encoder": "r3d_18"}, {"encoder": "vit_b_16", "size": 50}, {"task_settings": {"a": 1}}],
)
def test_a_wrong_encoder_or_setting_packs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path / "cache"))
    config = asked(tmp_path / "run", **changes)
    with pytest.raises(ValueError, match=r"nosuch|r3d_18|50|setting|angles"):
        check_asked(config, spec_for(config))
    with pytest.raises(ValueError, match=r"nosuch|r3d_18|50|setting|angles"):
        train(config)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"task": "gan"}, "--strategy fsdp cannot train task 'gan': its players take turns; give --strategy ddp"),
        (
            {"task": "rotation+autoencoder", "task_settings": {"balance": "gradient"}},
            "'rotation.autoencoder': --task.balance gradient reads gradients in the midst of a step",
        ),
        ({"devices": 1}, "give --devices 2 or more"),
    ],
)
def test_what_cannot_be_split_is_refused_before_data_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], sentence: str
) -> None:
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ValueError, match=sentence):
        train(asked(tmp_path / "run", **{"strategy": "fsdp", "devices": 2} | changes))
    assert list(tmp_path.iterdir()) == []


def test_an_own_task_that_learns_from_labels_is_tried_with_all_classes_of_the_data(tmp_path: Path) -> None:
    for number, name in enumerate(("ant", "bee", "cat")):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(6):
            Image.new("RGB", (32, 32), (80 * number, 9 * i, 0)).save(tmp_path / "data" / name / f"{i}.png")
    shutil.copy(str(supervised.__file__), tmp_path / "named.py")
    run = train(asked(tmp_path / "run", data=str(tmp_path / "data"), task=str(tmp_path / "named.py")))
    assert RunConfig.load(run / "config.json").task_settings["classes"] == 3


@pytest.mark.parametrize("task", ["egomotion", "egomotion_equivariance", "view_synthesis", "rotation"])
def test_tasks_that_need_a_moving_camera_refuse_a_world_where_it_stands_still(task: str) -> None:
    for place, is_still in (("world:camera=still", True), ("world:scenes=8", False)):
        asked = RunConfig.of(data=place, out="run", task=task, encoder="timm:test_resnet", size=64, stem="standard")
        asked = with_batch(asked, spec_for(asked))
        if is_still and task != "rotation":
            with pytest.raises(
                ValueError, match=rf"^task '{task}' learns from how .* but camera=still of world:camera"
            ):
                check_asked(asked, spec_for(asked))
        else:
            check_asked(asked, spec_for(asked))


@pytest.mark.parametrize("moves", [False, True])
def test_poses_that_are_all_equal_are_refused(
    tmp_path: Path, write_video: Any, monkeypatch: pytest.MonkeyPatch, moves: bool
) -> None:
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path / "cache"))
    still = "time,x,y,z,qx,qy,qz,qw\n" + "".join(f"{t},1.5,0,2,0,0,0,1\n" for t in range(3))
    for i in range(4):
        frames = np.random.default_rng(i).integers(0, 255, (12, 40, 40, 3), np.uint8)
        write_video(tmp_path / "data" / f"v{i}.mp4", frames)
        (tmp_path / "data" / f"v{i}.csv").write_text(still.replace("1,1.5,", "1,1.51,") if moves else still)
    asked = RunConfig.of(
        data=str(tmp_path / "data"), out=str(tmp_path / "run"), task="egomotion", encoder="timm:test_resnet", size=32,
        steps=1, batch_size=2, accelerator="cpu",
    )  # fmt: skip
    if moves:
        train(asked)
        return
    with pytest.raises(ValueError, match=r"^task 'egomotion' learns from how the camera moves, but its poses do not"):
        train(asked)
    assert not (tmp_path / "run").exists()
