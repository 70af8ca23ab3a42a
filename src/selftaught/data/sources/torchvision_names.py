"""The torchvision data sets known by name; kept apart so that a name is checked without importing torchvision."""

from __future__ import annotations

TORCHVISION_NAMES: tuple[str, ...] = (
    "cifar10", "cifar100", "stl10", "svhn", "mnist", "fashionmnist", "kmnist", "imagenette",
    "flowers102", "food101", "oxfordiiitpet", "dtd", "eurosat", "voc2007", "voc2012",
)  # fmt: skip
VOC_NAMES = ("voc2007", "voc2012")
"""Those of them that come with boxes, masks and several classes of an image."""
