"""The contract of tasks: every task of the library keeps it, with every kind of encoder; what breaks it is named."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor, nn

import selftaught
from selftaught.core.randomness import generator
from selftaught.data.batch import Batch
from selftaught.data.inputs import Image, Input
from selftaught.ops.colour import denormalise, normalise
from selftaught.ops.crop import random_resized_crop
from selftaught.tasks.base import PretextTask, Shown
from selftaught.tasks.catalogue import list_tasks, load_task, task_info
from selftaught.tasks.parts.losses import classification
from selftaught.training.contract.check_task import check_contract, tensors_of
from tests.fitting_encoder import fitting, needs_tokens

NAMES = tuple(task.name for task in list_tasks())
OF_CLIPS = tuple(name for name in NAMES if load_task(name).encoders["encoder"].kind == "video")
OF_SHORT_CLIPS = tuple(
    name for name in NAMES if name not in OF_CLIPS and any(o.name == "clip" for o in task_info(name).options)
)
"""Tasks whose papers show single frames to a 2-D network, and which show short clips to a 3-D one."""
TASKS = (*(name for name in NAMES if name not in OF_CLIPS), "supervised", "jigsaw+rotation")
SMALL = ("timm:test_resnet", "timm:test_vit")
LARGE = ("resnet18", "alexnet", "googlenet", "grey:resnet18", "sobel:resnet18", "split:resnet18", "timm:test_convnext")


def narrow(task: str) -> dict[str, int]:
    """Settings with which the task's own layers are small."""
    options = () if "+" in task or task == "supervised" else task_info(task).options
    return {option.name: 16 for option in options if option.name in ("width", "hidden", "discriminator_width")}


