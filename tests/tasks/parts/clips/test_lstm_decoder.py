"""The LSTM that draws frames: without an input, and conditional on the frame before."""

from __future__ import annotations

import torch

from selftaught.tasks.parts.clips.lstm_decoder import LSTMDecoder


def made(*, conditional: bool) -> LSTMDecoder:
    torch.manual_seed(0)
    return LSTMDecoder(6, 16, width=6, conditional=conditional)


def test_without_an_input_the_frames_do_not_matter() -> None:
    decoder = made(conditional=False).eval()
    features = torch.randn(2, 6)
    logits = decoder(features, torch.rand(2, 4, 3, 16, 16))
    assert logits.shape == (2, 4, 3, 16, 16)
    assert torch.equal(logits, decoder(features, torch.zeros(2, 4, 3, 16, 16)))
    torch.testing.assert_close(logits[:, :2], decoder(features, torch.zeros(2, 2, 3, 16, 16)))
    assert not torch.allclose(logits, decoder(torch.randn(2, 6), torch.zeros(2, 4, 3, 16, 16)))


def test_conditional_it_sees_true_frames_in_training_and_its_own_in_evaluation() -> None:
    decoder = made(conditional=True)
    features, frames = torch.randn(2, 6), torch.rand(2, 3, 3, 16, 16)
    for norm in decoder.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.momentum = 0.0
            norm.eval()  # so that training and evaluation differ in what is seen alone
    decoder.training = True
    taught = decoder(features, frames)
    decoder.training = False
    own = decoder(features, frames)
    assert torch.equal(own, decoder(features, torch.zeros_like(frames)))
    torch.testing.assert_close(own[:, 0], taught[:, 0])
    assert not torch.allclose(own[:, 1], taught[:, 1])
    decoder.training = True
    again = decoder(features, torch.cat([own[:, :2].sigmoid(), frames[:, 2:]], 1))
    torch.testing.assert_close(again, own, atol=1e-5, rtol=1e-4)
