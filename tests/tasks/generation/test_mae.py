from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

import selftaught
from selftaught.core.randomness import generator
from selftaught.data.batch import Batch
from selftaught.encoders.build import build_encoder
from selftaught.ops.colour import denormalise
from selftaught.tasks.generation.mae import Example, Mae, decoder_shape, standardise
from tests.tasks.learning import scalar_of, synthetic_images, train
from tests.training.stopping import assert_same_run, stopped_before
from tests.two_processes import in_two_processes, join_group

SMALL: Any = {"width": 32, "depth": 1}


def make(encoder: str = "timm:test_vit", size: int = 32, **settings: Any) -> Mae:
    torch.manual_seed(0)
    return Mae(build_encoder(encoder, size=size), Mae.Config(**(SMALL | settings)), size)


def batch(n: int = 4, side: int = 40) -> Batch:
    images = torch.randint(0, 256, (n, 3, side, side), generator=generator("images"), dtype=torch.uint8)
    return Batch(index=torch.arange(n), inputs={"image": images})


def pixels_of(images: Tensor, n: int, patch: int, side: int) -> list[float]:
    """Those of one patch of 4 x 4 pixels: down, across, then colours."""
    top, left = patch // (side // 4) * 4, patch % (side // 4) * 4
    return [
        float(images[n, c, y, x]) for y in range(top, top + 4) for x in range(left, left + 4) for c in range(3)
    ]  # fmt: skip


@pytest.mark.parametrize("norm_pix", [True, False])
def test_loss_and_gain_as_loops(norm_pix: bool) -> None:
    model = make(norm_pix=norm_pix)
    example = model.pseudo_label(batch(2), generator(0))
    prediction = model(example).detach()
    scalars = model.loss(prediction, example)
    errors, trivials = [], []
    for n in range(2):
        seen = example.seen[n].tolist()
        colours = [pixels_of(example.images, n, patch, 32) for patch in seen]
        mean_colour = [sum(sum(p[c::3]) for p in colours) / (16 * len(seen)) for c in range(3)]
        for patch in range(64):
            if patch in seen:
                continue
            target, guess = pixels_of(example.images, n, patch, 32), mean_colour * 16
            if norm_pix:
                mean = sum(target) / 48
                deviation = math.sqrt(sum((t - mean) ** 2 for t in target) / 47 + 1e-6)
                target, guess = [(t - mean) / deviation for t in target], [0.0] * 48
            found = prediction[n, patch].tolist()
            errors.append(sum((p - t) ** 2 for p, t in zip(found, target, strict=True)) / 48)
            trivials.append(sum((g - t) ** 2 for g, t in zip(guess, target, strict=True)) / 48)
    error, trivial = sum(errors) / len(errors), sum(trivials) / len(trivials)
    assert len(errors) == 2 * 48
    assert float(scalars["loss"]) == pytest.approx(error, rel=1e-4)
    assert float(scalars["psnr_gain"]) == pytest.approx(10 * math.log10(trivial / error), abs=1e-3)


def test_the_decoder_puts_tokens_and_masks_where_they_were() -> None:
    """The forward pass of the authors' code: masks appended, then unshuffled by the inverse of the shuffle."""
    model = make().eval()
    example = model.pseudo_label(batch(2), generator(0))
    with torch.no_grad():
        tokens, _ = model.encoder.embed_patches(example.images)
        visible = torch.stack([tokens[n, example.seen[n]] for n in range(2)])
        latent = model.enter(model.encoder.forward_tokens(visible))
        rows = []
        for n in range(2):
            seen = example.seen[n].tolist()
            shuffled = [*seen, *(i for i in range(64) if i not in seen)]
            appended = torch.cat([latent[n, 1:], model.mask_token[0].expand(48, -1)])
            rows.append(torch.stack([appended[shuffled.index(i)] for i in range(64)]) + model.positions)
        decoded = model.norm(model.blocks(torch.cat([latent[:, :1], torch.stack(rows)], 1)))
        torch.testing.assert_close(model(example), model.pixels(decoded)[:, 1:])


