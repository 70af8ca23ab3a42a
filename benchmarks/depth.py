"""Depth, and the motion of the camera: labels of relative_depth, and what relative_depth and view_synthesis learn.

Command:   python benchmarks/depth.py --only labels
           python benchmarks/depth.py --only relative_depth --data walk --steps 300
           python benchmarks/depth.py --only view_synthesis --data walk --steps 200
           python benchmarks/depth.py --only relative_depth,view_synthesis --losses "" --data car,world --steps 80
Needs:     the real data sets beside the checkout (../shared/data), the extra [world]
Result:    docs/results/depth.json and docs/results/depth.md; what is not measured now stays as it was
Time:      about 6 minutes of one core
Measured:  one seed, small on purpose: resnet18 at 64 pixels, 8 clips a step. The walk is frames 0 to 499 of
           scenes7_walk700 for training; depth is that of scenes7_rgbd, frames from 550 on (every third), and of frames
           before 500 for readouts; trajectories are those of frames 550 to 699. KITTI: the first 35 of 51 frames, and
           the others. World: 16 rendered scenes, and 4 others. Labels are compared with depth where they are known
Expected:  labels above "lower in the image is nearer" on scenes7_rgbd, and about as good in the world
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from depth_page import page
from numpy.typing import NDArray
from torch import Tensor

import selftaught
from selftaught.core.settings.groups import DataSettings
from selftaught.data.batch import Sampling
from selftaught.data.computed.relative_depth import RelativeDepth
from selftaught.data.computed.with_maps import pack_with_maps
from selftaught.data.sources.open import open_source
from selftaught.data.store.subset import Subset
from selftaught.evaluation.data.paired import Paired
from selftaught.evaluation.metrics.depth_maps import lower_is_nearer, order_accuracy, rank_correlation
from selftaught.evaluation.metrics.trajectory import (
    chained,
    constant_velocity,
    mean_motion,
    snippets,
    trajectory_error,
    turning_error,
)
from selftaught.evaluation.probes.depth import Depth
from selftaught.evaluation.subject import open_subject
from selftaught.features.reader import Reader
from selftaught.ops.colour import normalise
from selftaught.ops.crop import crop_resize
from selftaught.ops.depth.camera import inverse_motion
from selftaught.tasks.crossmodal.view_synthesis import ViewSynthesis
from selftaught.training.encoder_of_run import load_task, random_encoder

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
RESULTS = ROOT / "docs" / "results"
WALK, ROOM, CAR = (SHARED / name / f"{name}.zip" for name in ("scenes7_walk700", "scenes7_rgbd", "kitti_odometry51"))
SIZE, SHORT = 64, 120
"""Side of the images of the networks, and short side of the frames that labels are computed of, pixels."""
LAST_TRAIN, FIRST_TEST = 500, 550
"""Numbers of frames of the walk."""
WORLD = f"world:scenes=16,side={SIZE},frames=16"
FOV_7SCENES = 57.4
"""Horizontal degrees: 585 pixels of focal length for 640."""
Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Track:
    """Consecutive frames (T, 3, H, W) uint8 of one camera, and their poses (T, 4, 4)."""

    frames: Tensor
    poses: Tensor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="labels,relative_depth,view_synthesis")
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--data", default="walk,car,world", help="where relative_depth and view_synthesis are trained")
    parser.add_argument("--losses", default="bins,pairs", help="of relative_depth")
    args = parser.parse_args()
    if not WALK.exists():
        raise SystemExit("the real data sets are not beside this checkout")
    path = RESULTS / "depth.json"
    known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}

    def keep(part: str, found: dict[str, Any]) -> None:
        known[part] = known.get(part, {}) | found
        print(part, found, file=sys.stderr)
        path.write_text(json.dumps(known, indent=1) + "\n")
        (RESULTS / "depth.md").write_text(page(known))

    wanted = args.only.split(",")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        cut(WALK, "color", folder / "walk", pieces=[(50 * k, 50 * k + 50) for k in range(LAST_TRAIN // 50)])
        cut(CAR, "image_0", folder / "car", pieces=[(0, 9), (9, 18), (18, 27), (27, 35)])
        data = {"walk": str(folder / "walk"), "car": str(folder / "car"), "world": WORLD}
        if "labels" in wanted:
            keep("labels", {"scenes7_rgbd": labels(room_frames()), "world": labels(world_frames())})
        if "relative_depth" in wanted:
            for loss in filter(None, args.losses.split(",")):
                run = train(data["walk"], folder, "relative_depth", args.steps, {"loss": loss, "fov": FOV_7SCENES})
                keep(
                    "relative_depth", {loss: {"steps": args.steps, "held_out": held_out(run), "depth": room_depth(run)}}
                )
            if "world" in args.data.split(","):
                run = train(WORLD, folder, "relative_depth", args.steps, {})
                keep(
                    "relative_depth",
                    {"world": {"steps": args.steps, "held_out": held_out(run), "depth": world_depth(run)}},
                )
        if "view_synthesis" in wanted:
            for name in args.data.split(","):
                keep("view_synthesis", {name: view_synthesis(name, data[name], folder, args.steps)})


def view_synthesis(name: str, data: str, folder: Path, steps: int) -> dict[str, Any]:
    """Trained on one of the data; trajectories and depth of the test part."""
    every = {"walk": 3, "car": 1, "world": 3}[name]
    settings = {"camera": "given", "stride": every}
    run = train(data, folder, "view_synthesis", steps, settings, lr=5e-4)
    task = load_task(run)
    assert isinstance(task, ViewSynthesis)
    tracks = {"walk": lambda: [walk_test()], "car": lambda: [car_test()], "world": world_tracks}[name]()
    found: dict[str, Any] = {
        "steps": steps,
        "held_out": held_out(run),
        "trajectory": trajectory(task, tracks, every=every),
    }
    if name == "walk":
        found["depth"] = room_depth(run)
    if name == "world":
        found["depth"] = world_depth(run)
    return found


def train(data: str, folder: Path, task: str, steps: int, settings: dict[str, Any], **more: Any) -> Path:
    """A run; its folder."""
    out = folder / f"{task}-{len(list(folder.iterdir()))}"
    selftaught.pretrain(
        data,
        out=out,
        task=task,
        task_settings=settings,
        encoder="resnet18",
        stem="standard",
        size=SIZE,
        batch_size=8,
        steps=steps,
        evaluate_every=steps,
        **more,
    )
    return out


def held_out(run: Path) -> dict[str, float]:
    """The last held-out metrics."""
    lines = (run / "heldout.csv").read_text().splitlines()
    values = dict(zip(lines[0].split(","), lines[-1].split(","), strict=True))
    wanted = ("gain", "accuracy", "order_accuracy", "order_accuracy_lower", "frames_used")
    return {name: round(float(values[name]), 4) for name in wanted if name in values}


def labels(frames: Iterator[tuple[NDArray[np.uint8], Floats, float]]) -> dict[str, float]:
    """Means over frames of labels against depth, and of "lower is nearer" at the same pixels."""
    rows: list[dict[str, float]] = []
    known_shares = []
    for video, depth, fov in frames:
        found = torch.from_numpy(RelativeDepth(fov=fov).run(video)[..., 0])
        truth = torch.from_numpy(depth)[:, 1::2, 1::2][:, : found.shape[1], : found.shape[2]]
        known = found > 0
        known_shares += known.float().mean((1, 2)).tolist()
        counts = known.float().mean((1, 2)) >= 0.3
        if not counts.any():
            continue
        found, truth, known = found[counts].float(), truth[counts], known[counts]
        metrics = {
            "order_accuracy": order_accuracy(found, truth, known=known),
            "spearman": rank_correlation(found, truth, known=known),
            "order_accuracy_lower": order_accuracy(lower_is_nearer(truth), truth, known=known),
            "spearman_lower": rank_correlation(lower_is_nearer(truth), truth, known=known),
        }
        rows += [{k: float(v[n]) for k, v in metrics.items()} for n in range(len(found))]
    means = {name: round(float(np.nanmean([row[name] for row in rows])), 3) for name in rows[0]}
    return means | {"known": round(float(np.mean(known_shares)), 3), "frames": len(rows), "of": len(known_shares)}


def room_frames() -> Iterator[tuple[NDArray[np.uint8], Floats, float]]:
    """Every frame of scenes7_rgbd, in stretches of 39."""
    from PIL import Image

    with zipfile.ZipFile(ROOM) as archive:
        names = sorted(name for name in archive.namelist() if name.startswith("color/") and name.endswith(".jpg"))
        size = (SHORT * 4 // 3, SHORT)
        for start in range(0, len(names), 39):
            part = names[start : start + 39]
            images = [Image.open(io.BytesIO(archive.read(name))).resize(size) for name in part]
            files = [archive.read(name.replace("color", "depth").replace("jpg", "png")) for name in part]
            depths = [Image.open(io.BytesIO(file)).resize(size, Image.Resampling.NEAREST) for file in files]
            metres = np.asarray([np.asarray(one) for one in depths], np.float32) / np.float32(1000)
            yield np.asarray([np.asarray(one) for one in images], np.uint8), metres, FOV_7SCENES


def world_frames() -> Iterator[tuple[NDArray[np.uint8], Floats, float]]:
    """16 frames of each of 8 scenes; what is farther than 60 m is unknown."""
    source = open_source(f"world:scenes=8,side={SHORT},frames=16", split="train", needs=frozenset({"video"}))
    for number in range(8):
        video: Any = source.read(number)
        given = [video.given(["depth", "intrinsics"], k) for k in range(16)]
        depth = np.stack([one["depth"] for one in given]).astype(np.float32)
        fov = 2 * np.degrees(np.arctan(SHORT / 2 / given[0]["intrinsics"][0, 0]))
        yield np.stack(list(video.frames(range(16)))), np.where(depth < 60, depth, 0), float(fov)


def room_depth(run: Path) -> dict[str, Any]:
    """The probe on scenes7_rgbd, read from frames before 500 and tested from 550 on."""
    source = open_source(str(ROOM), split="train", needs=frozenset({"image", "depth"}), held_out=0.0)
    samples = pack_with_maps(
        source, DataSettings(path=str(ROOM)), Sampling(inputs=Depth.inputs), size=SIZE, title="packing", is_shown=False
    )
    numbers = np.array([int(Path(key).stem) for key in samples.keys])
    parts = [Subset(samples, np.flatnonzero(chosen)) for chosen in (numbers < LAST_TRAIN, numbers >= FIRST_TEST)]
    return probed(run, Paired(train=parts[0], test=parts[1], classes=(), test_is="frames from 550 on"))


def world_depth(run: Path) -> dict[str, Any]:
    """The probe on rendered scenes, one frame of each."""
    parts = []
    name = f"world:scenes=64,side={SIZE},frames=2"
    for split in ("train", "test"):
        source = open_source(name, split=split, needs=frozenset({"image", "depth"}))
        parts.append(
            pack_with_maps(
                source, DataSettings(path=WORLD), Sampling(inputs=Depth.inputs), size=SIZE, title=split, is_shown=False
            )
        )
    return probed(run, Paired(train=parts[0], test=parts[1], classes=(), test_is="other scenes"))


def probed(run: Path, data: Paired) -> dict[str, Any]:
    """Figures of the probe `depth` for the run's encoder, and for random weights."""
    subject = open_subject(run)
    device = torch.device("cpu")
    probe = Depth(Depth.Config(farthest=60.0))
    own = probe.score(
        Reader(encoder=subject.encoder, size=SIZE, device=device, predict_maps=subject.predict_maps), data
    )
    random = random_encoder(subject.network, 0)
    other = probe.score(Reader(encoder=random, size=SIZE, device=device, is_random=True), data)
    named: dict[str, Any] = {}
    for name, score in (("readout", own), ("random", other)):
        more = {k: score.more[k] for k in ("spearman", "abs_rel", "near_share")}
        named[name] = {"order_accuracy": score.value, "stage": score.stage, **more}
    rest = ("zero_shot", "constant", "lower_is_nearer", "mean_map")
    return named | {k: own.more[k] for k in rest if own.more[k] is not None}


