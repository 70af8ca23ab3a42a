"""The encoders there are, as a plain list; imports no torch, so the command line can answer at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["image", "video", "audio"]
"""What an encoder takes: images, clips, or audio as log-mel images."""
CONVS = ("conv1", "conv2", "conv3", "conv4", "conv5")
LAYERS = ("conv1", "layer1", "layer2", "layer3", "layer4")
BLOCKS = ("conv1", "block1", "block2", "block3", "block4")
INCEPTIONS = ("conv1", "conv2", "inception3", "inception4", "inception5")
CLIP_LAYERS = ("stem", "layer1", "layer2", "layer3", "layer4")

TIMM = "timm:"
"""Prefix of an encoder that timm makes, as in timm:vit_small_patch16_224."""

PREFIXES = ("grey:", "sobel:", "split:")
"""How an encoder of images sees them, before its name: `grey:resnet18`; see `inputs` and `split`."""
_CHANNELS = re.compile(r"([1-9]\d{0,3})ch:")


WEIGHT_SUFFIXES = (".pth", ".pt", ".safetensors", ".ckpt", ".bin", ".tar")


def names_weights(text: str) -> bool:
    """Whether text is ENCODER:FILE, an encoder with weights from a file, such as resnet18:weights.safetensors."""
    return ":" in text and text.lower().endswith(WEIGHT_SUFFIXES)


def prefix_of(name: str) -> str:
    """What is written before an encoder's name, such as "grey:" or "20ch:"; "" where nothing is."""
    found = _CHANNELS.match(name)
    return found[0] if found else next((prefix for prefix in PREFIXES if name.startswith(prefix)), "")


def channels_of(name: str) -> int | None:
    """The channels that an encoder's name asks for, 20 of "20ch:resnet18"; None where it does not."""
    found = _CHANNELS.match(name)
    return int(found[1]) if found else None


@dataclass(frozen=True)
class EncoderInfo:
    """One encoder: its name on the command line and the stages at which its features can be read.

    Attributes:
        name: e.g. "resnet18"; "timm:<model>" stands for every model timm knows.
        kind: what it sees: images, clips, or audio as log-mel images.
        family: networks of one family have the same stages.
        stages: first to last; empty for "timm:<model>", whose stages depend on the model.
    """

    name: str
    kind: Kind
    family: str
    stages: tuple[str, ...]


ENCODERS = (
    EncoderInfo("alexnet", "image", "alexnet", CONVS),
    EncoderInfo("vgg11", "image", "vgg", CONVS),
    EncoderInfo("vgg11_bn", "image", "vgg", CONVS),
    EncoderInfo("vgg13", "image", "vgg", CONVS),
    EncoderInfo("vgg13_bn", "image", "vgg", CONVS),
    EncoderInfo("vgg16", "image", "vgg", CONVS),
    EncoderInfo("vgg16_bn", "image", "vgg", CONVS),
    EncoderInfo("vgg19", "image", "vgg", CONVS),
    EncoderInfo("vgg19_bn", "image", "vgg", CONVS),
    EncoderInfo("googlenet", "image", "googlenet", INCEPTIONS),
    EncoderInfo("resnet18", "image", "resnet", LAYERS),
    EncoderInfo("resnet34", "image", "resnet", LAYERS),
    EncoderInfo("resnet50", "image", "resnet", LAYERS),
    EncoderInfo("resnet101", "image", "resnet", LAYERS),
    EncoderInfo("resnet152", "image", "resnet", LAYERS),
    EncoderInfo("wide_resnet50_2", "image", "resnet", LAYERS),
    EncoderInfo("resnext50_32x4d", "image", "resnet", LAYERS),
    EncoderInfo("densenet121", "image", "densenet", BLOCKS),
    EncoderInfo("densenet161", "image", "densenet", BLOCKS),
    EncoderInfo("densenet169", "image", "densenet", BLOCKS),
    EncoderInfo("densenet201", "image", "densenet", BLOCKS),
    EncoderInfo("r3d_18", "video", "resnet3d", CLIP_LAYERS),
    EncoderInfo("mc3_18", "video", "resnet3d", CLIP_LAYERS),
    EncoderInfo("r2plus1d_18", "video", "resnet3d", CLIP_LAYERS),
    EncoderInfo("video_convnet", "video", "convnet3d", CONVS[:4]),
    EncoderInfo("audio_convnet", "audio", "audio", CONVS[:4]),
    EncoderInfo("timm:<model>", "image", "timm", ()),
)


def encoder_names() -> list[EncoderInfo]:
    """Every encoder of `build_encoder`, with one entry that stands for all of timm."""
    return list(ENCODERS)
