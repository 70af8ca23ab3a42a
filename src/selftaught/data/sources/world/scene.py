"""A random scene: a room or open ground, what stands in it, what falls, rolls and collides, light, and a camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from selftaught.data.sources.world.camera import Path
from selftaught.data.sources.world.shapes import Part, draw_body, stool

if TYPE_CHECKING:
    import mujoco

Floats = NDArray[np.float64]
Place = Literal["indoor", "outdoor"]

FAR = 60.0
"""Metres; what is farther away is sky."""
UNSEEN = 4
"""Group of shapes that no ray hits."""
STEP = 0.0135
"""Seconds of the simulation, at most."""


@dataclass(frozen=True, kw_only=True)
class Light:
    """A lamp, or the sun, which is far away."""

    place: Floats
    colour: Floats
    """(3,) linear, of what is lit straight on; of a lamp at `reach`."""
    reach: float = 0.0
    """Metres at which a lamp is as bright as that; 0 of the sun."""


@dataclass(frozen=True, kw_only=True)
class Surfaces:
    """How each of G shapes looks."""

    texture: NDArray[np.intp]
    metres: NDArray[np.float32]
    """Width of one texture."""
    gain: NDArray[np.float32]
    """(G, 3) by which its colours are multiplied."""
    gloss: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """All that the frames of one video follow from."""

    model: mujoco.MjModel
    velocity: Floats
    """(nv,) of all bodies at the beginning."""
    before: float
    """Seconds that are simulated before the first frame."""
    instance: NDArray[np.int16]
    """(G,) number of the object that a shape belongs to; 0 is the background."""
    surfaces: Surfaces
    lights: Sequence[Light]
    ambient: Floats
    """(2, 3) light from below and from above."""
    sky: Floats | None
    """(2, 3) colour at the horizon and above; None in a room."""
    clouds: float
    path: Path
    place: Place


_UPRIGHT = np.array([1.0, 0, 0, 0])


class _Builder:
    """Collects the shapes of a scene, each with its surface and instance."""

    def __init__(self, rng: np.random.Generator, textures: int) -> None:
        import mujoco

        self.rng, self._mujoco, self._textures = rng, mujoco, textures
        self.spec = mujoco.MjSpec()
        self.implicit = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
        self._rows: list[tuple[int, float, Floats, float, int]] = []
        self._instances = 0

    def body(self, parts: Sequence[Part], place: Floats, *, turned: bool = True, moves: bool = True) -> Any:
        """A body with a number of its own."""
        self._instances += 1
        body = self.spec.worldbody.add_body(pos=place)
        if turned:
            body.quat = _turn(self.rng)
        if moves:
            body.add_freejoint()
        one = self.surface(0.2, 1.2)
        for part in parts:
            two_tone = len(parts) > 1 and self.rng.random() < 0.4
            self.shape(body, part, self.surface(0.2, 1.2) if two_tone else one, self._instances)
        return body

    def shape(self, body: Any, part: Part, surface: tuple[int, float, Floats, float], instance: int = 0) -> None:
        more: dict[str, Any] = {"size": [*part.size, 0.0, 0.0, 0.0][:3]}
        if part.kind == "mesh":
            name = f"mesh{len(self._rows)}"
            self.spec.add_mesh(name=name, uservert=list(part.points))
            more = {"meshname": name}
        kind = getattr(self._mujoco.mjtGeom, f"mjGEOM_{part.kind.upper()}")
        geom = body.add_geom(type=kind, pos=part.place, density=300, **more)
        geom.friction = [self.rng.uniform(0.4, 1), 0.005, 0.001]
        geom.solref = [0.03, self.rng.uniform(0.5, 1)]  # a low damping lets it bounce
        geom.quat = _towards(part.axis)
        self._rows.append((*surface, instance))

    def surface(self, least: float, most: float) -> tuple[int, float, Floats, float]:
        """A texture of `least` to `most` metres, as bright or dark, and coloured, as it comes."""
        rng = self.rng
        gain = rng.uniform(0.7, 1.4) * (1 + 0.5 * (rng.random(3) - 0.5))
        gloss = (0.0, 0.0, 0.1, 0.4)[int(rng.integers(4))]
        return int(rng.integers(self._textures)), float(np.exp(rng.uniform(np.log(least), np.log(most)))), gain, gloss

    def unseen(self, place: Floats, radius: float) -> None:
        """A ball that bodies meet and rays do not, so that none gets into the camera."""
        self.spec.worldbody.add_geom(
            type=self._mujoco.mjtGeom.mjGEOM_SPHERE, pos=place, size=[radius, 0, 0], group=UNSEEN
        )
        self._rows.append((0, 1.0, np.ones(3), 0.0, 0))

    def columns(self) -> tuple[Surfaces, NDArray[np.int16]]:
        texture, metres, gain, gloss, instance = zip(*self._rows, strict=True)
        surfaces = Surfaces(
            texture=np.array(texture, np.intp),
            metres=np.array(metres, np.float32),
            gain=np.array(gain, np.float32),
            gloss=np.array(gloss, np.float32),
        )
        return surfaces, np.array(instance, np.int16)


def draw_scene(
    rng: np.random.Generator, *, place: Place | None, bodies: tuple[int, int], textures: int, seconds: float
) -> Scene:
    """A scene; everything follows from the generator.

    Args:
        rng: of this scene alone.
        place: where; None draws it.
        bodies: least and greatest number of those that can move.
        textures: how many there are to choose from.
        seconds: length of the video.
    """
    where: Place = place or ("indoor" if rng.random() < 0.5 else "outdoor")
    builder = _Builder(rng, textures)
    builder.spec.option.timestep = STEP
    builder.spec.option.integrator = builder.implicit
    builder.spec.option.iterations = 20
    builder.spec.option.tolerance = 1e-5
    half = rng.uniform(1.2, 2.4) if where == "indoor" else rng.uniform(1.5, 3.5)
    path = _draw_path(rng, half, where, seconds)
    if where == "indoor":
        lights, ambient, sky = _room(builder, half)
    else:
        lights, ambient, sky = _ground(builder, half)
    for moment in np.linspace(0, seconds, 5):
        builder.unseen(path.at(float(moment), 1).centre, 0.25)
    _furniture(builder, half, path, seconds)
    velocity = _things(builder, half, int(rng.integers(bodies[0], bodies[1] + 1)))
    model = builder.spec.compile()
    surfaces, instance = builder.columns()
    return Scene(
        model=model,
        velocity=velocity,
        before=float(rng.uniform(0, 0.8)),
        instance=instance,
        surfaces=surfaces,
        lights=lights,
        ambient=ambient,
        sky=sky,
        clouds=float(rng.uniform(0, 1)),
        path=path,
        place=where,
    )


def _draw_path(rng: np.random.Generator, half: float, where: Place, seconds: float) -> Path:
    distance = half + (rng.uniform(0.6, 1.2) if where == "indoor" else rng.uniform(0.8, 3))
    angle, height = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 2.0)
    start = np.array([distance * np.cos(angle), distance * np.sin(angle), height])
    sideways = np.array([-np.sin(angle), np.cos(angle), 0.0])
    speed = rng.uniform(-0.5, 0.5) * min(1.0, 2 / max(seconds, 1e-9))
    target = np.array([*rng.uniform(-0.4, 0.4, 2) * half, rng.uniform(0.1, 0.9)])
    return Path(
        focal=float(rng.uniform(0.6, 1.2)),
        start=start,
        velocity=speed * sideways + np.array([0, 0, rng.uniform(-0.1, 0.1)]),
        target=target,
        target_velocity=rng.uniform(-0.25, 0.25, 3) * (1, 1, 0.5),
        sway=rng.uniform(-0.06, 0.06, 3),
        phase=float(rng.uniform(0, 2 * np.pi)),
        roll=float(rng.uniform(-0.06, 0.06)),
    )


def _room(builder: _Builder, half: float) -> tuple[list[Light], Floats, None]:
    """Floor, walls and a ceiling, with lamps."""
    rng, world = builder.rng, builder.spec.worldbody
    out, high = half + 1.6, rng.uniform(2.4, 3.4)
    walls = builder.surface(0.6, 3.0)
    planes: list[tuple[Any, Any]] = [((0, 0, 0), (0, 0, 1)), ((0, 0, high), (0, 0, -1))]
    planes += [((-x * out, -y * out, 0), (x, y, 0)) for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1))]
    for number, (at, normal) in enumerate(planes):
        surface = builder.surface(0.5, 2.5) if number < 2 or rng.random() < 0.2 else walls
        _plane(builder, world, at, normal, surface)
    for _ in range(int(rng.integers(0, 5))):  # something hangs on a wall
        (x, y, _), (nx, ny, _) = planes[2 + int(rng.integers(4))]
        along, level = rng.uniform(-0.7, 0.7) * out, rng.uniform(1, high - 0.6)
        centre = (x + 0.02 * nx + along * abs(ny), y + 0.02 * ny + along * abs(nx), level)
        size = (abs(nx) * 0.03 + abs(ny) * rng.uniform(0.2, 0.8), abs(ny) * 0.03 + abs(nx) * rng.uniform(0.2, 0.8), 0.0)
        part = Part(kind="box", size=(*size[:2], rng.uniform(0.2, 0.5)), place=centre)
        builder.shape(world, part, builder.surface(0.5, 1.5))
    tint = 1 + 0.25 * (rng.random(3) - 0.5)
    lights = [
        Light(
            place=np.array([*rng.uniform(-0.7, 0.7, 2) * half, high - 0.15]),
            colour=tint * rng.uniform(0.5, 1.1),
            reach=float(rng.uniform(1.5, 3)),
        )
        for _ in range(int(rng.integers(1, 3)))
    ]
    ambient = np.outer((0.22, 0.3), tint) * rng.uniform(0.6, 1.4)
    return lights, ambient, None


def _ground(builder: _Builder, half: float) -> tuple[list[Light], Floats, Floats]:
    """Open ground with buildings and trees around, a sky and a sun."""
    rng, world = builder.rng, builder.spec.worldbody
    _plane(builder, world, (0, 0, 0), (0, 0, 1), builder.surface(0.8, 4.0))
    for _ in range(int(rng.integers(2, 14))):
        angle, away = rng.uniform(0, 2 * np.pi), half + rng.uniform(5, 25)
        x, y = away * np.cos(angle), away * np.sin(angle)
        if rng.random() < 0.5:
            size = rng.uniform((1, 1, 1), (3, 3, 5))
            part = Part(kind="box", size=(*size[:2], size[2]), place=(x, y, size[2]))
            builder.shape(world, part, builder.surface(1.5, 5))
            continue
        high, wide = rng.uniform(1, 2.5), rng.uniform(0.7, 1.8)
        trunk = Part(kind="cylinder", size=(0.12 * wide, high / 2), place=(x, y, high / 2))
        builder.shape(world, trunk, builder.surface(0.4, 1))
        crown = Part(kind="ellipsoid", size=(wide, wide, wide * rng.uniform(0.8, 1.6)), place=(x, y, high + 0.7 * wide))
        builder.shape(world, crown, builder.surface(0.6, 2))
    angle, up = rng.uniform(0, 2 * np.pi), rng.uniform(0.35, 1.3)
    towards = np.array([np.cos(angle) * np.cos(up), np.sin(angle) * np.cos(up), np.sin(up)])
    warm = np.array([1.0, 0.9 + 0.08 * np.sin(up), 0.72 + 0.22 * np.sin(up)])
    strength = rng.uniform(0.3, 1.6)
    above = np.array([0.1, 0.25, 0.65]) * rng.uniform(0.6, 1.2) + 0.3 * max(0.0, 1 - strength)
    horizon = np.array([0.6, 0.7, 0.85]) * rng.uniform(0.6, 1.1)
    ambient = np.stack([0.1 * horizon, 0.3 * above + 0.1])
    return [Light(place=80 * towards, colour=strength * warm)], ambient, np.stack([horizon, above])


def _plane(builder: _Builder, world: Any, place: Any, normal: Any, surface: tuple[int, float, Floats, float]) -> None:
    builder.shape(world, Part(kind="plane", size=(0, 0, 1), place=place, axis=normal), surface)


def _furniture(builder: _Builder, half: float, path: Path, seconds: float) -> None:
    """Some things that stand fast, away from the camera."""
    rng = builder.rng
    seen = [path.at(moment, 1).centre[:2] for moment in (0.0, seconds)]
    for _ in range(int(rng.integers(0, 4))):
        at = rng.uniform(-1, 1, 2) * half
        size = rng.uniform(0.3, 0.8)
        if min(np.linalg.norm(at - one) for one in seen) < 1.2 * size + 0.6:
            continue
        kind = rng.integers(3)
        if kind == 0:
            builder.body(stool(rng, size), np.array([*at, 0.5 * size]), turned=False, moves=False)
        elif kind == 1:  # a ramp
            board = Part(kind="box", size=(size, 0.7 * size, 0.04))
            body = builder.body([board], np.array([*at, 0.25 * size]), moves=False)
            turn, tilt = rng.uniform(0, np.pi), rng.uniform(0.15, 0.45)
            body.quat = _times(_about((0, 0, 1), turn), _about((0, 1, 0), tilt))
        else:
            parts = [Part(kind=str(rng.choice(["box", "cylinder"])), size=(0.3 * size, size, size)[:3])]
            builder.body(parts, np.array([*at, size]), turned=False, moves=False)


def _things(builder: _Builder, half: float, count: int) -> Floats:
    """Bodies that move, where none touches another at first, and their velocities (6 * count,)."""
    rng = builder.rng
    taken = np.zeros((0, 4))
    velocity = np.zeros((count, 6))
    for number in range(count):
        size = float(np.exp(rng.uniform(np.log(0.12), np.log(0.5))))
        ceiling = 1.2
        while True:
            place = np.array([*rng.uniform(-1, 1, 2) * half * 0.9, size + 0.02 + rng.random() ** 2 * ceiling])
            if (((place - taken[:, :3]) ** 2).sum(1) > (1.1 * (size + taken[:, 3])) ** 2).all():
                break
            ceiling += 0.05
        taken = np.concatenate([taken, [[*place, size]]])
        builder.body(draw_body(rng, size), place)
        if rng.random() < 0.6:
            towards = np.array([*rng.uniform(-1, 1, 2) * half * 0.5, place[2]]) - place
            velocity[number, :3] = towards / max(float(np.linalg.norm(towards)), 0.1) * rng.uniform(0.3, 2.5)
            velocity[number, 3:] = rng.normal(0, 3, 3)
    return velocity.ravel()


def _turn(rng: np.random.Generator) -> Floats:
    quaternion = rng.standard_normal(4)
    return np.asarray(quaternion / np.linalg.norm(quaternion))


def _about(axis: Sequence[float], angle: float) -> Floats:
    return np.array([np.cos(angle / 2), *(np.sin(angle / 2) * np.asarray(axis))])


def _times(one: Floats, other: Floats) -> Floats:
    w, v, x, u = one[0], one[1:], other[0], other[1:]
    return np.array([w * x - v @ u, *(w * u + x * v + np.cross(v, u))])


def _towards(axis: Sequence[float]) -> Floats:
    """The turn that brings the z axis to `axis`."""
    z = np.asarray(axis, np.float64)
    if z[2] == 1:
        return _UPRIGHT
    if z[2] < -0.999:
        return _about((1, 0, 0), np.pi)
    quaternion = np.array([1 + z[2], -z[1], z[0], 0.0])
    return np.asarray(quaternion / np.linalg.norm(quaternion))
