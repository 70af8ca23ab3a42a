"""Video prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Input
from selftaught.encoders.base import Encoder, EncoderSpec
from selftaught.ops.frames import square_crops
from selftaught.ops.sheet import lay_strip
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.adversarial import own_statistics, players_of_game, recipe_of_game
from selftaught.tasks.parts.clips.conv_lstm import Forecaster
from selftaught.tasks.parts.clips.horizon import horizon_scalars, psnr_over_horizon
from selftaught.tasks.parts.clips.lstm_decoder import LSTMDecoder
from selftaught.tasks.parts.clips.mcnet import SCALES, MCNet
from selftaught.tasks.parts.clips.short_clips import encoder_of, for_encoder
from selftaught.tasks.parts.discriminators import Discriminator
from selftaught.tasks.parts.hypercolumn import Hypercolumn, placed_stages
from selftaught.tasks.parts.losses import discriminator_bce, generator_bce

OWN: Mapping[str, tuple[str, ...]] = {
    "conditional": ("lstm",),
    "reconstruction": ("lstm",),
    "layers": ("convlstm",),
    "kernel": ("convlstm",),
    "patch": ("convlstm",),
    "clip": ("mcnet",),
    "adversarial": ("mcnet",),
}
"""Settings that not every model has -> the models that have them."""


@dataclass
class Example:
    """Frames (N, T, 3, S, S) and the K that follow them (N, K, 3, S, S), in [0, 1], cut by one window."""

    past: Tensor
    future: Tensor


@dataclass
class Prediction:
    """Generated frames in [0, 1], and what the losses are of.

    Attributes:
        future: (N, K, 3, S, S) predicted frames.
        pixel_logits: of the same shape, for a cross entropy of pixels.
        reversed_past: (N, T, 3, S, S), the frames given back, the last one first.
        made_logits, real_logits: (N,) of the discriminator.
    """

    future: Tensor
    pixel_logits: Tensor | None = None
    reversed_past: Tensor | None = None
    made_logits: Tensor | None = None
    real_logits: Tensor | None = None


class VideoPrediction(PretextTask):
    """Predict the frames that follow a clip (Srivastava, Mansimov, Salakhutdinov, ICML 2015).

    Link: https://arxiv.org/abs/1502.04681 (lstm), https://arxiv.org/abs/1506.04214 (convlstm: Shi, Chen, Wang, Yeung,
    Wong, Woo, NIPS 2015), https://arxiv.org/abs/1706.08033 (mcnet: Villegas, Yang, Hong, Lin, Lee, ICLR 2017)

    Flow: clip (N, T + K, 3, H, W) -> one square crop for all its frames -> T frames of the past -> encoder and
    `--task.model` -> K frames of the future (N, K, 3, S, S):

    - `lstm`, the composite model: encoder of the past clip (N, D) -> the first state of two LSTMs, of which one gives
      back the past in reverse order and the other predicts the future -> up-convolutions for each state -> squared
      errors, added. The encoder is `lstm:resnet18`, an LSTM over the features of frames, or any other of clips. With
      `--task.conditional true` each LSTM sees the frame before: the true one in training, its own otherwise.
      `--task.reconstruction 0` is the future predictor of the paper.
    - `convlstm`: encoder of the past clip, all stages on a grid of S / 4, a map for each frame (N, T, C, S / 4, S / 4)
      -> stacked ConvLSTMs with peepholes -> as many, which go on from their states without an input -> all their
      hidden states -> 1 x 1 convolution -> 4 x 4 pixels for each place -> cross entropy of the pixels. The encoder is
      `mean:resnet18`, which sees each frame, or any other of clips with maps.
    - `mcnet`: differences of frames -> convolutions -> ConvLSTM (motion); last frame -> encoder (content); both ->
      decoder with residuals of both at three scales -> the next frame, and so on from there -> squared error +
      difference of gradients + `adversarial` x adversarial loss of the whole clip (alpha = 1, beta = 0.02). The encoder
      is one of images; with `--task.clip 4`, one of clips sees the last 4 frames.

    To go on, the network must know what moves, how, and what appears behind it.

    Shortcut: a network that copies the last frame has a small error wherever little moves, and black bars are predicted
    without any knowledge. Guard: bars are cut off (`ops.frames.without_bars`); the metric is the gain in PSNR over
    copying the last frame, the mean over the horizon of frames and clips, at most 50 dB for each. It is at most 0 on
    clips of one repeated frame, and on noise 3 dB, which the mean frame has. No pixel of the future reaches a
    prediction. Held-out evaluation logs PSNR and SSIM at each step (psnr_1 ... psnr_K) and those of copying
    (copy_psnr_1 ...), which the report draws over the horizon.

    Differences from the papers. All: colour frames, S x S. lstm: frames enter through an encoder of images and leave
    through up-convolutions, not as raw pixels or features of a trained network; the state is a linear function of the
    encoder's last state or of its pooled features, so that any encoder of clips can be trained; the decoders have 512
    units (2,048 in the paper). convlstm: places stand for the stages of an encoder, not for 4 x 4 pixels; 64 channels
    in two layers (128). mcnet: the encoder takes the place of the paper's VGG-like content encoder, the stage nearest
    to each scale gives its residual, and the one at the whole side also sees the last frame; half of the channels
    (64 with `--task.width 64`); the discriminator is updated in every step, not only while its loss is large. Adam
    takes the place of RMSProp, with a cosine.
    """

    recipe = Recipe(optimizer="adamw", lr=4e-3, weight_decay=1e-4, clip=5.0)
    encoders: ClassVar[Mapping[str, EncoderSpec]] = {"encoder": EncoderSpec("video", default="lstm:resnet18")}

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        model: Literal["lstm", "convlstm", "mcnet"] = "lstm"
        """Composite LSTM, ConvLSTM, or motion and content."""
        frames: Annotated[int, Range(least=2)] = 10
        """Frames that are seen (T)."""
        future: Annotated[int, Range(least=1)] = 10
        """Frames that are predicted (K)."""
        stride: Annotated[int, Range(least=1)] = 1
        """Distance between frames, in frames of the video."""
        width: Annotated[int, Range(least=0)] = 0
        """Units of each LSTM, or channels of a ConvLSTM or of MCNet at the whole side; 0 uses 512, 64 and 32."""
        conditional: bool = False
        """Whether the LSTMs see the frame before the one they generate (lstm)."""
        reconstruction: Annotated[float, Range(least=0)] = 1.0
        """Weight of giving back the past; 0 predicts the future alone (lstm)."""
        layers: Annotated[int, Range(least=1)] = 2
        """Layers of each stack (convlstm)."""
        kernel: Annotated[int, Range(least=1)] = 5
        """Side of the kernels, odd (convlstm)."""
        patch: Annotated[int, Range(least=1)] = 4
        """Side of the square of pixels that a place stands for (convlstm)."""
        clip: Annotated[int, Range(least=1)] = 1
        """Frames of the short clip that an encoder of clips sees instead of the last frame; 1 takes an encoder of
        images (mcnet)."""
        adversarial: Annotated[float, Range(least=0)] = 0.02
        """Weight beta of the adversarial loss; 0 trains without a discriminator (mcnet)."""
        least_side: Annotated[float, Range(above=0, most=1)] = 0.8
        """Smallest side of the crop, as a share of the short side between black bars."""

        def __post_init__(self) -> None:
            super().__post_init__()
            for name, models in OWN.items():
                if self.model not in models and getattr(self, name) != type(self).__dataclass_fields__[name].default:
                    raise ValueError(
                        f"--task.{name} is a setting of --task.model {' and '.join(models)}, got --task.model "
                        f"{self.model}; leave it out or change the model"
                    )
            if self.kernel % 2 == 0:
                raise ValueError(f"--task.kernel must be odd, got {self.kernel}")
            if self.clip > self.frames:
                raise ValueError(f"--task.clip must be at most --task.frames, which is {self.frames}, got {self.clip}")

        @property
        def has_game(self) -> bool:
            """Whether a discriminator plays."""
            return self.model == "mcnet" and self.adversarial > 0

    @classmethod
    def recipe_for(cls, config: Config) -> Recipe:
        """With an adversarial loss, Adam as in MCNet: 1e-4 for 8 clips."""
        if not config.has_game:
            return cls.recipe
        return recipe_of_game(Recipe(optimizer="adamw", lr=3.2e-3, weight_decay=0.0, betas=(0.5, 0.999)), 1.0)

    @classmethod
    def encoders_for(cls, config: Config) -> Mapping[str, EncoderSpec]:
        """Of clips, of the content of an image, or of that of a short clip."""
        if config.model == "convlstm":
            return {"encoder": EncoderSpec("video", default="mean:resnet18")}
        return encoder_of(config.clip) if config.model == "mcnet" else cls.encoders

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        return {
            "past": Clip(frames=config.frames, stride=config.stride),
            "future": Clip(frames=config.future, stride=config.stride, after="past"),
        }

    @classmethod
    def clip_for(cls, config: Config) -> Clip:
        """The past, or of MCNet the short clip at its end."""
        return Clip(frames=config.clip if config.clip > 1 else config.frames, stride=config.stride)

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        step = {"lstm": 1, "convlstm": config.patch, "mcnet": 1 << SCALES}[config.model]
        if size % step:
            raise ValueError(
                f"--task.model {config.model} predicts frames whose side is a multiple of {step} pixels, got --size "
                f"{size}; use --size {max(step, size // step * step)} or {size // step * step + step}"
            )
        self.head = HEADS[config.model](encoder, config, size)
        shown = 3 * (config.frames + config.future)
        self.discriminator = Discriminator(size, channels=shown) if config.has_game else None

    def players(self) -> Mapping[str, tuple[str, ...]]:
        return players_of_game(float(self.config.has_game))

    def metric_name(self) -> str:
        return "psnr_gain"

    def chance(self, batch_size: int) -> float:
        """The last frame, copied."""
        return 0.0

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Past (N, T, 3, H, W) and future (N, K, 3, H, W) uint8 -> `Example`, cut by one window."""
        video = torch.cat([batch["past"], batch["future"]], 1)
        frames = square_crops(video, self.size, rng, least_side=self.config.least_side)
        return Example(*frames.split([self.config.frames, self.config.future], 1))

    def forward(self, example: Example, player: str = "generator") -> Prediction:
        """Predicted frames, and the discriminator's logits of them behind the true past."""
        if player == "discriminator":
            assert self.discriminator is not None
            with torch.no_grad(), own_statistics(self.encoder):
                prediction: Prediction = self.head(self.encoder, example)
            prediction.made_logits, prediction.real_logits = self._judged(prediction.future, example)
            return prediction
        prediction = self.head(self.encoder, example)
        if self.discriminator is not None:
            prediction.made_logits, prediction.real_logits = self._judged(prediction.future, example)
        return prediction

    def _judged(self, future: Tensor, example: Example) -> tuple[Tensor, Tensor]:
        """Logits (N,) of generated and of true clips, in one batch: they share the statistics of its normalisation."""
        assert self.discriminator is not None
        clips = torch.cat([torch.cat([example.past, x.to(example.past.dtype)], 1) for x in (future, example.future)])
        made, real = self.discriminator(2 * clips.flatten(1, 2) - 1).chunk(2)
        return made, real

    def loss(self, prediction: Prediction, example: Example, player: str = "generator") -> dict[str, Tensor]:
        """The player's loss; for the generator also the gain over copying, and held out each step's PSNR and SSIM."""
        made, real = prediction.made_logits, prediction.real_logits
        if player == "discriminator":
            assert made is not None
            assert real is not None
            loss, accuracy = discriminator_bce(real, made)
            return {"loss": loss, "discriminator_accuracy": accuracy}
        found = prediction.future.float()
        squared = (found - example.future).square().mean()
        scalars = {"loss": squared, "error": squared.detach()}
        if prediction.pixel_logits is not None:
            scalars["loss"] = F.binary_cross_entropy_with_logits(prediction.pixel_logits.float(), example.future)
        if prediction.reversed_past is not None:
            again = (prediction.reversed_past.float() - example.past.flip(1)).square().mean()
            scalars |= {"loss": squared + self.config.reconstruction * again, "reconstruction": again.detach()}
        if self.config.model == "mcnet":
            # Frames in [-1, 1] have four times the squared error, as in the authors' code.
            scalars["loss"] = 4 * squared + gradient_difference(found, example.future)
        if made is not None:
            adversarial = generator_bce(made)
            scalars["loss"] = scalars["loss"] + self.config.adversarial * adversarial
            scalars["adversarial"] = adversarial.detach()
        return scalars | self._fidelity(found.detach(), example)

    def _fidelity(self, found: Tensor, example: Example) -> dict[str, Tensor]:
        last = example.past[:, -1]
        reached, copied = psnr_over_horizon(last, example.future, found)
        scalars = {"psnr_gain": (reached - copied).mean(), "psnr": reached.mean()}
        return scalars if self.training else scalars | horizon_scalars(last, example.future, found)

    def show(self, example: Example, prediction: Prediction, count: int) -> list[Shown]:
        """The past, the true future and the predicted one; also their frames, the true ones above."""
        future = prediction.future.detach().float()
        found = []
        for past, true, predicted in zip(example.past[:count], example.future, future, strict=False):
            frames = torch.cat([lay_strip(true), lay_strip(predicted)], 1)
            found.append(Shown(inputs=[past, frames], pseudo_label=true, prediction=predicted))
        return found


