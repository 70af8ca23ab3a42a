from __future__ import annotations

import torch
from torch import nn

from selftaught.tasks.parts.split_statistics import SplitStatistics


def test_parts_of_a_batch_are_normalised_each_by_itself() -> None:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(3)
    nn.init.uniform_(norm.weight)
    images = torch.randn(8, 3, 4, 4).to(memory_format=torch.channels_last) * 3 + 1
    with SplitStatistics(4):
        found = norm(images)
    expected = torch.cat(
        [nn.functional.batch_norm(part, None, None, norm.weight, norm.bias, True) for part in images.chunk(4)]
    )
    assert torch.allclose(found, expected, atol=1e-6)
    means = torch.stack([part.mean((0, 2, 3)) for part in images.chunk(4)])
    assert norm.running_mean is not None
    assert torch.allclose(norm.running_mean, 0.1 * means.mean(0), atol=0.02)
    whole = norm.eval()(images)
    with SplitStatistics(4):
        assert torch.equal(norm(images), whole), "running statistics are those of the whole batch"
    whole = nn.functional.batch_norm(images, None, None, norm.weight, norm.bias, True)
    with SplitStatistics(1):
        assert torch.equal(norm.train()(images), whole)
