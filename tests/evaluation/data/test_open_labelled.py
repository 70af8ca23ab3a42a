"""What labelled data are told of: classes that do not match, parts without labels, data the run learned from, sound."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from selftaught.core.objects.registry import name_of
from selftaught.data.inputs import Clip
from selftaught.data.store.samples import groups_of
from selftaught.evaluation.data.open_labelled import _near, open_labelled
from tests.evaluation.labelled_videos import write_actions
from tests.evaluation.own_data import asked, config, pictures


def test_a_test_class_without_training_samples_is_reported_with_a_similar_name(tmp_path: Path) -> None:
    for i, place in enumerate(("train/cat", "train/dog", "test/Cats", "test/dog")):
        pictures(tmp_path / place, 4, i)
    data = open_labelled(asked(tmp_path))
    assert data.notes == (
        f"{tmp_path}: 4 test samples are of classes without a training sample, Cats (did you mean cat for Cats?); "
        "they count as wrong",
    )


def test_the_near_class_is_found_whatever_its_case() -> None:
    assert _near(["zebra", "CAT"], ("cat", "dog")) == " (did you mean cat for CAT?)"
    assert _near(["zebra"], ("cat", "dog")) == ""


def test_a_flat_test_part_is_said_to_lack_labels(tmp_path: Path) -> None:
    for i, place in enumerate(("train/cat", "train/dog", "test1")):
        pictures(tmp_path / place, 4, i)
    with pytest.raises(ValueError, match="only the training part has labels, the test part has none"):
        open_labelled(asked(tmp_path, config(tmp_path)))


def test_the_data_of_the_run_are_named(tmp_path: Path) -> None:
    for i, place in enumerate(("own/cat", "own/dog")):
        pictures(tmp_path / place, 8, i)
    own = tmp_path / "own"
    told = f"{own} is the run's own data: the encoder saw test samples in training, "
    assert open_labelled(asked(own, config(tmp_path / "own" / ".." / "own"))).notes == (told + "without their labels",)
    assert open_labelled(asked(own, config(own, "supervised"))).notes == (told + "with their labels",)
    assert open_labelled(asked(own)).notes == ()
    images = [(np.full((40, 40, 3), 9 * i, np.uint8), i % 2) for i in range(16)]
    name = Path(name_of("dataset", images))
    told = f"{name} has the name of the run's own data: the encoder may have seen test samples in training, "
    assert told + "without their labels" in open_labelled(asked(name, config(name))).notes


def test_videos_without_sound_are_skipped_for_an_encoder_of_sound(tmp_path: Path, write_video: Any) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (30, 32, 48, 3), dtype=np.uint8)
    sound = np.sin(np.arange(48_000) / 20).astype(np.float32)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for i in range(4):
            write_video(tmp_path / name / f"{i}.mp4", np.roll(frames, i, 1), **({} if i == 3 else {"sound": sound}))
    data = open_labelled(asked(tmp_path, kind="audio", folds=1))
    assert len(data.train) + len(data.test) == 6
    assert sorted(Path(key).name for key, _ in {*data.train.skipped, *data.test.skipped}) == ["3.mp4", "3.mp4"]
    assert all("sound" in reason for _, reason in data.train.skipped)


@pytest.mark.parametrize(("how", "told"), [({"folds": 3}, "in 6 groups"), ({"test_share": 0.3}, "whole groups")])
def test_groups_are_tested_whole(tmp_path: Path, how: dict[str, Any], told: str) -> None:
    pictures(tmp_path / "data", 36, 0)
    rows = [f"{i}.png,{'ab'[i % 2]},p{i % 6 // 2 + 3 * (i % 2)}" for i in range(36)]
    (tmp_path / "data" / "labels.csv").write_text("\n".join(["file,label,person", *rows]))
    plain = asked(tmp_path / "data", **how)
    data = open_labelled(replace(plain, data=replace(plain.data, groups="person")))
    assert told in data.test_is
    for part in data.parts:
        learned, tested = groups_of(part.train), part.test_groups
        assert learned is not None
        assert tested is not None
        assert not set(learned) & set(tested)
        assert len(set(learned) | set(tested)) == 6
    assert open_labelled(plain).test_groups is None


def test_split_number_0_tests_on_every_official_split(tmp_path: Path) -> None:
    data, names = tmp_path / "UCF-101", ("Archery", "Biking")
    for i, path in enumerate(sorted(write_actions(tmp_path / "made", 12).rglob("*.mp4"))):
        name = names[i // 6]
        place = data / name / f"v_{name}_g{i % 3 + 1:02d}_c{i % 6 // 3 + 1:02d}.mp4"
        place.parent.mkdir(parents=True, exist_ok=True)
        path.rename(place)
    lists = tmp_path / "ucfTrainTestlist"
    lists.mkdir()
    for number in (1, 2, 3):
        for part in ("train", "test"):
            groups = [g for g in (1, 2, 3) if (g == number) == (part == "test")]
            lines = [f"{n}/v_{n}_g{g:02d}_c{c:02d}.avi 1\n" for n in names for g in groups for c in (1, 2)]
            (lists / f"{part}list{number:02d}.txt").write_text("".join(lines))
    one = asked(data)
    video = replace(one, kind="video", clip=Clip(frames=4), needs=frozenset({"video", "label"}))
    found = open_labelled(replace(video, data=replace(one.data, split_number=0)))
    assert found.test_is == "3 official splits, averaged"
    assert len(found.folds) == 3
    for number, fold in enumerate(found.folds, 1):
        assert {Path(key).name[-10:-8] for key in fold.test.keys} == {f"{number:02d}"}
        assert (len(fold.train), len(fold.test)) == (8, 4)
        assert fold.test_groups is not None
    with pytest.raises(ValueError, match="--split-number 0 tests on all official splits; leave out --test-share"):
        open_labelled(replace(video, data=replace(one.data, split_number=0), test_share=0.5))
    with pytest.raises(ValueError, match=r"--split-number must be one of the splits of .* got 0"):
        replace(video, data=replace(one.data, split_number=0)).source("train")
