"""Textures repeat without a seam, and are sampled exactly between their pixels and at the size they are seen in."""

from __future__ import annotations

import numpy as np

from selftaught.data.sources.world.textures import DRAWN, SIZE, Textures, drawn_textures, photo_textures


def ramp() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    values = np.abs(np.linspace(-1, 1, SIZE, dtype=np.float32))
    return np.broadcast_to(values[None, :, None], (SIZE, SIZE, 3)).copy()


def test_places_between_pixels_are_interpolated() -> None:
    tile = ramp()
    textures = Textures([np.zeros_like(tile), tile])
    x = np.random.default_rng(0).random(50).astype(np.float32)
    found = textures.sample(np.ones(50, np.intp), np.stack([x, x], 1), np.full(50, 1e-4, np.float32))
    expected = np.interp(x * SIZE, np.arange(SIZE + 1), np.append(tile[0, :, 0], tile[0, 0, 0]))
    assert np.allclose(found[:, 0], expected, atol=1e-5)
    around = textures.sample(np.ones(50, np.intp), np.stack([x + 3, x - 2], 1), np.full(50, 1e-4, np.float32))
    assert np.allclose(around, found, atol=1e-4)


def test_what_is_far_away_is_the_mean_of_what_it_shows() -> None:
    noise = np.random.default_rng(0).random((SIZE, SIZE, 3)).astype(np.float32)
    places = np.random.default_rng(1).random((200, 2)).astype(np.float32)
    far = Textures([noise]).sample(np.zeros(200, np.intp), places, np.full(200, 1.0, np.float32))
    near = Textures([noise]).sample(np.zeros(200, np.intp), places, np.full(200, 1e-4, np.float32))
    assert far.std() < 0.1 * near.std()
    assert abs(far.mean() - noise.mean()) < 0.01


def test_drawn_textures_are_many_and_always_the_same() -> None:
    textures = drawn_textures()
    assert len(textures) == DRAWN
    places = np.random.default_rng(0).random((DRAWN * 20, 2)).astype(np.float32)
    found = textures.sample(np.repeat(np.arange(DRAWN), 20), places, np.full(DRAWN * 20, 1e-3, np.float32))
    assert 0 < found.min() <= found.max() <= 1
    assert np.unique(np.round(found.reshape(DRAWN, 20, 3).mean(1), 3), axis=0).shape[0] == DRAWN


def test_photos_are_mirrored_at_their_edges() -> None:
    photo = np.zeros((40, 60, 3), np.uint8)
    photo[:, 30:] = 255
    textures = photo_textures([photo])
    x = np.array([0.01, 0.24, 0.26, 0.49, 0.51, 0.74, 0.76, 0.99], np.float32)
    found = textures.sample(np.zeros(8, np.intp), np.stack([x, x], 1), np.full(8, 1e-3, np.float32))[:, 0]
    assert np.allclose(found.round(), [0, 0, 1, 1, 1, 1, 0, 0])
