"""A teacher that is no part of the task's state."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

from selftaught.encoders.base import Encoder
from selftaught.tasks.parts.frozen_teacher import FrozenTeacher


def test_its_features_are_those_of_the_encoder_in_evaluation_mode(tiny_encoder: Callable[[], Encoder]) -> None:
    teacher, plain = FrozenTeacher(tiny_encoder().train(), size=32), tiny_encoder().eval()
    x = torch.randn(4, 3, 32, 32, requires_grad=True)
    found = teacher(x)
    assert not found.requires_grad
    torch.testing.assert_close(found, plain(x).detach())
    assert not any(p.requires_grad for p in teacher.encoder.parameters())
    assert teacher.num_features == 64


def test_images_of_another_size_are_resized(tiny_encoder: Callable[[], Encoder]) -> None:
    x = torch.randn(2, 3, 24, 24)
    expected = tiny_encoder().eval()(F.interpolate(x, size=(48, 48), mode="bilinear", align_corners=False))
    torch.testing.assert_close(FrozenTeacher(tiny_encoder(), size=48)(x), expected.detach())


def test_the_digest_tells_weights_apart(tiny_encoder: Callable[[], Encoder]) -> None:
    one, same, other = tiny_encoder(), tiny_encoder(), tiny_encoder()
    with torch.no_grad():
        next(other.parameters()).view(-1)[0] += 1e-3
    digests = [FrozenTeacher(encoder, size=32).digest for encoder in (one, same, other)]
    assert torch.equal(digests[0], digests[1])
    assert not torch.equal(digests[0], digests[2])
    assert not FrozenTeacher(one, size=32, is_random=True).digest.any()
