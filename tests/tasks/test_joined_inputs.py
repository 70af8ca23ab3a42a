"""Parts of a combination with other inputs than the others, and what cannot be combined."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from selftaught import pretrain
from selftaught.core.randomness import generator
from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Computed, Image
from selftaught.encoders.build import build_encoder
from selftaught.tasks.resolve import resolve_task

CLIPS = '''
from dataclasses import dataclass
import torch
from torch import nn
from selftaught.tasks import Clip, Computed, EncoderSpec, Image, Moments, PretextTask, Shown, Sound

@dataclass
class Example:
    first: torch.Tensor
    second: torch.Tensor

class Steady(PretextTask):
    """Predict the mean of what is named second (Somebody, NOWHERE 2020)."""
    encoders = {"encoder": EncoderSpec("KIND")}

    @dataclass(frozen=True, kw_only=True)
    class Config:
        frames: int = 4
        """Frames of a clip."""

    @classmethod
    def inputs(cls, config):
        return INPUTS

    @classmethod
    def moments(cls, config):
        return Moments(clips_per_video=MOMENTS)

    def __init__(self, encoder, config, size):
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.num_features, 1)

    def chance(self, batch_size):
        return 0.0

    def pseudo_label(self, batch, rng):
        assert set(batch.inputs) == set(self.inputs(Steady.Config()))
        return Example(*(batch[name].float().flatten(1).mean(1) for name in ("first", "second")))

    def forward(self, example):
        return self.head(self.encoder(torch.zeros(len(example.first), 3, 32, 32)))[:, 0]

    def loss(self, prediction, example):
        return {"loss": (prediction - example.second).square().mean(), "accuracy": example.first.mean()}

    def show(self, example, prediction, count):
        return []
'''


def own_task(path: Path, inputs: str, *, kind: str = "image", clips: int = 1) -> str:
    """A user's task with these inputs, of which two are named first and second."""
    path.write_text(CLIPS.replace("INPUTS", inputs).replace("KIND", kind).replace("MOMENTS", str(clips)))
    return str(path)


def test_parts_with_other_inputs_are_given_each_its_own(tmp_path: Path) -> None:
    """Equal inputs are read once; those that differ have the part's name before theirs, also where one is named."""
    one = own_task(tmp_path / "one.py", '{"first": Image(), "second": Clip(frames=config.frames)}', clips=2)
    two = own_task(
        tmp_path / "two.py",
        '{"second": Clip(frames=3), "first": Computed("optical_flow", like="second"), '
        '"late": Clip(frames=3, after="second"), "later": Clip(frames=3, after="second", gap=(0.0, 1.0))}',
    )
    spec = resolve_task(f"rotation+{one}+{two}", {"one.frames": 4})
    assert spec.needs == {"video"}
    assert (spec.short, spec.kind) == ("rotation+one+two", "video")
    assert spec.inputs == {
        "image": Image(),
        "second": Clip(frames=4),
        "two.second": Clip(frames=3),
        "first": Computed("optical_flow", like="two.second"),
        "late": Clip(frames=3, after="two.second"),
        "later": Clip(frames=3, after="two.second", gap=(0.0, 1.0)),
    }
    assert spec.sampling.clips_per_video == 2
    task = spec.build(build_encoder("timm:test_resnet", size=32), 32)
    rng = generator("clips")
    made = {name: torch.rand(4, *shape, generator=rng) for name, shape in {
        "image": (3, 40, 40), "second": (4, 3, 40, 40), "two.second": (3, 3, 40, 40), "first": (2, 2, 40, 40),
        "late": (3, 3, 40, 40), "later": (3, 3, 40, 40),
    }.items()}  # fmt: skip
    example = task.pseudo_label(Batch(index=torch.arange(4), inputs=made), generator(0))
    means = {name: value.flatten(1).mean(1) for name, value in made.items()}
    assert torch.equal(example.of["one"].first, means["image"])
    assert torch.equal(example.of["one"].second, means["second"])
    assert torch.equal(example.of["two"].first, means["first"])
    assert torch.equal(example.of["two"].second, means["two.second"])


def test_equal_inputs_of_one_part_stay_apart(tmp_path: Path) -> None:
    """Both clips draw a gap of their own."""
    gap = 'Clip(frames=2, after="clip", gap=(0.0, 1.0))'
    own = own_task(tmp_path / "own.py", f'{{"clip": Clip(frames=2), "first": {gap}, "second": {gap}}}')
    assert list(resolve_task(f"rotation+{own}", {}).inputs) == ["image", "clip", "first", "second"]


def test_a_clip_task_and_an_image_task_train_together(tmp_path: Path, write_video: Any) -> None:
    for i in range(8):
        frames = torch.randint(0, 256, (12, 40, 48, 3), generator=generator("video", i), dtype=torch.uint8).numpy()
        write_video(tmp_path / "videos" / f"{i}.avi", frames, fps=10)
    settings: dict[str, Any] = {"size": 32, "encoder": "timm:test_resnet", "steps": 2, "batch_size": 4, "held_out": 0.3}
    own = own_task(tmp_path / "own.py", '{"first": Image(), "second": Clip(frames=4)}')
    run = tmp_path / "run"
    summary = pretrain(tmp_path / "videos", task=f"rotation+{own}", out=run, accelerator="cpu", **settings)
    assert (summary["task"], summary["metric"]) == ("rotation+own", "above_chance")
    assert "own_accuracy" in (run / "heldout.csv").read_text().splitlines()[0]


@pytest.mark.parametrize(
    ("inputs", "kind", "sentence"),
    [
        (
            '{"first": Clip(frames=2), "second": Clip(frames=2)}',
            "video",
            r"^--task rotation\+.*own.py cannot train one encoder: that of rotation takes images, that of own "
            "takes clips; combine tasks whose encoders take the same$",
        ),
        (
            '{"first": Image(), "second": Sound(seconds=2.0)}',
            "image",
            r"^--task audio_visual\+.* cannot read audio of several lengths at once: audio_visual 1 s, own 2 s; comb",
        ),
    ],
)
def test_what_cannot_be_combined_is_one_sentence(tmp_path: Path, inputs: str, kind: str, sentence: str) -> None:
    other = "rotation" if kind == "video" else "audio_visual"
    with pytest.raises(ValueError, match=sentence):
        resolve_task(f"{other}+{own_task(tmp_path / 'own.py', inputs, kind=kind)}", {})