class _Lstm(nn.Module):
    """`--task.model lstm`."""

    def __init__(self, encoder: Encoder, config: VideoPrediction.Config, size: int) -> None:
        super().__init__()
        self.is_sequence = encoder.stage_kind(encoder.stages[-1]) == "sequence"

        def decoder() -> LSTMDecoder:
            features, width = encoder.num_features, config.width or 512
            return LSTMDecoder(features, size, width=width, conditional=config.conditional)

        self.future = decoder()
        self.past = decoder() if config.reconstruction else None

    def forward(self, encoder: Encoder, example: Example) -> Prediction:
        clips = for_encoder(example.past[:, None])
        # The state after the last frame is what the paper hands on.
        features = encoder.forward_features(clips)[:, -1] if self.is_sequence else encoder(clips)
        past = None if self.past is None else self.past(features, example.past.flip(1)).sigmoid()
        return Prediction(self.future(features, example.future).sigmoid(), reversed_past=past)


class _ConvLstm(nn.Module):
    """`--task.model convlstm`."""

    def __init__(self, encoder: Encoder, config: VideoPrediction.Config, size: int) -> None:
        super().__init__()
        width, side = config.width or 64, size // config.patch
        self.maps = Hypercolumn(encoder, size, out=width, side=side, width=width, frames=config.frames)
        self.forecast = Forecaster(
            width, side, width=width, layers=config.layers, kernel=config.kernel, patch=config.patch
        )

    def forward(self, encoder: Encoder, example: Example) -> Prediction:
        maps = self.maps(placed_stages(encoder, for_encoder(example.past[:, None])))
        logits = self.forecast(maps.transpose(1, 2), example.future.shape[1])
        return Prediction(logits.sigmoid(), pixel_logits=logits)


class _McNet(nn.Module):
    """`--task.model mcnet`."""

    def __init__(self, encoder: Encoder, config: VideoPrediction.Config, size: int) -> None:
        super().__init__()
        self.net = MCNet(encoder, size, clip=config.clip, width=config.width or 32)

    def forward(self, encoder: Encoder, example: Example) -> Prediction:
        return Prediction(self.net(encoder, example.past, example.future.shape[1]))


HEADS: Mapping[str, type[nn.Module]] = {"lstm": _Lstm, "convlstm": _ConvLstm, "mcnet": _McNet}


def gradient_difference(found: Tensor, frames: Tensor) -> Tensor:
    """Mean absolute difference of the steepness between neighbours, down and across (Mathieu et al. 2016, lambda = 1).

    Frames (..., H, W).
    """
    total = found.new_zeros(())
    for axis in (-2, -1):
        total = total + (found.diff(dim=axis).abs() - frames.diff(dim=axis).abs()).abs().mean()
    return total
