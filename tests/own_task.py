"""The file of a task of a user's own, which tests change to see what is said of it."""

BRIGHT = '''"""A task of a user's own."""

from dataclasses import dataclass

from torch import Tensor, nn

from selftaught.ops.crop import centre_view
from selftaught.tasks import Image, PretextTask
from selftaught.tasks.parts.losses import classification


@dataclass
class Example:
    images: Tensor
    bright: Tensor


class Bright(PretextTask):
    """Predict whether an image is bright (Nobody, NOWHERE 2020)."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        share: float = 0.5

    @classmethod
    def inputs(cls, config):
        return {"image": Image()}

    def __init__(self, encoder, config, size):
        super().__init__()
        self.encoder, self.size = encoder, size
        self.head = nn.Linear(encoder.num_features, 2)

    def chance(self, batch_size):
        return 0.5

    def pseudo_label(self, batch, rng):
        images = centre_view(batch["image"], self.size)
        return Example(images, (images.mean((1, 2, 3)) > 0).long())

    def forward(self, example):
        return self.head(self.encoder(example.images))

    def loss(self, prediction, example):
        scalars = classification(prediction, example.bright)
        return scalars

    def show(self, example, prediction, count):
        return []
'''


def line_of(text: str) -> int:
    """The line of the file in which the text is."""
    return BRIGHT[: BRIGHT.index(text)].count("\n") + 1


def bright(returned: str) -> str:
    """The file of a task whose loss returns this."""
    assert "return scalars" in BRIGHT
    return BRIGHT.replace("return scalars", f"return {returned}")