def test_a_quarter_of_the_patches_of_each_image_is_seen_at_random() -> None:
    model = make()
    example = model.pseudo_label(batch(400, 32), generator(0))
    assert example.seen.shape == (400, 16)
    assert example.hidden.sum(1).tolist() == [48] * 400
    assert not example.hidden.gather(1, example.seen).any()
    assert len({tuple(sorted(row)) for row in example.seen.tolist()}) == 400
    share = 1 - example.hidden.float().mean(0)
    assert float((share - 0.25).abs().max()) < 5 * math.sqrt(0.25 * 0.75 / 400)
    again = model.pseudo_label(batch(400, 32), generator(0))
    assert torch.equal(again.seen, example.seen)
    assert not torch.equal(model.pseudo_label(batch(400, 32), generator(1)).seen, example.seen)


def test_guard_nothing_of_a_hidden_patch_reaches_the_prediction() -> None:
    model = make().eval()
    example = model.pseudo_label(batch(2), generator(0))
    patches = model.patchify(example.images)
    noise = torch.randn(patches.shape, generator=generator("noise"))
    changed = model.unpatchify(torch.where(example.hidden[:, :, None], noise, patches))
    with torch.no_grad():
        other = model(Example(changed, example.seen, example.hidden, example.targets))
        assert torch.equal(other, model(example))


def test_guard_colour_and_contrast_of_a_patch_are_not_its_target() -> None:
    """So the colours around it, the cheapest thing to continue, say nothing: a flat patch gains 0 dB."""
    model = make()
    patches = torch.randn(2, 64, 48, generator=generator("patches"))
    offset, factor = torch.randn(2, 64, 1, generator=generator("offset")), torch.rand(2, 64, 1) + 0.5
    torch.testing.assert_close(standardise(patches * factor + offset), standardise(patches), atol=1e-4, rtol=1e-4)
    assert standardise(torch.full((1, 1, 48), 0.3)).abs().max() < 1e-3
    example = model.pseudo_label(batch(), generator(0))
    flat = torch.zeros_like(example.targets)
    assert float(model.loss(flat, example)["psnr_gain"]) == pytest.approx(model.chance(4), abs=1e-4)


def test_the_mean_colour_of_what_is_seen_gains_nothing_in_plain_pixels() -> None:
    model = make(norm_pix=False)
    example = model.pseudo_label(batch(), generator(0))
    seen = torch.stack([example.targets[n, example.seen[n]].unflatten(1, (16, 3)).mean((0, 1)) for n in range(4)])
    guess = seen.repeat(1, 16)[:, None].expand_as(example.targets)
    assert float(model.loss(guess, example)["psnr_gain"]) == pytest.approx(0, abs=1e-4)


def test_weights_start_as_in_the_authors_code() -> None:
    model = make()
    net = model.encoder.net
    assert isinstance(net, VisionTransformer)
    projection = net.patch_embed.proj.weight
    bound = math.sqrt(6 / (3 * 4 * 4 + 64))
    assert 0.95 * bound < float(projection.detach().abs().max()) <= bound
    for module in model.modules():
        if isinstance(module, nn.Linear):
            bound = math.sqrt(6 / sum(module.weight.shape))
            assert 0.9 * bound < float(module.weight.detach().abs().max()) <= bound
            assert not module.bias.any()
    assert net.cls_token is not None
    for token in (net.cls_token, model.mask_token):
        assert 0.01 < float(token.detach().std()) < 0.03
    assert net.pos_embed is not None
    assert not net.pos_embed.requires_grad
    assert "positions" not in model.state_dict()


@pytest.mark.parametrize(
    ("settings", "encoder", "shape"),
    [
        ({}, (768, 12), (512, 8, 16)),  # of the paper
        ({}, (192, 12), (128, 8, 4)),
        ({}, (64, 6), (32, 4, 1)),
        ({"width": 96, "depth": 2, "heads": 4}, (768, 12), (96, 2, 4)),
    ],
)
def test_the_decoder_is_two_thirds_of_the_encoder(
    settings: dict[str, int], encoder: tuple[int, int], shape: tuple[int, int, int]
) -> None:
    assert decoder_shape(Mae.Config(**settings), *encoder) == shape  # type: ignore[arg-type]


def test_what_cannot_be_is_one_sentence() -> None:
    with pytest.raises(ValueError, match=r"would show 0 of 64 patches with --task.mask 0.999; change it, or choose"):
        make(mask=0.999)
    with pytest.raises(ValueError, match=r"--task.width of task 'mae' must be a multiple of 4 and of its 3 heads"):
        make(width=32, heads=3)
    sentence = r"'mae' leaves patches of images out, which 'resnet18' cannot do; give --encoder a plain vision transf"
    with pytest.raises(ValueError, match=sentence):
        selftaught.pretrain("nowhere", out="nowhere-run", task="mae", encoder="resnet18", size=32)


