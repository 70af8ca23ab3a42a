from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from selftaught.core.randomness import generator
from selftaught.data.batch import Batch, Sampling
from selftaught.data.sources.open import open_source
from selftaught.data.store.open import open_samples
from selftaught.encoders.base import Encoder
from selftaught.tasks.generation.artifacts import Artifacts, SpottingHead, drop
from selftaught.training.optimizers import build_optimizer
from selftaught.training.players import only_parameters_of
from tests.tasks.learning import check_players_move_alone

Make = Callable[[], Encoder]


def task(make: Make, size: int = 32, width: int = 4, **settings: object) -> Artifacts:
    torch.manual_seed(0)
    return Artifacts(make(), Artifacts.Config(width=width, **settings), size)  # type: ignore[arg-type]


def batch(n: int = 4, side: int = 40) -> Batch:
    images = torch.randint(0, 256, (n, 3, side, side), generator=generator("images"), dtype=torch.uint8)
    return Batch(index=torch.arange(n), inputs={"image": images})


def test_entries_are_kept_with_their_probability(tiny_encoder: Make) -> None:
    model = task(tiny_encoder)
    first, again, other = (model.pseudo_label(batch(100), generator(seed)) for seed in (0, 0, 1))
    assert first.images.shape == (100, 3, 32, 32)
    assert first.kept.shape == (100, 1, 8, 8)
    assert set(first.kept.unique().tolist()) == {0.0, 1.0}
    assert float(first.kept.mean()) == pytest.approx(0.3, abs=0.03)
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.kept, again.kept)
    assert not torch.equal(first.kept, other.kept)


def test_dropped_entries_become_the_mean_of_their_neighbourhood() -> None:
    code, kept = torch.rand(2, 3, 4, 4), (torch.rand(2, 1, 4, 4) < 0.3).float()
    damaged = drop(code, kept)
    for n in range(2):
        for y in range(4):
            for x in range(4):
                near = code[n, :, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].mean((1, 2))
                expected = code[n, :, y, x] if kept[n, 0, y, x] else near
                assert torch.allclose(damaged[n, :, y, x], expected, atol=1e-6)


@pytest.mark.parametrize("player", ["repair", "discriminator"])
def test_guard_real_examples_have_the_decoders_traces_too(tiny_encoder: Make, player: str) -> None:
    """Where nothing is dropped, the encoder gets the same bits twice, in training as in evaluation."""
    model = task(tiny_encoder)
    seen = []
    forward_features = model.encoder.forward_features

    def watched(x: torch.Tensor) -> torch.Tensor:
        seen.append(x)
        return forward_features(x)

    model.encoder.forward_features = watched  # type: ignore[method-assign]
    example = model.pseudo_label(batch(), generator(0))
    model(example, player)
    example.kept = torch.ones_like(example.kept)
    model(example, player)
    damaged, untouched = seen
    assert not torch.equal(*damaged.chunk(2))
    assert torch.equal(*untouched.chunk(2))
    # What stands still is the same in both: the intact half of a damaged batch.
    assert torch.equal(damaged.chunk(2)[0], untouched.chunk(2)[0])


def test_guard_the_autoencoder_stands_still_in_the_others_turns(tiny_encoder: Make) -> None:
    model = task(tiny_encoder)
    example = model.pseudo_label(batch(), generator(0))
    before = {name: value.clone() for name, value in model.autoencoder.state_dict().items()}
    for player in ("repair", "discriminator"):
        model(example, player)
    assert all(torch.equal(value, before[name]) for name, value in model.autoencoder.state_dict().items())
    assert all(module.training for module in model.autoencoder.modules())
    model(example, "autoencoder")
    assert any(not torch.equal(value, before[name]) for name, value in model.autoencoder.state_dict().items())


