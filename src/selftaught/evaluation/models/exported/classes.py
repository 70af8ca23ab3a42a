"""A model of classes as an ONNX program: images as they are in, the probability of each class out."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import torch

from selftaught.evaluation.models.network import ClassModel, ImageModel

if TYPE_CHECKING:
    import onnx


def classes_program(model: ClassModel, told: dict[str, str]) -> onnx.ModelProto:
    """uint8 images (N, H, W, C) of one size -> "probabilities" (N, K) float32, calibrated; `told` is its metadata."""
    from onnx import helper

    axes = {0: torch.export.Dim("batch", min=1), 1: torch.export.Dim("height", min=8)}
    axes[2] = torch.export.Dim("width", min=8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own code
        found = torch.onnx.export(
            ImageModel(model).eval(),
            (torch.zeros(2, 40, 48, model.encoder.channels, dtype=torch.uint8),),
            input_names=["images"],
            output_names=["probabilities"],
            dynamic_shapes=(axes,),
            dynamo=True,
            verbose=False,
        )
    assert found is not None
    program: onnx.ModelProto = found.model_proto
    helper.set_model_props(program, told)
    return program