def test_people_see_the_patches_left_the_image_and_the_hidden_ones_reconstructed() -> None:
    model = make().eval()
    example = model.pseudo_label(batch(3), generator(0))
    first, second = model.show(example, example.targets, 2)
    for n, shown in enumerate((first, second)):
        original = denormalise(example.images)[n]
        assert isinstance(shown.prediction, Tensor)
        assert isinstance(shown.pseudo_label, Tensor)
        torch.testing.assert_close(shown.pseudo_label, original.clamp(0, 1))
        torch.testing.assert_close(shown.prediction, original.clamp(0, 1), atol=1e-3, rtol=0)
        for patch in range(64):
            top, left = patch // 8 * 4, patch % 8 * 4
            tile = shown.inputs[0][:, top : top + 4, left : left + 4]
            whole = shown.pseudo_label[:, top : top + 4, left : left + 4]
            expected = torch.full_like(whole, 0.5) if example.hidden[n, patch] else whole
            torch.testing.assert_close(tile, expected, atol=1e-5, rtol=0)
    noise = model.show(example, torch.randn(example.targets.shape), 1)[0].prediction
    assert isinstance(noise, Tensor)
    kept = int(example.seen[0, 0])
    top, left = kept // 8 * 4, kept % 8 * 4
    torch.testing.assert_close(
        noise[:, top : top + 4, left : left + 4], first.inputs[0][:, top : top + 4, left : left + 4]
    )


@pytest.mark.parametrize("encoder", ["timm:deit_tiny_distilled_patch16_224"])
def test_other_prefix_tokens_go_through_the_decoder_and_are_left_out_after_it(encoder: str) -> None:
    model = make(encoder)
    assert model(model.pseudo_label(batch(2), generator(0))).shape == (2, 64, 48)


def test_it_learns_in_seconds() -> None:
    images = synthetic_images(400, 32)
    model = make()
    train(model, images[40:], optimizer="adamw", lr=4e-3, steps=30, batch_size=32)
    assert scalar_of(model, images[:40], "psnr_gain") > 1


def test_a_run_that_stops_goes_on_exactly(tmp_path: Path) -> None:
    settings: Any = {
        "task": "mae", "encoder": "timm:test_vit", "size": 32, "batch_size": 8, "steps": 4, "checkpoint_every": 2,
        "task_settings": SMALL,
    }  # fmt: skip
    selftaught.pretrain("synthetic:N=40,side=32", out=tmp_path / "whole", **settings)
    with stopped_before(3):
        selftaught.pretrain("synthetic:N=40,side=32", out=tmp_path / "parts", **settings)
    selftaught.pretrain("synthetic:N=40,side=32", out=tmp_path / "parts", resume=True, **settings)
    assert_same_run(tmp_path / "whole", tmp_path / "parts", "metrics.csv")


def work(rank: int, port: int, out: str) -> None:
    join_group(rank, port)
    model = make()
    example = part(model.pseudo_label(batch(), generator(0)), slice(2 * rank, 2 * rank + 2))
    shared = DistributedDataParallel(model)
    loss = model.loss(shared(example), example)["loss"]
    loss.backward()
    total = loss.detach().clone()
    dist.all_reduce(total)
    if rank == 0:
        torch.save({"loss": total / 2, "grads": {name: p.grad for name, p in model.named_parameters()}}, out)
    dist.destroy_process_group()


def part(example: Example, rows: slice) -> Example:
    return Example(**{name: value[rows] for name, value in vars(example).items()})


def test_two_processes_give_the_loss_and_gradient_of_one(tmp_path: Path) -> None:
    in_two_processes(work, str(tmp_path / "two.pt"))
    found = torch.load(tmp_path / "two.pt", weights_only=True)
    model = make()
    example = model.pseudo_label(batch(), generator(0))
    loss = model.loss(model(example), example)["loss"]
    loss.backward()
    torch.testing.assert_close(found["loss"], loss.detach())
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None
            torch.testing.assert_close(found["grads"][name], parameter.grad, rtol=1e-4, atol=1e-7)