@torch.no_grad()
def trajectory(task: ViewSynthesis, tracks: Sequence[Track], *, every: int) -> dict[str, float]:
    """Errors of snippets of 5 frames, `every` apart, next to those of trajectories that no network has seen."""
    found, truth = [], []
    for track in tracks:
        frames, poses = track.frames[::every], track.poses[::every].double()
        side = min(frames.shape[-2:])
        top, left = ((length - side) / 2 for length in frames.shape[-2:])
        boxes = torch.tensor([[top, left, side, side]]).expand(len(frames), 4)
        images = normalise(crop_resize(frames, boxes, SIZE).clamp(0, 1))
        steps = inverse_motion(task.motion(torch.cat([images[:-1], images[1:]], 1))[0])
        found.append(torch.stack([chained(steps[k : k + 4]) for k in range(len(poses) - 4)]))
        truth.append(snippets(poses))
    own, true = torch.cat(found).double(), torch.cat(truth)
    rivals = {"network": own, "mean_motion": mean_motion(true), "constant_velocity": constant_velocity(true)}
    errors = {name: round(float(trajectory_error(one, true).mean()), 4) for name, one in rivals.items()}
    angles = {name: torch.rad2deg(turning_error(one, true)).mean() for name, one in rivals.items()}
    turns = {f"{name}_degrees": round(float(angle), 3) for name, angle in angles.items()}
    way = (true[:, -1, :3, 3] - true[:, 0, :3, 3]).norm(dim=1).mean()
    return errors | turns | {"metres": round(float(way), 3), "snippets": len(true)}


