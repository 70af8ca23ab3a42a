"""What config.json of a repository may say: everything else is refused in one sentence."""

from __future__ import annotations

from typing import Any

import pytest

from selftaught.encoders.weights.hub import Pushed, repository_of

GOOD = {"encoder": "resnet18", "size": 96, "stem": "small", "clip_seen": {}, "task": "rotation", "data": "photos"}


def test_names_of_repositories() -> None:
    assert repository_of("hf:me/net-1.0") == "me/net-1.0"
    assert repository_of("runs/a") is None
    for wrong in ("hf:net", "hf:a/b/c", "hf:../x", "hf:/etc"):
        with pytest.raises(ValueError, match=r"is no name on the Hugging Face hub; give OWNER/NAME$"):
            repository_of(wrong)


def test_what_is_written_is_read_back() -> None:
    pushed = Pushed(encoder="mean:resnet18", size=64, stem="standard", clip_seen={"frames": 8, "stride": 2})
    assert Pushed.from_config(pushed.to_config(), name="a/b") == pushed
    assert Pushed.from_config({"selftaught": GOOD | {"later": 1}}, name="a/b").encoder == "resnet18"


@pytest.mark.parametrize(
    "wrong",
    [
        {}, {"selftaught": 1}, {"selftaught": {"encoder": "resnet18"}}, {"selftaught": GOOD | {"size": 10**6}},
        {"selftaught": GOOD | {"size": True}}, {"selftaught": GOOD | {"stem": "x"}},
        {"selftaught": GOOD | {"encoder": 3}},
        {"selftaught": GOOD | {"clip_seen": [1]}}, {"selftaught": GOOD | {"clip_seen": {"frames": "x"}}},
    ],
)  # fmt: skip
def test_anything_else_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^hf:a/b holds no encoder that 'selftaught push' wrote; give timm:MODEL or"):
        Pushed.from_config(wrong, name="a/b")
