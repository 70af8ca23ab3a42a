"""The public functions that are no verbs of the command line, as they take or give Python objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from selftaught.core.objects.kinds import File
from selftaught.core.plain import plain_arguments

if TYPE_CHECKING:
    from torch import nn

    from selftaught.encoders.base import Encoder
    from selftaught.tasks.base import PretextTask

Json = dict[str, Any]
Checkpoint = Literal["last", "best"]


@plain_arguments
def load_encoder(
    run: File,
    *,
    part: str | None = None,
    checkpoint: Checkpoint = "last",
    size: int | None = None,
    download: bool = False,
) -> Encoder:
    """The encoder of a run, or one with given weights: a torch module on the CPU, in evaluation mode.

    Its `transform` makes of an image, a path or a tensor what the encoder takes:
    `encoder(encoder.transform(image)[None])`.

    Args:
        run: run folder, or weights as `evaluate` takes them: ENCODER:FILE, timm:MODEL, torchvision:MODEL or
            hf:OWNER/NAME.
        part: one of the run's encoders, such as audio_encoder, or image inside lstm:resnet18 (default: the kept one).
        checkpoint: the last checkpoint, or the best one by the held-out pretext metric.
        size: image size in pixels, only for given weights (default 224).
        download: allow published weights to be downloaded.
    """
    from selftaught.evaluation.subject import open_subject
    from selftaught.features.transform import Transform

    found = open_subject(run, part=part, checkpoint=checkpoint, size=size, download=download, is_measured=False)
    found.encoder.transform = Transform(found.encoder, found.network.size, found.reading(""))
    return found.encoder


def use_encoder(module: nn.Module) -> None:
    """Have this process build a module of your own where a run was trained with one of its class.

    `pretrain(..., encoder=module)` does so itself; call it in another process before `evaluate`, `embed`,
    `load_encoder` and `pretrain(resume=True)` of such a run. These take the weights of the run, not of the module.

    Args:
        module: an encoder of images: its forward gives features (N, D) or a map (N, D, h, w).

    Raises:
        ValueError: for anything else than a module.
    """
    from selftaught.core.objects.registry import name_of
    from selftaught.encoders.own_module import checked_module

    checked_module(module)

    name_of("module", module)


def check_task(
    task: File | type[PretextTask],
    *,
    encoder: str | None = None,
    encoders: dict[str, str] | None = None,
    size: int = 64,
    task_settings: Json | None = None,
) -> None:
    """Check that a pretext task fulfils the contract of tasks, in seconds on the CPU; return None if it does.

    Args:
        task: a name from `selftaught tasks`, package.module, path/to/file.py, or a subclass of `PretextTask`.
        encoder: a name from `selftaught encoders` (default: the task's own, else resnet18, or r3d_18 for clips).
        encoders: architectures of the task's further encoders, by name.
        size: side of the square images the encoder sees, pixels.
        task_settings: the task's own settings.

    Raises:
        ValueError: one sentence that names the rule the task breaks.
    """
    from selftaught.training.contract.check_task import check_task

    check_task(task, encoder=encoder, encoders=encoders, size=size, task_settings=task_settings)
