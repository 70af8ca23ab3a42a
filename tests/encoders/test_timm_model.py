"""timm models: timm's own features, tokens for transformers, maps with channels first for the rest."""

from __future__ import annotations

import pytest
import timm
import torch

from selftaught.encoders.build import build_encoder
from selftaught.encoders.feature_map import stage_maps
from selftaught.encoders.staged import StagedEncoder

VIT = "timm:vit_tiny_patch16_224"


def make(name: str, size: int, stem: str = "auto") -> StagedEncoder:
    torch.manual_seed(0)
    encoder = build_encoder(name, size=size, stem=stem)  # type: ignore[arg-type]
    assert isinstance(encoder, StagedEncoder)
    return encoder.eval()


@pytest.mark.parametrize(
    ("name", "size", "stages", "last"),
    [
        (VIT, 64, ["block1", "block2"], (17, 192)),
        (VIT, 32, ["block1", "block2"], (65, 192)),
        ("timm:resnet18", 64, ["act1", "layer1"], (512, 2, 2)),
        ("timm:convnext_atto", 64, ["stages.0", "stages.1"], (320, 2, 2)),
        ("timm:efficientnet_b0", 64, ["blocks.0", "blocks.1"], (1280, 2, 2)),
        ("timm:swin_tiny_patch4_window7_224", 64, ["layers.0", "layers.1"], (768, 2, 2)),
        ("timm:mobilenetv3_small_100", 64, ["bn1", "blocks.0"], (576, 2, 2)),
    ],
)
def test_stages_and_timms_own_features(name: str, size: int, stages: list[str], last: tuple[int, ...]) -> None:
    encoder = make(name, size)
    x = torch.randn(2, 3, size, size)
    with torch.no_grad():
        read, pooled = encoder.forward_stages(x), encoder(x)
        theirs = encoder.net(x)  # timm with num_classes=0
    assert list(read)[:2] == stages
    assert tuple(read[encoder.stages[-1]].shape[1:]) == last
    assert torch.equal(read[encoder.stages[-1]], encoder.forward_features(x))
    assert pooled.shape == (2, encoder.num_features)
    assert torch.equal(pooled, theirs)
    encoder.train()(x).sum().backward()
    assert [key for key, p in encoder.named_parameters() if p.grad is None] == []


def test_maps_of_swin_have_channels_first() -> None:
    stages = make("timm:swin_tiny_patch4_window7_224", 64).forward_stages(torch.randn(1, 3, 64, 64))
    assert [tuple(stage.shape[1:]) for stage in stages.values()] == [
        (96, 16, 16), (192, 8, 8), (384, 4, 4), (768, 2, 2),
    ]  # fmt: skip


def test_transformers_get_64_tokens_from_small_images() -> None:
    encoder = make(VIT, 32)
    assert encoder.stem == "small"
    assert encoder.origin.make.endswith("num_classes=0, img_size=32, patch_size=4, dynamic_img_size=True)")
    assert len(encoder.stages) == 12
    assert make(VIT, 96, stem="small").forward_features(torch.randn(1, 3, 96, 96)).shape == (1, 65, 192)


@pytest.mark.parametrize(
    ("name", "grids"),
    [
        ("timm:test_vit", {"block1": (4, 4), "block6": (4, 4)}),
        ("timm:levit_128s", {"stages.0": (4, 4), "stages.2": (1, 1)}),  # strides 16, 32, 64
        ("timm:convit_tiny", {"block1": (4, 4), "block12": (4, 4)}),  # the class token comes late
        ("timm:gmixer_12_224", {"blocks.0": (4, 4)}),
    ],
)
def test_stages_say_that_they_are_tokens_and_on_which_grid(name: str, grids: dict[str, tuple[int, int]]) -> None:
    encoder = make(name, 64, "standard")
    if name == "timm:convit_tiny" and "block1" not in encoder.stages:
        pytest.skip("timm before 1.0.31 names no blocks of convit")
    maps = stage_maps(encoder, torch.randn(2, 3, 64, 64))
    for stage, grid in grids.items():
        assert encoder.stage_kind(stage) == "tokens"
        assert encoder.token_grid(stage, 64, 64) == grid
        assert maps[stage].shape[2:] == grid
    assert make("timm:test_resnet", 64).stage_kind("layer1") == "map"


def test_what_is_known_of_a_model_is_that_of_its_size() -> None:
    """Its shapes are found once for each; timm does not say the grid of these tokens."""
    for size, side in ((64, 4), (96, 6), (64, 4)):
        encoder = make("timm:gmixer_12_224", size)
        assert encoder.token_grid("blocks.0", size, size) == (side, side)
        assert encoder.forward_stages(torch.zeros(1, 3, size, size))["blocks.0"].shape[1] == side * side


def test_transformers_take_other_sizes_than_the_one_they_were_built_for() -> None:
    """Several crops of different size in one task."""
    encoder = make(VIT, 64)
    assert encoder(torch.randn(1, 3, 96, 48)).shape == (1, 192)


def test_sizes_and_stems_that_do_not_fit_are_one_sentence() -> None:
    with pytest.raises(ValueError, match=r"multiple of its 16-pixel patches, got 100 x 100; use --size 96 or 112"):
        make(VIT, 100)
    with pytest.raises(ValueError, match="'timm:resnet18' has no small stem; use --stem standard"):
        make("timm:resnet18", 32, stem="small")
    assert make("timm:resnet18", 32).stem == "standard"


def test_models_without_one_last_map_are_refused() -> None:
    assert timm.is_model("coat_tiny")
    with pytest.raises(ValueError, match="'timm:coat_tiny' gives list instead of one map of features"):
        make("timm:coat_tiny", 64)


def test_models_that_cannot_take_the_size_say_so_in_one_line() -> None:
    with pytest.raises(ValueError, match="'timm:efficientformer_l1' cannot take 96 x 96 pixels") as caught:
        make("timm:efficientformer_l1", 96)
    assert "\n" not in str(caught.value)
