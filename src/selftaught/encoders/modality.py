"""How images, clips and audio of a batch are shown: to encoders at the centre or through random views, and to people.

One class for each kind of input, known by its number of axes; whoever reads features, crops or draws asks here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Generator, Tensor

from selftaught.encoders.base import Encoder
from selftaught.encoders.names import Kind
from selftaught.ops.colour import colour_jitter, denormalise, normalise
from selftaught.ops.crop import centre_view, crop_resize, random_boxes, random_resized_crop
from selftaught.ops.sound.spectrogram import log_mel

AREA = (0.5, 1.0)
"""Share of an image that a light crop keeps."""
COLOUR = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1, "grey": 0.0}
"""Half the strengths of SimCLR's colour distortion, and never grey."""


class Modality(ABC):
    """One kind of input, with N samples."""

    kinds: frozenset[Kind]
    """Kinds of encoders that take it."""

    @abstractmethod
    def centre(self, x: Tensor, size: int, kind: Kind) -> Tensor:
        """As an encoder of that kind takes it, cut at the centre and normalised."""

    @abstractmethod
    def training_view(self, x: Tensor, size: int, rng: Generator, *, min_scale: float) -> Tensor:
        """As an encoder of its own kind takes it, through a random crop of at least `min_scale` of the area."""

    @abstractmethod
    def light_crop(self, x: Tensor, size: int, rng: Generator) -> Tensor:
        """The same kind of input through a crop of at least half of the area, in [0, 1]."""

    @abstractmethod
    def light_view(self, x: Tensor, size: int, rng: Generator) -> Tensor:
        """As `light_crop`, also mirrored half of the time, and with other colours."""

    @abstractmethod
    def seen(self, x: Tensor, size: int) -> Tensor | None:
        """Images (N, 3, size, size) or clips (N, T, 3, size, size) in [0, 1]; None where there is nothing to see."""


class Images(Modality):
    """(N, C, H, W) uint8, or in [0, 1]; C is 3 unless the data have other channels."""

    kinds = frozenset({"image"})

    def centre(self, x: Tensor, size: int, kind: Kind) -> Tensor:
        return centre_view(x, size)

    def training_view(self, x: Tensor, size: int, rng: Generator, *, min_scale: float) -> Tensor:
        return normalise(random_resized_crop(x, size, rng, scale=(min_scale, 1.0)))

    def light_crop(self, x: Tensor, size: int, rng: Generator) -> Tensor:
        return random_resized_crop(x, size, rng, scale=AREA)

    def light_view(self, x: Tensor, size: int, rng: Generator) -> Tensor:
        return _changed(x[:, None], size, rng)[:, 0]

    def seen(self, x: Tensor, size: int) -> Tensor:
        return denormalise(centre_view(x, size))


class Clips(Modality):
    """(N, T, 3, H, W) uint8, or in [0, 1]."""

    kinds = frozenset({"image", "video"})

    def centre(self, x: Tensor, size: int, kind: Kind) -> Tensor:
        """(N, 3, T, size, size); for encoders of images frames become rows, (N T, 3, size, size)."""
        views = centre_view(x.flatten(0, 1), size)
        return views if kind == "image" else _clips(views, x)

    def training_view(self, x: Tensor, size: int, rng: Generator, *, min_scale: float) -> Tensor:
        """The crop is the same for all frames of a clip."""
        n, t, _, height, width = x.shape
        boxes = random_boxes(n, height, width, rng, scale=(min_scale, 1.0)).repeat_interleave(t, 0)
        return _clips(normalise(crop_resize(x.flatten(0, 1), boxes, size)), x)

    def light_crop(self, x: Tensor, size: int, rng: Generator) -> Tensor:
        """The crop is the same for all frames of a clip: one for each would move still things."""
        n, t, _, height, width = x.shape
        boxes = random_boxes(n, height, width, rng, scale=AREA).repeat_interleave(t, 0)
        clips: Tensor = crop_resize(x.flatten(0, 1), boxes, size).unflatten(0, (n, t))
        return clips

    def light_view(self, x: Tensor, size: int, rng: Generator) -> Tensor:
        """All frames of a clip change alike."""
        return _changed(x, size, rng)

    def seen(self, x: Tensor, size: int) -> Tensor:
        frames: Tensor = denormalise(centre_view(x.flatten(0, 1), size)).unflatten(0, x.shape[:2])
        return frames


