"""The guard clips: what each of them gives away, and that a task without a guard is caught on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import pytest
import torch
from torch import Generator, Tensor, nn

from selftaught.core.ranges import Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Computed, Input
from selftaught.encoders.base import Encoder, EncoderSpec
from selftaught.ops.colour import normalise
from selftaught.tasks.base import PretextTask, Shown
from selftaught.tasks.parts.losses import classification
from tests.tasks.clip_guards import (
    ForensicEncoder,
    assert_at_chance,
    batch_of,
    border_clips,
    codec_clips,
    noise_clips,
    scores_on,
    still_clips,
)

FRAMES = 8


@dataclass
class Example:
    clips: Tensor
    backwards: Tensor


class Backwards(PretextTask):
    """Whether a clip plays backwards, without any guard."""

    encoders: ClassVar[Mapping[str, EncoderSpec]] = {"encoder": EncoderSpec("video")}

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        pass

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder, self.config, self.size = encoder, self.Config(), 32
        self.head = nn.Linear(encoder.num_features, 2)

    @classmethod
    def inputs(cls, config: Any) -> Mapping[str, Input]:
        return {"video": Clip(frames=FRAMES)}

    def chance(self, batch_size: int) -> float:
        return 0.5

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        video = batch["video"]
        clips = normalise(video.flatten(0, 1) / 255).unflatten(0, video.shape[:2]).transpose(1, 2)
        backwards = torch.randint(2, (len(clips),), generator=rng)
        return Example(torch.where(backwards[:, None, None, None, None] == 1, clips.flip(2), clips), backwards)

    def forward(self, example: Example) -> Tensor:
        logits: Tensor = self.head(self.encoder(example.clips))
        return logits

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        return classification(prediction, example.backwards)

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        return []


MAKERS: dict[str, Callable[..., Tensor]] = {
    "still": still_clips,
    "noise": noise_clips,
    **{f"border {kind}": partial(border_clips, border=kind) for kind in ("still", "grow", "blink", "edge")},
    "border on noise": partial(border_clips, content="noise"),
    "codec": codec_clips,
    "codec on noise": partial(codec_clips, content="noise"),
}


@pytest.mark.parametrize("clips_of", MAKERS.values(), ids=MAKERS)
def test_clips_have_the_shape_asked_for_and_differ_by_seed(clips_of: Callable[..., Tensor]) -> None:
    one, same, other = (clips_of(3, frames=5, side=20, seed=seed) for seed in (1, 1, 2))
    assert one.shape == (3, 5, 3, 20, 20)
    assert one.dtype == torch.uint8
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert not torch.equal(one[0], one[1])


def test_what_changes_in_time_is_the_cue_alone() -> None:
    still = still_clips(2)
    assert torch.equal(still, still[:, :1].expand_as(still))
    for border in ("still", "grow", "blink", "edge"):
        changed = (border_clips(2, border=border) != still).any(2)
        assert not changed[:, :, 4:-4, 4:-4].any()
        assert bool(changed[:, -1].any())
    noise = noise_clips(2).float().flatten(2)
    assert abs(float(torch.corrcoef(noise[0])[0, 1:].mean())) < 0.05


def test_frames_of_the_codec_differ_in_quality() -> None:
    """I frames 0, 6 and 12 keep most of the noise, the B frames next to them least."""
    lost = (codec_clips(4, content="noise").float() - noise_clips(4).float()).abs().mean((0, 2, 3, 4))
    assert lost.argsort()[:3].sort().values.tolist() == [0, 6, 12]
    assert float(lost[[1, 2, 4]].min()) > 1.08 * float(lost[0])
    still = codec_clips(4).float().diff(dim=1).abs().mean((0, 2, 3, 4))
    assert still.argsort()[-2:].sort().values.tolist() == [5, 11], "each I frame differs from what was before"


@pytest.mark.parametrize("cue", [cue for cue in MAKERS if "border" in cue or "codec" in cue if cue != "border still"])
def test_a_task_without_a_guard_is_caught(cue: str) -> None:
    with pytest.raises(AssertionError, match=r"(0\.[89]|1\.0)\d+, at chance it is 0\.500"):
        assert_at_chance(Backwards(ForensicEncoder(FRAMES)), MAKERS[cue], steps=20)


@pytest.mark.parametrize("cue", ["still", "noise", "border still"])
def test_a_task_is_at_chance_where_there_is_no_cue(cue: str) -> None:
    assert_at_chance(Backwards(ForensicEncoder(FRAMES)), MAKERS[cue], steps=20)


def test_a_score_is_of_clips_never_trained_on() -> None:
    seen: list[int] = []

    def clips_of(n: int, *, frames: int, side: int, seed: int) -> Tensor:
        seen.append(seed)
        return still_clips(n, frames=frames, side=side, seed=seed)

    task = Backwards(ForensicEncoder(FRAMES))
    assert scores_on(task, clips_of, steps=2, rows=2, batches=3, side=16, lr=1e-3).shape == (3,)
    assert seen == [0, 1, 8, 9, 10]


def test_inputs_of_a_task_are_cut_from_one_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    named: dict[str, Input] = {
        "past": Clip(frames=3),
        "future": Clip(frames=2, after="past"),
        "flow": Computed("optical_flow", like="future"),
    }
    monkeypatch.setattr(Backwards, "inputs", lambda config: named)
    batch = batch_of(Backwards(ForensicEncoder(FRAMES)), noise_clips, 4, side=20, seed=7)
    assert torch.equal(torch.cat([batch["past"], batch["future"]], 1), noise_clips(4, frames=5, side=20, seed=7))
    assert batch["flow"].shape == (4, 2, 2, 10, 10)
