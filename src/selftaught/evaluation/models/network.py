"""A model: an encoder, a linear layer on one of its stages, a temperature; images in, probabilities out."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from selftaught.data.store.samples import Samples
from selftaught.encoders.base import Encoder
from selftaught.encoders.feature_map import stage_features
from selftaught.encoders.modality import input_for, modality_of
from selftaught.evaluation.fit.classifier import Classifier
from selftaught.evaluation.fit.ridge import LinearClassifier
from selftaught.features.encode import CLIPS, sample_batches, samples_at_once
from selftaught.features.pool_stage import pool_stage
from selftaught.features.reader import POOLED
from selftaught.ops.colour import normalise
from selftaught.ops.crop import axis_weights

ALL_STAGES = "all"
"""As the stage of a head: the features of all stages, one after the other."""
AT_ONCE = 64
"""Images that are computed at once."""


class LinearHead(nn.Module):
    """Logits = (x - mean) / std @ weight + bias."""

    mean: Tensor
    std: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, features: int, num_classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("std", torch.ones(features))
        self.register_buffer("weight", torch.zeros(features, num_classes))
        self.register_buffer("bias", torch.zeros(num_classes))

    def forward(self, x: Tensor) -> Tensor:
        return ((x - self.mean) / self.std) @ self.weight + self.bias


class ClassModel(nn.Module):
    """Probabilities of classes.

    Attributes:
        stage: that the head reads, "all" for all of them, or "pooled" for `encoder(x)`.
        dims: that features of a stage are pooled to.
        size: side of the square images that the encoder sees, pixels.
        temperature: () that logits are divided by.
    """

    temperature: Tensor

    def __init__(self, encoder: Encoder, head: LinearHead, *, stage: str, dims: int, size: int) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head
        self.stage, self.dims, self.size = stage, dims, size
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        """Normalised images (N, 3, S, S), clips (N, 3, T, S, S) or log-mel images -> logits (N, K) float32."""
        if self.stage == POOLED:
            features = self.encoder(x).float()
        else:
            maps = stage_features(self.encoder, x)
            names = self.encoder.stages if self.stage == ALL_STAGES else (self.stage,)
            features = torch.cat([pool_stage(maps[name], self.dims) for name in names], 1)
        logits: Tensor = self.head(features) / self.temperature
        return logits

    def seen(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """What the encoder takes of a batch, cut at the centre and normalised, all in float32."""
        x = inputs[input_for(self.encoder.kind, inputs)]
        x = x.float() / 255 if x.dtype == torch.uint8 else x
        return modality_of(x).centre(x, self.size, self.encoder.kind)


class ImageModel(nn.Module):
    """A model with its preprocessing inside: uint8 (N, H, W, C), RGB or its channels -> probabilities (N, K)."""

    def __init__(self, model: ClassModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[1:3]
        high, wide = (torch.scalar_tensor(side, dtype=torch.float32) for side in (height, width))
        side = torch.minimum(high, wide)
        # As `ops.crop.centre_view`, with the sides as tensors: those of an exported model are not known in advance.
        rows = axis_weights(((high - side) / 2)[None], side[None], height, self.model.size)
        columns = axis_weights(((wide - side) / 2)[None], side[None], width, self.model.size)
        square = rows[:, None] @ (images.permute(0, 3, 1, 2).float() / 255) @ columns[:, None].mT
        probabilities: Tensor = self.model(normalise(square)).softmax(1)
        return probabilities


@torch.no_grad()
def logits_of(model: ClassModel, samples: Samples, device: torch.device) -> Tensor:
    """Logits (M, K) float32 on the CPU of all samples in order; those of the clips of a video, or of frames, averaged.

    Computed in float32, so that an exported model gives the same.

    Raises:
        ValueError: they are not finite.
    """
    model = model.to(device).eval()
    parts = []
    for views in sample_batches(
        samples, batch_size=samples_at_once(model.encoder, AT_ONCE), device=device, clips=CLIPS
    ):
        logits = [model(model.seen(batch.inputs)).unflatten(0, (len(batch), -1)).mean(1) for batch in views]
        parts.append(torch.stack(logits).mean(0).cpu())
    found = torch.cat(parts)
    if not found.isfinite().all():
        raise ValueError("the model's output is not finite; its training diverged, or its data are: fit it anew")
    return found


def model_of_stage(encoder: Encoder, classifier: LinearClassifier, *, stage: str, dims: int, size: int) -> ClassModel:
    """A classifier of a frozen stage."""
    head = LinearHead(*classifier.weight.shape)
    for name in ("mean", "std", "weight", "bias"):
        getattr(head, name).copy_(getattr(classifier, name).detach().cpu())
    return ClassModel(encoder.cpu(), head, stage=stage, dims=dims, size=size).eval()


def model_of_network(network: Classifier, *, size: int) -> ClassModel:
    """A fine-tuned encoder; the normalisation before its linear layer becomes numbers."""
    norm, linear = network.head
    assert isinstance(norm, nn.BatchNorm1d)
    assert isinstance(linear, nn.Linear)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    encoder = network.encoder.cpu().to(memory_format=torch.contiguous_format)
    classifier = LinearClassifier(
        mean=norm.running_mean, std=(norm.running_var + norm.eps).sqrt(), weight=linear.weight.T, bias=linear.bias
    )
    return model_of_stage(encoder, classifier, stage=POOLED, dims=0, size=size)