class Audio(Modality):
    """(N, S) float32 in [-1, 1]."""

    kinds = frozenset({"audio"})

    def centre(self, x: Tensor, size: int, kind: Kind) -> Tensor:
        """Log-mel (N, 1, mels, steps)."""
        return log_mel(x)

    def training_view(self, x: Tensor, size: int, rng: Generator, *, min_scale: float) -> Tensor:
        return log_mel(x)

    def light_crop(self, x: Tensor, size: int, rng: Generator) -> Tensor:
        return self.light_view(x, size, rng)

    def light_view(self, x: Tensor, size: int, rng: Generator) -> Tensor:
        """Turned in time, its end coming before its beginning."""
        n, length = x.shape
        start = torch.randint(length, (n, 1), generator=rng, device=x.device)
        return x.gather(1, (torch.arange(length, device=x.device) + start) % length)

    def seen(self, x: Tensor, size: int) -> None:
        return None


BY_AXES: Mapping[int, Modality] = {2: Audio(), 4: Images(), 5: Clips()}
"""Number of axes of an input -> how it is shown."""


def modality_of(x: Tensor) -> Modality:
    """How an input is shown."""
    return BY_AXES[x.ndim]


def input_for(kind: Kind, inputs: Mapping[str, Tensor]) -> str:
    """Name of the first input that an encoder of that kind takes.

    Raises:
        ValueError: where there is none.
    """
    for name, x in inputs.items():
        if _is_shown(name, x) and kind in BY_AXES[x.ndim].kinds:
            return name
    raise ValueError(f"this encoder takes {kind}, but the data give {', '.join(inputs) or 'nothing'}")


def _is_shown(name: str, x: Tensor) -> bool:
    """Whether an input is audio or images: maps of flow and of masks have the axes of images and clips too.

    Images have three colours, or are called "image" where they have other channels.
    """
    return x.ndim == 2 or (x.ndim in BY_AXES and (x.shape[-3] == 3 or (name == "image" and x.ndim == 4)))


def encoder_view(encoder: Encoder, inputs: Mapping[str, Tensor], size: int) -> Tensor:
    """The first input that the encoder takes, cut at the centre and normalised, as the encoder takes it."""
    x = inputs[input_for(encoder.kind, inputs)]
    return modality_of(x).centre(x, size, encoder.kind)


def pooled_features(encoder: Encoder, inputs: Mapping[str, Tensor], size: int) -> Tensor:
    """Pooled features (N, D) of `encoder_view`; those of a clip's frames are averaged."""
    samples = len(inputs[input_for(encoder.kind, inputs)])
    rows: Tensor = encoder(encoder_view(encoder, inputs, size))
    return rows if len(rows) == samples else rows.float().unflatten(0, (samples, -1)).mean(1)


def _clips(frames: Tensor, x: Tensor) -> Tensor:
    """(N T, 3, S, S) -> (N, 3, T, S, S)."""
    clips: Tensor = frames.unflatten(0, x.shape[:2]).transpose(1, 2).contiguous()
    return clips


def _changed(frames: Tensor, size: int, rng: Generator) -> Tensor:
    """(N, T, 3, H, W) uint8 -> (N, T, 3, size, size) in [0, 1]."""
    n, t, _, height, width = frames.shape
    boxes = random_boxes(n, height, width, rng, scale=AREA).repeat_interleave(t, 0)
    cut = crop_resize(frames.flatten(0, 1), boxes, size).unflatten(0, (n, t))
    # Frames one above the other are one tall image, so one change of colours serves them all.
    tall = colour_jitter(cut.transpose(1, 2).flatten(2, 3), rng, **COLOUR)
    views: Tensor = tall.unflatten(2, (t, size)).transpose(1, 2)
    return views
