"""Distillation."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from selftaught.core.distributed import first_row, gather_rows
from selftaught.core.progress import say_once
from selftaught.core.randomness import uniform
from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Image, Input
from selftaught.encoders.base import Encoder
from selftaught.encoders.spec import COLOURS
from selftaught.encoders.weights.given import open_given
from selftaught.ops.colour import denormalise
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.frozen_teacher import FrozenTeacher
from selftaught.tasks.parts.views import distorted_view


@dataclass
class Example:
    """Mixed views (N, 3, S, S), normalised."""

    views: Tensor


@dataclass
class Prediction:
    """Features (N, D) of the teacher's length, not normalised; those of the teacher have no gradient."""

    student: Tensor
    teacher: Tensor


class Distill(PretextTask):
    """Predict which other images a frozen teacher finds an image similar to (LightlyTrain's default, Lightly AG 2025).

    Link: https://docs.lightly.ai/train/stable/pretrain_distill/methods/distillation.html

    Flow: image (N, 3, H, W) -> one random view, mixed with that of another image -> encoder and linear head (N, D), and
    the teacher (N, D) -> cosines with a queue of the teacher's features of other images (N, Q) -> softmax of each, the
    pseudo-classes -> cross entropy.

    The teacher is an encoder with given weights, so that a small network learns what a large published one, or an own
    run, has learned: `--task.teacher timm:vit_base_patch14_dinov2.lvd142m`, `--task.teacher resnet50:moco.pth.tar`,
    `--task.teacher runs/large`. It never learns, and is no part of checkpoints; `--resume` needs it again and refuses
    other weights by their hash. Without `--task.teacher`, it is a copy of the encoder with other random weights, whose
    prediction teaches something too (BYOL, Grill et al. 2020, section 1), but little: that is a baseline.

    Shortcut: the features of a network lie in a narrow cone, so that predicting their mean for every image has a cosine
    near 1. Guard: the loss compares similarities with many images, in which what all have in common cancels; one
    prediction for all images has an accuracy of 0. A network could also remember the features of the training images.
    Guard: crops, distorted colours, and mixing with another image make each view a new one.

    Held-out accuracy: for how many images the teacher's features of the same view are nearer to the prediction than
    those of all other views of the batch.

    Differences from LightlyTrain (version 0.5): each image has its own share of the mixture, instead of one per batch;
    the queue is shared by all processes, and begins empty instead of with zeros; the features of the batch are
    compared with as well, and enter the queue after the step; no blur, which is hardly any there; the learning rate
    follows the batch linearly.
    """

    recipe = Recipe(optimizer="lars", lr=0.75, weight_decay=1e-6, clip=1.0)

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        teacher: str = ""
        """The teacher: ENCODER:FILE, a run folder, timm:MODEL or torchvision:MODEL; empty uses random weights."""
        teacher_size: Annotated[int, Range(least=0, most=8192)] = 0
        """Side of the images that the teacher sees, in pixels; views are resized. 0 is the run's --size."""
        download: bool = False
        """Allow published weights of the teacher to be downloaded."""
        queue: Annotated[int, Range(least=1)] = 2048
        """Features in the queue; about a quarter to a half of the number of images, up to 8,192."""
        temperature: Annotated[float, Range(above=0)] = 0.07
        """Temperature that divides the cosine similarities."""
        mix: bool = True
        """Mix each view with that of another image."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.14
        """Smallest share of the image's area that a crop covers."""
        jitter: Annotated[float, Range(least=0)] = 0.5
        """Strength of the colour distortion; 1 is that of SimCLR."""
        grey: Annotated[float, Range(least=0, most=1)] = 0.2
        """Probability of a grey view."""

    queue: Tensor
    filled: Tensor
    """() int64, how many rows of the queue have features."""
    oldest: Tensor
    """() int64, row of the queue that is replaced next."""
    digest: Tensor
    """(32,) uint8, SHA-256 of the teacher's weights."""

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"image": Image()}

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        self.teacher = _teacher(encoder, config, size)
        # Random weights are in no file, so they are part of the state.
        self.random_teacher = None if config.teacher else self.teacher.encoder
        self.head = nn.Linear(encoder.num_features, self.teacher.num_features)
        nn.init.trunc_normal_(self.head.weight, std=0.02)
        self.register_buffer("queue", torch.zeros(config.queue, self.teacher.num_features))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))
        self.register_buffer("oldest", torch.zeros((), dtype=torch.int64))
        self.register_buffer("digest", self.teacher.digest.clone())
        self._fresh: list[Tensor] = []  # features of this step, one tensor for each part of it
        self._ddp_params_and_buffers_to_ignore = ["queue", "filled", "oldest", "digest"]
        self.register_load_state_dict_pre_hook(_check_digest)  # type: ignore[no-untyped-call]

    def chance(self, batch_size: int) -> float:
        return 1 / batch_size

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Image (N, 3, H, W) uint8 -> `Example`; what the teacher says of it is computed with the prediction."""
        c = self.config
        views = distorted_view(
            batch["image"], self.size, rng, min_scale=c.min_scale, jitter=c.jitter, grey=c.grey, blur=0.0
        )
        if c.mix:
            other = uniform((len(batch),), 0, 1, rng).argsort(stable=True)
            views = torch.lerp(views[other], views, uniform((len(batch), 1, 1, 1), 0, 1, rng))
        return Example(views)

    def forward(self, example: Example) -> Prediction:
        return Prediction(student=self.head(self.encoder(example.views)), teacher=self.teacher(example.views))

    def loss(self, prediction: Prediction, example: Example) -> dict[str, Tensor]:
        """Cross entropy of both softmaxes over the batch's features and the queue, and how often the nearest is own."""
        dtype = torch.promote_types(prediction.student.dtype, torch.float32)
        student = F.normalize(prediction.student.to(dtype), dim=1)
        teacher = F.normalize(prediction.teacher.detach().to(dtype), dim=1)
        everyone = gather_rows(teacher)
        known = torch.cat([everyone, self.queue.to(dtype)])
        is_empty = torch.arange(len(known), device=known.device) >= len(everyone) + self.filled
        student_logits, teacher_logits = (
            (features @ known.T / self.config.temperature).masked_fill(is_empty, torch.finfo(dtype).min)
            for features in (student, teacher)
        )
        loss = F.cross_entropy(student_logits, teacher_logits.softmax(1))
        if self.training:
            self._fresh.append(teacher)
        cosines = student @ everyone.T
        own = torch.arange(len(student), device=student.device) + first_row(student)
        right = cosines.gather(1, own[:, None])[:, 0]
        # Strictly: one prediction for all images has found none.
        others = cosines.scatter(1, own[:, None], float("-inf")).amax(1)
        return {"loss": loss, "accuracy": (right > others).float().mean()}

    @torch.no_grad()
    def after_step(self, step: int, total: int) -> None:
        """Move the teacher's features of this step into the queue."""
        for features in self._fresh:
            self._enqueue(gather_rows(features))
        self._fresh.clear()

    def show(self, example: Example, prediction: Prediction, count: int) -> list[Shown]:
        """A view, the view that the teacher finds most similar to it, and the one that the prediction is nearest to."""
        student, teacher = (F.normalize(z.float(), dim=1) for z in (prediction.student, prediction.teacher))
        pictures = denormalise(example.views)
        alike = (teacher @ teacher.T).fill_diagonal_(float("-inf")).argmax(1).tolist()
        found = (student @ teacher.T).fill_diagonal_(float("-inf")).argmax(1).tolist()
        return [
            Shown(inputs=[pictures[i]], pseudo_label=pictures[alike[i]], prediction=pictures[found[i]])
            for i in range(min(count, len(found)))
        ]

    def _enqueue(self, features: Tensor) -> None:
        """Replace the oldest features; of more than the queue holds, the last ones stay."""
        rows = (self.oldest + torch.arange(len(features), device=features.device)) % len(self.queue)
        last = slice(-len(self.queue), None)
        self.queue[rows[last]] = features[last].to(self.queue.dtype)
        self.filled.copy_((self.filled + len(features)).clamp(max=len(self.queue)))
        self.oldest.copy_((self.oldest + len(features)) % len(self.queue))


