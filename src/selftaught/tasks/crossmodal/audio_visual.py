"""Audio-visual correspondence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch, Moments
from selftaught.data.inputs import Image, Input, Sound
from selftaught.encoders.base import Encoder
from selftaught.encoders.spec import EncoderSpec
from selftaught.ops.colour import denormalise, normalised_jitter
from selftaught.ops.crop import random_resized_crop
from selftaught.ops.sound.spectrogram import log_mel
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.losses import weighted_accuracy, weighted_mean
from selftaught.tasks.parts.sound_pairs import pair_sounds

SECONDS = 1.0


@dataclass
class Example:
    """Frames and sounds, and which sound each frame is shown with.

    Attributes:
        images: (N, 3, S, S) normalised.
        sounds: (N, 1, mels, steps) log-mel.
        partner: (N,) int64, the row of the sound that frame n is paired with.
        target: (N,) int64, 1 where frame and sound belong together.
        same_video: (N,) bool, the sound is of the frame's video, from whatever time.
        weight: (N,) float32, 0 for pairs that do not count because of silence.
    """

    images: Tensor
    sounds: Tensor
    partner: Tensor
    target: Tensor
    same_video: Tensor
    weight: Tensor


class AudioVisual(PretextTask):
    """Predict whether a frame and one second of audio belong together (Arandjelovic, Zisserman, ICCV 2017).

    Link: https://arxiv.org/abs/1705.08168

    Flow: frame (N, 3, H, W) -> crop (N, 3, S, S) -> image encoder (N, D); audio (N, 16000) -> log-mel (N, 1, 64, 100)
    -> audio encoder (N, 512); both of a pair -> 128 -> 2 -> cross entropy: correspond or not. In half of the pairs the
    audio is centred on the frame; in the other half it is from another video, or from another time of the same video.

    To decide, the network must know what things sound like, so it learns objects from the sounds they make.

    Shortcut: if all negatives are from other videos, recordings can be separated by loudness, hum or codec. Guard: a
    share of the negatives comes from the same video at another time (Korbar et al. 2018 found these hard negatives to
    matter), every window is scaled to the same loudness, and frames of silent moments are not used, neither with their
    own audio (the answer would be undefined) nor with other audio (it would always be a mismatch). Every second of
    audio and every frame is equally likely in positive and negative pairs, and pairs are shuffled, so the position in
    the batch reveals nothing.

    Differences from the paper: log-mel with 64 bands at 16 kHz instead of a 257 x 199 log spectrogram at 48 kHz; the
    image encoder is arbitrary instead of VGG-like; batch normalisation before the fusion; negatives also from the same
    video.
    """

    encoders: ClassVar[Mapping[str, EncoderSpec]] = {
        "encoder": EncoderSpec("image"),
        "audio_encoder": EncoderSpec("audio"),
    }
    recipe = Recipe(optimizer="adamw", lr=2e-3, weight_decay=1e-2)

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        same_video: Annotated[float, Range(least=0, most=1)] = 0.5
        """Fraction of the mismatched pairs with audio from another time of the same video; the rest use another
        video."""
        silence: Annotated[float, Range(least=0, below=1)] = 0.003
        """Loudness (RMS at full scale 1) below which a second of audio counts as silent and is left out."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.4
        """Smallest share of the frame's area that a crop covers."""
        hidden: Annotated[int, Range(least=1)] = 128
        """Width of the layer that joins both features."""

    def __init__(self, encoder: Encoder, config: Config, size: int, *, audio_encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.audio_encoder = audio_encoder
        self.config = config
        self.size = size
        width = encoder.num_features + audio_encoder.num_features
        # The two networks' features differ in scale; brought to one, pairs are learned several times sooner (measured:
        # 0.85 instead of 0.67 after 40 steps on the clips of the learning test).
        self.head = nn.Sequential(
            nn.BatchNorm1d(width), nn.Linear(width, config.hidden), nn.ReLU(), nn.Linear(config.hidden, 2)
        )

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        """One frame and the second of sound around it."""
        return {"image": Image(), "audio": Sound(seconds=SECONDS)}

    @classmethod
    def moments(cls, config: Config) -> Moments:
        """Two of each video, a second or more apart."""
        return Moments(clips_per_video=2, min_gap=SECONDS)

    def chance(self, batch_size: int) -> float:
        return 0.5

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Frame (N, 3, H, W) uint8 and sound (N, S) of N rows -> `Example` of N pairs."""
        c = self.config
        crops = random_resized_crop(batch["image"], self.size, rng, scale=(c.min_scale, 1.0))
        images = normalised_jitter(crops, rng, brightness=0.4, contrast=0.4, saturation=0.4, hue=0.0, grey=0.0)
        # Windows that overlap share sound: they would be mismatched by label only.
        pairs = pair_sounds(batch, rng, same_video=c.same_video, apart=SECONDS, silence=c.silence)
        return Example(
            images=images,
            sounds=log_mel(batch["audio"]),
            partner=pairs.partner,
            target=pairs.target,
            same_video=pairs.same_video,
            weight=pairs.weight,
        )

    def forward(self, example: Example) -> Tensor:
        """Logits (N, 2) of the pairs; class 1 is "belong together"."""
        seen, heard = self.encoder(example.images), self.audio_encoder(example.sounds)
        logits: Tensor = self.head(torch.cat([seen, heard[example.partner]], 1))
        return logits

    def matches(self, seen: Tensor, heard: Tensor) -> Tensor:
        """Probability that they belong together."""
        pairs = torch.cat([seen.repeat_interleave(len(heard), 0), heard.repeat(len(seen), 1)], 1)
        together: Tensor = self.head(pairs).float().softmax(1)[:, 1]
        return together.view(len(seen), len(heard))

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """The mean over the pairs that count; also the accuracy on each kind of pair."""
        each = F.cross_entropy(prediction.float(), example.target, reduction="none")
        right = (prediction.detach().argmax(1) == example.target).float()
        positive = example.target == 1
        matched = weighted_accuracy(right, example.weight * positive, 0.5)
        mismatched = weighted_accuracy(right, example.weight * ~positive, 0.5)
        return {
            "loss": weighted_mean(each, example.weight),
            "accuracy": (matched + mismatched) / 2,
            "accuracy_same_video": weighted_accuracy(right, example.weight * (~positive & example.same_video), 0.5),
            "accuracy_other_video": weighted_accuracy(right, example.weight * (~positive & ~example.same_video), 0.5),
        }

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """Each frame and the spectrogram it is paired with; whether they belong together, and how probable that is."""
        shown = []
        chance = prediction.detach().float().softmax(1)[:, 1]
        for n in range(min(count, len(prediction))):
            sound = example.sounds[example.partner[n]].flip(1)
            low, high = sound.min(), sound.max()
            other = "same video, other time" if example.same_video[n] else "another video"
            truth = "belong together" if example.target[n] else f"do not belong together ({other})"
            silent = "" if example.weight[n] else " (silent: left out)"
            shown.append(
                Shown(
                    inputs=[denormalise(example.images[n : n + 1])[0], (sound - low) / (high - low).clamp(min=1e-6)],
                    pseudo_label=truth + silent,
                    prediction=f"belong together: {float(chance[n]):.2f}",
                )
            )
        return shown
