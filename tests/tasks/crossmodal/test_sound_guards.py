"""What no task on sound may tell its labels by: times, the length of clips, zeros at the ends of sounds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Sound
from selftaught.data.sources.open import open_source
from selftaught.data.store.open import open_samples
from selftaught.encoders.audio import AudioConvNet
from selftaught.encoders.base import Encoder
from selftaught.tasks.base import Known, PretextTask, sampling_of
from selftaught.tasks.catalogue import list_tasks, load_task
from selftaught.training.contract.check_task import tensors_of
from tests.data.sources.videos.sounds_of import RATE, write_sound
from tests.data.store.videos import moving
from tests.tasks.clips import check_halves
from tests.tasks.conftest import TinyClipEncoder, TinyEncoder
from tests.tasks.crossmodal.singing_clips import rng, singing
from tests.two_processes import in_two_processes, join_group

TASKS = tuple(task.name for task in list_tasks() if "audio" in task.needs)
OF_PAIRS = tuple(name for name in TASKS if name != "ambient_sound")


@pytest.fixture
def make() -> Callable[[str], PretextTask]:
    return small_task


def small_task(name: str) -> PretextTask:
    """The same weights each time."""
    torch.manual_seed(0)
    cls = load_task(name)
    is_clip = cls.encoders["encoder"].kind == "video"
    settings: dict[str, Any] = {"frames": 2, "seconds": 0.5} if is_clip else {}
    settings |= {"fuse_after": 1, "hidden": 8} if name == "audio_visual_alignment" else {}
    encoder: Encoder = TinyClipEncoder() if is_clip else TinyEncoder()
    further = {"audio_encoder": AudioConvNet("small", (8, 16, 32, 32))} if "audio_encoder" in cls.encoders else {}
    return cls(encoder, cls.Config(**settings), 16, **further)


def as_batch(task: PretextTask, batch: Batch) -> Batch:
    """`singing` with the input "image" where the task takes that."""
    named = task.inputs(task.config)
    return batch if "video" in named else batch.using(image=batch["video"][:, 0])


def prepared(task: PretextTask, batch: Batch) -> PretextTask:
    if task.refresh_epochs():
        features = task.embed(batch)
        task.before_epoch(Known(index=torch.arange(len(features)), features=features, labels=None), 16, rng())
    return task


def test_they_are_the_four() -> None:
    assert set(TASKS) == {"audio_visual", "audio_visual_sync", "audio_visual_alignment", "ambient_sound"}


@pytest.mark.parametrize("name", TASKS)
def test_times_reach_no_network(name: str, make: Callable[[str], PretextTask]) -> None:
    """Later by any amount, in other videos: what is shown and asked is the same to the bit."""
    task = make(name)
    batch = as_batch(task, singing(0))
    prepared(task, batch)
    assert batch.time is not None
    later = Batch(index=batch.index + 700, inputs=batch.inputs, time=2 * batch.time + 5000)
    one, other = (dict(tensors_of(task.pseudo_label(b, rng(3)))) for b in (batch, later))
    assert one.keys() == other.keys()
    for place, tensor in one.items():
        assert torch.equal(tensor, other[place]), place


@pytest.mark.parametrize("name", OF_PAIRS)
def test_no_sound_of_a_pair_has_zeros_at_its_ends_and_all_clips_are_whole(
    name: str, tmp_path: Path, write_video: Any
) -> None:
    """Whether a sound is cut off by the end of its track would tell the time it is of."""
    noise = np.random.default_rng(0).uniform(0.1, 0.5, 8 * RATE).astype(np.float32)
    for n, seconds in enumerate((2.0, 3.0, 3.5, 5.0)):
        write_video(tmp_path / f"{n}.mp4", moving(40, 32, n), fps=10)  # four seconds
        write_sound(tmp_path / f"{n}.wav", noise[: round(seconds * RATE)])
    cls = load_task(name)
    config = cls.Config(**({"frames": 4} if cls.encoders["encoder"].kind == "video" else {}))
    sampling = sampling_of(cls, config)
    assert all(one.whole for one in sampling.inputs.values() if isinstance(one, Clip))
    source = open_source(str(tmp_path), split="train", needs=frozenset({"video", "audio"}), held_out=0.0)
    samples = open_samples(source, side=32, sampling=sampling, cache_limit_gb=1.0, workers=1)
    assert len(samples) >= 2
    (length,) = (round(one.seconds * RATE) for one in sampling.inputs.values() if isinstance(one, Sound))
    places = np.array([[0.5, 0.5, place] for place in (0.0, 0.3, 0.7, 1.0)])
    for row in range(len(samples)):
        batch = samples.read(np.full(4, row), places)
        assert float(np.abs(batch.inputs["audio"]).min()) > 0.05
        assert batch.inputs["audio"].shape[1] == length


def halves_of(example: Any, rows: list[slice]) -> list[Any]:
    """The example of each process, whose partners are its own rows."""

    def part(value: Any, rows: slice, name: str) -> Any:
        if isinstance(value, Tensor):
            return value[rows] - (rows.start or 0) if name == "partner" else value[rows]
        return type(value)(**{key: part(one, rows, key) for key, one in vars(value).items()})

    return [part(example, one, "") for one in rows]


@pytest.mark.parametrize("name", TASKS)
def test_halves_of_a_batch_have_the_value_and_gradient_of_the_whole(
    name: str, make: Callable[[str], PretextTask]
) -> None:
    task = make(name).eval()
    batches = [as_batch(task, singing(seed, videos=4)) for seed in (0, 1)]
    prepared(task, batches[0])
    first, second = (task.pseudo_label(batch, rng(5)) for batch in batches)
    whole = _joined(first, second)
    check_halves(task, whole, halves_of(whole, [slice(0, 8), slice(8, 16)]))


def _joined(first: Any, second: Any, name: str = "") -> Any:
    if isinstance(first, Tensor):
        return torch.cat([first, second + len(first) if name == "partner" else second])
    return type(first)(**{key: _joined(one, getattr(second, key), key) for key, one in vars(first).items()})


def partly_silent(task: PretextTask) -> list[Any]:
    """The examples of two processes, of which the second has more silent moments."""
    batches = [as_batch(task, singing(seed, videos=4)) for seed in (0, 1)]
    prepared(task, batches[0])
    for batch, rows in zip(batches, ([3], [0, 1, 4, 6, 7]), strict=True):
        batch["audio"][rows] = 0
    return [task.pseudo_label(batch, rng(5)) for batch in batches]


def outcome(task: PretextTask, forward: nn.Module, example: Any) -> tuple[Tensor, Tensor]:
    """Loss and gradient."""
    loss = task.loss(forward(example), example)["loss"]
    loss.backward()
    return loss.detach(), torch.cat([p.grad.flatten() for p in task.parameters() if p.grad is not None])


def work(rank: int, port: int, out: str) -> None:
    join_group(rank, port)
    found = {}
    for name in TASKS:
        task = small_task(name).eval()  # the statistics of batch normalisation are each process's own
        loss, gradient = outcome(task, DistributedDataParallel(task), partly_silent(task)[rank])
        dist.all_reduce(loss)
        found[name] = {"loss": loss / 2, "gradient": gradient}
    torch.save(found, f"{out}{rank}")
    dist.destroy_process_group()


def test_two_processes_of_which_one_hears_less_are_as_one(tmp_path: Path) -> None:
    in_two_processes(work, str(tmp_path / "of"))
    for name in TASKS:
        task = small_task(name).eval()
        loss, gradient = outcome(task, task, _joined(*partly_silent(task)))
        for rank in range(2):
            found = torch.load(tmp_path / f"of{rank}", weights_only=True)[name]
            assert torch.allclose(found["loss"], loss, rtol=1e-5), name
            assert torch.allclose(found["gradient"], gradient, rtol=1e-3, atol=1e-6), name


@pytest.mark.parametrize("name", OF_PAIRS)
@torch.no_grad()
def test_where_all_is_silent_the_accuracy_is_that_of_chance(name: str, make: Callable[[str], PretextTask]) -> None:
    task = make(name).eval()
    batch = as_batch(task, singing(0, videos=2))
    example = task.pseudo_label(batch.using(audio=torch.zeros_like(batch["audio"])), rng())
    told = task.loss(task(example), example)
    assert float(told["loss"]) == 0
    assert float(told[task.metric_name()]) == task.chance(4) == 0.5
