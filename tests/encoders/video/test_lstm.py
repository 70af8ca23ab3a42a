"""An LSTM over the features of the frames."""

from __future__ import annotations

import torch
from torch import nn

from selftaught.encoders.build import build_encoder
from selftaught.encoders.video.lstm import HIDDEN, LstmEncoder


@torch.no_grad()
def test_states_are_those_of_a_cell_that_takes_one_frame_after_the_other() -> None:
    encoder = build_encoder("lstm:timm:test_resnet", size=32).eval()
    assert isinstance(encoder, LstmEncoder)
    cell = nn.LSTMCell(encoder.image.num_features, HIDDEN)
    cell.load_state_dict({key.removesuffix("_l0"): value for key, value in encoder.lstm.state_dict().items()})
    clips, state, states = torch.randn(2, 3, 4, 32, 32), None, []
    for t in range(4):
        state = cell(encoder.image(clips[:, :, t]), state)
        states.append(state[0])
    torch.testing.assert_close(encoder.forward_features(clips), torch.stack(states, 1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(encoder(clips), torch.stack(states, 1).mean(1), rtol=1e-4, atol=1e-5)
    assert [encoder.stage_kind(stage) for stage in encoder.stages[-2:]] == ["clip", "sequence"]
