from __future__ import annotations

import torch

from selftaught.core.randomness import generator
from selftaught.data.batch import Batch
from selftaught.encoders.build import build_encoder
from selftaught.ops.colour import IMAGENET_MEAN
from selftaught.tasks.catalogue import list_tasks, task_info
from selftaught.tasks.supervised import Example, Supervised


def test_it_trains_on_the_given_labels_and_is_not_listed_as_a_pretext_task() -> None:
    torch.manual_seed(0)
    task = Supervised(build_encoder("resnet18", size=32, stem="standard"), Supervised.Config(classes=3), 32)
    images = torch.randint(0, 256, (4, 3, 40, 40), generator=generator("images"), dtype=torch.uint8)
    labels = torch.tensor([2, 0, 1, 2])
    example = task.pseudo_label(Batch(index=torch.arange(4), inputs={"image": images, "label": labels}), generator(0))
    assert torch.equal(example.label, labels)
    loss = task.loss(task(example), example)["loss"]
    loss.backward()
    assert all(p.grad is not None for p in task.parameters())
    assert task.chance(4) == 1 / 3
    assert task_info("supervised").needs == ("image", "label")
    assert "supervised" not in [info.name for info in list_tasks()]
    clips = Example(torch.zeros(2, 3, 4, 8, 8), labels[:2])
    shown = task.show(clips, torch.eye(3)[:2], 2)[1].inputs[0]
    assert isinstance(shown, torch.Tensor)
    assert shown.shape == (4, 3, 8, 8)
    assert torch.allclose(shown.mean((0, 2, 3)), torch.tensor(IMAGENET_MEAN))
