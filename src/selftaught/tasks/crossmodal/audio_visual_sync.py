"""Audio-visual temporal synchronisation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Generator, Tensor, nn

from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch, Moments
from selftaught.data.inputs import Clip, Input, Sound
from selftaught.encoders.base import Encoder
from selftaught.encoders.spec import EncoderSpec
from selftaught.ops.colour import denormalise_clips
from selftaught.ops.sound.spectrogram import log_mel
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.clips.consistent_view import consistent_view
from selftaught.tasks.parts.losses import weighted_accuracy, weighted_mean
from selftaught.tasks.parts.sound_pairs import SoundPairs, pair_sounds

HELD_OUT_HARD = 0.5
"""Fraction of the mismatched pairs of held-out data that are of the same video, whatever the curriculum does."""


@dataclass
class Example:
    """Clips, sounds, and which sound each clip is shown with.

    Attributes:
        clips: (N, 3, T, S, S) normalised.
        sounds: (N, 1, mels, steps) log-mel.
        pairs: of N rows.
    """

    clips: Tensor
    sounds: Tensor
    pairs: SoundPairs


class AudioVisualSync(PretextTask):
    """Bring a clip near to its own audio and far from audio that is out of sync (Korbar, Tran, Torresani,
    NeurIPS 2018).

    Link: https://arxiv.org/abs/1807.00230 (AVTS)

    Flow: clip (N, T, 3, H, W) -> one crop for all frames (N, 3, T, S, S) -> video encoder (N, D) -> f_v (N, K); audio
    (N, S) -> log-mel (N, 1, 64, steps) -> audio encoder (N, 512) -> f_a (N, K). With d = |f_v - f_a| of a pair and
    y = 1 where both are in sync, the contrastive loss y d^2 + (1 - y) max(margin - d, 0)^2, a mean over the pairs.

    Half of the pairs are in sync. The others are easy, audio of another video, or hard, audio of the same video at
    another time. It starts with easy ones alone; after 55 % of the steps a quarter of them are hard. The paper calls
    such a curriculum critical.

    Easy pairs teach what things sound like; hard ones can only be told by what happens when, so that features of the
    clip follow movement.

    Held-out metrics: "accuracy" calls a pair in sync where d is below half the margin; the mean over pairs in sync and
    out of sync, half of which are hard. "auc_easy" and "auc_hard" are the probability that a pair in sync is nearer
    than one of that kind (chance 0.5), without a threshold.

    Shortcut: recordings are told apart by loudness, hum or codec; the place in the batch, the time in the video or
    padding at its ends could tell which pairs match. Guard: both clips of a video and both of its sounds take part in
    matched and mismatched pairs equally often, so none of them, nor its time, says anything by itself; every window is
    scaled to the same loudness; all sounds have one length and all clips one number of frames; silent moments do not
    count. Hard negatives do not overlap with what is seen, and are of one recording.

    Differences from the paper: any encoder of clips instead of MCx or R(2+1)D, the small ConvNet of `audio_visual` for
    log-mel of 64 bands instead of a VGG-like one; 16 frames instead of 25; a head of two layers on each encoder, whose
    result is normalised to unit length; AdamW.
    """

    encoders: ClassVar[Mapping[str, EncoderSpec]] = {
        "encoder": EncoderSpec("video"),
        "audio_encoder": EncoderSpec("audio"),
    }
    # Measured on GRID, 100 steps of 32 clips: accuracy 0.84, "auc_hard" 0.99; at an eighth of the rate 0.59 and 0.88.
    recipe = Recipe(optimizer="adamw", lr=8e-3, weight_decay=1e-2, clip=5.0)

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        frames: Annotated[int, Range(least=1)] = 16
        """Frames of a clip (T); 25 in the paper."""
        stride: Annotated[int, Range(least=1)] = 1
        """Distance between frames of a clip, in frames of the video."""
        seconds: Annotated[float, Range(least=0.2)] = 1.0
        """Length of the audio around the middle of the clip."""
        gap: Annotated[float, Range(least=0)] = 0.5
        """Least seconds between the end of one window of audio and the start of the other in hard pairs."""
        hard: Annotated[float, Range(least=0, most=1)] = 0.25
        """Fraction of the mismatched pairs that are hard, once they begin."""
        hard_after: Annotated[float, Range(least=0, most=1)] = 0.55
        """Share of the steps after which hard pairs begin; 1 for never."""
        margin: Annotated[float, Range(above=0, most=2)] = 0.99
        """Distance from which on mismatched pairs are far enough."""
        embedding: Annotated[int, Range(least=1)] = 128
        """Length K of the embeddings that are compared."""
        silence: Annotated[float, Range(least=0, below=1)] = 0.003
        """Loudness (RMS at full scale 1) below which audio counts as silent and is left out."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.5
        """Smallest share of the frame's area that a crop covers."""

    is_hard: Tensor
    """() bool, whether the curriculum has come to hard pairs."""

    def __init__(self, encoder: Encoder, config: Config, size: int, *, audio_encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.audio_encoder = audio_encoder
        self.config = config
        self.size = size
        self.head = _head(encoder.num_features, config.embedding)
        self.audio_head = _head(audio_encoder.num_features, config.embedding)
        self.register_buffer("is_hard", torch.tensor(config.hard_after == 0))

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        """A clip and the sound around its middle."""
        return {"video": Clip(frames=config.frames, stride=config.stride), "audio": Sound(seconds=config.seconds)}

    @classmethod
    def moments(cls, config: Config) -> Moments:
        """Two of each video, whose sounds do not overlap."""
        return Moments(clips_per_video=2, min_gap=config.seconds + config.gap)

    def chance(self, batch_size: int) -> float:
        return 0.5

    def after_step(self, step: int, total: int) -> None:
        """Hard pairs from a share of the steps on."""
        self.is_hard.fill_(step + 1 >= self.config.hard_after * total and self.config.hard_after < 1)

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Clips (N, T, 3, H, W) uint8 and sounds (N, S), two of each video -> `Example` of N pairs."""
        c = self.config
        clips = consistent_view(batch["video"], self.size, rng, min_scale=c.min_scale, jitter=0.5, grey=0.0, blur=0.0)
        hard = self.is_hard * c.hard if self.training else HELD_OUT_HARD
        pairs = pair_sounds(batch, rng, same_video=hard, apart=c.seconds + c.gap, silence=c.silence)
        return Example(clips, log_mel(batch["audio"]), pairs)

    def forward(self, example: Example) -> Tensor:
        """Distances (N,) of the pairs, in [0, 2]."""
        seen = self.head(self.encoder(example.clips)).float()
        heard = self.audio_head(self.audio_encoder(example.sounds)).float()
        apart = nn.functional.normalize(seen) - nn.functional.normalize(heard)[example.pairs.partner]
        # The root has no gradient at 0.
        return apart.square().sum(1).clamp(min=1e-12).sqrt()

    def matches(self, seen: Tensor, heard: Tensor) -> Tensor:
        """Cosine of the embeddings."""
        embedded = nn.functional.normalize(self.head(seen).float())
        return embedded @ nn.functional.normalize(self.audio_head(heard).float()).T

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """The contrastive loss over the pairs that count, and the metrics of the class's docstring."""
        pairs, margin = example.pairs, self.config.margin
        in_sync = pairs.target == 1
        each = torch.where(in_sync, prediction.square(), (margin - prediction).clamp(min=0).square())
        near = prediction.detach() < margin / 2
        matched = weighted_accuracy(near.float(), pairs.weight * in_sync, 0.5)
        mismatched = weighted_accuracy((~near).float(), pairs.weight * ~in_sync, 0.5)
        told = {"loss": weighted_mean(each, pairs.weight), "accuracy": (matched + mismatched) / 2}
        for name, kind in (("auc_easy", ~pairs.same_video), ("auc_hard", pairs.same_video)):
            told[name] = _auc(prediction.detach(), pairs.weight * in_sync, pairs.weight * (~in_sync & kind))
        return told

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """Each clip and the spectrogram it is paired with; whether they are in sync, and how far apart they are."""
        clips, pairs, shown = denormalise_clips(example.clips).transpose(1, 2), example.pairs, []
        for n in range(min(count, len(prediction))):
            sound = example.sounds[pairs.partner[n]].flip(1)
            low, high = sound.min(), sound.max()
            other = "same video, other time" if pairs.same_video[n] else "another video"
            truth = "in sync" if pairs.target[n] else f"out of sync ({other})"
            silent = "" if pairs.weight[n] else " (silent: left out)"
            distance = float(prediction[n].detach())
            verdict = "in sync" if distance < self.config.margin / 2 else "out of sync"
            shown.append(
                Shown(
                    inputs=[clips[n], (sound - low) / (high - low).clamp(min=1e-6)],
                    pseudo_label=truth + silent,
                    prediction=f"{verdict}: distance {distance:.2f}",
                )
            )
        return shown


def _head(width: int, embedding: int) -> nn.Sequential:
    """Two layers; batch normalisation brings both encoders' features to one scale."""
    return nn.Sequential(
        nn.BatchNorm1d(width), nn.Linear(width, embedding), nn.ReLU(inplace=True), nn.Linear(embedding, embedding)
    )


def _auc(distance: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """Probability that a positive pair is nearer than a negative one, by weights (N,); 0.5 where one kind is absent."""
    nearer = (distance[:, None] < distance[None]).float() + 0.5 * (distance[:, None] == distance[None]).float()
    weight = positive[:, None] * negative[None]
    total = weight.sum()
    return torch.where(total > 0, (nearer * weight).sum() / total.clamp(min=1e-6), 0.5)
