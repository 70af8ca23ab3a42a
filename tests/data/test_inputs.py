"""Named inputs: what they need, what fits together, and what a source that lacks one says."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

import pytest
import torch

from selftaught.data.batch import Batch, Sampling
from selftaught.data.inputs import Clip, Computed, Given, Image, Input, Sound, liked, needs_of, own_draws
from selftaught.data.sources.open import open_source
from selftaught.data.store.open import open_samples


@pytest.mark.parametrize(
    ("inputs", "needs"),
    [
        ({"image": Image()}, {"image"}),
        ({"image": Image(), "label": Given("label")}, {"image", "label"}),
        ({"frame": Image(), "audio": Sound(seconds=1)}, {"video", "audio"}),
        ({"audio": Sound(seconds=1)}, {"audio"}),
        ({"past": Clip(frames=4), "flow": Computed("optical_flow", like="past")}, {"video"}),
        ({"past": Clip(frames=4), "flow": Given("flow", like="past")}, {"video", "flow"}),
    ],
)
def test_needs_of_inputs(inputs: Mapping[str, Input], needs: set[str]) -> None:
    assert needs_of(inputs) == needs


def test_only_a_range_of_gaps_takes_a_random_number() -> None:
    inputs = {
        "past": Clip(frames=4),
        "future": Clip(frames=4, after="past", gap=(0.0, 2.0)),
        "image": Image(),
        "later": Clip(frames=4, after="future", gap=1.0),
        "latest": Clip(frames=4, after="later", gap=(1.0, 2.0)),
    }
    assert own_draws(inputs) == {"future": 3, "latest": 4}
    assert Sampling(inputs=inputs).draws == 5
    assert Sampling().draws == 3


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ({"label": Given("label")}, "must have an Image, a Clip or a Sound among its inputs, got label"),
        ({}, "got none"),
        ({"a": Sound(seconds=1), "b": Sound(seconds=2)}, "may have one Sound among its inputs, got a, b"),
        ({"a": Clip(frames=2, after="b")}, "input 'a' refers to 'b', which must be another clip of a"),
        ({"a": Clip(frames=2, after="b"), "b": Image()}, "input 'a' refers to 'b', which must be another clip"),
        ({"a": Clip(frames=2, after="a")}, "input 'a' comes after itself"),
        ({"a": Clip(frames=2, after="b"), "b": Clip(frames=2, after="a")}, "input 'a' comes after itself"),
        ({"a": Image(), "flow": Computed("flow", like="b")}, "input 'flow' refers to 'b', which must be an image or"),
        ({"a": Image(), "flow": Computed("flow", like="")}, "input 'flow' refers to '', which must be an image or"),
        (
            {"a": Sound(seconds=1), "b": Given("depth")},
            "input 'b' refers to '', which must be an image or clip",
        ),
        ({"a": Image(), "b": Given("pose", like="c")}, "input 'b' refers to 'c', which must be an image or clip"),
        ({"a": Image(), "b": "image"}, "input 'b' must be an Image, Clip, Sound, Computed or Given, got 'image'"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(inputs: Mapping[str, Input], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Sampling(inputs=inputs)


def test_what_is_given_belongs_to_the_first_image_unless_told() -> None:
    inputs = {"clip": Clip(frames=2), "a": Given("depth"), "b": Given("depth", like="clip"), "image": Image()}
    assert [liked(inputs, name) for name in ("a", "b")] == ["image", "clip"]
    assert liked({"past": Clip(frames=2), "next": Clip(frames=2, after="past"), "a": Given("flow")}, "a") == "past"


def test_impossible_values_are_refused() -> None:
    with pytest.raises(ValueError, match="frames and stride of at least 1 and fps above 0, got 0, 1 and None"):
        Clip(frames=0)
    with pytest.raises(ValueError, match="a stride or fps, not both, got 2 and 8"):
        Clip(frames=4, stride=2, fps=8.0)
    with pytest.raises(ValueError, match=r"the gap of a Clip must be 0 or more seconds .* got -1"):
        Clip(frames=4, after="past", gap=-1.0)
    with pytest.raises(ValueError, match=r"the gap of a Clip must be 0 or more seconds .* got 1"):
        Clip(frames=4, gap=1.0)
    with pytest.raises(ValueError, match="the seconds of a Sound must be above 0, got 0"):
        Sound(seconds=0)
    with pytest.raises(ValueError, match=r"^unknown kind of Given 'masks'; did you mean mask"):
        Given("masks")  # type: ignore[arg-type]


def test_what_a_source_lacks_is_one_sentence() -> None:
    source = open_source("synthetic:N=8,side=16", split="train", needs=frozenset({"image"}))
    for given, words in (
        ("mask", "masks are needed, .* holds images and labels only .*; give a VOC tree"),
        ("depth", "depth maps are needed, .* holds images and labels only"),
        ("pose", "poses are needed, .* holds "),
    ):
        with pytest.raises(ValueError, match=f"^{words}"):
            open_source("synthetic:N=8,side=16", split="train", needs=frozenset({"image", given}))
    with pytest.raises(ValueError, match="asks for clips or sound, but the source holds images"):
        open_samples(source, side=16, sampling=Sampling(inputs={"a": Clip(frames=2)}), cache_limit_gb=1, workers=1)


def test_inputs_import_no_torch() -> None:
    code = "import sys, selftaught.data.inputs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_name_that_is_not_given_is_one_sentence() -> None:
    batch = Batch(index=torch.arange(2), inputs={"image": torch.zeros(2, 3, 4, 4), "label": torch.arange(2)})
    with pytest.raises(ValueError, match=r"^the task reads input 'photo', but is given image, label; name it in"):
        batch["photo"]
    changed = batch.using(image=torch.ones(2, 3, 4, 4)).rows(slice(1, 2))
    assert (changed.index.tolist(), changed["label"].tolist(), float(changed["image"].mean())) == ([1], [1], 1.0)
    assert batch["image"].sum() == 0