def walk_test() -> Track:
    return _track(WALK, "color", range(FIRST_TEST, 700))


def car_test() -> Track:
    return _track(CAR, "image_0", range(35, 51))


def world_tracks() -> list[Track]:
    """The scenes of the test part."""
    source = open_source(WORLD, split="test", needs=frozenset({"video"}))
    tracks = []
    for number in range(len(source)):
        video: Any = source.read(number)
        frames = torch.from_numpy(np.stack(list(video.frames(range(16))))).movedim(-1, 1)
        poses = np.stack([video.given(["pose"], k)["pose"] for k in range(16)])
        tracks.append(Track(frames=frames, poses=torch.from_numpy(poses)))
    return tracks


def _track(path: Path, folder: str, numbers: range) -> Track:
    from PIL import Image

    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.startswith(f"{folder}/") and name[-1] != "/")
        images = [Image.open(io.BytesIO(archive.read(names[k]))).convert("RGB") for k in numbers]
        lines = archive.read("poses.txt").decode().splitlines()
    poses = torch.eye(4, dtype=torch.double).repeat(len(numbers), 1, 1)
    poses[:, :3] = torch.tensor([[float(one) for one in lines[k].split()] for k in numbers]).view(-1, 3, 4)
    return Track(frames=torch.from_numpy(np.stack([np.asarray(one) for one in images])).movedim(-1, 1), poses=poses)


def cut(path: Path, folder: str, out: Path, *, pieces: Sequence[tuple[int, int]]) -> None:
    """Stretches of one sequence of frames as folders of their own, with poses and calibration."""
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.startswith(f"{folder}/") and name[-1] != "/")
        lines = archive.read("poses.txt").decode().splitlines()
        for number, (start, end) in enumerate(pieces):
            own = out / f"{number:02d}"
            (own / folder).mkdir(parents=True)
            for name in names[start:end]:
                (own / folder / Path(name).name).write_bytes(archive.read(name))
            (own / "poses.txt").write_text("\n".join(lines[start:end]) + "\n")
            for calibration in {"calib.txt", "intrinsics.txt"} & set(archive.namelist()):
                (own / calibration).write_bytes(archive.read(calibration))


if __name__ == "__main__":
    main()
