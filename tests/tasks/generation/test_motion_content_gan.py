"""MoCoGAN: its codes, its losses against loops, its players, categories, and learning from moving squares."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from selftaught.data.batch import Batch
from selftaught.encoders.base import Encoder
from selftaught.ops.colour import denormalise_clips
from selftaught.tasks.generation.motion_content_gan import MotionContentGAN
from selftaught.training.optimizers import build_optimizer
from selftaught.training.players import only_parameters_of, scalars_of
from tests.tasks.clips import check_run, crossings, rng
from tests.tasks.learning import check_players_move_alone

Task = Callable[..., MotionContentGAN]
SMALL = {"frames": 4, "width": 16, "content": 4, "motion": 3, "image_width": 8}


@pytest.fixture
def task(tiny_clip_encoder: Callable[[], Encoder]) -> Task:
    def make(**settings: Any) -> MotionContentGAN:
        torch.manual_seed(0)
        return MotionContentGAN(tiny_clip_encoder(), MotionContentGAN.Config(**{**SMALL, **settings}), 16)

    return make


def batch(first: int = 0, count: int = 8) -> Batch:
    """Clips (N, 4, 3, 24, 24) in which a white square crosses a dark ground."""
    return Batch(index=torch.arange(count), inputs={"video": crossings(range(first, first + count), frames=4)[0]})


def test_codes_of_motion_are_the_states_of_a_gru_cell_and_content_stays(task: Task) -> None:
    """As models.py of https://github.com/sergeytulyakov/mocogan samples them, frame by frame."""
    model = task(categories=3).eval()
    content, noise, category = torch.randn(2, 4), torch.randn(2, 5, 3), torch.tensor([2, 0])
    cell = nn.GRUCell(3, 3)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in model.recurrent.state_dict().items()})
    with torch.no_grad():
        found = model._pixels(content, noise, category)
        assert found.shape == (2, 3, 4, 16, 16)
        for n in range(2):
            state = noise[n, 0]
            one_hot = [float(k == int(category[n])) for k in range(3)]
            for t in range(4):
                state = cell(noise[n, t + 1], state)
                code = torch.tensor([*content[n].tolist(), *one_hot, *state.tolist()])
                assert torch.allclose(found[n, :, t], model.image_generator(code[None])[0], atol=1e-5)


@pytest.mark.parametrize("categories", [0, 3])
def test_losses_are_the_papers(task: Task, categories: int) -> None:
    model = task(categories=categories, category_weight=0.5).eval()
    example = model.pseudo_label(batch(), rng())

    def outputs(clips: Tensor, frame: Tensor) -> tuple[list[list[float]], list[float]]:
        frames = torch.stack([clip[:, int(t)] for clip, t in zip(clips, frame, strict=True)])
        return model.head(model.encoder(clips)).tolist(), model.image_discriminator(frames).tolist()

    def softplus(x: float) -> float:
        return math.log(1 + math.exp(x))

    real, real_frames = outputs(example.clips, example.frame[:, 0])
    for turn, player in enumerate(("discriminator", "generator")):
        made, made_frames = outputs(model._made(example, player), example.frame[:, 1 + turn])
        expected = 0.0
        for i in range(8):
            if player == "discriminator":
                expected += (softplus(-real[i][0]) + softplus(made[i][0])) / 8
                expected += (softplus(-real_frames[i]) + softplus(made_frames[i])) / 8
            else:
                expected += (softplus(-made[i][0]) + softplus(-made_frames[i])) / 8
            if categories:
                logits = made[i][1:]
                own = logits[int(example.category[i, turn])]
                expected += 0.5 * (math.log(sum(math.exp(value) for value in logits)) - own) / 8
        found = model.loss(model(example, player), example, player)
        assert float(found["loss"].detach()) == pytest.approx(expected, rel=1e-4)
        assert ("category_accuracy" in found) == bool(categories)
    assert model.chance(8) == 0.5


