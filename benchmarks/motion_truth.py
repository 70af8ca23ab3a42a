"""Flow and camera motion that tasks learn without labels, against truth, and held-out metrics against trivial ones.

Command:   python benchmarks/motion_truth.py               # flow,camera,frames
           python benchmarks/motion_truth.py --only flow --steps 2000
Needs:     the real data sets beside the checkout (../shared/data)
Result:    docs/results/motion_truth.json and docs/results/motion_truth.md; what is not measured now stays
Time:      about 2 minutes of one core each, with the defaults
Measured:  flow: `unsupervised_flow` learns from the frames of davis240, which has no true flow; the mean end-point
           error on the middle squares of flow_pairs and flow_chairs6, scaled to the size of training, beside that of
           flow that is zero everywhere and of DIS (OpenCV).
           camera: `egomotion` learns from the first 516 of the 700 frames of scenes7_walk700, in stretches of 12, and
           is measured on the last 156: accuracy along each axis beside that of always naming the bin that is commonest
           there, and the error of the place of the camera over snippets of 5 frames, of which the middles of the
           predicted bins are chained, beside that of the true first step going on
           frames: `flow_prediction` and `flow_similarity` on jhmdb14; the held-out metric, whose trivial value is 0
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial.transform import Rotation

import selftaught
from selftaught.data.annotations.poses.kitti_poses import read_poses
from selftaught.data.computed.optical_flow import dense_flow
from selftaught.evaluation.metrics.trajectory import chained, constant_velocity, snippets, trajectory_error
from selftaught.ops.colour import normalise
from selftaught.tasks.crossmodal.egomotion import Egomotion
from selftaught.tasks.crossmodal.egomotion import Example as Pair
from selftaught.tasks.crossmodal.unsupervised_flow import Example as Frames
from selftaught.tasks.crossmodal.unsupervised_flow import UnsupervisedFlow, resized_flow
from selftaught.tasks.parts.clips.camera_motion import AXES, motion_between
from selftaught.training.encoder_of_run import load_task

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
RESULTS = ROOT / "docs" / "results"
STRETCH, TRAINED, HELD_OUT = 12, 43, 13
"""Frames of a stretch of the walk, stretches that are learned from, and the last ones, which are not."""
SNIPPET = 5

Measured = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="flow,camera,frames", help="parts, separated by commas")
    parser.add_argument("--steps", type=int, help="of training, instead of the part's own")
    parser.add_argument("--encoder", default="timm:resnet10t")
    args = parser.parse_args()
    if not DATA.exists():
        raise SystemExit("the real data sets are not beside this checkout")
    path = RESULTS / "motion_truth.json"
    known: Measured = json.loads(path.read_text()) if path.exists() else {}
    parts: dict[str, tuple[Callable[[Path, int, str], Measured], int]] = {
        "flow": (flow, 120),
        "camera": (camera, 250),
        "frames": (single_frames, 200),
    }
    for name in args.only.split(","):
        measure, steps = parts[name]
        with tempfile.TemporaryDirectory() as folder:
            known[name] = measure(Path(folder), args.steps or steps, args.encoder)
        print(name, known[name])
        path.write_text(json.dumps(known, indent=1) + "\n")
        (RESULTS / "motion_truth.md").write_text(page(known))


def flow(folder: Path, steps: int, encoder: str, *, size: int = 64) -> Measured:
    """End-point errors of each pair, pixels of images of `size`."""
    begun = time.process_time()
    run = folder / "run"
    selftaught.pretrain(
        DATA / "davis240" / "davis240.zip",
        task="unsupervised_flow",
        encoder=encoder,
        size=size,
        steps=steps,
        batch_size=8,
        lr=4.8e-3,
        task_settings={"stride": 2, "unmasked": 0.99},
        out=run,
    )
    seconds = time.process_time() - begun
    task = load_task(run)
    assert isinstance(task, UnsupervisedFlow)
    rows = {}
    for pair in sorted([*(DATA / "flow_pairs").glob("*/flow.npz"), *(DATA / "flow_chairs6").glob("*/flow.npz")]):
        frames, truth, valid = pair_of(pair.parent, size)
        with torch.no_grad():
            images = normalise(torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255)
            learned = resized_flow(task(Frames(images))[-1][:1], size)[0].permute(1, 2, 0).numpy()
        found = {"zero": np.zeros_like(truth), "DIS": dense_flow(frames, "medium")[0], "learned": learned}
        rows[pair.parent.name] = {name: end_point_error(one, truth, valid) for name, one in found.items()}
    return {"steps": steps, "encoder": encoder, "size": size, "cpu_seconds": round(seconds), "pairs": rows}


def pair_of(folder: Path, size: int) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.bool_]]:
    """Both frames (2, size, size, 3), flow (size, size, 2) in their pixels, and where it is known."""
    files = [next(folder.glob(f"frame{n}.*")) for n in (1, 2)]
    images = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    known = np.load(folder / "flow.npz")
    height, width = images[0].shape[:2]
    scale = size / min(height, width)
    shape = (max(size, round(width * scale)), max(size, round(height * scale)))
    top, left = (shape[1] - size) // 2, (shape[0] - size) // 2

    def cut(values: NDArray[Any], how: int) -> NDArray[Any]:
        return cv2.resize(values, shape, interpolation=how)[top : top + size, left : left + size]

    frames = np.stack([cut(image, cv2.INTER_AREA) for image in images])
    # By the nearest pixel, for flow is not known everywhere.
    truth = scale * cut(known["flow"], cv2.INTER_NEAREST_EXACT)
    valid = cut(known["valid"].astype(np.uint8), cv2.INTER_NEAREST_EXACT) > 0
    return frames, truth.astype(np.float32), valid


def end_point_error(found: NDArray[np.float32], truth: NDArray[np.float32], valid: NDArray[np.bool_]) -> float:
    return float(np.linalg.norm(found - truth, axis=2)[valid].mean())


def camera(folder: Path, steps: int, encoder: str, *, size: int = 48) -> Measured:
    """Accuracy along each axis, and trajectory errors in metres."""
    stretches = write_walk(folder / "walk")
    begun = time.process_time()
    run = folder / "run"
    selftaught.pretrain(
        folder / "walk",
        task="egomotion",
        encoder=encoder,
        size=size,
        steps=steps,
        batch_size=32,
        lr=8e-3,
        task_settings={"axes": "all", "bins": 5, "dropout": 0.0},
        out=run,
    )
    seconds = time.process_time() - begun
    task = load_task(run)
    assert isinstance(task, Egomotion)
    hits, shares = accuracy(task, stretches)
    errors: dict[str, list[float]] = {"learned": [], "constant velocity": []}
    for frames, poses in stretches:
        true = snippets(torch.from_numpy(poses).float(), SNIPPET)
        steps_found = predicted(task, frames[:-1], frames[1:])
        moved = chained(step_poses(steps_found).unfold(0, SNIPPET - 1, 1).movedim(-1, 1))
        errors["learned"] += trajectory_error(moved, true).tolist()
        errors["constant velocity"] += trajectory_error(constant_velocity(true), true).tolist()
    return {
        "steps": steps,
        "encoder": encoder,
        "size": size,
        "cpu_seconds": round(seconds),
        "accuracy": dict(zip(AXES["all"], hits, strict=True)),
        "commonest": dict(zip(AXES["all"], shares, strict=True)),
        "trajectory_error": {name: float(np.mean(values)) for name, values in errors.items()},
    }


def write_walk(folder: Path) -> list[tuple[NDArray[np.uint8], NDArray[np.float64]]]:
    """Stretches to learn from, in folders, and the held-out ones: frames (12, H, W, 3) and poses (12, 4, 4)."""
    with zipfile.ZipFile(DATA / "scenes7_walk700" / "scenes7_walk700.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        text = archive.read("poses.txt").decode()
        lines = text.splitlines()
        count = len(names) // STRETCH
        held = []
        for k in [*range(TRAINED), *range(count - HELD_OUT, count)]:
            part = slice(STRETCH * k, STRETCH * (k + 1))
            if k >= TRAINED:
                images = [Image.open(io.BytesIO(archive.read(name))).convert("RGB") for name in names[part]]
                held.append((np.stack([np.asarray(image) for image in images]), read_poses(text, "poses.txt")[part]))
                continue
            target = folder / f"w{k:02d}"
            target.mkdir(parents=True)
            for t, name in enumerate(names[part]):
                (target / f"frame_{t:04d}.jpg").write_bytes(archive.read(name))
            (target / "poses.txt").write_text("\n".join(lines[part]))
    return held


@torch.no_grad()
def logits_of(task: Egomotion, first: NDArray[np.uint8], second: NDArray[np.uint8]) -> torch.Tensor:
    """Logits (N, A, B) of pairs of whole frames (N, H, W, 3), of which the middle square is seen."""
    side = min(first.shape[1:3])
    top, left = (first.shape[1] - side) // 2, (first.shape[2] - side) // 2
    images = [
        cv2.resize(frame[top : top + side, left : left + side], (task.size, task.size), interpolation=cv2.INTER_AREA)
        for frame in (*first, *second)
    ]
    seen = normalise(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255)
    nothing = torch.zeros(len(first), len(task.axes))
    found: torch.Tensor = task(Pair(seen, nothing, nothing.long()))
    return found.float()


def predicted(task: Egomotion, first: NDArray[np.uint8], second: NDArray[np.uint8]) -> torch.Tensor:
    """Motions (N, A): the middles of the likeliest bins."""
    middles = (torch.arange(task.config.bins) + 0.5) / task.config.bins
    return task.queue.quantile(middles, 0).gather(0, logits_of(task, first, second).argmax(2))


def accuracy(
    task: Egomotion, stretches: list[tuple[NDArray[np.uint8], NDArray[np.float64]]]
) -> tuple[list[float], list[float]]:
    """Along each axis the share of pairs, of all distances, whose bin is found, and that of the commonest bin."""
    hits, labels = [], []
    for frames, poses in stretches:
        pairs = [(i, j) for i in range(STRETCH) for j in range(STRETCH) if 0 < abs(i - j) <= task.config.gap]
        first, second = (list(one) for one in zip(*pairs, strict=True))
        moved = motion_between(*(torch.from_numpy(poses[numbers]).float() for numbers in (first, second)))
        label = task.bins_of(moved)
        hits.append(logits_of(task, frames[first], frames[second]).argmax(2) == label)
        labels.append(label)
    counts = torch.nn.functional.one_hot(torch.cat(labels), task.config.bins).float().mean(0)
    return torch.cat(hits).float().mean(0).tolist(), counts.amax(1).tolist()


def step_poses(motion: torch.Tensor) -> torch.Tensor:
    """Poses (N, 4, 4) of motions (N, 6), as `motion_between` takes them apart."""
    out = torch.eye(4, dtype=torch.double).repeat(len(motion), 1, 1)
    turns = Rotation.from_euler("YXZ", motion[:, 3:].double().numpy())
    out[:, :3, :3] = torch.from_numpy(turns.as_matrix())
    out[:, :3, 3] = motion[:, :3].double()
    return out


def single_frames(folder: Path, steps: int, encoder: str, *, size: int = 64) -> Measured:
    """Held-out metrics of the tasks that see one frame."""
    found: Measured = {"steps": steps, "encoder": encoder, "size": size, "tasks": {}}
    for task, settings in (("flow_prediction", {"lr": 0.5}), ("flow_similarity", {"lr": 8e-3})):
        begun = time.process_time()
        summary = selftaught.pretrain(
            DATA / "jhmdb14",
            task=task,
            encoder=encoder,
            size=size,
            steps=steps,
            batch_size=16,
            out=folder / task,
            **settings,  # type: ignore[arg-type]
        )
        seconds = round(time.process_time() - begun)
        found["tasks"][task] = {**settings, "value": summary["value"], "cpu_seconds": seconds}
    return found


def page(known: Measured) -> str:
    lines = ["# Flow and camera motion against truth", "", "Generated by `python benchmarks/motion_truth.py`.", ""]
    if one := known.get("flow"):
        lines += [
            "## Flow",
            "",
            f"`unsupervised_flow` with {one['encoder']}, {one['steps']} steps on the frames of davis240 "
            f"({one['cpu_seconds']} s of one core); mean end-point error in pixels of images of {one['size']} pixels.",
            "For so few steps: `--batch-size 8 --lr 4.8e-3 --stride 2 --task.unmasked 0.99`: no pixel is counted "
            "as occluded.",
            "",
            "| pair | zero flow | DIS | learned |",
            "| --- | --- | --- | --- |",
        ]
        pairs = one["pairs"]
        means = {name: float(np.mean([row[name] for row in pairs.values()])) for name in ("zero", "DIS", "learned")}
        for name, row in (*pairs.items(), ("mean", means)):
            lines.append(f"| {name} | {row['zero']:.2f} | {row['DIS']:.2f} | {row['learned']:.2f} |")
        lines.append("")
    if one := known.get("camera"):
        lines += [
            "## Camera motion",
            "",
            f"`egomotion` with {one['encoder']}, {one['steps']} steps on scenes7_walk700 ({one['cpu_seconds']} s of "
            "one core), measured on the end of the same walk: one room, no claim across rooms.",
            "",
            "| axis | accuracy | commonest bin |",
            "| --- | --- | --- |",
        ]
        lines += [f"| {axis} | {value:.3f} | {one['commonest'][axis]:.3f} |" for axis, value in one["accuracy"].items()]
        lines += ["", "| trajectory over 5 frames | error, mm |", "| --- | --- |"]
        lines += [f"| {name} | {1000 * value:.2f} |" for name, value in one["trajectory_error"].items()]
        lines.append("")
    if one := known.get("frames"):
        lines += [
            "## Tasks that see one frame",
            "",
            f"On jhmdb14 with {one['encoder']}, {one['steps']} steps of 16 frames of {one['size']} pixels; the "
            "explained part of the flow, or of its similarity, on the held-out videos. Predicting nothing has 0.",
            "",
            "| task | `--lr` | explained | s of one core |",
            "| --- | --- | --- | --- |",
        ]
        for task, row in one["tasks"].items():
            lines.append(f"| {task} | {row['lr']:g} | {row['value']:.3f} | {row['cpu_seconds']} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