def test_losses_are_the_papers_sums(tiny_encoder: Make) -> None:
    model = task(tiny_encoder)
    example = model.pseudo_label(batch(2), generator(0))
    target = 2 * example.images - 1
    with torch.no_grad():
        intact = model(example, "autoencoder")
        prediction = model(example, "discriminator")
    assert prediction.repaired is not None
    assert prediction.logits is not None
    assert prediction.places is not None
    error = [(a - b) ** 2 for a, b in zip(intact.intact.flatten().tolist(), target.flatten().tolist(), strict=True)]
    assert float(model.loss(intact, example, "autoencoder")["loss"]) == pytest.approx(
        30 * sum(error) / len(error), rel=1e-4
    )

    def negative_log(row: int, chosen: int) -> float:
        scores = prediction.logits[row].tolist()
        return math.log(sum(math.exp(s) for s in scores)) - float(scores[chosen])

    total, count = 0.0, 0
    for n in range(2):
        for y in range(32):
            for x in range(32):
                if example.kept[n, 0, y // 4, x // 4]:
                    total += float((prediction.repaired[n, :, y, x] - target[n, :, y, x]).square().sum())
                    count += 3
    fooling = (negative_log(2, 0) + negative_log(3, 0)) / 2
    assert float(model.loss(prediction, example, "repair")["loss"]) == pytest.approx(
        fooling + 30 * total / count, rel=1e-4
    )

    truth = torch.cat([torch.ones(2, 1, 8, 8), example.kept])
    where = 0.0
    for logit, is_kept in zip(prediction.places.flatten().tolist(), truth.flatten().tolist(), strict=True):
        where += math.log(1 + math.exp(-logit if is_kept else logit)) / truth.numel()
    spotting = (negative_log(0, 0) + negative_log(1, 0) + negative_log(2, 1) + negative_log(3, 1)) / 4
    loss = model.loss(prediction, example, "discriminator")["loss"]
    assert float(loss) == pytest.approx(spotting + 0.1 * where, rel=1e-4)


def test_every_player_moves_its_own_parameters_alone(tiny_encoder: Make) -> None:
    model = task(tiny_encoder)
    check_players_move_alone(model, batch())


def test_first_the_autoencoder_moves_then_the_others_also_when_resumed(tiny_encoder: Make) -> None:
    model = task(tiny_encoder, autoencoder_share=0.3)
    turns = []
    for step in range(10):
        turns.append(tuple(model.turns(step)))
        model.after_step(step, 10)
        if step == 4:
            resumed = task(tiny_encoder, autoencoder_share=0.3)
            resumed.load_state_dict(model.state_dict())
            model = resumed
    others = ("repair", "discriminator")
    assert turns == [("autoencoder", *others), *[("autoencoder",)] * 2, *[others] * 7]


@pytest.mark.parametrize(("from_side", "side"), [(2, 4), (2, 8), (4, 4), (3, 8), (16, 8)])
def test_the_head_gives_a_place_for_every_entry_of_the_code(from_side: int, side: int) -> None:
    logits, places = SpottingHead(5, from_side, side)(torch.rand(2, 5, from_side, from_side))
    assert logits.shape == (2, 2)
    assert places.shape == (2, 1, side, side)


def test_the_code_has_about_six_places_a_side(tiny_encoder: Make) -> None:
    sides = {size: task(tiny_encoder, size).autoencoder.sides[-1] for size in (32, 64, 75, 96, 224)}
    assert sides == {32: 8, 64: 8, 75: 4, 96: 6, 224: 7}
    assert task(tiny_encoder, 32, depth=3).autoencoder.sides == [32, 16, 8, 4]


def test_wrong_settings_are_refused(tiny_encoder: Make) -> None:
    with pytest.raises(ValueError, match=r"--task.keep must be in \(0, 1\), got 1"):
        Artifacts.Config(keep=1.0)
    with pytest.raises(ValueError, match=r"--task.autoencoder-share must be in \(0, 1\), got 0"):
        Artifacts.Config(autoencoder_share=0.0)
    with pytest.raises(
        ValueError, match=r"at least 64 x 64 pixels to halve them 5 times, got 32 x 32; lower --task.dep"
    ):
        task(tiny_encoder, depth=5)


def test_learns_to_spot_damage_in_seconds(tiny_encoder: Make) -> None:
    source = open_source("synthetic:N=300,side=40", split="train", needs=frozenset({"image"}), held_out=0.05)
    samples = open_samples(source, side=40, sampling=Sampling(), cache_limit_gb=1, workers=1)
    host = samples.read(np.arange(len(samples)), np.full((len(samples), 3), 0.5))
    images = torch.from_numpy(host["image"]).permute(0, 3, 1, 2)
    model = task(tiny_encoder, width=8, autoencoder_share=0.4)
    optimizer = build_optimizer(model, "adamw", 4e-3, 0.0, model.recipe.betas)
    for step in range(60):
        rows = torch.randperm(240, generator=generator("rows", step))[:16]
        example = model.pseudo_label(Batch(index=rows, inputs={"image": images[rows]}), generator("train", step))
        for player in model.turns(step):
            with only_parameters_of(player, model):
                model.loss(model(example, player), example, player)["loss"].backward()
                optimizer.step()
                optimizer.zero_grad()
        model.after_step(step, 60)
    model.eval()
    with torch.no_grad():
        example = model.pseudo_label(
            Batch(index=torch.arange(40), inputs={"image": images[240:280]}), generator("test")
        )
        accuracy = float(model.loss(model(example), example)["accuracy"])
    assert accuracy > 0.7, accuracy
    assert model.chance(16) == 0.5


def test_show_gives_images_of_places_and_words(tiny_encoder: Make) -> None:
    model = task(tiny_encoder)
    example = model.pseudo_label(batch(), generator(0))
    shown = model.show(example, model(example), 8)
    assert len(shown) == 4
    mask = shown[0].pseudo_label
    assert isinstance(mask, torch.Tensor)
    assert torch.equal(mask[0], example.kept[0, 0])
    assert [s.pseudo_label for s in shown[1:3]] == ["intact", "damaged"]
    assert isinstance(shown[1].prediction, str)
    assert all(0 <= float(s.inputs[0].min()) <= float(s.inputs[0].max()) <= 1 for s in shown)
