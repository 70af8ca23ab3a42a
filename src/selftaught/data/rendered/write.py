"""Scenes written to disk in formats that other tools read: PNG, MP4, .flo, KITTI's poses, COCO's JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from selftaught.core.files import written_whole
from selftaught.core.threads import usable_cores
from selftaught.data.annotations.poses.kitti_poses import write_intrinsics, write_poses
from selftaught.data.sources.world.files import (
    CALIBRATION,
    COCO,
    FRAMES,
    INDEX,
    LABELS,
    MAPS,
    POSES,
    VIDEOS,
    encode,
    frame_file,
    png_of,
    scene_name,
    sound_file,
)
from selftaught.data.sources.world.video import Scenes

_CODECS = (("libx264", {"crf": "18"}), ("mpeg4", {"q": "3"}))
"""Of the videos: the first that this build of FFmpeg has."""
_REGIONS = ".regions"
"""Folder in which the regions of each scene wait until all are written; what is hidden is no data."""


def write_world(
    scenes: Scenes,
    out: Path,
    *,
    count: int,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Write the first `count` scenes; those that are there from an earlier call are kept.

    Args:
        scenes: what is rendered.
        out: a folder that is new, empty, or of an earlier call with the same settings.
        count: of scenes.
        workers: threads; None is all cores.
        progress: called with (done, total).

    Returns:
        "out", "scenes", "frames" (of all), "written" (scenes of this call) and "folders".

    Raises:
        ValueError: where the folder holds something else.
    """
    settings = scenes.settings
    if settings.side % 2:
        raise ValueError(f"--size must be even, as videos need it, got {settings.side}")
    _claim(out, scenes, count)
    waiting = [number for number in range(count) if not (out / POSES / f"{scene_name(number)}.txt").is_file()]
    with ThreadPoolExecutor(workers or usable_cores(), thread_name_prefix="selftaught-write") as pool:
        futures = [pool.submit(_write_scene, scenes, out, number) for number in waiting]
        try:
            for done, future in enumerate(as_completed(futures), 1):
                future.result()
                if progress is not None:
                    progress(done, len(waiting))
        finally:
            for future in futures:
                future.cancel()
    _write_coco(out, count, settings.frames, settings.side)
    labels = _write_labels(scenes, out, count) if settings.has_materials else []
    return {
        "out": str(out),
        "scenes": count,
        "frames": count * settings.frames,
        "written": len(waiting),
        "folders": [FRAMES, VIDEOS, *MAPS, POSES, CALIBRATION, COCO, *labels],
    }


def _write_labels(scenes: Scenes, out: Path, count: int) -> list[str]:
    """What the bodies of each scene are made of, as the labels of its video."""
    rows = [f"{VIDEOS}/{scene_name(number)}.mp4,{scenes.video(number).material}" for number in range(count)]
    _write(out / LABELS, "\n".join(["file,label", *rows, ""]).encode())
    return [LABELS]


def _claim(out: Path, scenes: Scenes, count: int) -> None:
    """Note in the folder what is written to it."""
    settings = scenes.settings
    known: dict[str, Any] = {"format": 1, "frames": settings.frames, "fps": settings.fps, "side": settings.side}
    known |= {"drawn_by": settings.drawn_by, "textures": settings.textures}
    if (out / INDEX).is_file():
        before = json.loads((out / INDEX).read_text(encoding="utf-8"))
        before.pop("scenes", None)
        if before != known:
            raise ValueError(f"{out} holds scenes with other settings; give a new folder to --out")
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} holds other files; give a new folder to --out")
    out.mkdir(parents=True, exist_ok=True)
    _write(out / INDEX, json.dumps({**known, "scenes": count}, indent=1).encode())


def _write_scene(scenes: Scenes, out: Path, number: int) -> None:
    """All files of one scene, its poses last: where they are, the scene is whole."""
    video = scenes.video(number)
    simulation = video.simulation()
    images, poses, regions = [], [], list[list[dict[str, Any]]]()
    for folder in (FRAMES, *MAPS):
        (out / folder / scene_name(number)).mkdir(parents=True, exist_ok=True)
    for folder in (VIDEOS, POSES, CALIBRATION, _REGIONS):
        (out / folder).mkdir(parents=True, exist_ok=True)
    for frame in range(video.count):
        one = video.frame(simulation, frame)
        images.append(one.image())
        (out / frame_file(FRAMES, number, frame)).write_bytes(png_of(images[-1]))
        given = {kind: one.given(kind) for kind in MAPS}
        for kind, values in given.items():
            (out / frame_file(kind, number, frame)).write_bytes(encode(kind, values))
        poses.append(one.camera.pose)
        regions.append(regions_of(given["instances"], given["moving"]))
    name = scene_name(number)
    _write_video(out / VIDEOS / f"{name}.mp4", images, scenes.settings.fps)
    if video.track is not None:
        _write(out / sound_file(number), video.sound_file)
    _write(out / CALIBRATION / f"{name}.txt", write_intrinsics(video.frame(simulation, 0).camera.intrinsics).encode())
    _write(out / _REGIONS / f"{name}.json", json.dumps(regions).encode())
    _write(out / POSES / f"{name}.txt", write_poses(np.stack(poses)).encode())


def regions_of(instances: NDArray[np.int16], moving: NDArray[np.uint8]) -> list[dict[str, Any]]:
    """The objects of a frame as COCO has them: box, area, and the lengths of runs down the columns."""
    found = []
    for number in np.unique(instances[instances > 0]).tolist():
        mask = instances == number
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        flat = mask.ravel(order="F")
        bounds = np.flatnonzero(np.diff(flat.astype(np.int8))) + 1
        runs = np.diff(np.concatenate([[0], bounds, [flat.size]])).tolist()
        box = [columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1]
        found.append(
            {
                "category_id": 1,
                "instance": number,
                "moving": int(moving[mask].max()),
                "bbox": [int(value) for value in box],
                "area": int(mask.sum()),
                "iscrowd": 0,
                "segmentation": {"size": list(mask.shape), "counts": [0, *runs] if flat[0] else runs},
            }
        )
    return found


def _write_coco(out: Path, count: int, frames: int, side: int) -> None:
    """The regions of all scenes in one file, frame after frame."""
    images, annotations = list[dict[str, Any]](), list[dict[str, Any]]()
    for number in range(count):
        regions = json.loads((out / _REGIONS / f"{scene_name(number)}.json").read_text(encoding="utf-8"))
        for frame in range(frames):
            image = len(images) + 1
            images.append({"id": image, "file_name": frame_file(FRAMES, number, frame), "width": side, "height": side})
            for region in regions[frame]:
                annotations.append({"id": len(annotations) + 1, "image_id": image, **region})
    whole = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "object"}]}
    _write(out / COCO, json.dumps(whole).encode())


def _write_video(path: Path, images: Sequence[NDArray[np.uint8]], fps: int) -> None:
    codec, options = next((c, o) for c, o in _CODECS if c in av.codecs_available)
    with written_whole(path) as draft, av.open(str(draft), "w", format="mp4") as container:
        stream: Any = container.add_stream(codec, rate=fps, options=options)
        stream.height, stream.width, stream.pix_fmt = *images[0].shape[:2], "yuv420p"
        stream.codec_context.time_base = Fraction(1, fps)
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _write(path: Path, content: bytes) -> None:
    with written_whole(path) as draft:
        draft.write_bytes(content)
