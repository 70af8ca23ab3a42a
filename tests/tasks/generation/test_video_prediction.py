"""Video prediction: three models, what they are measured against, and that no future reaches them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from selftaught.core.randomness import generator
from selftaught.data.batch import Batch
from selftaught.encoders.base import Encoder
from selftaught.tasks.generation.video_prediction import Example, Prediction, VideoPrediction, gradient_difference
from selftaught.tasks.parts.clips.horizon import BEST_PSNR
from tests.tasks.clips import check_halves, check_run, crossings, fit, judge, rng
from tests.tasks.learning import check_players_move_alone

Make = Callable[..., VideoPrediction]
SMALL: dict[str, dict[str, Any]] = {
    "lstm": {"width": 32},
    "convlstm": {"width": 8, "kernel": 3},
    "mcnet": {"width": 4},
}
MODELS = tuple(SMALL)


@pytest.fixture
def task(tiny_encoder: Callable[[], Encoder], tiny_clip_encoder: Callable[[], Encoder]) -> Make:
    def make(model: str = "convlstm", size: int = 16, **settings: Any) -> VideoPrediction:
        config = VideoPrediction.Config(
            **{"model": model, "frames": 4, "future": 3, "least_side": 1.0, **SMALL[model], **settings}
        )
        is_image = VideoPrediction.encoders_for(config)["encoder"].kind == "image"
        return VideoPrediction(tiny_encoder() if is_image else tiny_clip_encoder(), config, size)

    return make


def batch(videos: Tensor, past: int = 4) -> Batch:
    return Batch(index=torch.arange(len(videos)), inputs={"past": videos[:, :past], "future": videos[:, past:]})


def noise(n: int = 4, frames: int = 7, side: int = 20) -> Tensor:
    return torch.randint(30, 256, (n, frames, 3, side, side), dtype=torch.uint8, generator=rng(1))


def test_past_and_future_are_cut_by_one_window(task: Make) -> None:
    model = task(least_side=0.5)
    still = noise()[:, :1].expand(-1, 7, -1, -1, -1)
    example = model.pseudo_label(batch(still), rng())
    assert example.past.shape == (4, 4, 3, 16, 16)
    assert example.future.shape == (4, 3, 3, 16, 16)
    assert torch.equal(example.past[:, :3], example.future)
    again, other = model.pseudo_label(batch(noise()), rng()), model.pseudo_label(batch(noise()), rng(1))
    assert torch.equal(model.pseudo_label(batch(noise()), rng()).past, again.past)
    assert not torch.equal(other.past, again.past)


@pytest.mark.parametrize(
    ("model", "settings"),
    [("lstm", {}), ("lstm", {"conditional": True}), ("convlstm", {}), ("mcnet", {}), ("mcnet", {"clip": 2})],
)
def test_guard_no_pixel_of_the_future_reaches_a_prediction(task: Make, model: str, settings: dict[str, Any]) -> None:
    made = task(model, **settings).eval()
    example = made.pseudo_label(batch(noise()), rng())
    with torch.no_grad():
        found = made(example).future
        assert found.shape == (4, 3, 3, 16, 16)
        assert torch.equal(found, made(Example(example.past, torch.zeros_like(example.future))).future)
        assert not torch.equal(found, made(Example(example.past.flip(1), example.future)).future)


@pytest.mark.parametrize("model", MODELS)
def test_guard_nothing_is_gained_on_one_repeated_frame_nor_by_bars(task: Make, model: str) -> None:
    """Copying is perfect there, so the gain is at most 0, and bars do not count: they are not in the frames."""
    made = task(model)
    still = noise(8)[:, :1].expand(-1, 7, -1, -1, -1).clone()
    fit(made, lambda step: batch(still), steps=4)
    assert judge(made, [batch(still)]) < 0
    barred = noise(8, side=32)
    barred[:, :, :, :6] = barred[:, :, :, -6:] = 0
    example = made.pseudo_label(batch(barred), rng())
    assert float(example.future.amin((2, 3)).min()) > 0.05


def test_losses_as_loops(task: Make) -> None:
    draw = generator("draw")
    past, future, found, again = (torch.rand(1, t, 3, 4, 4, generator=draw) for t in (2, 2, 2, 2))
    example = Example(past, future)
    pairs = list(zip(found.flatten().tolist(), future.flatten().tolist(), strict=True))
    squared = sum((a - b) ** 2 for a, b in pairs) / len(pairs)
    back = list(zip(again.flatten().tolist(), past[:, [1, 0]].flatten().tolist(), strict=True))
    composite = task("lstm", reconstruction=0.5).loss(Prediction(found, reversed_past=again), example)
    assert float(composite["loss"]) == pytest.approx(
        squared + 0.5 * sum((a - b) ** 2 for a, b in back) / len(back), rel=1e-5
    )
    crossed = -sum(b * math.log(a) + (1 - b) * math.log(1 - a) for a, b in pairs) / len(pairs)
    logits = (found / (1 - found)).log()
    assert float(task().loss(Prediction(found, pixel_logits=logits), example)["loss"]) == pytest.approx(
        crossed, rel=1e-5
    )
    steep = {"down": 0.0, "across": 0.0}
    for k in range(2):
        for c in range(3):
            for y in range(4):
                for x in range(4):
                    for way, (i, j) in {"down": (y - 1, x), "across": (y, x - 1)}.items():
                        if min(i, j) >= 0:
                            first = abs(float(found[0, k, c, y, x] - found[0, k, c, i, j]))
                            steep[way] += abs(first - abs(float(future[0, k, c, y, x] - future[0, k, c, i, j]))) / 72
    assert float(gradient_difference(found, future)) == pytest.approx(sum(steep.values()), rel=1e-4)
    made_logits = torch.tensor([0.3])
    scalars = task("mcnet").loss(Prediction(found, made_logits=made_logits), example)
    fooled = -math.log(1 / (1 + math.exp(-0.3)))
    assert float(scalars["loss"]) == pytest.approx(4 * squared + sum(steep.values()) + 0.02 * fooled, rel=1e-4)


def test_copying_gains_nothing_and_is_shown_at_each_step(task: Make) -> None:
    made = task()
    example = made.pseudo_label(batch(crossings(range(4), frames=7)[0]), rng())
    copied = example.past[:, -1:].expand_as(example.future)
    assert "psnr_1" not in made.train().loss(Prediction(copied), example)
    scalars = made.eval().loss(Prediction(copied), example)
    assert float(scalars["psnr_gain"]) == made.chance(4) == 0
    for k in (1, 2, 3):
        assert float(scalars[f"psnr_{k}"]) == float(scalars[f"copy_psnr_{k}"])
        assert float(scalars[f"ssim_{k}"]) == float(scalars[f"copy_ssim_{k}"])
    perfect = made.loss(Prediction(example.future), example)
    steps = [float(perfect[f"copy_psnr_{k}"]) for k in (1, 2, 3)]
    assert steps[0] > steps[2]
    assert float(perfect["psnr_gain"]) == pytest.approx(BEST_PSNR - sum(steps) / 3, rel=1e-5)


@pytest.mark.parametrize(("model", "steps"), [("lstm", 40), ("convlstm", 40), ("mcnet", 25)])
def test_it_learns_where_a_square_goes(task: Make, model: str, steps: int) -> None:
    videos = crossings(range(40), frames=7)[0]
    made = task(model, **({"adversarial": 0.0} if model == "mcnet" else {}))
    before = judge(made.eval(), [batch(videos[32:])])
    fit(made, lambda step: batch(videos[:32]), steps=steps, lr=1e-2)
    after = judge(made, [batch(videos[32:])])
    assert after > max(before + 2, 0)


def test_the_players_of_mcnet_move_alone_and_the_others_have_none(task: Make) -> None:
    check_players_move_alone(task("mcnet").train(), batch(noise()))
    for other in (task("mcnet", adversarial=0.0), task("lstm"), task("convlstm")):
        assert other.players() == {}
        assert other.discriminator is None


@pytest.mark.parametrize("model", ["lstm", "convlstm"])
def test_two_processes_are_one(task: Make, model: str) -> None:
    made = task(model)
    whole = made.pseudo_label(batch(noise()), rng())
    halves = [Example(whole.past[own], whole.future[own]) for own in (slice(2), slice(2, 4))]
    check_halves(made, whole, halves)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"model": "lstm", "adversarial": 0.1},
            r"--task\.adversarial is a setting of --task\.model mcnet, got .* lstm",
        ),
        ({"model": "mcnet", "conditional": True}, r"--task\.conditional is a setting of --task\.model lstm, got"),
        ({"model": "convlstm", "kernel": 4}, r"--task\.kernel must be odd, got 4"),
        ({"model": "mcnet", "clip": 5, "frames": 4}, r"--task\.clip must be at most --task\.frames, which is 4, got 5"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VideoPrediction.Config(**settings)


def test_sizes_that_cannot_be_are_refused(task: Make) -> None:
    with pytest.raises(ValueError, match=r"mcnet predicts frames whose side is a multiple of 8 .* use --size 16 or 24"):
        task("mcnet", 20)


def test_people_see_past_future_and_prediction(task: Make) -> None:
    made = task().eval()
    example = made.pseudo_label(batch(noise()), rng())
    first, second = made.show(example, made(example), 2)
    for shown in (first, second):
        past, frames = shown.inputs
        assert past.shape == (4, 3, 16, 16)
        assert frames.shape == (3, 2 * 64, 3 * 64 + 2 * 2), "true frames above the predicted ones"
        assert isinstance(shown.prediction, Tensor)
        assert shown.prediction.shape == (3, 3, 16, 16)
    assert isinstance(second.pseudo_label, Tensor)
    assert torch.equal(second.pseudo_label, example.future[1])


def test_a_run_of_mcnet_is_resumed_exactly(tmp_path: Path, write_video: Any) -> None:
    settings: dict[str, Any] = {
        "size": 16,
        "batch_size": 2,
        "task_settings": {"model": "mcnet", "frames": 2, "future": 2, "width": 4},
    }
    check_run(tmp_path, write_video, "video_prediction", **settings)
