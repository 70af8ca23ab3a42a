"""The encoders there are, as a plain list; imports no torch, so the command line can answer at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from selftaught.core.objects.registry import is_object

Kind = Literal["image", "video", "audio"]
"""What an encoder takes: images, clips, or audio as log-mel images."""
CONVS = ("conv1", "conv2", "conv3", "conv4", "conv5")
LAYERS = ("conv1", "layer1", "layer2", "layer3", "layer4")
BLOCKS = ("conv1", "block1", "block2", "block3", "block4")
INCEPTIONS = ("conv1", "conv2", "inception3", "inception4", "inception5")
TWELVE_BLOCKS = tuple(f"block{number}" for number in range(1, 13))
CLIP_LAYERS = ("stem", "layer1", "layer2", "layer3", "layer4")
CLIP_STAGES = ("stage1", "stage2", "stage3", "stage4")

TIMM = "timm:"
"""Prefix of an encoder that timm makes, as in timm:vit_small_patch16_224."""

PREFIXES = ("grey:", "sobel:", "split:")
"""How an encoder of images or clips sees them, before its name: `grey:resnet18`; see `inputs` and `split`."""
SEES_FRAMES = ("mean", "lstm", "twostream")
"""Prefixes of `CLIP_PREFIXES` behind which an encoder of images sees frames: `mean:split:resnet18`."""
_CHANNELS = re.compile(r"([1-9]\d{0,3})ch:")

CLIP_PREFIXES: Mapping[str, int] = {
    "mean": 0, "lstm": 0, "flow": 10, "twostream": 10, "differences": 5, "sumdiff": 0, "dynamic": 0
}  # fmt: skip
"""What makes an encoder of clips of one of images, before its name, as in `mean:resnet18`; and how many fields of flow
or differences of frames it stacks unless the prefix says, as in `flow5:resnet18`. See `encoders.video`."""
_CLIP = re.compile("|".join(f"({head})({'[1-9][0-9]?' if count else ''}|):" for head, count in CLIP_PREFIXES.items()))

WEIGHT_SUFFIXES = (".pth", ".pt", ".safetensors", ".ckpt", ".bin", ".tar", ".torch", ".pkl")


@dataclass(frozen=True, kw_only=True)
class GivenWeights:
    """The parts of "ENCODER:FILE#PART", such as "resnet50:moco.pth.tar#encoder_k".

    Attributes:
        encoder: its name.
        file: path of the weights.
        choice: which of several networks in the file; "" where the text does not say.
    """

    encoder: str
    file: str
    choice: str = ""


def given_weights(text: str) -> GivenWeights | None:
    """The parts of ENCODER:FILE, an encoder with weights from a file; None for any other text."""
    encoder, _, rest = text.rpartition(":")
    file, choice = file_and_choice(rest)
    is_path = "/" in file or bool(Path(file).suffix)  # a file "resnet18" makes no weights of timm:resnet18
    is_file = file.lower().endswith(WEIGHT_SUFFIXES) or (is_path and Path(file).expanduser().is_file())
    return GivenWeights(encoder=encoder, file=file, choice=choice) if encoder and is_file else None


def file_and_choice(text: str) -> tuple[str, str]:
    """The path and the part of "FILE#PART"."""
    file, mark, choice = text.rpartition("#")
    return (file, choice) if mark and not Path(text).expanduser().exists() else (text, "")


def prefix_of(name: str) -> str:
    """What is written before an encoder's name, such as "grey:" or "20ch:"; "" where nothing is."""
    found = _CHANNELS.match(name)
    return found[0] if found else next((prefix for prefix in PREFIXES if name.startswith(prefix)), "")


def with_prefix(name: str, prefix: str) -> str:
    """The name with a prefix such as "grey:": of an encoder of images that sees clips before that one's.

    As it is where it has a prefix already.
    """
    clip = clip_name(name) if prefix in PREFIXES else None
    if clip is None:
        return name if prefix_of(name) else prefix + name
    if clip.channels or prefix_of(clip.inner):
        return name
    return name.removesuffix(clip.inner) + prefix + clip.inner


