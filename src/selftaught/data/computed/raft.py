"""Optical flow by RAFT (Teed and Deng, ECCV 2020) of torchvision, with weights that the user has."""

from __future__ import annotations

import hashlib
import threading
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_LEAST, _MULTIPLE = 128, 8
"""Pixels of the shortest side RAFT takes, and what its sides must be multiples of."""
_LOADING = threading.Lock()


def check_weights(path: str) -> None:
    """Raise a ValueError of one sentence where the file holds no weights of raft_small or raft_large."""
    _network(path)


def weights_key(path: str) -> str:
    """Changes when the content of the file does, and not with its place."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def raft_flow(frames: NDArray[np.uint8], weights: str) -> list[NDArray[np.float32]]:
    """Flow (H, W, 2) in pixels from each of the frames (T, H, W, 3) RGB to the next, T - 1 of them.

    Frames with a side below 128 pixels are enlarged for it. One pair at a time, so that its flow depends on no other.
    """
    import torch

    network = _network(weights)
    height, width = frames.shape[1:3]
    scale = max(1.0, _LEAST / min(height, width))
    size = [_MULTIPLE * -(-round(length * scale) // _MULTIPLE) for length in (width, height)]
    larger = [cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR) for frame in frames]
    video = torch.from_numpy(np.stack(larger)).movedim(3, 1).float() / 127.5 - 1
    found = []
    with torch.inference_mode():
        for first, second in pairwise(video):
            flow = network(first[None].clone(), second[None].clone())[-1][0].movedim(0, 2).numpy()
            smaller = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR)
            found.append(np.asarray(smaller * np.array([width / size[0], height / size[1]]), np.float32))
    return found


def _network(path: str) -> Any:
    with _LOADING:  # several threads ask at once, and each would build its own
        return _loaded(path)


@lru_cache(maxsize=1)
def _loaded(path: str) -> Any:
    import torch
    from torchvision.models.optical_flow import raft_large, raft_small

    must = "give a state dict of torchvision's raft_small or raft_large"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        first = state["feature_encoder.convnormrelu.0.weight"]
        network = (raft_small if len(first) < 64 else raft_large)(weights=None)
        network.load_state_dict(state)
    except OSError as missing:
        raise ValueError(f"the weights of optical_flow, {path}, cannot be read ({missing.strerror}); {must}") from None
    except Exception as error:  # what unpickling a file of another kind raises is any of a dozen
        raise ValueError(f"the weights of optical_flow, {path}, are none of RAFT; {must}") from error
    return network.eval()
