"""Which pretext task suits some data: one table, ranked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import selftaught
from selftaught.core.own_folder import Locked, mark
from selftaught.core.settings.groups import DataSettings
from selftaught.encoders.build import build_encoder
from selftaught.encoders.weights.load import network_of
from selftaught.evaluation import compare
from selftaught.evaluation.compare import compare_tasks
from selftaught.evaluation.side_by_side import one_task
from selftaught.evaluation.subject import Subject
from selftaught.report import write_report
from selftaught.report.facts.answer import answer_comparison
from selftaught.report.facts.read import read_folder
from selftaught.report.facts.references import random_references
from selftaught.tasks.catalogue import named_tasks
from tests.evaluation.labelled_videos import write_actions
from tests.evaluation.own_data import pictures
from tests.evaluation.small_run import CONFIG, DATA


def test_compare_ranks_by_the_probe_and_without_labels_by_the_rank_of_features(tmp_path: Path) -> None:
    config = CONFIG.replace(steps=2, out=str(tmp_path / "labelled"))
    result = compare_tasks(config, ["rotation", "simclr"], labelled=DATA, probe="knn")
    values = [row["probe"]["value"] for row in result["rows"]]
    assert values == sorted(values, reverse=True)
    assert [row["rank"] for row in result["rows"]] == [1, 2]
    assert {row["task"] for row in result["rows"]} == {"rotation", "simclr"}
    assert json.loads((tmp_path / "labelled" / "compare.json").read_text()) == result
    best, second = result["rows"]
    assert (best["behind"], best["distinguishable"]) == (None, None)
    assert second["behind"]["value"] == pytest.approx(values[0] - values[1], abs=1e-3)
    low, high = second["behind"]["interval"]
    assert second["behind"]["paired"]
    assert second["distinguishable"] is not (low <= 0 <= high)
    agreed = result["label_free_agreement"]
    assert {p["run"]: p["probe"] for p in agreed["points"]} == {r["task"]: r["probe"]["value"] for r in result["rows"]}
    assert {row["figure"] for row in agreed["rows"]} >= {"rankme", "lidar", "alignment", "uniformity"}
    assert "2 runs are too few" in agreed["note"]
    with pytest.raises(ValueError, match="already holds a comparison"):
        compare_tasks(config, ["rotation"])
    unlabelled = compare_tasks(config.replace(resume=True), ["rotation", "simclr"])
    assert [r["rankme"] for r in unlabelled["rows"]] == sorted((r["rankme"] for r in unlabelled["rows"]), reverse=True)
    assert all(r["rankme"] == r["label_free"]["value"] for r in unlabelled["rows"])
    assert unlabelled["label_free_agreement"] is None


def test_two_comparisons_do_not_share_a_folder(tmp_path: Path) -> None:
    mark(tmp_path / "out", "comparison")
    config = CONFIG.replace(steps=2, out=str(tmp_path / "out"), resume=True)
    with Locked(tmp_path / "out"), pytest.raises(ValueError, match=r"out is being written by another process; wait"):
        compare_tasks(config, ["rotation"])
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".selftaught"]


def test_compare_says_what_is_wrong_before_it_trains(tmp_path: Path) -> None:
    config = CONFIG.replace(out=str(tmp_path / "out"))
    pictures(tmp_path / "flat", 4, 0)
    with pytest.raises(ValueError, match="videos are needed"):
        compare_tasks(config, ["rotation", "frame_order_verification"])
    with pytest.raises(ValueError, match=r"--task.angels"):
        compare_tasks(config.replace(task_settings={"angels": 2}), ["rotation"])
    with pytest.raises(ValueError, match="--probe label_free measures no use"):
        compare_tasks(config, ["rotation"], labelled=DATA, probe="label_free")
    for probe, what in (("detection", "boxes"), ("segmentation", "masks")):
        with pytest.raises(ValueError, match=f"^{what} are needed, but "):
            compare_tasks(config, ["rotation"], labelled=str(tmp_path / "flat"), probe=probe)
    with pytest.raises(ValueError, match="--probe qualitative measures no use"):
        compare_tasks(config, ["rotation"], labelled=DATA, probe="qualitative")
    videos = config.replace(data=str(tmp_path / "flat"), frames=4, encoder="auto")
    with pytest.raises(ValueError, match=r"^task 'frame_order_recognition': --task.frames must be at least"):
        compare_tasks(videos, ["clip_rotation", "frame_order_recognition"])
    assert not (tmp_path / "out").exists()


def test_video_tasks_of_two_kinds_of_encoders_are_ranked_by_actions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "USUAL", {"image": "timm:test_resnet", "video": "mean:timm:test_resnet"})
    data = str(write_actions(tmp_path / "videos", 12))
    settings = {"frames": 4, "gap": 1, "stride": 1}
    config = CONFIG.replace(
        data=data,
        out=str(tmp_path / "out"),
        encoder="auto",
        steps=2,
        batch_size=4,
        task_settings=settings,
        held_out=0.25,
    )
    result = compare_tasks(config, ["clip_rotation", "frame_order_recognition"], labelled=data)
    assert result["ranked_by"] == "action probe"
    encoders = {row["task"]: row["encoder"] for row in result["rows"]}
    assert encoders == {"clip_rotation": "mean:timm:test_resnet", "frame_order_recognition": "timm:test_resnet"}
    randoms = [row["probe"]["random"]["value"] for row in result["rows"]]
    assert result["random"]["value"] == max(randoms)
    assert {row["unit"] for row in result["rows"]} == {"clips"}
    assert {row["task"]: row["clip"] for row in result["rows"]} == {
        "clip_rotation": {"frames": 4, "stride": 1},
        "frame_order_recognition": {},
    }
    assert random_references(result, result["rows"]).keys() == {
        "random weights, mean:timm:test_resnet",
        "random weights, timm:test_resnet",
    }
    assert {row["probe"]["test_samples"] for row in result["rows"]} == {12}, "folds of few videos"
    first, second = result["rows"]
    assert second["behind"]["paired"]
    assert first["probe"]["value"] >= second["probe"]["value"]
    page = write_report(tmp_path / "out").read_text()
    assert answer_comparison(read_folder(tmp_path / "out")).headline in page  # type: ignore[arg-type]


def test_a_comparison_measures_with_the_groups_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    groups = tmp_path / "groups.csv"
    data = write_actions(tmp_path / "videos", 8, frames=4)
    keys = sorted(path.relative_to(data).as_posix() for path in data.rglob("*.mp4"))
    groups.write_text("file,group\n" + "".join(f"{key},{i % 4}\n" for i, key in enumerate(keys)))
    asked: list[DataSettings] = []

    def evaluate(subject: Subject, reading: DataSettings, **how: object) -> dict[str, object]:
        asked.append(reading)
        raise KeyboardInterrupt

    monkeypatch.setattr(one_task, "evaluate_encoder", evaluate)
    config = CONFIG.replace(data=DATA, out=str(tmp_path / "out"), groups=str(groups), steps=1)
    with pytest.raises(KeyboardInterrupt):
        compare_tasks(config, ["rotation"], labelled=str(data), probe="linear")
    assert asked[0].groups == str(groups)
    assert f"--groups: used for {data} alone, as --groups is for folders" in capfd.readouterr().err


def test_tasks_of_a_kind_that_the_data_cannot_teach_are_left_out(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    how: dict[str, Any] = {"size": 32, "steps": 1, "batch_size": 8, "encoder": "timm:test_resnet"}
    found = selftaught.compare(DATA, tasks="semantic,rotation", out=tmp_path / "out", **how)
    assert [row["task"] for row in found["rows"]] == ["rotation"]
    left = {one["task"]: one["why"] for one in found["left_out"]}
    assert set(left) == {"contour", "moving_object", "relative_depth", "synthetic_labels"}
    assert "depth maps are needed" in left["synthetic_labels"]
    with pytest.raises(ValueError, match="depth maps are needed"):
        selftaught.compare(DATA, tasks="rotation,synthetic_labels", out=tmp_path / "named", **how)
    capfd.readouterr()
    with pytest.raises(ValueError, match="no file or folder"):
        selftaught.compare(tmp_path / "gone", tasks="semantic,rotation", out=tmp_path / "named", **how)
    assert "left out" not in capfd.readouterr().err, "what is wrong with the data is said once"


@pytest.mark.slow  # trains and evaluates about thirty tasks, one step each
def test_all_video_tasks_are_compared_in_one_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "USUAL", {"image": "timm:test_resnet", "video": "mean:timm:test_resnet"})
    data, names = write_actions(tmp_path / "videos", 12, frames=40), named_tasks("video")
    found = selftaught.compare(
        data,
        tasks=["video"],
        labelled=data,
        probe_settings={"clips": 2},
        out=tmp_path / "out",
        size=32,
        steps=1,
        batch_size=4,
    )
    poses = {"egomotion", "egomotion_equivariance"}
    assert {row["task"] for row in found["rows"]} == set(names) - poses
    assert {one["task"] for one in found["left_out"]} == poses
    assert all("pose" in one["why"] for one in found["left_out"])
    assert all(row["probe"]["metric"] == "top1" for row in found["rows"])
    assert [row["rank"] for row in found["rows"]] == list(range(1, len(found["rows"]) + 1))
    assert "data-clip" in Path(found["report"]).read_text()


def test_given_encoders_are_ranked_beside_the_tasks(run: Path, tmp_path: Path) -> None:
    made = build_encoder("timm:test_resnet", size=32)
    weights = {f"model.{key}": value for key, value in network_of(made)[0].state_dict().items()}
    torch.save({"state_dict": weights}, tmp_path / "w.pth")
    config = CONFIG.replace(steps=2, out=str(tmp_path / "out"))
    given = [f"timm:test_resnet:{tmp_path / 'w.pth'}", str(run)]
    result = compare_tasks(config, ["rotation"], labelled=DATA, probe="knn", given=given)
    rows = {row["task"]: row for row in result["rows"]}
    assert set(rows) == {"rotation", "timm:test_resnet:w.pth", run.name}
    assert [row["rank"] for row in result["rows"]] == [1, 2, 3]
    assert all(row["behind"]["paired"] for row in result["rows"][1:])
    assert len({row["probe"]["random"]["value"] for row in rows.values()}) == 1, "one seed and size for all"
    assert rows[run.name]["rankme"] == rows[run.name]["label_free"]["value"]
    assert result["label_free_agreement"] is None
    html = write_report(tmp_path / "out").read_text(encoding="utf-8")
    assert "timm:test_resnet:w.pth" in html
    assert f"timm:test_resnet:{tmp_path}" not in html
    assert not (tmp_path / "w-evaluated").exists()
    assert not (run / "evaluations" / "knn.json").exists()
    for wrong, sentence in (
        ([given[0]] * 2, "--given names an encoder twice"),
        (["timm:test_resnet:gone.pth"], "weights gone.pth: gone.pth does not exist"),
    ):
        with pytest.raises(ValueError, match=sentence):
            compare_tasks(config.replace(out=str(tmp_path / "no")), ["rotation"], given=wrong)
    assert not (tmp_path / "no").exists()
    unlabelled = compare_tasks(config.replace(resume=True), ["rotation"], given=given[:1])
    assert {row["task"] for row in unlabelled["rows"]} == {"rotation", "timm:test_resnet:w.pth"}