def channels_of(name: str) -> int | None:
    """The channels that an encoder's name asks for, 20 of "20ch:resnet18"; None where it does not."""
    found = _CHANNELS.match(name)
    return int(found[1]) if found else None


@dataclass(frozen=True)
class ClipName:
    """The parts of a name such as "20ch:differences5:resnet18".

    Attributes:
        head: one of `CLIP_PREFIXES`.
        count: fields of flow or differences that are stacked; 0 where nothing is.
        inner: the encoder of images behind it, "resnet18".
        channels: of the clips; None where the name does not say.
    """

    head: str
    count: int
    inner: str
    channels: int | None

    @property
    def parts(self) -> dict[str, str]:
        """Name of every encoder inside -> its own name as an encoder: "image" is the network of images."""
        bare = self.inner.removeprefix(prefix_of(self.inner))
        if self.head == "twostream":
            flow = ClipName("flow", self.count, bare, None)
            return {"image": self.inner, "flow": f"flow{self.count}:{bare}", "flow.image": flow.parts["image"]}
        taken = 2 * self.count if self.head == "flow" else (self.channels or 3) * max(1, self.count)
        image = self.inner if self.head in SEES_FRAMES else bare
        return {"image": image if taken == 3 else f"{taken}ch:{image}"}


def clip_name(name: str) -> ClipName | None:
    """The parts of the name of an encoder of images that takes clips; None for any other name."""
    channels = channels_of(name)
    found = _CLIP.match(rest := name.removeprefix(prefix_of(name) if channels else ""))
    if found is None:
        return None
    head, count = (text for text in found.groups() if text is not None)
    return ClipName(head, int(count or CLIP_PREFIXES[head]), rest.removeprefix(found[0]), channels)


@dataclass(frozen=True)
class EncoderInfo:
    """One encoder: its name on the command line and the stages at which its features can be read.

    Attributes:
        name: e.g. "resnet18"; "timm:<model>" stands for every model timm knows, "mean:<encoder>" for `CLIP_PREFIXES`
            before every encoder of images.
        kind: what it sees: images, clips, or audio as log-mel images.
        family: networks of one family have the same stages.
        stages: first to last; empty where they depend on the model in <>.
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
    EncoderInfo("c3d", "video", "c3d", CONVS),
    EncoderInfo("i3d", "video", "i3d", INCEPTIONS),
    EncoderInfo("s3d", "video", "s3d", INCEPTIONS),
    EncoderInfo("swin3d_t", "video", "swin3d", CLIP_STAGES),
    EncoderInfo("mvit_v2_s", "video", "mvit", CLIP_STAGES),
    EncoderInfo("video_convnet", "video", "convnet3d", CONVS[:4]),
    EncoderInfo("videovit_tiny", "video", "videovit", TWELVE_BLOCKS),
    EncoderInfo("videovit_small", "video", "videovit", TWELVE_BLOCKS),
    EncoderInfo("audio_convnet", "audio", "audio", CONVS[:4]),
    EncoderInfo("timm:<model>", "image", "timm", ()),
    *(EncoderInfo(f"{prefix}:<encoder>", "video", "frames", ()) for prefix in CLIP_PREFIXES),
)


def encoder_names() -> list[EncoderInfo]:
    """Every encoder of `build_encoder`, with one entry that stands for all of timm and one for each prefix of clips."""
    return list(ENCODERS)


def kind_of(name: str) -> Kind | None:
    """What the encoder of that name takes; None where there is none of that name."""
    if clip_name(name) is not None:
        return "video"
    bare = name.removeprefix(prefix_of(name))
    if bare.startswith(TIMM) or is_object(bare, "module"):
        return "image"
    return next((info.kind for info in ENCODERS if info.name == bare), None)
