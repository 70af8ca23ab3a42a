"""A model's parts: what the head of a fine-tuned network becomes, and preprocessing that is inside."""

from __future__ import annotations

import numpy as np
import torch

from selftaught.evaluation.fit.classifier import Classifier
from selftaught.evaluation.models.network import ImageModel, logits_of, model_of_network
from selftaught.ops.crop import centre_view
from tests.evaluation.drawn_classes import SIDE, DrawnSamples, TwoStages


def tuned() -> Classifier:
    network = Classifier(TwoStages(), 4, "32-true").eval()
    torch.manual_seed(0)
    for tensor in network.head.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.1, 1)
    return network


@torch.no_grad()
def test_a_fine_tuned_network_keeps_its_logits() -> None:
    network, x = tuned(), torch.randn(3, 3, SIDE, SIDE)
    expected = network(x)
    model = model_of_network(network, size=SIDE)
    assert torch.allclose(model(x), expected, atol=1e-5)
    model.temperature.fill_(2.0)
    assert torch.allclose(model(x), expected / 2, atol=1e-5)


@torch.no_grad()
def test_an_image_of_any_size_goes_in() -> None:
    model = model_of_network(tuned(), size=SIDE)
    whole = ImageModel(model)
    samples = DrawnSamples("train", 5)
    found = whole(torch.from_numpy(samples.pixels))
    assert torch.allclose(found, logits_of(model, samples, torch.device("cpu")).softmax(1), atol=1e-5)
    wide = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 20, 31, 3), dtype=np.uint8))
    seen = centre_view(wide.permute(0, 3, 1, 2).float() / 255, SIDE)
    assert torch.allclose(whole(wide), model(seen).softmax(1), atol=1e-6)
