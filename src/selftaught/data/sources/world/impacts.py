"""What collisions of a scene sound like: modes that ring with the pitch and the decay of their material and size."""

from __future__ import annotations

import io
import math
import wave
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selftaught.data.decode.video import SOUND_RATE
from selftaught.data.sources.world.motion import Simulation

Floats = NDArray[np.float64]

PARTIALS = (1.0, 2.756, 5.404, 8.933)
"""Frequencies of the first bending modes of a free bar, in multiples of the lowest."""
_LEAST = 0.02
"""Newton seconds below which a contact is not heard, such as that of a body at rest."""
_GAIN = 0.08
"""Full scale of a blow of 1 N s at 1 m."""
_NEAREST = 0.5
"""Metres; what is nearer is not louder."""


@dataclass(frozen=True, kw_only=True)
class Material:
    """What bodies are made of, for the ear.

    Attributes:
        hertz: of the lowest mode of a body with a radius of 0.1 m; a smaller one is higher by its share.
        friction: internal friction, the tangent of the loss angle: a mode of f Hz decays as exp(-pi f friction t),
            which tells materials apart whatever the size (Wildes, Richards 1988).
        contact: seconds for which two bodies touch; longer ones excite no high modes.
    """

    hertz: float
    friction: float
    contact: float


MATERIALS: Mapping[str, Material] = {
    "glass": Material(hertz=1400, friction=0.003, contact=0.0004),
    "metal": Material(hertz=900, friction=0.0008, contact=0.0003),
    "plastic": Material(hertz=500, friction=0.03, contact=0.001),
    "rubber": Material(hertz=150, friction=0.2, contact=0.006),
    "wood": Material(hertz=400, friction=0.012, contact=0.0012),
}


@dataclass(frozen=True, kw_only=True)
class Impact:
    """One blow.

    Attributes:
        second: from the first frame on.
        bodies: numbers of the two in MuJoCo's model; 0 is the world, which does not ring.
        impulse: the rise of the force between them, times the step, in newton seconds.
        place: (3,) metres.
    """

    second: float
    bodies: tuple[int, int]
    impulse: float
    place: Floats


def find_impacts(simulation: Simulation, frames: int) -> list[Impact]:
    """All blows until the last of so many frames, in order of time; the simulation must be at its beginning.

    A blow is a rise of the force between two bodies from one step to the next, so that what rests or rolls is silent.
    """
    found: list[Impact] = []
    before: dict[tuple[int, int], float] = {}
    second = -simulation.scene.before

    def listen(model: Any, data: Any) -> None:
        nonlocal second, before
        step = float(model.opt.timestep)
        second += step
        forces = _forces(model, data)
        for pair, (force, place) in forces.items():
            impulse = step * (force - before.get(pair, 0.0))
            if impulse > _LEAST and second >= 0:
                found.append(Impact(second=second, bodies=pair, impulse=impulse, place=place))
        before = {pair: force for pair, (force, _) in forces.items()}

    simulation.on_step = listen
    simulation.state(frames - 1)
    simulation.on_step = None
    return found


def ring(simulation: Simulation, impacts: Sequence[Impact], material: Material, *, frames: int) -> NDArray[np.float32]:
    """Sound (S,) in [-1, 1] at 16 kHz for as long as so many frames are shown, as it is heard from the camera."""
    length = round(frames / simulation.fps * SOUND_RATE)
    radius = simulation.radii()
    blows: dict[int, Floats] = {}
    for impact in impacts:
        at = int(impact.second * SOUND_RATE)
        eye = simulation.scene.path.at(impact.second, 1).pose[:3, 3]
        loudness = _GAIN * impact.impulse / max(_NEAREST, float(np.linalg.norm(impact.place - eye)))
        for body in impact.bodies:
            if body and at < length:
                blows.setdefault(body, np.zeros(length))[at] += loudness
    heard = np.zeros(length)
    for body, struck in blows.items():
        heard += _modes(_touched(struck, material.contact), material, radius[body])
    return np.tanh(heard).astype(np.float32)


def wav_of(sound: NDArray[np.float32]) -> bytes:
    """A file of 16 bits, mono, 16 kHz."""
    file = io.BytesIO()
    with wave.open(file, "wb") as track:
        track.setnchannels(1)
        track.setsampwidth(2)
        track.setframerate(SOUND_RATE)
        track.writeframes(np.rint(sound * 32767).astype("<i2").tobytes())
    return file.getvalue()


def _forces(model: Any, data: Any) -> dict[tuple[int, int], tuple[float, Floats]]:
    """Two bodies -> the normal force between them, and where the strongest contact is."""
    count = int(data.ncon)
    if not count:
        return {}
    contact = data.contact
    rows, edges = contact.efc_address[:count], 2 * (contact.dim[:count] - 1)
    total = np.concatenate([[0.0], np.cumsum(data.efc_force)])
    # The normal force of a pyramidal cone is the sum over its edges.
    force = np.where(rows >= 0, total[np.maximum(rows, 0) + edges] - total[np.maximum(rows, 0)], 0.0)
    bodies = np.sort(model.geom_bodyid[contact.geom[:count]], 1)
    found: dict[tuple[int, int], tuple[float, Floats]] = {}
    strongest: dict[tuple[int, int], float] = {}
    for n in np.flatnonzero(force > 0).tolist():
        pair = (int(bodies[n, 0]), int(bodies[n, 1]))
        known, place = found.get(pair, (0.0, contact.pos[n]))
        if force[n] > strongest.get(pair, 0.0):
            strongest[pair], place = float(force[n]), contact.pos[n].copy()
        found[pair] = (known + float(force[n]), place)
    return found


def _touched(struck: Floats, contact: float) -> Floats:
    """Blows spread over the time for which bodies touch, of the same area."""
    shape = np.hanning(max(3, round(contact * SOUND_RATE) + 2))
    return np.convolve(struck, shape / shape.sum())[: len(struck)]


def _modes(struck: Floats, material: Material, radius: float) -> Floats:
    """The modes of one body, each a resonator whose response is a decaying sine."""
    from scipy.signal import lfilter  # takes half a second, and most scenes are rendered without sound

    heard = np.zeros(len(struck))
    for number, partial in enumerate(PARTIALS, 1):
        hertz = partial * material.hertz * 0.1 / max(radius, 0.01)
        if hertz > 0.45 * SOUND_RATE:
            break
        angle = 2 * math.pi * hertz / SOUND_RATE
        decay = math.exp(-math.pi * hertz * material.friction / SOUND_RATE)
        heard += lfilter([decay * math.sin(angle) / number], [1, -2 * decay * math.cos(angle), decay**2], struck)
    return heard