def _teacher(encoder: Encoder, config: Distill.Config, size: int) -> FrozenTeacher:
    side = config.teacher_size or size
    if not config.teacher:
        say_once("task 'distill' has no --task.teacher: it learns from random weights, which is a baseline")
        other = copy.deepcopy(encoder)
        for module in other.modules():
            if callable(reset := getattr(module, "reset_parameters", None)):
                reset()
        return FrozenTeacher(other, size=side, is_random=True)
    try:
        given = open_given(config.teacher, size=side, download=config.download)
    except ValueError as error:
        raise ValueError(f"--task.teacher: {error}".replace("--download", "--task.download")) from None
    if given.encoder.kind != "image" or given.encoder.channels != COLOURS:
        raise ValueError(f"--task.teacher {config.teacher} takes no colour images; give an encoder that does")
    say_once(f"teacher: {given.taken}")
    return FrozenTeacher(given.encoder, size=side)


def _check_digest(task: Distill, state: Mapping[str, Tensor], prefix: str, *_: Any) -> None:
    """Refuse the state of a task that had another teacher."""
    began = state.get(f"{prefix}digest")
    if began is not None and not torch.equal(began.cpu(), task.teacher.digest):
        raise ValueError(
            f"--task.teacher {task.config.teacher} holds other weights than the run began with; bring those back, or "
            "start another run in another --out"
        )
