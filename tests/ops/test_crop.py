from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from selftaught.core.randomness import generator
from selftaught.ops import crop
from selftaught.ops.colour import denormalise
from selftaught.ops.crop import MapKind, crop_resize, crop_resize_with_maps
from selftaught.ops.flow import warp


@pytest.fixture(params=[False, True], ids=["float32", "bfloat16"])
def precision(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float:
    """Largest error allowed, in [0, 1], in both precisions of the products."""
    monkeypatch.setattr(crop, "fast_bf16", lambda device: request.param)
    return 0.012 if request.param else 1e-5


def pictures(n: int, height: int, width: int) -> torch.Tensor:
    return torch.randint(0, 256, (n, 3, height, width), generator=generator("pictures"), dtype=torch.uint8)


@pytest.mark.parametrize("size", [16, 33, 64])
def test_resize_equals_the_platforms_antialiased_bilinear(size: int, precision: float) -> None:
    images = pictures(3, 40, 48)
    boxes = torch.tensor([[0.0, 0.0, 40.0, 48.0]]).expand(3, 4)
    ours = crop.crop_resize(images, boxes, size)
    theirs = F.interpolate(images.float() / 255, (size, size), mode="bilinear", antialias=True)
    assert (ours - theirs).abs().max() < precision


def test_integer_crop_without_resizing_copies_pixels(precision: float) -> None:
    images = pictures(2, 40, 40)
    boxes = torch.tensor([[5.0, 7.0, 20.0, 20.0], [20.0, 0.0, 20.0, 20.0]])
    ours = crop.crop_resize(images, boxes, 20)
    expected = torch.stack([images[0, :, 5:25, 7:27], images[1, :, 20:40, 0:20]]).float() / 255
    assert (ours - expected).abs().max() < precision


def test_negative_width_mirrors(precision: float) -> None:
    images = pictures(1, 32, 32)
    plain = crop.crop_resize(images, torch.tensor([[0.0, 0.0, 32.0, 32.0]]), 24)
    mirrored = crop.crop_resize(images, torch.tensor([[0.0, 32.0, 32.0, -32.0]]), 24)
    assert (plain.flip(3) - mirrored).abs().max() < precision


def test_blur_equals_convolution_and_zero_is_the_identity() -> None:
    images = torch.rand(2, 3, 32, 32, generator=generator("blur"))
    boxes = torch.tensor([[0.0, 0.0, 32.0, 32.0]]).expand(2, 4)
    ours = crop.crop_resize(images, boxes, 32, torch.tensor([1.5, 0.0]))
    assert torch.allclose(ours[1], images[1], atol=1e-6)
    offsets = torch.arange(-9, 10.0)
    kernel = torch.exp(-offsets.square() / (2 * 1.5**2))
    kernel = kernel / kernel.sum()
    rows = F.conv2d(images[:1].transpose(0, 1), kernel.view(1, 1, 1, -1), padding=(0, 9))
    both = F.conv2d(rows, kernel.view(1, 1, -1, 1), padding=(9, 0)).transpose(0, 1)
    inside = slice(10, 22)  # a convolution that pads with zeros differs at the border
    assert torch.allclose(ours[0, :, inside, inside], both[0, :, inside, inside], atol=1e-3)


def test_a_blurred_image_does_not_depend_on_its_neighbours(precision: float) -> None:
    images, boxes = pictures(4, 32, 40), crop.random_boxes(4, 32, 40, generator("boxes"))
    sigma = torch.tensor([0.8, 0.0, 1.2, 0.0])
    whole = crop.crop_resize(images, boxes, 24, sigma)
    for n in range(4):
        weights = [
            crop.blur_weights(sigma[n : n + 1], 24)
            @ crop.axis_weights(boxes[n : n + 1, i], boxes[n : n + 1, 2 + i], s, 24)
            for i, s in enumerate((32, 40))
        ]
        expected = weights[0][0] @ (images[n].float() / 255) @ weights[1][0].T
        assert (whole[n] - expected).abs().max() < precision
    assert torch.equal(whole[1::2], crop.crop_resize(images[1::2], boxes[1::2], 24))


def test_boxes_are_inside_and_have_the_promised_area_and_ratio() -> None:
    boxes = crop.random_boxes(4000, 60, 60, generator("boxes"), scale=(0.2, 0.5), ratio=(0.75, 4 / 3), flip=0.5)
    top, left, height, width = boxes.unbind(1)
    left = torch.where(width < 0, left + width, left)
    assert (top >= 0).all()
    assert (top + height <= 60.001).all()
    assert (left >= -1e-3).all()
    assert (left + width.abs() <= 60.001).all()
    area = height * width.abs() / 3600
    assert 0.199 < area.min() < 0.21
    assert 0.49 < area.max() < 0.501
    ratio = (width.abs() / height).log()
    assert abs(float(ratio.mean())) < 0.02  # as likely r as 1 / r: the shape of a crop does not tell a rotation
    assert 0.45 < float((width < 0).float().mean()) < 0.55


def test_the_same_generator_gives_the_same_crop_and_another_one_another() -> None:
    images = pictures(4, 48, 48)
    first = crop.random_resized_crop(images, 32, generator(1), blur=0.5)
    assert torch.equal(first, crop.random_resized_crop(images, 32, generator(1), blur=0.5))
    assert not torch.equal(first, crop.random_resized_crop(images, 32, generator(2), blur=0.5))


def test_centre_view_takes_the_middle_square() -> None:
    images = pictures(2, 32, 48)
    view = denormalise(crop.centre_view(images, 32))
    assert (view - images[:, :, :, 8:40].float() / 255).abs().max() < 0.02
    assert view.shape == (2, 3, 32, 32)


def ramp(height: int, width: int) -> torch.Tensor:
    """(2, 1, height, width) float: each pixel's column, plus 100 in the second."""
    return (torch.arange(width).float() + 0.5).expand(2, 1, height, width) + torch.tensor([0, 100]).view(2, 1, 1, 1)


def test_maps_are_cut_by_the_same_box_as_their_image_at_any_resolution() -> None:
    images = ramp(24, 36)
    boxes = torch.tensor([[3.0, 5.0, 12.0, 18.0], [2.0, 30.0, 18.0, -24.0]])
    maps = {
        "depth": images[:, 0],
        "mask": images[:, 0].long(),
        "coarse": images[:, 0, ::2, ::2] + 0.5,  # means of two columns
        "small mask": images[:, 0, ::3, ::3].long(),
    }
    modes: dict[str, MapKind] = {"depth": "depth", "mask": "mask", "coarse": "depth", "small mask": "mask"}
    cut, found = crop_resize_with_maps(images, maps, boxes, 6, modes=modes)
    assert torch.equal(cut, crop_resize(images, boxes, 6))
    expected = torch.tensor([[5 + 3 * (k + 0.5) for k in range(6)], [130 - 4 * (k + 0.5) for k in range(6)]])
    assert torch.allclose(found["depth"], expected[:, None].expand(2, 6, 6), atol=1e-3)
    assert torch.allclose(found["coarse"], expected[:, None].expand(2, 6, 6), atol=0.06)  # the filter has 3 taps
    assert torch.equal(found["mask"], expected.long()[:, None].expand(2, 6, 6))
    assert found["mask"].dtype == torch.int64
    assert torch.equal(found["small mask"][0, 0], ((expected[0] / 3).long() * 3))


def test_flow_is_in_pixels_of_the_result_and_mirrored_with_it() -> None:
    flow = torch.tensor([3.0, -2.0])[None, :, None, None].expand(3, 2, 12, 18)
    boxes = torch.tensor([[0.0, 0, 24, 36], [4, 30, 8, -16], [0, 0, 6, 6]])
    _, found = crop_resize_with_maps(torch.zeros(3, 3, 24, 36), {"flow": flow}, boxes, 12, modes={"flow": "flow"})
    assert found["flow"].shape == (3, 2, 12, 12)
    for got, expected in zip(found["flow"], ([1.0, -1.0], [-2.25, -3.0], [6.0, -4.0]), strict=True):
        assert torch.allclose(got, torch.tensor(expected)[:, None, None].expand(2, 12, 12), atol=1e-5)


def test_a_moved_image_has_its_flow_after_any_crop() -> None:
    """Where a point of the cut image goes, by the cut flow, is where the cut of the moved image shows it."""
    x = torch.arange(64).float()
    first = (0.5 + 0.5 * torch.sin(x / 5)).expand(1, 1, 64, 64)
    second = (0.5 + 0.5 * torch.sin((x - 4) / 5)).expand(1, 1, 64, 64)  # 4 pixels to the right
    flow = torch.tensor([4.0, 0.0])[None, :, None, None].expand(1, 2, 64, 64)
    box = torch.tensor([[8.0, 56, 40, -48]])
    before, maps = crop_resize_with_maps(first, {"flow": flow}, box, 48, modes={"flow": "flow"})
    after = crop_resize(second, box, 48)
    assert torch.allclose(warp(after, maps["flow"])[..., 8:-8], before[..., 8:-8], atol=1e-3)


def test_beyond_the_image_maps_have_the_value_asked_for() -> None:
    box, sizes = torch.tensor([[-4.0, 0, 8, 8]]), torch.tensor([[3, 8]])
    values = torch.ones(1, 8, 8)
    maps = {"mask": values.long(), "depth": values}
    modes: dict[str, MapKind] = {"mask": "mask", "depth": "depth"}
    _, found = crop_resize_with_maps(
        torch.zeros(1, 3, 8, 8), maps, box, 8, modes=modes, sizes=sizes, fill={"mask": 255}
    )
    assert found["mask"][0, :, 0].tolist() == [255] * 4 + [1] * 3 + [255]
    assert found["depth"][0, :, 0].tolist() == [0] * 4 + [1] * 3 + [0]
