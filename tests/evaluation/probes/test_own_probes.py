"""Probes of one's own, each one file: on videos with labels, on masks, and what is said of files that are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import selftaught
from selftaught.encoders.build import build_encoder
from selftaught.evaluation.evaluate import _at_once
from selftaught.evaluation.probes.catalogue import make_probe, probe_info
from selftaught.training.encoder_of_run import load_encoder
from tests.evaluation.small_run import DATA, evaluate_run

ACTION = '''
"""Which way brightness goes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import torch

from selftaught.core.ranges import Range, Settings
from selftaught.data.inputs import Clip, Input
from selftaught.evaluation.data.labelled import Labelled
from selftaught.evaluation.probes.base import Probe, Score
from selftaught.evaluation.probes.base import best_stage
from selftaught.features.encode import sample_batches
from selftaught.features.reader import Reader


class Action(Probe):
    """Tell clips that become lighter from those that become darker. It looks at pixels."""

    needs = frozenset({"video", "label"})
    inputs: ClassVar[Mapping[str, Input]] = {"clip": Clip(frames=3, stride=4)}

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="probe."):
        clips: Annotated[int, Range(least=1)] = 2
        """Clips of a video."""

    def score(self, reader: Reader, data: Labelled) -> Score:
        features = reader.pooled(data.test)
        rises = []
        for views in sample_batches(data.test, batch_size=2, device=reader.device, clips=self.config.clips):
            clips = torch.stack([batch["clip"].float() for batch in views])
            assert clips.shape[2:] == (3, 3, clips.shape[-1], clips.shape[-1])
            rises += (clips[:, :, -1] - clips[:, :, 0]).mean((0, 2, 3, 4)).tolist()
        lighter = data.classes.index("lighter")
        right = [100.0 * ((rise > 0) == (label == lighter)) for rise, label in zip(rises, data.test.labels)]
        return best_stage({"pixels": np.array(right, np.float32)}, {"features": list(features.shape)})
'''
MASKS = '''
"""Pixels by the nearest class mean of colour."""

from dataclasses import dataclass

import torch

import selftaught.evaluation.probes.base as probes
from selftaught.core.ranges import Settings
from selftaught.evaluation.data.dense import DENSE, Dense
from selftaught.features.reader import Reader


class NearestColour(probes.Probe):
    """Give each pixel the class whose mean colour is nearest."""

    needs = frozenset({"mask"})
    data = DENSE
    metric = "pixel_accuracy"

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="probe."):
        pass

    def score(self, reader: Reader, data: Dense) -> probes.Score:
        samples = [data.train.read(i) for i in range(len(data.train))]
        pixels = torch.cat([one.image.flatten(1).T.float() for one in samples])
        classes = torch.cat([one.mask.flatten() for one in samples])
        means = {k: pixels[classes == k].mean(0) for k in range(len(data.classes)) if (classes == k).any()}
        right = known = 0
        for i in range(len(data.test)):
            one = data.test.read(i)
            colours, truth = one.image.flatten(1).T.float(), one.mask.flatten()
            nearest = torch.stack([(colours - mean).norm(dim=1) for mean in means.values()]).argmin(0)
            found = torch.tensor(list(means))[nearest]
            right, known = right + int((found == truth)[truth != 255].sum()), known + int((truth != 255).sum())
        value = 100 * right / known
        return probes.Score(value=value, stage="pixels", stages={"pixels": value})
