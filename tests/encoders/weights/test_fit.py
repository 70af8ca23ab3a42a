"""Which tensors of a table are the weights of a network."""

from __future__ import annotations

import torch
from timm.layers.pos_embed import resample_abs_pos_embed
from torch import Tensor, nn

from selftaught.encoders.build import build_encoder
from selftaught.encoders.weights.fit import Fit, fits_in
from selftaught.encoders.weights.load import network_of


def net() -> nn.Module:
    layers = {"stem1": nn.Conv2d(3, 4, 3), "layer1": nn.Linear(4, 4), "norm": nn.BatchNorm1d(4), "fc": nn.Identity()}
    made = nn.Module()
    for name, layer in layers.items():
        made.add_module(name, layer)
    return made


def best(table: dict[str, Tensor], of: nn.Module | None = None) -> Fit:
    return fits_in(of or net(), ("fc.",), "", table)[0]


def test_names_behind_a_prefix_and_heads_beside_them() -> None:
    own = net().state_dict()
    table = {f"a.b.{key}": value for key, value in own.items() if not key.endswith("num_batches_tracked")}
    fit = best(table | {"a.b.fc.weight": torch.ones(2), "a.b.projector.0.weight": torch.ones(2), "c.x": torch.ones(1)})
    assert (fit.prefix, fit.heads, fit.faults) == ("a.b.", ("fc", "projector"), ())
    assert {key: id(value) for key, value in fit.weights.items()} == {
        key: id(value) for key, value in own.items() if not key.endswith("num_batches_tracked")
    }


def test_numbers_of_a_sequential_stand_for_names() -> None:
    own = net().state_dict()
    numbers = {"stem1": "0", "layer1": "1", "norm": "2"}
    spelled = {key: ".".join(["x", numbers[key.partition(".")[0]], key.partition(".")[2]]) for key in own}
    fit = best({spelled[key]: value for key, value in own.items()})
    assert (fit.prefix, fit.faults, list(fit.weights)) == ("x.", (), list(own))


def test_faults_say_what_is_lacking_unknown_and_of_another_shape() -> None:
    own = dict(net().state_dict())
    del own["layer1.bias"]
    fit = best(own | {"stem1.weight": torch.ones(2), "layer7.weight": torch.ones(1), "reg_token": torch.ones(1)})
    assert fit.faults == (
        "lacks layer1.bias",
        "has unknown layer7.weight, reg_token",
        "has other shapes for stem1.weight ((2,) instead of (4, 3, 3, 3))",
    )
    assert best({key: torch.zeros(2) for key in ("a", "stem1.weight")}).faults[0].startswith("lacks stem1.bias, layer1")


def test_a_tensor_beside_the_network_is_unknown_and_a_mask_token_or_decoder_is_not() -> None:
    """Register tokens that were left out would change what the network computes."""
    own = {f"x.{key}": value for key, value in net().state_dict().items()}
    fit = best(own | {"x.mask_token": torch.ones(1), "x.decoder_pos_embed": torch.ones(1)})
    assert (fit.faults, fit.heads) == ((), ("decoder_pos_embed", "mask_token"))
    assert best(own | {"x.register_tokens": torch.ones(1)}).faults == ("has unknown register_tokens",)


def test_transformers_take_other_image_sizes_and_blocks_in_chunks() -> None:
    small, larger = (network_of(build_encoder("timm:test_vit", size=size, stem="standard"))[0] for size in (64, 96))
    own = larger.state_dict()
    fit = best({f"backbone.{key.replace('blocks.', 'blocks.1.')}": value for key, value in own.items()}, small)
    assert (fit.prefix, fit.faults) == ("backbone.", ())
    assert fit.notes == ("its position embedding was resampled from 6 x 6 to 4 x 4 patches",)
    assert all(torch.equal(fit.weights[key], value) for key, value in own.items() if key != "pos_embed")
    expected = resample_abs_pos_embed(own["pos_embed"], [4, 4], num_prefix_tokens=1)
    torch.testing.assert_close(fit.weights["pos_embed"], expected)


def test_the_first_layer_is_averaged_for_other_channels() -> None:
    own, wide = net().state_dict(), net()
    wide.add_module("stem1", nn.Conv2d(5, 4, 3))
    fit = best(own, wide)
    assert fit.faults == ()
    kernels = fit.weights["stem1.weight"]
    assert torch.allclose(kernels, own["stem1.weight"].mean(1, keepdim=True).expand(-1, 5, -1, -1) * 3 / 5)
    assert fit.notes == ("its first layer was averaged over 3 colours and repeated for 5 channels",)
