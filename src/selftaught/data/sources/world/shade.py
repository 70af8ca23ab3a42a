"""Colours of what rays hit: texture, light, shadow, sky."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from selftaught.data.sources.world.motion import Hits, Simulation
from selftaught.data.sources.world.scene import FAR, Scene
from selftaught.data.sources.world.textures import Textures

Floats = NDArray[np.float64]
Colours = NDArray[np.float32]
_NEAR = 1e-4
"""Share of the way to a lamp below which nothing throws a shadow: it is the surface itself."""
_LEAST = 0.05
"""Weight from which on one of the three projections of a texture is seen."""
_CLOUD = 0
"""The texture that clouds are made of."""


def shade(
    simulation: Simulation, frame: int, textures: Textures, origin: Floats, rays: Floats, hits: Hits, *, width: float
) -> Colours:
    """Linear light (N, 3) that comes along rays (N, 3) from a point (3,).

    Args:
        simulation: of the scene.
        frame: at which.
        textures: of its surfaces.
        origin: of all rays.
        rays: one metre of depth long.
        hits: what they meet.
        width: of what one pixel shows a metre before the camera, metres.
    """
    scene = simulation.scene
    colours = np.empty((len(rays), 3), np.float32)
    is_sky = hits.shape < 0
    if is_sky.any():
        colours[is_sky] = sky_colour(scene, textures, rays[is_sky])
    seen = np.flatnonzero(~is_sky)
    if not len(seen):
        return colours
    shape, distance, ray = hits.shape[seen], hits.distance[seen], rays[seen]
    points, normal = origin + ray * distance[:, None], hits.normal[seen]
    # What lies flat before the camera is seen over a wider part of its texture.
    slant = np.abs(np.einsum("ni,ni->n", ray, normal)) / _lengths(ray)
    footprint = distance * width / np.sqrt(np.maximum(slant, 0.02))
    albedo = _albedo(simulation, frame, textures, shape, points, normal, footprint)
    light = _light(simulation, frame, shape, points, normal, ray)
    found = albedo * light[0] + light[1]
    if scene.sky is not None:
        haze = (1 - np.exp(-((distance / (0.6 * FAR)) ** 2)))[:, None].astype(np.float32)
        level = ray * (1, 1, 0) + (0, 0, 1e-3)
        found += haze * (sky_colour(scene, textures, level, clouds=False) - found)
    colours[seen] = found
    return colours


def to_pixels(linear: Colours) -> Colours:
    """Linear light as the values in [0, 1] that an image holds; bright light is compressed, not cut off."""
    linear = np.maximum(linear, 0)
    compressed = 1.5 * linear * (1 + linear / 9) / (1 + 0.7 * linear)
    return np.asarray(compressed.clip(0, 1) ** np.float32(1 / 2.2), np.float32)


def sky_colour(scene: Scene, textures: Textures, rays: Floats, *, clouds: bool = True) -> Colours:
    """(N, 3) of the sky in directions (N, 3); black above a room."""
    if scene.sky is None:
        return np.zeros((len(rays), 3), np.float32)
    horizon, above = scene.sky.astype(np.float32)
    up = (rays[:, 2] / _lengths(rays)).clip(0, 1).astype(np.float32)[:, None]
    colours = horizon + (above - horizon) * up**0.5
    if clouds and scene.clouds > 0.2:
        high = np.flatnonzero(up[:, 0] > 0.02)
        places = (rays[high, :2] / rays[high, 2:] * 0.12).astype(np.float32)
        cover = textures.sample(
            np.full(len(high), _CLOUD, np.intp), places, (0.02 / up[high, 0]).astype(np.float32)
        ).mean(1, keepdims=True)
        share = ((cover - 0.35) * 3).clip(0, 1) * np.float32(scene.clouds) * (up[high] * 6).clip(0, 1)
        colours[high] += share * (horizon + 0.15 - colours[high])
    return np.asarray(colours, np.float32)


def _albedo(
    simulation: Simulation,
    frame: int,
    textures: Textures,
    shape: NDArray[np.int32],
    points: Floats,
    normal: Floats,
    width: Floats,
) -> Colours:
    """(N, 3) colour of surfaces: a texture projected along the axes of the shape, blended by its normal."""
    state, surfaces = simulation.state(frame), simulation.scene.surfaces
    turn = state.turn.astype(np.float32)[shape]
    local = np.einsum("nji,nj->ni", turn, (points - state.place[shape]).astype(np.float32))
    facing = np.einsum("nji,nj->ni", turn, normal.astype(np.float32))
    metres = surfaces.metres[shape]
    places, footprint = local / metres[:, None], width.astype(np.float32) / metres
    facing *= facing
    facing *= facing  # the normal by its fourth power
    weights = np.maximum(facing - _LEAST * _sums(facing), 0)
    weights /= np.maximum(_sums(weights), 1e-9)
    texture, albedo = surfaces.texture[shape], np.zeros((len(shape), 3), np.float32)
    for axis, others in enumerate(((1, 2), (2, 0), (0, 1))):
        rows = np.flatnonzero(weights[:, axis])
        found = textures.sample(texture[rows], places[rows[:, None], others], footprint[rows])
        albedo[rows] += found * weights[rows, axis, None]
    return np.asarray(albedo * surfaces.gain[shape], np.float32)


def _light(
    simulation: Simulation, frame: int, shape: NDArray[np.int32], points: Floats, normal: Floats, ray: Floats
) -> tuple[Colours, Colours]:
    """Light (N, 3) that a matt surface scatters, and what shines on a glossy one."""
    scene = simulation.scene
    below, above = scene.ambient.astype(np.float32)
    diffuse = below + (above - below) * (normal[:, 2:] / 2 + 0.5).astype(np.float32)
    shine = np.zeros((len(shape), 3), np.float32)
    gloss = scene.surfaces.gloss[shape]
    for lamp in scene.lights:
        towards = lamp.place - points
        away = _lengths(towards)
        facing = np.einsum("ni,ni->n", towards, normal) / away
        lit = np.flatnonzero(facing > 0)
        if not len(lit):
            continue
        hits = simulation.cast(frame, lamp.place, -towards[lit], far=1 - _NEAR, normals=False)
        lit = lit[hits.shape < 0]
        strength = (lamp.reach / np.maximum(away[lit], 0.5 * lamp.reach)) ** 2 if lamp.reach else np.ones(len(lit))
        colour = (strength[:, None] * lamp.colour).astype(np.float32)
        diffuse[lit] += colour * facing[lit, None].astype(np.float32)
        glossy = lit[gloss[lit] > 0]
        halfway = towards[glossy] / away[glossy, None] - ray[glossy] / _lengths(ray[glossy])[:, None]
        halfway /= np.maximum(_lengths(halfway), 1e-9)[:, None]
        peak = np.einsum("ni,ni->n", halfway, normal[glossy]).clip(0, 1) ** 40
        shine[glossy] += (peak * gloss[glossy])[:, None].astype(np.float32) * colour[gloss[lit] > 0]
    return diffuse, shine


def _lengths(vectors: Floats) -> Floats:
    """(N,) of vectors (N, 3); NumPy's own norm is several times slower along so short an axis."""
    return np.asarray(np.sqrt(np.einsum("ni,ni->n", vectors, vectors)))


def _sums(values: Colours) -> Colours:
    """(N, 1) of values (N, 3), for the same reason."""
    return values[:, :1] + values[:, 1:2] + values[:, 2:]