'''
DEPTH = '''
"""Mean depth of an image from its features."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from selftaught.core.ranges import Settings
from selftaught.data.inputs import Given, Image, Input
from selftaught.evaluation.data.paired import PAIRED, Paired
from selftaught.evaluation.probes.base import Probe, Score
from selftaught.features.encode import sample_batches
from selftaught.features.reader import Reader


class MeanDepth(Probe):
    """Fit the mean depth of images by least squares on pooled features."""

    needs = frozenset({"depth"})
    data = PAIRED
    metric = "within_half_a_metre"
    inputs: ClassVar[Mapping[str, Input]] = {"image": Image(), "depth": Given("depth")}

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="probe."):
        pass

    def score(self, reader: Reader, data: Paired) -> Score:
        train, test = (self._read(reader, part) for part in (data.train, data.test))
        weights = torch.linalg.lstsq(train[0], train[1][:, None], driver="gelsd").solution
        value = 100 * float(((test[0] @ weights - test[1][:, None]).abs() < 0.5).double().mean())
        more = {"train": train[1].tolist(), "test": test[1].tolist()}
        return Score(value=value, stage="pooled", stages={"pooled": value}, more=more)

    def _read(self, reader, samples):
        batches = [batch for (batch,) in sample_batches(samples, batch_size=4, device=reader.device)]
        depth = torch.cat([batch["depth"].mean((1, 2)) for batch in batches])
        return reader.pooled(samples).double(), depth.double()
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package in the current directory, under a name that no other test imports."""
    folder = tmp_path / f"probes_{tmp_path.name}"
    folder.mkdir()
    (folder / "actions.py").write_text(ACTION)
    (folder / "nearest_colour.py").write_text(MASKS)
    monkeypatch.chdir(tmp_path)
    return folder.name


@pytest.fixture
def videos(tmp_path: Path, write_video: Any) -> Path:
    """Four videos that become lighter and four that become darker, alike in the mean."""
    levels = np.linspace(40, 200, 20)
    for name, order in (("lighter", levels), ("darker", levels[::-1])):
        for i in range(4):
            frames = np.broadcast_to(order[:, None, None, None] + 5 * i, (20, 32, 48, 3)).astype(np.uint8)
            write_video(tmp_path / "videos" / name / f"{i}.mp4", frames)
    return tmp_path / "videos"


def test_a_probe_of_actions_reads_clips_with_labels(run: Path, package: str, videos: Path, tmp_path: Path) -> None:
    result = evaluate_run(run, str(videos), probe=f"{package}.actions", settings={"clips": "3"}, test_share=0.5)
    assert (result["value"], result["random"]["value"], result["chance"]) == (100, 100, 50)
    assert (result["probe"], result["test_samples"], result["settings"]) == ("actions", 4, {"clips": 3})
    assert result["more"]["features"][0] == 4  # frames are averaged
    assert result["file"].startswith("actions-")
    assert _at_once(make_probe(f"{package}.actions", {}, seed=0), load_encoder(run)) == 256 // 3
    assert _at_once(make_probe(f"{package}.actions", {}, seed=0), build_encoder("r3d_18", size=32)) == 256
    assert _at_once(make_probe("knn", {}, seed=0), load_encoder(run)) == 256
    with pytest.raises(ValueError, match=r"^videos are needed, but synthetic:N=20,side=32 holds images and labels"):
        evaluate_run(run, "synthetic:N=20,side=32", probe=f"{package}.actions")
    selftaught.write_report(run, out=tmp_path / "page.html")
    assert "actions" in (tmp_path / "page.html").read_text()


