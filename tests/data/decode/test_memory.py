"""Memory that images take while they are decoded: large ones wait for each other."""

from __future__ import annotations

import threading

import pytest

from selftaught.data.decode import memory
from selftaught.data.decode.memory import OTHERS, needed, room_for


def test_what_decoding_takes_depends_on_the_format() -> None:
    assert needed("JPEG", 100, 20) == 100 * 20 * 5
    assert needed("progressive JPEG", 100, 20) == 2 * needed("JPEG", 100, 20)
    assert needed("nothing known", 10, 10) == 100 * OTHERS


def enters(size: int, seconds: float = 60.0) -> bool:
    """Whether another thread gets room for so many bytes within seconds; it gives them back."""
    entered = threading.Event()

    def work() -> None:
        with room_for(size):
            entered.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return entered.wait(seconds)


def test_large_images_wait_until_there_is_room_and_small_ones_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_ROOM", memory._Room())
    monkeypatch.setattr(memory, "_TOTAL", 1000)
    monkeypatch.setattr(memory, "_SMALL", 10)
    with room_for(600):
        assert enters(9)
        assert enters(400)
        assert not enters(401, 0.05)
    assert enters(1000)
    with room_for(5000):  # more than all there is: alone
        assert not enters(10, 0.05)
    assert enters(5000)


def test_room_is_given_back_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_ROOM", memory._Room())
    monkeypatch.setattr(memory, "_TOTAL", 1000)
    monkeypatch.setattr(memory, "_SMALL", 10)

    def fail() -> None:
        with room_for(1000):
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    assert enters(1000)
