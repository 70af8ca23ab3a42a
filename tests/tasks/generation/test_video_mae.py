"""Masked autoencoder of clips: which tubes are hidden, what is predicted of them, and that nothing else shows them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import selftaught
from selftaught.data.batch import Batch
from selftaught.encoders.names import EncoderInfo
from selftaught.encoders.video import videovit
from selftaught.encoders.video.videovit import VideoVit, numbered_sines
from selftaught.tasks.generation.video_mae import Example, VideoMae, standardise
from tests.tasks.clips import batch, check_halves, check_run, fit, judge, rng

SMALL: dict[str, Any] = {"frames": 4, "width": 16, "depth": 1, "least_side": 1.0}


def make(monkeypatch: pytest.MonkeyPatch, size: int = 16, **settings: Any) -> VideoMae:
    """With an encoder of two blocks and 32 features."""
    monkeypatch.setitem(videovit.SHAPES, "small", (32, 2))
    torch.manual_seed(0)
    encoder = VideoVit(EncoderInfo("small", "video", "videovit", ("block1", "block2")), stem="small")
    return VideoMae(encoder, VideoMae.Config(**(SMALL | settings)), size)


def noise(n: int = 3, frames: int = 4) -> Tensor:
    return torch.randint(20, 256, (n, frames, 3, 20, 20), dtype=torch.uint8, generator=rng(1))


def test_tubes_are_hidden_at_the_same_places_in_all_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make(monkeypatch)
    example = model.pseudo_label(batch(noise(200)), rng())
    assert example.seen.shape == (200, 2 * 2)
    assert example.hidden.shape == (200, 2 * 14)
    for n in range(200):
        for places in (example.seen[n].tolist(), example.hidden[n].tolist()):
            first, second = ({p % 16 for p in places if p // 16 == t} for t in (0, 1))
            assert first == second
        assert sorted(example.seen[n].tolist() + example.hidden[n].tolist()) == list(range(32))
    often = torch.bincount(example.seen.flatten() % 16, minlength=16) / 400
    assert float((often - 1 / 8).abs().max()) < 5 * math.sqrt(1 / 8 * 7 / 8 / 200)
    again, other = (model.pseudo_label(batch(noise(200)), rng(seed)) for seed in (0, 1))
    assert torch.equal(again.seen, example.seen)
    assert not torch.equal(other.seen, example.seen)


def test_loss_and_gain_as_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make(monkeypatch)
    example = model.pseudo_label(batch(noise(1)), rng())
    with torch.no_grad():
        prediction = model(example)
    scalars = model.loss(prediction, example)
    error = trivial = 0.0
    for row, cube in enumerate(example.hidden[0].tolist()):
        t, y, x = cube // 16 * 2, cube % 16 // 4 * 4, cube % 4 * 4
        for c in range(3):
            pixels = [
                float(example.clips[0, t + i, c, y + j, x + k]) for i in range(2) for j in range(4) for k in range(4)
            ]
            mean = sum(pixels) / 32
            deviation = math.sqrt(sum((p - mean) ** 2 for p in pixels) / 31) + 1e-6
            for place, pixel in enumerate(pixels):
                wanted = (pixel - mean) / deviation
                error += (float(prediction[0, row, place, c]) - wanted) ** 2 / (28 * 96)
                trivial += wanted**2 / (28 * 96)
    assert float(scalars["loss"]) == pytest.approx(error, rel=1e-4)
    assert float(scalars["psnr_gain"]) == pytest.approx(10 * math.log10(trivial / error), abs=1e-3)


def test_tokens_and_masks_have_the_positions_of_their_cubes(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make(monkeypatch).eval()
    example = model.pseudo_label(batch(noise(1)), rng())
    with torch.no_grad():
        tokens, _ = model.encoder.embed_patches(videos_of(example))
        seen, hidden = example.seen[0].tolist(), example.hidden[0].tolist()
        found = model.enter(model.encoder.forward_tokens(tokens[:, seen]))[0]
        table = numbered_sines(32, 16, torch.device("cpu"))
        rows = [found[i] + table[cube] for i, cube in enumerate(seen)]
        rows += [model.mask_token[0, 0] + table[cube] for cube in hidden]
        decoded = model.pixels(model.norm(model.blocks(torch.stack(rows)[None])))[:, len(seen) :]
        torch.testing.assert_close(model(example), decoded.unflatten(2, (32, 3)), atol=1e-5, rtol=1e-4)


def videos_of(example: Example) -> Tensor:
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return ((example.clips - mean[:, None, None]) / std[:, None, None]).transpose(1, 2)


def test_guard_nothing_of_a_hidden_cube_reaches_the_prediction(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make(monkeypatch).eval()
    example = model.pseudo_label(batch(noise()), rng())
    cubes = model.cut(example.clips)
    changed = cubes.scatter(1, example.hidden[:, :, None, None].expand(-1, -1, 32, 3), torch.rand(3, 28, 32, 3))
    other = Example(model.join(changed), example.seen, example.hidden, example.targets)
    with torch.no_grad():
        assert not torch.equal(other.clips, example.clips)
        assert torch.equal(model(other), model(example))


def ramps(n: int, seed: int, *, side: int, alike: bool) -> Batch:
    """Still clips of 4 frames whose cubes are dark on one side and bright on the other.

    The side is that of the clip, or drawn for each cube. A border of one pixel is there to be cut off.
    """
    cells = side // 4
    sides = torch.randint(2, (n, 1, 1) if alike else (n, cells, cells), generator=rng(seed)).expand(n, cells, cells)
    ramp = torch.tensor([50, 100, 150, 200]).repeat(cells).expand(n, side, side)
    images = torch.where(sides.repeat_interleave(4, 1).repeat_interleave(4, 2) == 1, ramp, 250 - ramp)
    framed = F.pad(images[:, None].float(), (1, 1, 1, 1), mode="replicate").byte()
    return batch(framed[:, None].expand(n, 4, 3, -1, -1))


@pytest.mark.parametrize("is_guarded", [True, False])
def test_guard_one_repeated_frame_gains_nothing(monkeypatch: pytest.MonkeyPatch, is_guarded: bool) -> None:
    """With tubes no frame shows what another one hides; were cubes hidden one by one, they would be copied."""
    model = make(monkeypatch, size=8, mask=0.5)

    def in_turns(clips: Batch, draw: torch.Generator) -> Example:
        """Even places are seen at the first time, odd ones at the second."""
        example = VideoMae.pseudo_label(model, clips, draw)
        even = torch.arange(0, 4, 2).expand(len(example.seen), -1)
        seen, hidden = (torch.cat([even + a, 4 + even + 1 - a], 1) for a in (0, 1))
        cubes = model.cut(example.clips).take_along_dim(hidden[:, :, None, None], 1)
        return Example(example.clips, seen, hidden, standardise(cubes))

    if not is_guarded:
        monkeypatch.setattr(model, "pseudo_label", in_turns)
    fit(model, lambda step: ramps(16, step, side=8, alike=False), steps=60, lr=1e-2)
    gain = judge(model, [ramps(16, 1000 + k, side=8, alike=False) for k in range(4)])
    assert gain < 0.2 if is_guarded else gain > 1


def test_cutting_into_cubes_is_undone_by_joining(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make(monkeypatch)
    clips = torch.rand(2, 4, 3, 16, 16)
    cubes = model.cut(clips)
    assert cubes.shape == (2, 32, 32, 3)
    assert torch.equal(model.join(cubes), clips)
    assert cubes[1, 16 + 4 * 2 + 3, 16 + 4 * 1 + 2].tolist() == clips[1, 3, :, 9, 14].tolist()


def test_it_learns_in_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is hidden looks as what is seen."""
    model = make(monkeypatch, mask=0.75)
    fit(model, lambda step: ramps(8, step, side=16, alike=True), steps=30, lr=1e-2)
    assert judge(model, [ramps(16, 1000, side=16, alike=True)]) > 3


