"""The page of `depth.py`: docs/results/depth.md from docs/results/depth.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

WORDS = {
    "zero_shot": "the network itself",
    "readout": "linear readout of its best stage",
    "random": "the same readout of random weights",
    "mean_map": "mean map of the training images",
    "lower_is_nearer": "lower in the image is nearer",
    "constant": "constant",
}
NAMES = {"bins": "scenes7_rgbd, bins", "pairs": "scenes7_rgbd, pairs", "walk": "scenes7_rgbd", "world": "world"}
TRACKS = {"walk": "scenes7_walk700", "car": "kitti_odometry51", "world": "world"}


def page(known: Mapping[str, Any]) -> str:
    """The page as Markdown."""
    lines = [
        "# Depth and motion of the camera",
        "",
        "Labels of `relative_depth`, and what `relative_depth` and `view_synthesis` learn in runs that are small on",
        "purpose: resnet18 at 64 pixels, 8 clips a step, one seed. `python benchmarks/depth.py` repeats it; its header",
        "says what is trained and tested on which frames. The probe is [`depth`](../probes/depth.md).",
        "",
    ]
    for part, make in (("labels", _labels), ("relative_depth", _depth), ("view_synthesis", _depth)):
        if part in known:
            lines += make(part, known[part])
    return "\n".join([*lines, *_tracks(known), *_reading()])


def _labels(part: str, known: Mapping[str, Any]) -> list[str]:
    rows = [
        [name, *(f"{found[k]:.3f}" for k in ("order_accuracy", "spearman")), f"{found['known']:.2f}"]
        + [f"{found[f'{k}_lower']:.3f}" for k in ("order_accuracy", "spearman")]
        for name, found in known.items()
    ]
    head = ["data", "order accuracy", "Spearman", "known", "lower is nearer: order", "Spearman"]
    about = "Percentiles of depth from optical flow against true depth, at the pixels where they are known."
    return ["## Labels of relative_depth", "", about, "", *_table(head, rows), ""]


def _depth(part: str, known: Mapping[str, Any]) -> list[str]:
    rows = []
    for name, found in known.items():
        for who, words in WORDS.items():
            if who in found.get("depth", {}):
                one = found["depth"][who]
                figures = [f"{one['order_accuracy']:.1f}", f"{one['spearman']:.3f}", f"{one['abs_rel']:.3f}"]
                rows.append([NAMES[name], words, *figures, f"{one['near_share']:.1f}"])
    head = ["data", "depth", "order accuracy, %", "Spearman", "relative error", "within 1.25, %"]
    told = [
        f"{TRACKS.get(name, name)} ({found['steps']} steps): {_told(found['held_out'])}"
        for name, found in known.items()
    ]
    return [
        f"## Depth of {part}",
        "",
        *_table(head, rows),
        "",
        "Held-out metrics of the task: " + "; ".join(told) + ".",
        "",
    ]


def _tracks(known: Mapping[str, Any]) -> list[str]:
    rows = []
    for name, found in known.get("view_synthesis", {}).items():
        one = found["trajectory"]
        errors = [f"{one[k]:.4f}" for k in ("network", "mean_motion", "constant_velocity")]
        turns = [f"{one[f'{k}_degrees']:.2f}" for k in ("network", "mean_motion", "constant_velocity")]
        rows.append([TRACKS[name], *errors, *turns, f"{one['metres']:.2f}", str(one["snippets"])])
    head = ["data", "error, m", "straight on", "constant velocity", "turn, degrees", "straight on"]
    head += ["constant velocity", "way, m", "snippets"]
    about = [
        "Absolute trajectory error of snippets of 5 frames after scaling, by a factor that may be negative (as in the",
        "code of Zhou et al., CVPR 2017), and mean error of the turn. Straight on is the mean direction of the test",
        "part, without a turn; constant velocity repeats the true first step of each snippet, so it knows the truth of",
        "two of the five frames.",
    ]
    return ["## Trajectories of view_synthesis", "", *about, "", *_table(head, rows), ""] if rows else []


def _told(found: Mapping[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in found.items())


def _reading() -> list[str]:
    return [
        "## Reading",
        "",
        "- A sideways motion of the camera and a turn about the vertical axis give nearly the same flow. Where they",
        "  are confused, the order of a frame is reversed; frames whose earlier and later flow disagree are left out.",
        "- After so few steps the order that the networks predict is mostly below that of the height in the image.",
        "  On scenes7_rgbd the depth of `bins` after scaling is nearer to the truth than what needs no image, and that",
        "  of `view_synthesis` nearer than a constant.",
        "- Runs of this length are far too short for trajectories: the table shows how they are measured, next to",
        "  rivals that do not look at the images. `benchmarks/motion_truth.py` does the same for `egomotion`.",
        "",
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
