from __future__ import annotations

import pytest
import torch

from selftaught.core.randomness import generator
from selftaught.data.batch import Batch
from selftaught.encoders import modality
from selftaught.features.views import light_view


def pictures(n: int, t: int = 0, side: int = 40) -> torch.Tensor:
    """Smooth random images (N, 3, H, W), or clips (N, T, 3, H, W) of T equal frames."""
    coarse = torch.rand(n, 3, 5, 5, generator=generator("pictures"))
    smooth = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")
    found = (255 * smooth).to(torch.uint8)
    return found[:, None].repeat(1, t, 1, 1, 1) if t else found


def test_a_view_of_images_is_a_function_of_the_generator_and_other_for_each() -> None:
    batch = Batch(index=torch.arange(6), inputs={"image": pictures(1).repeat(6, 1, 1, 1)})
    first, again, other = (light_view(batch, 24, generator("view", seed))["image"] for seed in (0, 0, 1))
    assert first.shape == (6, 3, 24, 24)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert (first >= 0).all()
    assert (first <= 1).all()
    assert all(not torch.equal(first[0], row) for row in first[1:])


def test_a_view_keeps_at_least_half_of_the_area(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modality, "COLOUR", dict.fromkeys(modality.COLOUR, 0.0))
    ramp = torch.arange(40).mul(6).to(torch.uint8)
    places = torch.stack([ramp.expand(40, 40), ramp[:, None].expand(40, 40), ramp.expand(40, 40)])  # red x, green y
    seen = light_view(
        Batch(index=torch.arange(200), inputs={"image": places.expand(200, 3, 40, 40)}), 20, generator("area")
    )["image"]
    across, down = seen[:, 0].mean(1), seen[:, 1].mean(2)
    width, height = ((side.max(1).values - side.min(1).values) * 255 / 6 * 20 / 19 for side in (across, down))
    area = width * height / 1600
    assert 0.45 < area.min() < 0.6
    assert 0.8 < area.max() < 1.05


def test_half_of_the_views_are_mirrored() -> None:
    ramp = torch.arange(40).mul(6).to(torch.uint8).expand(200, 3, 40, 40)
    seen = light_view(Batch(index=torch.arange(200), inputs={"image": ramp}), 20, generator("mirror"))["image"]
    rising = (seen[..., -5:].mean((1, 2, 3)) > seen[..., :5].mean((1, 2, 3))).float().mean()
    assert 0.4 < rising < 0.6


def test_all_frames_of_a_clip_change_alike() -> None:
    seen = light_view(Batch(index=torch.arange(3), inputs={"video": pictures(3, t=4)}), 24, generator("view"))["video"]
    assert seen.shape == (3, 4, 3, 24, 24)
    assert torch.allclose(seen, seen[:, :1].expand_as(seen), atol=1e-6)
    assert not torch.allclose(seen[0], seen[1])


def test_sound_is_turned_in_time() -> None:
    sound = torch.rand(5, 1000, generator=generator("sound"))
    seen = light_view(Batch(index=torch.arange(5), inputs={"audio": sound}), 24, generator("view"), "audio")["audio"]
    starts = []
    for before, after in zip(sound, seen, strict=True):
        start = int((before == after[0]).nonzero()[0, 0])
        assert torch.equal(after, torch.roll(before, -start))
        starts.append(start)
    assert len(set(starts)) == 5
