"""One image of a whole clip: stacked flow, differences, their sum, and the dynamic image."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from selftaught.ops.clip_images import FLOW_UNIT, difference_stack, dynamic_image, flow_stack, sum_of_differences
from selftaught.ops.colour import normalise


def translated(shifts: list[float], size: int = 64) -> torch.Tensor:
    """A normalised clip (1, 3, T, size, size) of a texture in a still frame, the left half of which moves down."""
    torch.manual_seed(0)
    texture = F.interpolate(torch.rand(1, 1, 24, 16), size=(96, size), mode="bicubic").clamp(0, 1)
    frames = []
    for shift in shifts:
        rows = torch.arange(size) + 16 - shift
        low = rows.floor().long()
        part = (rows - low).view(1, 1, -1, 1)
        moved = texture[:, :, low] * (1 - part) + texture[:, :, low + 1] * part
        frames.append(torch.cat([moved[..., : size // 2], texture[:, :, 16 : 16 + size, size // 2 :]], 3))
    return normalise(torch.cat(frames).expand(-1, 3, -1, -1)).transpose(0, 1)[None]


def test_stacked_flow_is_the_motion_of_each_step_less_its_mean() -> None:
    shifts = [0.0, 0.5, 1.5, 1.0]  # half a pixel down, then one, then half a pixel up
    stack = flow_stack(translated(shifts), 3)
    assert stack.shape == (1, 6, 64, 64)
    fields = stack.unflatten(1, (3, 2))[0] / FLOW_UNIT * 20 * 64 / 224  # pixels
    for field, step in zip(fields, (0.5, 1.0, -0.5), strict=True):
        left, right = field[1, 8:-8, 8:24].median(), field[1, 8:-8, 40:-8].median()
        assert abs(float(left - right) - step) < 0.15 * abs(step)
        assert field[0].abs().median() < 0.1
        assert field.mean((1, 2)).abs().max() < 1e-4


def test_flow_of_another_length_is_the_nearest_in_time() -> None:
    clip = translated([0.0, 0.5, 1.5, 1.0])
    fields = flow_stack(clip, 3).unflatten(1, (3, 2))
    assert torch.equal(flow_stack(clip, 5), fields[:, [0, 1, 1, 2, 2]].flatten(1, 2))
    assert torch.equal(flow_stack(clip, 2), fields[:, [0, 2]].flatten(1, 2))
    assert torch.equal(flow_stack(clip, 1), fields[:, 1])
    assert torch.equal(flow_stack(clip[:, :, :1], 3), torch.zeros(1, 6, 64, 64))


def test_flow_turns_with_the_clip() -> None:
    clip = translated([0.0, 0.5, 1.5, 1.0])
    fields = flow_stack(clip, 3).unflatten(1, (3, 2))
    mirrored = flow_stack(clip.flip(-1), 3).unflatten(1, (3, 2)).flip(-1)
    expected = fields * torch.tensor([-1.0, 1.0]).view(1, 1, 2, 1, 1)
    assert (mirrored - expected).abs().max() < 0.01
    backwards = flow_stack(clip.flip(2), 3).unflatten(1, (3, 2)).flip(1)
    agreement = F.cosine_similarity(backwards.flatten(), fields.flatten(), 0)
    assert agreement < -0.85


def test_differences_are_stacked() -> None:
    clips = torch.randn(2, 3, 4, 5, 6)
    stack = difference_stack(clips, 3).unflatten(1, (3, 3))
    for t in range(3):
        assert torch.equal(stack[:, t], clips[:, :, t + 1] - clips[:, :, t])
    assert torch.equal(difference_stack(clips, 2).unflatten(1, (2, 3)), stack[:, [0, 2]])
    assert not difference_stack(clips[:, :, :1], 2).any()


@pytest.mark.parametrize("frames", [1, 2, 3, 6])
def test_differences_are_summed_over_all_pairs_of_frames(frames: int) -> None:
    clips = torch.randn(2, 3, frames, 4, 4)
    total = torch.zeros(2, 3, 4, 4)
    for j in range(frames):
        for i in range(j):
            total += clips[:, :, j] - clips[:, :, i]
    positive = sum(max(0, 2 * t - frames - 1) for t in range(1, frames + 1)) or 1
    torch.testing.assert_close(sum_of_differences(clips), total / positive)


def test_the_sum_of_differences_shows_frames_between_the_first_and_the_last() -> None:
    """The sum of successive differences alone would not: all but two terms of it cancel."""
    clips = torch.randn(1, 3, 6, 4, 4)
    shuffled = clips[:, :, [0, 3, 1, 4, 2, 5]]
    assert (sum_of_differences(clips) - sum_of_differences(shuffled)).abs().max() > 0.1


@pytest.mark.parametrize("frames", [1, 2, 6])
def test_the_dynamic_image_is_the_weighted_sum_of_the_paper(frames: int) -> None:
    clips = torch.randn(2, 3, frames, 4, 4)
    harmonic = [sum(1 / i for i in range(1, t + 1)) for t in range(frames + 1)]
    weights = []
    for t in range(1, frames + 1):
        weights.append(2 * (frames - t + 1) - (frames + 1) * (harmonic[frames] - harmonic[t - 1]))
    total = sum(w for w in weights if w > 1e-9) or 1.0
    expected = sum((w / total * clips[:, :, t] for t, w in enumerate(weights)), torch.zeros(2, 3, 4, 4))
    torch.testing.assert_close(dynamic_image(clips), expected)
    assert frames == 1 or weights[0] < 0 < weights[-1]