@pytest.mark.parametrize("encoder", SMALL)
@pytest.mark.parametrize("task", TASKS)
def test_every_task_keeps_the_contract(task: str, encoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = "split:resnet18" if task == "split_brain" and encoder == SMALL[0] else encoder
    if task == "split_brain" and encoder == SMALL[1]:
        with pytest.raises(ValueError, match="split: needs an encoder of torchvision"):
            selftaught.check_task(task, encoder=encoder)
        return
    if needs_tokens(task) and encoder == SMALL[0]:
        with pytest.raises(ValueError, match="leaves patches of images out, which 'timm:test_resnet' cannot do; give"):
            selftaught.check_task(task, encoder=encoder)
        return
    checked: list[tuple[PretextTask, Batch]] = []

    def keep(name: str, build: Callable[[int], PretextTask], batch: Batch) -> PretextTask:
        checked.append((check_contract(name, build, batch), batch))
        return checked[0][0]

    monkeypatch.setattr("selftaught.training.contract.check_task.check_contract", keep)
    size = 32 if encoder == SMALL[0] else 64
    of_flow = {"flow_encoder": SMALL[1]} if task in ("pose_action", "rgb_flow") else {}
    selftaught.check_task(task, encoder=encoder, encoders=of_flow, size=size, task_settings=narrow(task))
    ((made, batch),) = checked
    # The first network begins with residual branches of weight 0, and this task with centroids at rest.
    still: tuple[str, ...] = ("encoder.",) if encoder == SMALL[0] else ()
    still += ("centroids",) if task == "deep_embedded_clustering" else ()
    # Its flow begins at zero: only the last layers, which are at zero, learn in the first step.
    still += ("encoder.", "reduce.", "refine.") if task == "unsupervised_flow" else ()
    learned = {path: bool(p.grad.any()) for path, p in made.named_parameters() if p.grad is not None}
    assert not [path for path, has_gradient in learned.items() if not has_gradient and not path.startswith(still)]
    one, other = (dict(tensors_of(made.pseudo_label(batch, generator(seed)))) for seed in ("one", "other"))
    assert any(not torch.equal(tensor, other[place]) for place, tensor in one.items())


@pytest.mark.parametrize("task", OF_CLIPS)
def test_every_task_of_clip_encoders_keeps_the_contract(task: str) -> None:
    encoder = fitting(task, "mean:timm:test_resnet")
    selftaught.check_task(task, encoder=encoder, size=32, task_settings=narrow(task))


@pytest.mark.slow  # networks of full size on clips of full length
@pytest.mark.parametrize("encoder", ["r3d_18", "r2plus1d_18", "lstm:timm:test_resnet", "twostream3:timm:test_resnet"])
@pytest.mark.parametrize("task", OF_CLIPS)
def test_every_task_of_clip_encoders_keeps_the_contract_with_large_ones(task: str, encoder: str) -> None:
    if task == "video_colorization_direct" and encoder.startswith("lstm:"):
        with pytest.raises(ValueError, match="ends in a sequence, without a place for each feature; choose another"):
            selftaught.check_task(task, encoder=encoder)
        return
    if task == "audio_visual_alignment" and encoder.startswith("twostream"):
        with pytest.raises(ValueError, match="has no module that gives its stage 'image_layer1' alone; choose another"):
            selftaught.check_task(task, encoder=encoder)
        return
    selftaught.check_task(task, encoder=fitting(task, encoder))


@pytest.mark.slow  # networks of full size on up to a dozen clips of each video
@pytest.mark.parametrize("encoder", ["r3d_18", "mean:timm:test_resnet"])
@pytest.mark.parametrize("task", OF_SHORT_CLIPS)
def test_every_task_of_frames_keeps_the_contract_with_short_clips(task: str, encoder: str) -> None:
    selftaught.check_task(task, encoder=encoder, size=32, task_settings={"clip": 4})


@pytest.mark.parametrize("task", ["simclr", "colorization"])
@pytest.mark.parametrize("prefix", ["grey:", "sobel:"])
def test_tasks_keep_the_contract_where_the_encoder_sees_images_another_way(task: str, prefix: str) -> None:
    selftaught.check_task(task, encoder=f"{prefix}timm:test_resnet")


@pytest.mark.slow  # some 160 networks of full size; the default suite has small ones of the same kinds
@pytest.mark.parametrize("encoder", LARGE)
@pytest.mark.parametrize("task", TASKS)
def test_every_task_keeps_the_contract_with_large_encoders(task: str, encoder: str) -> None:
    if task == "split_brain" and encoder.startswith("timm:"):
        pytest.skip("split: needs an encoder of torchvision")
    if task == "split_brain" and encoder.startswith(("grey:", "sobel:")):
        with pytest.raises(ValueError, match="needs an encoder of two halves"):
            selftaught.check_task(task, encoder=encoder)
        return
    if needs_tokens(task):
        pytest.skip("it takes transformers alone")
    selftaught.check_task(task, encoder=encoder)


@dataclass
class Example:
    """Images (N, 3, S, S) normalised, and 1 for those turned, else 0, (N,) int64."""

    images: Tensor
    turned: Tensor


class UpsideDown(PretextTask):
    """Predict whether an image was turned upside down, and break the contract in the way that `Config` says."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        breaks: str = ""
        """What."""

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {"image": Image()}

    def __init__(self, encoder: Any, config: Config, size: int) -> None:
        super().__init__()
        self.encoder, self.size, self.breaks = encoder, size, config.breaks
        self.head = nn.Linear(encoder.num_features, 2)
        if self.breaks == "unused":
            self.spare = nn.Linear(2, 2)
        if "teacher" in self.breaks:
            self.teacher = nn.Linear(encoder.num_features, 2)
            self.teacher.requires_grad_(self.breaks == "teacher")
        if self.breaks == "making":
            self.head = nn.Linear(encoder.width, 2)
        if self.breaks == "hidden":
            self.scale = float(torch.rand(()))

    def chance(self, batch_size: int) -> float:
        return 0.5

    def pseudo_label(self, batch: Batch, rng: Generator) -> Any:
        images = normalise(random_resized_crop(batch["image"], self.size, rng))
        match self.breaks:
            case "torch":
                turned = torch.randint(2, (len(images),))
            case "numpy":
                turned = torch.from_numpy(np.random.randint(2, size=len(images)))
            case "random":
                turned = torch.tensor([random.getrandbits(1) for _ in images])
            case "entropy":
                turned = torch.zeros(len(images), dtype=torch.int64)
                images = images + float(np.random.default_rng().random())
            case _:
                turned = torch.randint(2, (len(images),), generator=rng)
        if self.breaks == "lazy" and not hasattr(self, "late"):
            self.late = nn.BatchNorm1d(2, affine=False)
        if self.breaks == "tuple":
            return images, turned
        if self.breaks == "frozen":
            return dataclasses.make_dataclass("Frozen", ["images", "turned"], frozen=True)(images, turned)
        return Example(images, turned)

    def forward(self, example: Example) -> Tensor:
        features = self.encoder(example.images)
        if self.breaks == "shape":
            features = features[:, 1:]
        logits: Tensor = self.head(features)
        if self.breaks == "numpy forward":
            logits = logits + np.random.rand()
        if "teacher" in self.breaks:
            logits = logits + self.teacher(features)
        if self.breaks == "hidden":
            logits = logits * self.scale
        return logits

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        found = classification(prediction, example.turned)
        match self.breaks:
            case "nan":
                found["loss"] = found["loss"] * float("nan")
            case "not scalar":
                found["loss"] = nn.functional.cross_entropy(prediction, example.turned, reduction="none")
            case "no loss":
                del found["loss"]
            case "metric":
                del found["accuracy"]
            case "detached":
                found["loss"] = found["loss"].detach()
            case "infinite scalar":
                found["margin"] = torch.tensor(float("inf"))
            case "broadcast":
                found["loss"] = nn.functional.mse_loss(prediction[:, :1], example.turned.float())
            case "plain number":
                found["accuracy"] = 0.5  # type: ignore[assignment]
        return found

    def after_step(self, step: int, total: int) -> None:
        if "teacher" in self.breaks:
            for old, new in zip(self.teacher.parameters(), self.head.parameters(), strict=True):
                old.lerp_(new, 0.01)
        if self.breaks == "normalised":
            self.head.weight.copy_(nn.functional.normalize(self.head.weight, dim=1))

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        count = 2 if self.breaks == "show" else count
        if self.breaks == "number":
            return [Shown(inputs=[], pseudo_label="?", prediction=int(prediction[0].argmax()))]  # type: ignore[arg-type]
        if self.breaks == "array":
            return [Shown(inputs=[np.zeros((3, 8, 8))], pseudo_label="?", prediction="?")]  # type: ignore[list-item]
        if self.breaks == "flat":
            return [Shown(inputs=[example.images[0, 0]], pseudo_label="?", prediction="?")]
        return [Shown(inputs=[x], pseudo_label="?", prediction="?") for x in denormalise(example.images)[:count]]


def check(breaks: str) -> None:
    selftaught.check_task(UpsideDown, encoder="timm:test_resnet", size=32, task_settings={"breaks": breaks})


@pytest.mark.parametrize("breaks", ["", "frozen teacher", "normalised"])
def test_a_task_that_keeps_the_contract_passes_quietly(breaks: str) -> None:
    check(breaks)


@pytest.mark.parametrize(
    ("breaks", "sentence"),
    [
        ("nan", "'loss' of loss is nan, not a finite number"),
        ("unused", "the loss does not depend on parameter spare.weight and 1 more; use it, remove it, or freeze it"),
        ("teacher", "after_step updates parameter teacher.weight, as of a teacher, but it gets a gradient as well"),
        ("torch", "pseudo_label draws from the global random numbers of torch; draw them in pseudo_label, from the"),
        ("numpy", "pseudo_label draws from the global random numbers of numpy"),
        ("random", "pseudo_label draws from the global random numbers of random"),
        ("numpy forward", "forward or loss, in evaluation, draws from the global random numbers of numpy"),
        ("entropy", "pseudo_label gives another example from the same generator .images differs."),
        ("tuple", "pseudo_label must return a dataclass of tensors, got a tuple"),
        ("frozen", "pseudo_label returns the frozen dataclass Frozen, which mixed precision cannot convert"),
        (
            "shape",
            r"forward or loss fails at .*test_check_task.py:\d+: RuntimeError: mat1 and mat2 shapes cannot",
        ),
        ("broadcast", r"forward or loss fails at .*: UserWarning: Using a target size .* different to the input size"),
        ("not scalar", r"'loss' of loss must be a tensor with one number, got a tensor of shape \(2,\)"),
        ("plain number", "'accuracy' of loss must be a tensor with one number, got a float"),
        ("infinite scalar", "'margin' of loss is inf, not a finite number"),
        ("no loss", "loss must return a dict that holds 'loss', but what it returns holds accuracy"),
        ("metric", "its metric is 'accuracy', but the dict that loss returns holds loss; add 'accuracy' to it"),
        ("detached", "the loss has no gradient; compute it from the prediction, without detach, item or no_grad"),
        ("lazy", "a new task does not load the state_dict of a trained one .Unexpected key.*late.running_mean"),
        ("hidden", "a new task with the state_dict of a trained one has the loss .* instead of"),
        ("show", "show must return a list of at most 1 Shown for a count of 1, got 2 of them"),
        (
            "number",
            r"prediction of Shown must be text, an image or a Map, got an int; write str\(...\) around",
        ),
        ("array", "inputs of Shown must be a list of images or clips, got a list of ndarray"),
        ("making", r"__init__ fails at .*test_check_task.py:\d+: AttributeError: .* has no attribute 'width'"),
        ("flat", r"show must give images \(3, H, W\) or clips \(T, 3, H, W\), got \(32, 32\)"),
    ],
)
def test_what_a_task_breaks_is_named_in_one_sentence(breaks: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^task 'UpsideDown': {sentence}") as raised:
        check(breaks)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("breaks", ["", "torch", "numpy", "random"])
def test_the_global_random_states_stay_whatever_a_task_does(breaks: str) -> None:
    seed_all()
    expected = [torch.rand(1).item(), np.random.rand(), random.random()]
    seed_all()
    try:
        check(breaks)
    except ValueError:
        assert breaks
    assert [torch.rand(1).item(), np.random.rand(), random.random()] == expected


def seed_all() -> None:
    torch.manual_seed(3)
    np.random.seed(3)
    random.seed(3)


def test_a_file_is_checked_and_what_is_no_task_refused(tmp_path: Path) -> None:
    file = tmp_path / "late.py"
    file.write_text(Path(__file__).read_text())
    selftaught.check_task(file, encoder="timm:test_resnet", size=32)
    with pytest.raises(ValueError, match=r"task '.*late.py': 'loss' of loss is nan"):
        selftaught.check_task(str(file), encoder="timm:test_resnet", size=32, task_settings={"breaks": "nan"})
    with pytest.raises(ValueError, match="needs a name, a file or a subclass of PretextTask, got class Linear"):
        selftaught.check_task(nn.Linear)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="trains an encoder for images, but 'r3d_18' takes clips"):
        selftaught.check_task("rotation", encoder="r3d_18")
