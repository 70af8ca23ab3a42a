"""Small files of the layouts in which programs of self-supervised learning keep their weights.

Key names as in their public code: MoCo `main_moco.py`, SimSiam, DINO `main_dino.py` and `utils.py`, DINOv2
`dinov2/train/ssl_meta_arch.py` and `train.py`, solo-learn `solo/methods/base.py`, Lightning, lightly's examples,
lightly-train `_checkpoint.py` and `_methods/`, VISSL `extra_scripts/convert_vissl_to_torchvision.py`, MAE
`util/misc.py`.
"""

from __future__ import annotations

import argparse
import collections
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

State = Mapping[str, Tensor]
MakeFile = Callable[[State, State], Any]
"""The weights of an encoder, and others of the same shapes -> what the program saves."""


def behind(prefix: str, state: State) -> dict[str, Tensor]:
    return {f"{prefix}{key}": value for key, value in state.items()}


def head(prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}0.weight": torch.ones(4, 4), f"{prefix}0.bias": torch.ones(4), f"{prefix}2.weight": torch.ones(2)}


def numbered(state: State) -> dict[str, Tensor]:
    """As in nn.Sequential(*list(resnet.children())[:-1])."""
    numbers = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}
    parts = {key: key.partition(".") for key in state}
    return {f"{numbers[name]}.{rest}": state[key] for key, (name, _, rest) in parts.items()}


def moco(own: State, other: State) -> Any:
    weights = behind("module.encoder_q.", own) | head("module.encoder_q.fc.") | behind("module.encoder_k.", other)
    queue = {"module.queue": torch.ones(4, 8), "module.queue_ptr": torch.zeros(1, dtype=torch.long)}
    state = {"state_dict": collections.OrderedDict(weights | head("module.encoder_k.fc.") | queue)}
    return {"epoch": 200, "arch": "resnet18", "optimizer": {"state": {0: {"momentum_buffer": torch.ones(2)}}}} | state


def moco_v3(own: State, other: State) -> Any:
    weights = behind("module.base_encoder.", own) | head("module.base_encoder.head.")
    weights |= behind("module.momentum_encoder.", other) | head("module.predictor.")
    return {"epoch": 1, "arch": "vit_small", "state_dict": weights}


def simsiam(own: State, other: State) -> Any:
    return {"state_dict": behind("module.encoder.", own) | head("module.encoder.fc.") | head("module.predictor.")}


def dino(own: State, other: State) -> Any:
    student = behind("module.backbone.", other) | head("module.head.mlp.")
    teacher = behind("backbone.", own) | head("head.mlp.")
    args = argparse.Namespace(arch="vit_small", lr=5e-4)
    loss = {"center": torch.ones(1, 8)}
    return {"student": student, "teacher": teacher, "epoch": 3, "args": args, "dino_loss": loss}


def dinov2_teacher(own: State, other: State) -> Any:
    masked = {"backbone.mask_token": torch.zeros(1, 4)}
    return {"teacher": behind("backbone.", own) | head("dino_head.mlp.") | head("ibot_head.mlp.") | masked}


def dinov2_training(own: State, other: State) -> Any:
    student = behind("student.backbone.", other) | head("student.dino_head.mlp.")
    return {"model": behind("teacher.backbone.", own) | student, "iteration": 7}


def mae(own: State, other: State) -> Any:
    decoder = head("decoder_blocks.0.mlp.") | {"decoder_pos_embed": torch.ones(2), "mask_token": torch.ones(2)}
    return {"model": dict(own) | decoder, "optimizer": {}, "epoch": 1, "args": argparse.Namespace(lr=1.0)}


def solo_learn(own: State, other: State) -> Any:
    weights = behind("backbone.", own) | behind("momentum_backbone.", other) | head("projector.")
    weights |= {"classifier.weight": torch.ones(10, 4), "classifier.bias": torch.ones(10)}
    hyper = {"method": "byol", "path": Path("data")}
    return {"epoch": 9, "pytorch-lightning_version": "1.6.4", "state_dict": weights, "hyper_parameters": hyper}


def lightning(own: State, other: State) -> Any:
    return {"epoch": 1, "global_step": 2, "state_dict": behind("model.", own), "loops": {}, "callbacks": {}}


def lightly(own: State, other: State) -> Any:
    return {"state_dict": behind("backbone.", numbered(own)) | head("projection_head.layers.")}


def lightly_train(own: State, other: State) -> Any:
    weights = behind("student_embedding_model.wrapped_model._model.", own) | head("student_projection_head.layers.")
    model = nn.Sequential(nn.Linear(2, 2))
    return {"state_dict": weights, "lightly_train": {"version": "0.11", "models": {"model": model}}}


def lightly_train_method(own: State, other: State) -> Any:
    return {"state_dict": behind("embedding_model.wrapped_model._model.", own) | head("projection_head.layers.")}


def vissl(own: State, other: State) -> Any:
    trunk = behind("_feature_blocks.", own)
    model = {"trunk": trunk, "heads": {"0.clf.0.weight": torch.ones(4, 4)}}
    return {"phase_idx": 9, "classy_state_dict": {"base_model": {"model": model}, "train": True}}


def vissl_trunk(own: State, other: State) -> Any:
    return {"model_state_dict": behind("_feature_blocks.", own)}


def compiled(own: State, other: State) -> Any:
    return {"model": behind("_orig_mod.module.", own)}


def timm_training(own: State, other: State) -> Any:
    return {"epoch": 1, "arch": "x", "state_dict": dict(own), "state_dict_ema": dict(other), "version": 2}


LAYOUTS: Mapping[str, tuple[MakeFile, str]] = {
    "moco": (moco, "state_dict.module.encoder_q"),
    "moco_v3": (moco_v3, "state_dict.module.base_encoder"),
    "simsiam": (simsiam, "state_dict.module.encoder"),
    "dinov2_teacher": (dinov2_teacher, "teacher.backbone"),
    "mae": (mae, "model"),
    "solo_learn": (solo_learn, "state_dict.backbone"),
    "lightning": (lightning, "state_dict.model"),
    "lightly": (lightly, "state_dict.backbone"),
    "lightly_train": (lightly_train, "state_dict.student_embedding_model.wrapped_model._model"),
    "lightly_train_method": (lightly_train_method, "state_dict.embedding_model.wrapped_model._model"),
    "vissl": (vissl, "classy_state_dict.base_model.model.trunk._feature_blocks"),
    "vissl_trunk": (vissl_trunk, "model_state_dict._feature_blocks"),
    "compiled": (compiled, "model._orig_mod.module"),
    "timm_training": (timm_training, "state_dict"),
}
"""Program -> what it saves, and where in it the weights are that it means."""
