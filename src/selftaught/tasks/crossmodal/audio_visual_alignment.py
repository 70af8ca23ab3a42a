"""Audio-visual alignment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from selftaught.core.randomness import uniform
from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch, Moments
from selftaught.data.inputs import Clip, Input, Sound
from selftaught.encoders.base import Encoder
from selftaught.encoders.feature_map import channels_first
from selftaught.encoders.spec import EncoderSpec
from selftaught.ops.colour import denormalise_clips
from selftaught.ops.sound.spectrogram import log_mel, rms
from selftaught.tasks.base import PretextTask, Recipe, Shown
from selftaught.tasks.parts.clips.consistent_view import consistent_view
from selftaught.tasks.parts.losses import weighted_accuracy, weighted_mean

HEARD = 128
"""Channels of the sound that is added, as in the paper."""


@dataclass
class Example:
    """Clips, and two sounds for each.

    Attributes:
        clips: (N, 3, T, S, S) normalised.
        sounds: (N, 1, mels, steps) log-mel, of the same moments.
        partner: (N,) int64, the row of the shifted sound.
        weight: (N,) float32, 0 where there is no shifted sound, or one of the two is silent.
    """

    clips: Tensor
    sounds: Tensor
    partner: Tensor
    weight: Tensor


class AudioVisualAlignment(PretextTask):
    """Predict whether the sound of a clip is aligned with it or shifted in time (Owens, Efros, ECCV 2018).

    Link: https://arxiv.org/abs/1804.03641 (Multisensory; code: https://github.com/andrewowens/multisensory)

    Flow: two moments of each video, clips (N, T, 3, H, W) and audio (N, S) -> one crop for all frames (N, 3, T, S, S)
    -> first stages of the video encoder (N, C, T', H', W'), computed once; log-mel (N, 1, 64, steps) -> audio encoder,
    the maximum over frequencies (N, 512, steps'), the mean over the time of each of the T' -> convolution (N, 128, T').
    Each clip is joined with its own sound and with that of the other moment (2 N): both side by side through two layers
    at every position, whose result is added to the features of the clip (2 N, C, T', H', W') -> later stages of the
    video encoder, mean (2 N, D) -> linear (2 N): cross entropy, aligned or shifted.

    Neither what is seen nor what is heard says which of both sounds is shifted; only what moves when it is heard does.
    The network sees and hears in its middle stages, so that it can learn of single movements and sounds.

    Alone, the video encoder runs without anything added, and so is kept, exported and measured; the audio encoder is
    complete before it is joined.

    Held-out metrics: "accuracy" over both sounds of every clip, and "accuracy_ranked", the share of clips whose own
    sound is found more aligned than the shifted one (chance 0.5).

    Shortcut: a sound, the place of a clip in the video or padding at its ends could tell whether it is shifted. Guard:
    each clip is shown with both, in one batch, and each sound is heard once aligned and once shifted; every window of
    audio has one length and is scaled to one loudness, and silent moments do not count.

    Preview: "where" it sounds is the class activation map, the weights of the last layer at each position of the last
    stage; red is for aligned.

    Differences from the paper: any encoder of clips, whose stages after `fuse_after` are the fused ones, instead of its
    3-D ResNet; log-mel in mono and `audio_convnet` instead of convolutions of the stereo waveform at 21 kHz; the mean
    instead of the maximum over the audio of a frame; the joined features are added to those of the clip instead of
    replacing them, so that the encoder runs alone; the clips are those of two moments, instead of one of them and any
    other 4.2 s of 10.1; 16 frames of 1.25 s, which may overlap by half as there, instead of 125 of 4.2 s; AdamW instead
    of SGD.
    """

    encoders: ClassVar[Mapping[str, EncoderSpec]] = {
        "encoder": EncoderSpec("video"),
        "audio_encoder": EncoderSpec("audio"),
    }
    recipe = Recipe(optimizer="adamw", lr=8e-3, weight_decay=1e-2, clip=5.0)

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        frames: Annotated[int, Range(least=1)] = 16
        """Frames of a clip (T); 125 in the paper, of which it takes every fourth at first."""
        stride: Annotated[int, Range(least=1)] = 2
        """Distance between frames of a clip, in frames of the video."""
        seconds: Annotated[float, Range(least=0.2)] = 1.25
        """Length of the audio around the middle of the clip; the clip should be about as long."""
        shift: Annotated[float, Range(above=0)] = 0.65
        """Least seconds by which shifted audio is before or after its clip."""
        fuse_after: Annotated[int, Range(least=1)] = 2
        """Stage of the video encoder, counted from 1, after which the sound is added."""
        hidden: Annotated[int, Range(least=1)] = 128
        """Width of the layer that joins both, at every position; 512 in the paper."""
        silence: Annotated[float, Range(least=0, below=1)] = 0.003
        """Loudness (RMS at full scale 1) below which audio counts as silent and is left out."""
        min_scale: Annotated[float, Range(above=0, most=1)] = 0.5
        """Smallest share of the frame's area that a crop covers."""

    def __init__(self, encoder: Encoder, config: Config, size: int, *, audio_encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.audio_encoder = audio_encoder
        self.config = config
        self.size = size
        if config.fuse_after >= len(encoder.stages):
            raise ValueError(
                f"--task.fuse_after must be below {len(encoder.stages)}, the number of stages of encoder "
                f"'{encoder.name}' ({', '.join(encoder.stages)}), got {config.fuse_after}"
            )
        stage = encoder.stages[config.fuse_after - 1]
        self.merge = Merge(_channels(encoder, stage, config.frames, size), audio_encoder.num_features, config.hidden)
        self.joint = nn.Linear(encoder.num_features, 1)
        encoder.stage_output(stage)  # refuses an encoder into which nothing can be added

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        """A clip and the sound around its middle."""
        return {"video": Clip(frames=config.frames, stride=config.stride), "audio": Sound(seconds=config.seconds)}

    @classmethod
    def moments(cls, config: Config) -> Moments:
        """Two of each video, each of which gives the other its shifted sound."""
        return Moments(clips_per_video=2, min_gap=config.shift)

    def chance(self, batch_size: int) -> float:
        return 0.5

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Clips (N, T, 3, H, W) uint8 and sounds (N, S), two of each video -> `Example`."""
        c = self.config
        assert batch.time is not None
        clips = consistent_view(batch["video"], self.size, rng, min_scale=c.min_scale, jitter=0.0, grey=0.0, blur=0.0)
        loud = rms(batch["audio"]) >= c.silence
        apart = (batch.time[:, None] - batch.time[None]).abs() >= c.shift - 1e-3
        allowed = (batch.index[:, None] == batch.index[None]) & apart
        partner = uniform(tuple(allowed.shape), 0, 1, rng).masked_fill(~allowed, -1).argmax(1)
        weight = allowed.any(1) & loud & loud[partner]
        return Example(clips, log_mel(batch["audio"]), partner, weight.float())

    def forward(self, example: Example) -> Tensor:
        """Logits (2, N), above 0 for aligned: of each clip with its own sound, and with the shifted one."""
        with self._joined(example):
            logits: Tensor = self.joint(self.encoder(example.clips))
        return logits.view(2, -1)

    def loss(self, prediction: Tensor, example: Example) -> dict[str, Tensor]:
        """Binary cross entropy and accuracy over both sounds of the clips that count."""
        own, shifted = prediction.float()
        right = ((own.detach() > 0).float() + (shifted.detach() <= 0).float()) / 2
        ranked = (own.detach() > shifted.detach()).float() + 0.5 * (own.detach() == shifted.detach()).float()
        return {
            "loss": weighted_mean((F.softplus(-own) + F.softplus(shifted)) / 2, example.weight),
            "accuracy": weighted_accuracy(right, example.weight, 0.5),
            "accuracy_ranked": weighted_accuracy(ranked, example.weight, 0.5),
        }

    @torch.no_grad()
    def where(self, example: Example) -> Tensor | None:
        """Class activation maps (2, N, T'', H'', W''), above 0 for aligned; None where the features are no map."""
        with self._joined(example):
            last = self.encoder.forward_features(example.clips)
        maps = channels_first(self.encoder, self.encoder.stages[-1], last, self.size, self.size)
        if maps.ndim < 4 or maps.shape[1] != self.joint.in_features:
            return None
        maps = maps if maps.ndim == 5 else maps[:, :, None]
        found: Tensor = (
            torch.einsum("ncthw,c->nthw", maps.float(), self.joint.weight[0].float()) + self.joint.bias.float()
        )
        return found.view(2, -1, *found.shape[1:])

    def show(self, example: Example, prediction: Tensor, count: int) -> list[Shown]:
        """Each clip, a sound, own or shifted in turn, and the clip with the map of `where`; whether it is aligned."""
        clips, maps, shown = denormalise_clips(example.clips).transpose(1, 2), self.where(example), []
        for n in range(min(count, prediction.shape[1])):
            is_shifted = n % 2
            sound = example.sounds[example.partner[n] if is_shifted else n].flip(1)
            low, high = sound.min(), sound.max()
            inputs = [clips[n], (sound - low) / (high - low).clamp(min=1e-6)]
            if maps is not None:
                inputs.append(_overlaid(clips[n], maps[is_shifted, n]))
            chance = float(prediction[is_shifted, n].detach().float().sigmoid())
            left_out = "" if example.weight[n] else " (silent: left out)"
            shown.append(
                Shown(
                    inputs=inputs,
                    pseudo_label=("shifted" if is_shifted else "aligned") + left_out,
                    prediction=f"aligned: {chance:.2f}",
                )
            )
        return shown

    @contextmanager
    def _joined(self, example: Example) -> Iterator[None]:
        """Within it the later stages of the encoder see every clip twice, with its own sound and the shifted one."""
        heard = self.audio_encoder.forward_features(example.sounds).amax(2)
        heard = torch.cat([heard, heard[example.partner]])
        module, channels = self.encoder.stage_output(self.encoder.stages[self.config.fuse_after - 1])

        def join(_module: nn.Module, _args: object, output: Tensor) -> Tensor:
            last = output.movedim(channels, -1)
            by_time = last if last.ndim == 5 else last.unflatten(0, (len(example.clips), -1))
            joined: Tensor = self.merge(by_time.flatten(2, -2), heard).unflatten(2, by_time.shape[2:-1])
            return (joined if last.ndim == 5 else joined.flatten(0, 1)).movedim(-1, channels)

        handle = module.register_forward_hook(join)
        try:
            yield
        finally:
            handle.remove()


class Merge(nn.Module):
    """Adds to the features of clips what follows from them and from sounds, at each of P positions and T times.

    Clips (N, T, P, C) and two sounds of each, (2 N, D, steps), of which all own ones come first -> (2 N, T, P, C).
    """

    def __init__(self, channels: int, sound_features: int, hidden: int) -> None:
        super().__init__()
        self.sound = nn.Sequential(
            nn.Conv1d(sound_features, HEARD, 3, padding=1, bias=False), nn.BatchNorm1d(HEARD), nn.ReLU(inplace=True)
        )
        # One layer over both side by side is the sum of one over each; that of the clip is needed once.
        self.of_clip = nn.Linear(channels, hidden, bias=False)
        self.of_sound = nn.Linear(HEARD, hidden, bias=False)
        self.hidden = nn.Sequential(nn.BatchNorm1d(hidden), nn.ReLU(inplace=True))
        self.out = nn.Sequential(nn.Linear(hidden, channels, bias=False), nn.BatchNorm1d(channels))

    def forward(self, clips: Tensor, sounds: Tensor) -> Tensor:
        spread = _shares(sounds.shape[2], clips.shape[1]).to(sounds)
        heard = self.of_sound(self.sound(sounds @ spread).transpose(1, 2))
        seen = self.of_clip(clips)
        both = torch.cat([seen, seen]) + heard[:, :, None]
        change: Tensor = self.out(self.hidden(both.flatten(0, 2)))
        return torch.cat([clips, clips]) + change.view(*both.shape[:3], -1).to(clips.dtype)


def _shares(steps: int, times: int) -> Tensor:
    """(steps, times), share of each time that falls into each step where both divide the same seconds evenly."""
    step, time = torch.arange(steps)[:, None] / steps, torch.arange(times)[None] / times
    overlap = torch.minimum(step + 1 / steps, time + 1 / times) - torch.maximum(step, time)
    return overlap.clamp(min=0) * times


@torch.no_grad()
def _channels(encoder: Encoder, stage: str, frames: int, size: int) -> int:
    """Of a stage, for clips of so many frames of side `size`."""
    mode = encoder.training
    device = next(encoder.parameters()).device
    found = encoder.eval().forward_stages(torch.zeros(1, encoder.channels, frames, size, size, device=device))[stage]
    encoder.train(mode)
    return found.shape[1]


def _overlaid(clip: Tensor, found: Tensor) -> Tensor:
    """A clip (T, 3, S, S) in [0, 1] in grey, and red where a map (T'', H'', W'') is high, from its least value on."""
    heat = F.interpolate(found[None, None], (len(clip), *clip.shape[2:]), mode="trilinear")[0, 0]
    heat = ((heat - heat.min()) / (heat.max() - heat.min()).clamp(min=1e-6))[:, None]
    grey = clip.mean(1, keepdim=True)
    return torch.cat([grey + (1 - grey) * 0.7 * heat, grey * (1 - 0.7 * heat), grey * (1 - 0.7 * heat)], 1)