def test_a_probe_of_masks_reads_them_with_their_images(run: Path, package: str, tmp_path: Path) -> None:
    from tests.data.trees import picture, text, write

    for i in range(10):
        mask = np.zeros((30, 40), np.uint8)
        mask[4 + i :, 10:] = 1
        image = np.where(mask[:, :, None] == 1, np.array([220, 40, 40], np.uint8), picture(i) // 4)
        write(tmp_path / "data" / "images" / f"{i}.png", image)
        write(tmp_path / "data" / "masks" / f"{i}.png", mask)
    text(tmp_path / "data" / "classes.txt", "ground\nthing\n")
    result = evaluate_run(run, str(tmp_path / "data"), probe=f"{package}/nearest_colour.py")
    assert (result["probe"], result["metric"], result["value"]) == ("nearest_colour", "pixel_accuracy", 100)
    with pytest.raises(ValueError, match=r"^--folds is for probes that learn from class labels; .*nearest_colour.py "):
        evaluate_run(run, str(tmp_path / "data"), probe=f"{package}/nearest_colour.py", folds=3)


@pytest.mark.parametrize("name", ["{}/actions.py", "{}.actions"])
def test_random_weights_are_measured_again_when_the_file_has_changed(
    run: Path, package: str, videos: Path, name: str
) -> None:
    first = evaluate_run(run, str(videos), probe=name.format(package), test_share=0.5)
    path = Path(package) / "actions.py"
    path.write_text(path.read_text().replace("100.0 *", "50.0 *"))
    again = evaluate_run(run, str(videos), probe=name.format(package), test_share=0.5)
    assert (first["random"]["value"], again["value"], again["random"]["value"]) == (100, 50, 50)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("absent.py", None, r"--probe \S+absent.py: there is no such file"),
        ("nothing.py", "x = 1\n", r"must hold a subclass of Probe$"),
        ("broken.py", "class Probe(:\n", r"is not readable as Python"),
        (
            "needs.py",
            ACTION.replace('"label"', '"labell"'),
            r"unknown word in the needs of .* 'labell'; did you mean label",
        ),
        ("linear.py", ACTION, r"linear is the name of a built-in probe; rename the file$"),
    ],
)
def test_files_that_are_no_probe_are_one_sentence(
    tmp_path: Path, name: str, content: str | None, sentence: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=sentence):
        probe_info(str(tmp_path / name))


def test_a_probe_without_settings_needs_no_config_but_a_score(run: Path, tmp_path: Path) -> None:
    begin = ACTION.split("    needs =")[0]
    (tmp_path / "constant.py").write_text(
        begin + '    def score(self, reader, data):\n        return Score(value=7.0, stage="a", stages={"a": 7.0})\n'
    )
    (tmp_path / "none.py").write_text(begin)
    (tmp_path / "number.py").write_text(begin + "    def score(self, reader, data):\n        return 3\n")
    how = {"test_share": 0.5}
    assert evaluate_run(run, DATA, probe=str(tmp_path / "constant.py"), **how)["value"] == 7
    with pytest.raises(ValueError, match=r"^--probe \S+none.py: class Action must define score$"):
        evaluate_run(run, DATA, probe=str(tmp_path / "none.py"), **how)
    with pytest.raises(ValueError, match=r"^--probe \S+number.py: score must return a Score, got int$"):
        evaluate_run(run, DATA, probe=str(tmp_path / "number.py"), **how)


def test_a_probe_of_depth_reads_it_in_the_window_of_the_image(run: Path, tmp_path: Path) -> None:
    for part, count in (("train", 8), ("test", 4)):
        for i in range(count):
            for kind in ("images", "depth"):
                (tmp_path / "rooms" / kind / part).mkdir(parents=True, exist_ok=True)
            metres = np.full((32, 64), 1.0 + i)
            metres[:, :16] = 20.0  # beyond the square in the middle
            pixels = np.repeat((20 * metres).clip(0, 255)[:, :, None], 3, 2).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "rooms" / "images" / part / f"{i}.png")
            depth = Image.fromarray((1000 * metres).astype(np.uint16))
            depth.save(tmp_path / "rooms" / "depth" / part / f"{i}.png")
    (tmp_path / "mean_depth.py").write_text(DEPTH)
    result = evaluate_run(run, str(tmp_path / "rooms"), probe=str(tmp_path / "mean_depth.py"))
    assert (result["train_samples"], result["test_samples"], result["chance"]) == (8, 4, None)
    assert result["test_is"] == "the data's own test part"
    assert result["more"]["test"] == [1, 2, 3, 4]
    assert result["more"]["train"] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert result["value"] == 100
    few = evaluate_run(run, str(tmp_path / "rooms"), probe=str(tmp_path / "mean_depth.py"), limit=3)
    assert (few["train_samples"], few["limit"]) == (3, 3)
    with pytest.raises(ValueError, match=r"^depth maps are needed, but synthetic:N=20,side=32 holds images and labels"):
        evaluate_run(run, "synthetic:N=20,side=32", probe=str(tmp_path / "mean_depth.py"))
