"""The public function, and verb, that writes simulated scenes; everything heavy is imported when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from selftaught.core.plain import plain_arguments


@plain_arguments
def world(
    *,
    out: str | Path,
    scenes: int = 100,
    frames: int = 32,
    size: int = 128,
    fps: int = 15,
    place: Literal["both", "indoor", "outdoor"] = "both",
    least: int = 5,
    most: int = 40,
    textures: str | Path | None = None,
    sound: Literal["none", "impacts"] = "none",
    materials: Literal["heard", "seen"] = "heard",
    camera: Literal["moving", "still"] = "moving",
    seed: int = 0,
    workers: int | None = None,
    download: bool = False,
) -> dict[str, Any]:
    """Write simulated scenes with depth, normals, instances, flow and poses, to be read by any tool.

    Args:
        out: folder to write; pretrain reads it like any other data, and a second call goes on where the first ended.
        scenes: number of videos.
        frames: frames of each video.
        size: side of the square frames, pixels.
        fps: frames per second.
        place: a room, open ground, or either by chance.
        least: smallest number of moving bodies in a scene.
        most: largest number of moving bodies in a scene.
        textures: photos to cover the surfaces with, in any format that pretrain reads (default: generated textures).
        sound: impacts writes the sound of collisions beside the videos, and the material of each scene to labels.csv.
        materials: seen gives the bodies of a scene the look of their material, and writes it to labels.csv.
        camera: moving and turning, or still.
        seed: seed of everything; the same seed gives the same scenes.
        workers: number of rendering threads (default: one per core).
        download: allow torchvision and Hugging Face data sets to be downloaded.
    """
    from selftaught.core.progress import late_bar
    from selftaught.data.rendered.write import write_world
    from selftaught.data.sources.open import open_photos
    from selftaught.data.sources.world.settings import WorldSettings
    from selftaught.data.sources.world.source import open_world

    if scenes < 1:
        raise ValueError(f"--scenes must be at least 1, got {scenes}")
    filmed: dict[str, Any] = {"frames": frames, "side": size, "fps": fps, "place": place, "camera": camera}
    what: dict[str, Any] = {"least": least, "most": most, "sound": sound, "materials": materials, "seed": seed}
    try:
        settings = WorldSettings(scenes=scenes, textures=str(textures or ""), **filmed, **what)
    except ValueError as wrong:
        raise ValueError(str(wrong).replace("--side", "--size")) from None
    source = open_world(settings, split="train", open_images=lambda path: open_photos(path, download=download))
    with late_bar("rendering") as progress:
        return write_world(source.scenes, Path(out), count=scenes, workers=workers, progress=progress)
