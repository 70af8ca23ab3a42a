"""A source becomes samples."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from selftaught.data.batch import Sampling
from selftaught.data.inputs import Clip
from selftaught.data.sources.open import open_source
from selftaught.data.store.open import open_samples, store_side

pytestmark = pytest.mark.usefixtures("cache")


def test_a_packed_store_shows_no_bar(drawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from selftaught.core.settings.groups import DataSettings
    from selftaught.data.store.open import pack

    source = open_source(str(drawn), split="train", needs=frozenset({"image"}), held_out=0.0)
    shown: Callable[[], str] = lambda: capsys.readouterr().err  # noqa: E731
    pack(source, DataSettings(path=str(drawn)), Sampling(), size=16, title="packing train")
    assert "packing train 6/6" in shown()
    pack(source, DataSettings(path=str(drawn)), Sampling(), size=16, title="packing train")
    assert shown() == ""


@pytest.mark.parametrize(("size", "side"), [(32, 64), (64, 128), (96, 160), (140, 160), (224, 256), (160, 183)])
def test_the_side_of_a_store_follows_the_encoders(size: int, side: int) -> None:
    assert store_side(size) == side


def test_clips_of_images_are_refused(drawn: Path) -> None:
    source = open_source(str(drawn), split="train", needs=frozenset({"image"}), held_out=0.0)
    with pytest.raises(ValueError, match=r"^the task asks for clips or sound, but the source holds images; give a"):
        open_samples(
            source, side=16, sampling=Sampling(inputs={"video": Clip(frames=2)}), cache_limit_gb=1.0, workers=1
        )
