"""One frame of a scene: its colours, and all that is known of every pixel."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selftaught.data.sources.world.camera import Camera
from selftaught.data.sources.world.motion import Hits, Simulation, camera_at
from selftaught.data.sources.world.shade import Colours, shade, to_pixels
from selftaught.data.sources.world.textures import Textures

Floats = NDArray[np.float64]
_HIDDEN = 1e-4
"""Share of the way to a point below which what a ray meets hides it."""
_SPREAD = 1 / 3
"""Of a pixel, to either side, from which its edges are looked at again."""
_STEEP = 0.7
"""Cosine of two neighbouring normals below which there is an edge."""


class Frame:
    """A frame of a simulated scene; everything is computed when it is asked for."""

    def __init__(self, simulation: Simulation, number: int, *, side: int, textures: Textures) -> None:
        self._simulation, self._number, self._side, self._textures = simulation, number, side, textures
        self.camera: Camera = camera_at(simulation, number, side)

    def given(self, kind: str) -> NDArray[Any]:
        """What is known of one kind, as `sources.base.GivenMaps.read` says it."""
        if kind == "pose":
            return self.camera.pose.astype(np.float32)
        if kind == "intrinsics":
            return self.camera.intrinsics.astype(np.float32)
        computed: dict[str, Callable[[], NDArray[Any]]] = {
            "depth": self.depth,
            "normals": self.normals,
            "instances": self.instances,
            "contours": lambda: contours_of(self.instances()),
            "moving": self.moving,
            "flow": self.flow,
            "occlusion": self.occlusion,
        }
        return computed[kind]()

    def image(self) -> NDArray[np.uint8]:
        """(side, side, 3) RGB."""
        return np.asarray(np.rint(self.colours() * 255), np.uint8)

    def colours(self) -> Colours:
        """(side, side, 3) RGB in [0, 1]; pixels at edges are the mean of three places in them."""
        linear = self._shade(self._rays, self._hits)
        edges = np.flatnonzero(self._edges())
        if len(edges):
            corners = np.array([(-_SPREAD, -_SPREAD / 2), (_SPREAD, _SPREAD / 2)])
            places = (self.camera.pixels()[edges][:, None] + corners).reshape(-1, 2)
            rays = self.camera.rays(places)
            hits = self._simulation.cast(self._number, self.camera.centre, rays)
            linear[edges] += self._shade(rays, hits).reshape(len(edges), len(corners), 3).sum(1)
            linear[edges] /= 1 + len(corners)
        return to_pixels(linear).reshape(self._side, self._side, 3)

    def depth(self) -> NDArray[np.float32]:
        """Metres along the optical axis (side, side), 0 where there is sky."""
        return self._map(np.where(self._is_sky, 0, self._hits.distance).astype(np.float32))

    def normals(self) -> NDArray[np.float32]:
        """(side, side, 3) in the axes of the camera, 0 where there is sky."""
        seen = self._hits.normal @ self.camera.pose[:3, :3]
        return self._map(np.where(self._is_sky[:, None], 0, seen).astype(np.float32))

    def instances(self) -> NDArray[np.int16]:
        """(side, side) number of the object, 0 for the background."""
        return self._map(np.where(self._is_sky, 0, self._simulation.scene.instance[self._hits.shape]).astype(np.int16))

    def moving(self) -> NDArray[np.uint8]:
        """(side, side) 1 where a body moves in the world."""
        moves = self._simulation.moving(self._number)[self._hits.shape]
        return self._map((moves & ~self._is_sky).astype(np.uint8))

    def flow(self) -> NDArray[np.float32]:
        """(side, side, 2) pixels (x, y) to where each point is seen in the next frame."""
        after, _ = self._after
        return self._map((after - self.camera.pixels()).astype(np.float32))

    def occlusion(self) -> NDArray[np.uint8]:
        """(side, side) 1 where a point is hidden in the next frame, or outside of it."""
        places, depth = self._after
        hidden = (places < 0).any(1) | (places >= self._side).any(1) | (depth <= 0)
        seen = np.flatnonzero(~hidden)
        camera, rays = self._next, self._next_rays[seen]
        hits = self._simulation.cast(self._number + 1, camera.centre, rays, normals=False)
        is_sky = self._is_sky[seen]
        hidden[seen] = np.where(is_sky, hits.shape >= 0, (hits.shape >= 0) & (hits.distance < 1 - _HIDDEN))
        return self._map(hidden.astype(np.uint8))

    @cached_property
    def _rays(self) -> Floats:
        return self.camera.rays(self.camera.pixels())

    @cached_property
    def _hits(self) -> Hits:
        return self._simulation.cast(self._number, self.camera.centre, self._rays)

    @cached_property
    def _is_sky(self) -> NDArray[np.bool_]:
        return np.asarray(self._hits.shape < 0)

    @cached_property
    def _next(self) -> Camera:
        return camera_at(self._simulation, self._number + 1, self._side)

    @cached_property
    def _next_rays(self) -> Floats:
        """(N, 3) from the next camera to where each point is by then; of the sky its direction."""
        here, after = (self._simulation.state(self._number + k) for k in (0, 1))
        shape = self._hits.shape
        points = self.camera.centre + self._rays * self._hits.distance[:, None]
        local = np.einsum("nji,nj->ni", here.turn[shape], points - here.place[shape])
        moved = np.einsum("nij,nj->ni", after.turn[shape], local) + after.place[shape]
        return np.where(self._is_sky[:, None], self._rays, moved - self._next.centre)

    @cached_property
    def _after(self) -> tuple[Floats, Floats]:
        """(N, 2) places in the next frame, and the depth (N,) there."""
        return self._next.project_direction(self._next_rays)

    def _edges(self) -> NDArray[np.bool_]:
        """(N,) pixels beside one of another shape or of a steep edge."""
        shape, normal = self._map(self._hits.shape), self._map(self._hits.normal)
        edges = np.zeros((self._side, self._side), np.bool_)
        for here, there in (np.s_[1:, :], np.s_[:-1, :]), (np.s_[:, 1:], np.s_[:, :-1]):
            bent = np.einsum("yxi,yxi->yx", normal[here], normal[there]) < _STEEP
            differ = (shape[here] != shape[there]) | (bent & (shape[here] >= 0))
            edges[here] |= differ
            edges[there] |= differ
        return edges.ravel()

    def _shade(self, rays: Floats, hits: Hits) -> Colours:
        width = 1 / self.camera.focal
        return shade(self._simulation, self._number, self._textures, self.camera.centre, rays, hits, width=width)

    def _map(self, values: NDArray[Any]) -> NDArray[Any]:
        return values.reshape(self._side, self._side, *values.shape[1:])


def contours_of(instances: NDArray[np.int16]) -> NDArray[np.uint8]:
    """(H, W) 1 where a pixel beside, above or below is of another instance."""
    edges = np.zeros(instances.shape, np.uint8)
    for here, there in (np.s_[1:, :], np.s_[:-1, :]), (np.s_[:, 1:], np.s_[:, :-1]):
        differ = instances[here] != instances[there]
        edges[here] |= differ
        edges[there] |= differ
    return edges