def test_pseudo_label_is_a_function_of_the_generator(task: Task) -> None:
    first, again, other = (task(categories=3).pseudo_label(batch(), rng(seed)) for seed in (0, 0, 1))
    for name, value in vars(first).items():
        assert torch.equal(value, vars(again)[name])
        assert not torch.equal(value, vars(other)[name])
    assert set(first.category.flatten().tolist()) == {0, 1, 2}
    assert set(first.frame.flatten().tolist()) == {0, 1, 2, 3}
    assert not torch.equal(first.noise[:, 0], first.noise[:, 1])


@pytest.mark.parametrize("categories", [0, 2])
def test_players_move_alone(task: Task, categories: int) -> None:
    check_players_move_alone(task(categories=categories), batch())


def test_guard_frames_are_judged_in_one_batch_and_real_ones_alone_are_remembered(task: Task) -> None:
    for player in ("discriminator", "generator"):
        model = task()
        example = model.pseudo_label(batch(), rng())
        found = model(example, player)
        fresh = task()
        with torch.no_grad():
            made = fresh._made(example, player)
        turn = 1 if player == "discriminator" else 2
        rows = torch.arange(8)
        real_frames, made_frames = example.clips[rows, :, example.frame[:, 0]], made[rows, :, example.frame[:, turn]]
        both = fresh.image_discriminator(torch.cat([real_frames, made_frames]))
        assert torch.allclose(torch.cat([found["real_frames"], found["made_frames"]]), both, atol=1e-4), player
        alone = task().image_discriminator
        if player == "discriminator":
            alone(real_frames)
        for buffer, other in zip(model.image_discriminator.buffers(), alone.buffers(), strict=True):
            assert torch.equal(buffer, other), player


def test_all_players_learn_in_seconds(task: Task) -> None:
    """The discriminators put real clips and frames above generated ones, categories are recognised, and the generator
    makes clips as dark as the ground."""
    model = task(width=32, categories=2)
    optimizer = build_optimizer(model, "adamw", 4e-3, 0.0, (0.5, 0.999))
    test = model.pseudo_label(batch(100, 16), rng(1))
    real = float(denormalise_clips(test.clips).mean())

    def apart() -> float:
        return abs(float(denormalise_clips(model.generate(test)).mean()) - real)

    before, losses = apart(), []
    for step in range(40):
        example = model.pseudo_label(batch(8 * (step % 6), 8), rng(step))
        for player in model.turns(step):
            with only_parameters_of(player, model):
                loss = scalars_of(model, model, example, player)["loss"]
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
            losses += [float(loss.detach())] if player == "discriminator" else []
    assert min(losses[-5:]) < losses[0]
    model.eval()
    with torch.no_grad():
        found = model.loss(model(test), test)
    assert float(found["accuracy"]) > 0.7
    assert float(found["frame_accuracy"]) > 0.6
    assert apart() < before


def test_generated_clips_are_shown_as_animations_with_content_and_motion_exchanged(task: Task) -> None:
    model = task(categories=2).eval()
    example = model.pseudo_label(batch(), rng())
    shown = model.show(example, model(example), 5)
    assert len(shown) == 5
    assert isinstance(shown[1].prediction, Tensor)
    assert shown[1].inputs[0].shape == (4, 3, 16, 16)
    assert shown[1].prediction.shape == (4, 3, 16, 34)
    assert torch.allclose(shown[1].inputs[0], denormalise_clips(model.generate(example))[0].transpose(0, 1), atol=1e-5)
    assert len(model.show(example, model(example), 1)) == 1


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match=r"--task\.categories must be 0, for none, or at least 2, got 1"):
        MotionContentGAN.Config(categories=1)


def test_a_run_is_resumed_exactly_and_compares_its_clips_with_held_out_ones(tmp_path: Path, write_video: Any) -> None:
    settings: dict[str, Any] = {"encoder": "mean:timm:test_resnet", "batch_size": 2}
    own = {**SMALL, "frames": 2}
    run = check_run(tmp_path, write_video, "motion_content_gan", task_settings=own, **settings)
    header, *rows = (run / "heldout.csv").read_text().splitlines()
    assert float(rows[-1].split(",")[header.split(",").index("frechet")]) > 0
