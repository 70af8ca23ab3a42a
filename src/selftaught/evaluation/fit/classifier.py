"""An encoder with a linear layer behind it, and the loop that trains both on labels."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torch.optim import SGD

from selftaught.core.precision import autocast
from selftaught.core.progress import StepProgress
from selftaught.core.randomness import generator, seed_from
from selftaught.data.batch import Batch, Sampling
from selftaught.data.inputs import Given
from selftaught.data.loader import Loader
from selftaught.data.store.samples import Samples
from selftaught.encoders.base import Encoder
from selftaught.encoders.modality import encoder_view, input_for, modality_of
from selftaught.encoders.names import Kind
from selftaught.evaluation.fit.freezing import train_unfrozen
from selftaught.features.encode import probe_sampling, sample_batches, samples_at_once
from selftaught.features.reader import Reader
from selftaught.training.optimizers import learning_rate

WARMUP = 0.05
"""Share of the steps in which the learning rate rises."""
LOOK_EVERY = 50
"""Steps after which it is looked whether the loss is still a number."""
HEAD_FEATURES = 512
"""Up to this number the head's learning rate is as given."""


class DivergedError(Exception):
    """The loss is no longer a number."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to train; `lr` is the encoder's, `head_lr` the linear layer's on up to `HEAD_FEATURES` features.

    `class_weights` are those of the loss of each class (K,).
    """

    steps: int
    batch_size: int
    lr: float
    head_lr: float
    weight_decay: float
    min_scale: float
    class_weights: tuple[float, ...] | None = None


class Classifier(nn.Module):
    """Pooled features, batch normalisation without affine, a linear layer that starts at 0.

    The normalisation makes one learning rate serve features of any scale (MAE, He et al., CVPR 2022, appendix A.1); a
    head of zeros leaves the encoder as it is until the head knows something (BiT, Kolesnikov et al., ECCV 2020).
    """

    def __init__(self, encoder: Encoder, num_classes: int, precision: str) -> None:
        super().__init__()
        self.encoder = encoder
        self.precision = precision
        linear = nn.Linear(encoder.num_features, num_classes)
        nn.init.zeros_(linear.weight)
        nn.init.zeros_(linear.bias)
        self.head = nn.Sequential(nn.BatchNorm1d(encoder.num_features, affine=False), linear)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised images (N, 3, S, S), or clips (N, 3, T, S, S), -> logits (N, K) float32."""
        with autocast(x.device, self.precision):
            features = self.encoder(x)
        logits: Tensor = self.head(features.float())
        return logits


def fit(network: Classifier, samples: Samples, recipe: Recipe, *, size: int, device: torch.device, seed: int) -> float:
    """Train what is not frozen, by Nesterov SGD on random-resized crops, the same for all frames of a clip.

    A function of `seed`.

    An epoch may be shorter than a step: few samples come several times in a batch, each time with another crop.

    Returns:
        The accuracy in [0, 1] on the training crops of the last tenth of the steps.

    Raises:
        DivergedError: the loss is no longer a number.
    """
    kind = network.encoder.kind
    sampling = Sampling(inputs={**probe_sampling(network.encoder).inputs, "label": Given("label")})
    loader = Loader(samples, sampling=sampling, batch_size=recipe.batch_size, seed=seed, device=device)
    optimizer = SGD(parameter_groups(network, recipe), lr=recipe.lr, momentum=0.9, nesterov=True, fused=True)
    train_unfrozen(network)
    late: list[Tensor] = []
    title = f"training on {len(samples):,} labels with learning rate {recipe.lr:g}"
    weight = None if recipe.class_weights is None else torch.tensor(recipe.class_weights, device=device)
    with contextlib.closing(loader), StepProgress(title, recipe.steps) as progress:
        for step in range(recipe.steps):
            batch = loader.batch(step)
            rng = generator(seed, "finetune", step, device=device)
            crops = random_crops(batch, size, rng, recipe.min_scale, kind)
            torch.manual_seed(seed_from(seed, "network", step))  # dropout draws from the global generator
            logits = network(crops)
            loss = F.cross_entropy(logits.float(), batch["label"], weight)
            loss.backward()
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, recipe.steps, group["peak"], WARMUP)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            is_end = step == recipe.steps - 1
            if (is_end or step % LOOK_EVERY == 0) and not torch.isfinite(loss):
                raise DivergedError
            if step >= recipe.steps - max(1, recipe.steps // 10):
                late.append((logits.detach().argmax(1) == batch["label"]).float().mean())
            progress.update(step + 1)
    return float(torch.stack(late).mean())


def random_crops(batch: Batch, size: int, rng: Generator, min_scale: float, kind: Kind = "image") -> Tensor:
    """Normalised random-resized crops as an encoder of that kind takes them: (N, 3, [T,] size, size)."""
    x = batch[input_for(kind, batch.inputs)]
    return modality_of(x).training_view(x, size, rng, min_scale=min_scale)


def parameter_groups(network: Classifier, recipe: Recipe) -> list[dict[str, Any]]:
    """What is trained, each with its peak learning rate; vectors (biases, normalisation) are not decayed."""
    # The curvature of the loss over the head's weights grows with the number of normalised features.
    head_lr = recipe.head_lr * min(1.0, HEAD_FEATURES / network.encoder.num_features)
    groups = []
    for part, peak in ((network.encoder, recipe.lr), (network.head, head_lr)):
        trained = [p for p in part.parameters() if p.requires_grad]
        matrices, vectors = [p for p in trained if p.ndim > 1], [p for p in trained if p.ndim <= 1]
        groups += [
            {"params": matrices, "peak": peak, "weight_decay": recipe.weight_decay},
            {"params": vectors, "peak": peak, "weight_decay": 0.0},
        ]
    return [group for group in groups if group["params"]]


@torch.no_grad()
def predict(network: Classifier, samples: Samples, reader: Reader, *, as_probabilities: bool = False) -> Tensor:
    """Logits (M, K) float32 on the CPU of all samples in order, from the central square; clips of a video averaged.

    With `as_probabilities` the softmax of each clip's logits, averaged.
    """
    network.eval()
    parts = []
    at_once = samples_at_once(network.encoder, reader.batch_size)
    for views in sample_batches(samples, batch_size=at_once, device=reader.device, clips=reader.clips):
        logits = torch.stack([network(encoder_view(network.encoder, batch.inputs, reader.size)) for batch in views])
        parts.append((logits.softmax(2) if as_probabilities else logits).mean(0).cpu())
    return torch.cat(parts)
