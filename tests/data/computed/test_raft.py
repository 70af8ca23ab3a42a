"""Flow by RAFT is what torchvision's network gives; weights are the user's, and what is none of them is said."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.models.optical_flow import raft_small

from selftaught.data.computed.catalogue import make_program
from selftaught.data.computed.optical_flow import OpticalFlow, halved
from selftaught.data.computed.raft import raft_flow
from selftaught.data.inputs import Computed
from tests.data.computed.moving import shifting


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("raft") / "small.pth"
    torch.save(raft_small(weights=None).state_dict(), path)
    return path


@torch.no_grad()
def test_the_flow_is_that_of_torchvision(weights: Path) -> None:
    frames = shifting(3, 2, 1, height=128, width=136)
    network = raft_small(weights=None).eval()
    network.load_state_dict(torch.load(weights, weights_only=True))
    video = torch.from_numpy(frames).movedim(3, 1).float() / 127.5 - 1
    expected = network(video[:1], video[1:2])[-1][0].movedim(0, 2).numpy()
    program = make_program(Computed("optical_flow", like="clip", settings={"model": "raft", "weights": str(weights)}))
    maps = program.run(frames)
    assert maps.shape == (2, 64, 68, 2)
    assert np.allclose(maps[0], halved(expected), atol=1e-3)
    assert np.array_equal(program.run(frames[1:])[0], maps[1])  # a pair depends on no other


def test_small_frames_of_any_size_are_enlarged(weights: Path) -> None:
    flow = raft_flow(shifting(2, 1, 0, height=33, width=47), str(weights))
    assert [one.shape for one in flow] == [(33, 47, 2)]
    assert np.isfinite(flow[0]).all()


def test_the_key_is_that_of_the_weights_content(weights: Path, tmp_path: Path) -> None:
    copy = shutil.copy(weights, tmp_path / "copy.pth")
    settings = [OpticalFlow(model="raft", weights=str(path)).settings() for path in (weights, copy)]
    assert settings[0] == settings[1] != OpticalFlow().settings()
    assert str(weights) not in settings[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "raft"}, "needs weights, and downloads none; set weights to a file"),
        (
            {"model": "raft", "weights": "gone.pth"},
            r"gone.pth, cannot be read \(No such file or directory\); give a state",
        ),
        ({"model": "raft", "weights": __file__}, "are none of RAFT; give a state dict of torchvision's raft_small"),
        ({"model": "flownet"}, "must be dis or raft, got 'flownet'"),
        ({"weights": "raft.pth"}, "are for the model raft, got raft.pth with dis"),
        ({"model": "raft", "weights": "raft.pth", "preset": "fast"}, "is for the model dis, got fast with raft"),
    ],
)
def test_other_settings_are_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_program(Computed("optical_flow", like="clip", settings=settings))
