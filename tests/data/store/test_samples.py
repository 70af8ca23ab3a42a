"""What all samples have in common."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from selftaught.data.store.samples import NothingReadable, Samples, notes_of


def test_samples_without_notes_have_none() -> None:
    assert notes_of(cast(Samples, SimpleNamespace())) == ()
    assert notes_of(cast(Samples, SimpleNamespace(notes=["one file"]))) == ("one file",)


def test_where_nothing_can_be_read_each_file_has_its_reason() -> None:
    error = NothingReadable("none of the 1 images can be read", [("a.png", "empty file")])
    assert isinstance(error, ValueError)
    assert str(error) == "none of the 1 images can be read"
    assert error.skipped == [("a.png", "empty file")]
