from __future__ import annotations

import numpy as np
import pytest
import torch

from selftaught.core.randomness import generator
from selftaught.data.batch import Batch, Sampling
from selftaught.data.sources.open import open_source
from selftaught.data.store.open import open_samples
from selftaught.encoders.build import build_encoder
from selftaught.ops.colour import denormalise
from selftaught.tasks.joint_embedding.simclr import SimCLR
from selftaught.tasks.parts.losses import nt_xent
from selftaught.training.optimizers import build_optimizer


def task(**settings: float) -> SimCLR:
    torch.manual_seed(0)
    encoder = build_encoder("timm:test_resnet", size=32)
    return SimCLR(encoder, SimCLR.Config(**settings), 32)  # type: ignore[arg-type]


def images(n: int = 200) -> torch.Tensor:
    source = open_source(f"synthetic:N={n},side=40", split="train", needs=frozenset({"image"}), held_out=0.05)
    samples = open_samples(source, side=40, sampling=Sampling(), cache_limit_gb=1, workers=1)
    host = samples.read(np.arange(len(samples)), np.full((len(samples), 3), 0.5))
    return torch.from_numpy(host["image"]).permute(0, 3, 1, 2)


def test_views_of_an_image_are_n_rows_apart_and_differ() -> None:
    pictures = images(40)[:6]
    example = task(jitter=0.0, grey=0.0, blur=0.0, min_scale=1.0).pseudo_label(
        Batch(index=torch.arange(6), inputs={"image": pictures}), generator(0)
    )
    first, second = denormalise(example.views).chunk(2)
    distances = (first[:, None] - second[None]).abs().mean((2, 3, 4))
    mirrored = (first.flip(3)[:, None] - second[None]).abs().mean((2, 3, 4))
    assert torch.minimum(distances, mirrored).argmin(1).tolist() == list(range(6))
    strong = task().pseudo_label(Batch(index=torch.arange(6), inputs={"image": pictures}), generator(0)).views
    assert all(not torch.equal(a, b) for a, b in zip(*strong.chunk(2), strict=True))


def test_loss_is_nt_xent_of_the_two_halves() -> None:
    model = task().eval()
    example = model.pseudo_label(Batch(index=torch.arange(6), inputs={"image": images(40)[:6]}), generator(0))
    z = model(example)
    assert torch.equal(model.loss(z, example)["loss"], nt_xent(z[:6], z[6:], 0.2)[0])


def test_guard_colour_does_not_find_the_partner() -> None:
    """The paper's figure 6: nearest mean colour finds the other view of plain crops, hardly of distorted ones."""
    pictures = images(200)[:128]

    def found_by_colour(**settings: float) -> float:
        views = (
            task(**settings)
            .pseudo_label(Batch(index=torch.arange(128), inputs={"image": pictures}), generator(1))
            .views
        )
        first, second = denormalise(views).mean((2, 3)).chunk(2)
        return float((torch.cdist(first, second).argmin(1) == torch.arange(128)).float().mean())

    plain = found_by_colour(jitter=0.0, grey=0.0, blur=0.0)
    assert found_by_colour() < plain / 2


def test_learns_to_find_the_partner_in_seconds() -> None:
    pictures = images(200)
    model = task(min_scale=0.5, temperature=0.2, jitter=0.3, grey=0.0, blur=0.0)
    optimizer = build_optimizer(model, "sgd", 0.1, 0.0)
    losses = []
    for step in range(40):
        rows = torch.randperm(len(pictures), generator=generator("rows", step))[:32]
        example = model.pseudo_label(Batch(index=rows, inputs={"image": pictures[rows]}), generator("train", step))
        scalars = model.loss(model(example), example)
        losses.append(float(scalars["loss"].detach()))
        optimizer.zero_grad()
        scalars["loss"].backward()
        optimizer.step()
    # Every step sees new views; embeddings that say nothing give log(63) = 4.14.
    assert sum(losses[:3]) / 3 > 3.2, losses
    assert sum(losses[-5:]) / 5 < 2.2, losses
    assert model.chance(32) == 1 / 63


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="temperature must be above 0"):
        SimCLR.Config(temperature=0)


def test_show_gives_the_partner_and_what_was_found() -> None:
    model = task().eval()
    example = model.pseudo_label(Batch(index=torch.arange(6), inputs={"image": images(40)[:6]}), generator(0))
    shown = model.show(example, model(example), 8)
    assert len(shown) == 6
    partner = shown[2].pseudo_label
    assert isinstance(partner, torch.Tensor)
    assert torch.equal(partner, denormalise(example.views)[8])