def test_two_processes_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make(monkeypatch)
    whole = model.pseudo_label(batch(noise(4)), rng())
    halves = [Example(**{name: x[own] for name, x in vars(whole).items()}) for own in (slice(2), slice(2, 4))]
    check_halves(model, whole, halves)


def test_people_see_grey_tubes_the_clip_and_the_reconstruction(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make(monkeypatch).eval()
    example = model.pseudo_label(batch(noise(3)), rng())
    shown = model.show(example, example.targets, 2)
    assert len(shown) == 2
    for n, one in enumerate(shown):
        assert isinstance(one.prediction, Tensor)
        torch.testing.assert_close(one.prediction, example.clips[n], atol=1e-3, rtol=0)
        cubes = model.cut(one.inputs[0][None])[0]
        assert bool((cubes[example.hidden[n]] == 0.5).all())
        assert torch.equal(cubes[example.seen[n]], model.cut(example.clips)[n, example.seen[n]])


def test_what_cannot_be_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        ValueError, match=r"would hide 0 of 16 tubes with --task.mask 0.05; change it, or choose --stem"
    ):
        make(monkeypatch, mask=0.05)
    with pytest.raises(
        ValueError, match=r"--task.width of task 'video_mae' must be even and a multiple of its 3 heads"
    ):
        make(monkeypatch, heads=3)
    with pytest.raises(ValueError, match=r"--task.frames must be a multiple of 2, the frames of a cube, got 5"):
        VideoMae.Config(frames=5)
    with pytest.raises(
        ValueError, match=r"leaves patches of clips out, which 'r3d_18' cannot do; .* of clips, videovit"
    ):
        selftaught.pretrain("nowhere", out="nowhere-run", task="video_mae", encoder="r3d_18", size=32)


def test_weights_of_the_decoder_start_as_in_the_authors_code(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make(monkeypatch)
    bound = math.sqrt(6 / (32 + 16))
    assert 0.9 * bound < float(model.enter.weight.detach().abs().max()) <= bound
    assert 0 < float(model.mask_token.detach().abs().max()) <= 0.02
    assert dict(model.enter.named_parameters()).keys() == {"weight"}
    torch.testing.assert_close(standardise(torch.full((1, 1, 4, 3), 0.3)), torch.zeros(1, 1, 4, 3), atol=1e-3, rtol=0)


def test_a_run_is_resumed_exactly(tmp_path: Path, write_video: Any) -> None:
    settings: dict[str, Any] = {"encoder": "videovit_tiny", "size": 16, "batch_size": 2}
    check_run(tmp_path, write_video, "video_mae", task_settings={"frames": 2, "width": 16, "depth": 1}, **settings)
