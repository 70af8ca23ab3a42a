"""Masks of moving objects: their overlap with annotated ones, that of a network that learned from them, and speed.

Command:   python benchmarks/moving_objects.py
           python benchmarks/moving_objects.py --only labels --programs flow    # the result keeps what is not measured
           python benchmarks/moving_objects.py --only labels --programs unlc_published    # settings of the paper's code
Needs:     the real data sets beside the checkout (../shared/data/davis240 and jhmdb14)
Machine:   written into the result; rates are by CPU time, which hardly depends on what else runs. With
           OMP_NUM_THREADS=1 and `taskset -c 0` it measures one core
Result:    docs/results/moving_objects.json and docs/results/moving_objects.md
Time:      about 10 minutes on one core

  labels    of the programs of `moving_object` on the first 40 frames of 12 sequences of DAVIS, 160 x 284 pixels, and on
            clips of the test part of J-HMDB, 128 x 170, whose masks are of one person each. Masks are scored at half
            of the size. A mean over the frames of a sequence that have a mask, then over sequences
  networks  trained by `selftaught pretrain` on clips of the training part of J-HMDB, and scored on the square in the
            middle of frames of both data sets, none of which it has seen. As classes are weighted in training, what
            moves is not what is above 0.5 (which is in the JSON too) but the cells with the highest scores, as large a
            share of all as moves in the labels that it learned from
  speed     frames a second of each program, on frames of 128 x 227 pixels
  training  20 steps of `pretrain --task moving_object`, resnet18 at 128 pixels on packed videos, and of the bare model
            (encoder, decoder, loss, backward and SGD) on one constant batch; fifteen rounds in turns, medians

Compared with: every pixel moves; the middle moves, an ellipse of half the height and width; that nothing moves has an
overlap of 0. "decided" leaves out the pixels that a program leaves open, "all" takes them for background.

Expected (targets): unlc above flow above both baselines; training >= 0.95 of the bare model.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import platform
import statistics
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent))
from throughput import cpu_name, fast_precision, set_threads
from video_throughput import Clock

from selftaught.data.computed.catalogue import make_program
from selftaught.data.inputs import Computed
from selftaught.tasks.semantic.moving_object import PROGRAMS

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
RESULTS = ROOT / "docs" / "results"
HEIGHT, WIDTH = 160, 284
ROUNDS = 15
"""Of training, in turns with the bare model."""
VARIANTS = {"unlc_published": {"first": "dominant", "low": 0.4, "high": 0.7, "crf": True}}
"""Further rows of labels: settings of unlc. This one is closest to the code of the paper."""
Masks = NDArray[np.bool_]
Sequence = tuple[str, NDArray[np.uint8], Masks]
"""Name, frames (T, H, W, 3) RGB and annotated masks (T, ceil(H / 2), ceil(W / 2))."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="labels,speed,training,networks")
    parser.add_argument("--programs", default=",".join(PROGRAMS))
    parser.add_argument("--out", type=Path, default=RESULTS / "moving_objects.json")
    parser.add_argument("--clips", type=int, default=2, help="clips of each class of J-HMDB that are scored")
    parser.add_argument("--train-clips", type=int, default=4, help="clips of each class that a network learns from")
    parser.add_argument("--steps", type=int, default=150, help="of a network")
    parser.add_argument("--size", type=int, default=96, help="pixels of the images of a network")
    parser.add_argument("--note", default="", help="what else runs on the machine, for the page")
    args = parser.parse_args()
    if not (DATA / "davis240").exists():
        raise SystemExit("the real data sets are not beside this checkout")
    result: dict[str, Any] = json.loads(args.out.read_text()) if args.out.exists() else {}
    for part in args.only.split(","):
        for name, found in PARTS[part](args):
            result.setdefault(part, {})[name] = found
            result["machine"] = {"cpu": cpu_name(), "python": platform.python_version()}
            result["machine"] |= {"precision": fast_precision(), "note": args.note}
            args.out.write_text(json.dumps(result, indent=1) + "\n")
            args.out.with_suffix(".md").write_text(page(result))
            print(part, name, found, file=sys.stderr)


def labels(args: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    for data, sequences in (("davis240", davis), ("jhmdb14", lambda: jhmdb("test", args.clips))):
        for name in ("everything", "middle"):
            yield f"{data} {name}", {"all": mean_overlap(sequences(), prior(name))}
        for name in filter(None, args.programs.split(",")):
            yield f"{data} {name}", scores_of_program(name, sequences())


def scores_of_program(name: str, sequences: Iterator[Sequence]) -> dict[str, Any]:
    program = make_program(Computed(PROGRAMS.get(name, "unlc"), like="", settings=VARIANTS.get(name, {})))
    each: dict[str, float] = {}
    decided, undecided = [], []
    for sequence, frames, truth in sequences:
        masks = program.run(frames)[..., 0]
        found, known = masks == 1, masks != 255
        each[sequence] = round(overlap(found, truth), 3)
        decided.append(overlap(found, truth, known))
        undecided.append(float((~known).mean()))
    means = {"all": list(each.values()), "decided": decided, "undecided": undecided}
    return {key: round(float(np.mean(values)), 3) for key, values in means.items()} | {"each": each}


def overlap(found: Masks, truth: Masks, known: Masks | None = None) -> float:
    """Mean IoU over the frames that have a mask, of (T', h, w) and (T, h, w), T' <= T."""
    values = []
    for t in range(len(found)):
        among = np.ones_like(found[t]) if known is None else known[t]
        if (truth[t] & among).any():
            values.append(float((found[t] & truth[t] & among).sum() / ((found[t] | truth[t]) & among).sum()))
    return float(np.mean(values)) if values else 0.0


def prior(name: str) -> Callable[[Masks], Masks]:
    def everything(truth: Masks) -> Masks:
        return np.ones_like(truth)

    def middle(truth: Masks) -> Masks:
        y, x = (np.indices(truth.shape[1:]) + 0.5) / np.array(truth.shape[1:])[:, None, None] - 0.5
        return np.broadcast_to(y**2 + x**2 < 0.25**2, truth.shape)

    return {"everything": everything, "middle": middle}[name]


def mean_overlap(sequences: Iterator[Sequence], guess: Callable[[Masks], Masks]) -> float:
    return round(float(np.mean([overlap(guess(truth), truth) for _, _, truth in sequences])), 3)


def davis() -> Iterator[Sequence]:
    with zipfile.ZipFile(DATA / "davis240" / "davis240.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.startswith("frames/") and name.endswith(".jpg"))
        for sequence in sorted({name.split("/")[1] for name in names}):
            own = [name for name in names if name.split("/")[1] == sequence]
            masks = [name.replace("frames/", "masks/").replace(".jpg", ".png") for name in own]
            frames = np.stack([_image(archive, name, "RGB", (WIDTH, HEIGHT)) for name in own])
            yield sequence, frames, np.stack([_image(archive, n, "L", (WIDTH // 2, HEIGHT // 2)) > 127 for n in masks])


def _image(archive: zipfile.ZipFile, name: str, mode: str, size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(archive.read(name))).convert(mode).resize(size))


def jhmdb(split: str, of_class: int) -> Iterator[Sequence]:
    import av

    with zipfile.ZipFile(DATA / "jhmdb14" / "masks.zip") as archive:
        for name in jhmdb_files(split, of_class):
            with av.open(str(DATA / "jhmdb14" / name)) as container:
                decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
            frames = np.stack(decoded).astype(np.uint8, copy=False)
            packed = np.load(io.BytesIO(archive.read(f"{name[:-4]}.npy")))
            truth = np.unpackbits(packed, axis=-1, count=frames.shape[2])[: len(frames), ::2, ::2] > 0
            yield name, frames[: len(truth)], truth


def jhmdb_files(split: str, of_class: int) -> list[str]:
    """Clips of each class, no two of one source where there are enough."""
    with (DATA / "jhmdb14" / "labels.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    chosen: list[str] = []
    for label in sorted({row["label"] for row in rows}):
        own = [row for row in rows if row["label"] == label]
        firsts = {row["source_group"]: row["file"] for row in reversed(own)}
        rest = [row["file"] for row in own if row["file"] not in firsts.values()]
        chosen += [*firsts.values(), *rest][:of_class]
    return chosen


def speed(args: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    import cv2

    set_threads()
    cv2.setNumThreads(1)
    _, frames, _ = next(davis())
    small = np.stack([cv2.resize(frame, (227, 128), interpolation=cv2.INTER_AREA) for frame in frames])
    for name in filter(None, args.programs.split(",")):
        program = make_program(Computed(PROGRAMS[name], like=""))
        program.run(small[:3])
        clock = Clock()
        program.run(small)
        yield name, round(clock.rates(len(small))["cpu"], 1)


def networks(args: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    from moving_objects_network import middle_squares, scored, trained

    squares = {"davis240": [*middle_squares(davis())], "jhmdb14": [*middle_squares(jhmdb("test", args.clips))]}
    for name in ("everything", "middle"):
        yield name, {data: mean_overlap(iter(each), prior(name)) for data, each in squares.items()}
    for name in filter(None, args.programs.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            for file in jhmdb_files("train", args.train_clips):
                link = Path(folder) / "videos" / file
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to((DATA / "jhmdb14" / file).resolve())
            network = trained(Path(folder), name, steps=args.steps, size=args.size)
        found: dict[str, float] = {}
        for data, each in squares.items():
            scores = [scored(network.task, frames) for _, frames, _ in each]
            least = float(np.quantile(np.concatenate([one.reshape(-1) for one in scores]), 1 - network.share))
            for key, level in ((data, least), (f"{data} above 0.5", 0.0)):
                values = [overlap(one > level, truth) for one, (_, _, truth) in zip(scores, each, strict=True)]
                found[key] = round(float(np.mean(values)), 3)
        more = {"held-out accuracy": network.accuracy, "share": network.share, "steps": args.steps, "size": args.size}
        yield name, found | more


def training(args: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    from moving_objects_network import bare_steps, our_steps

    ways = {"ours": our_steps, "bare": bare_steps}
    rounds = [{name: measured() for name, measured in ways.items()} for _ in range(ROUNDS)]
    rates = {name: round(statistics.median(one[name] for one in rounds), 2) for name in ways}
    yield "ratios", [round(one["ours"] / one["bare"], 3) for one in rounds]
    yield from rates.items()
    yield "ratio", round(rates["ours"] / rates["bare"], 3)


PARTS: dict[str, Callable[[argparse.Namespace], Iterator[tuple[str, Any]]]] = {
    "labels": labels,
    "speed": speed,
    "training": training,
    "networks": networks,
}


def page(result: dict[str, Any]) -> str:
    """docs/results/moving_objects.md."""
    lines = [
        "# Masks of moving objects",
        "",
        "Generated by `python benchmarks/moving_objects.py`, which says how it is measured: intersection over union",
        "with annotated masks, of what [`moving_object`](../tasks/moving_object.md) learns from and of what it learns.",
    ]
    found = result.get("labels", {})
    if found:
        lines += ["", "## The labels", "", "| data | masks | all pixels | decided pixels | undecided |"]
        lines += ["| --- | --- | --- | --- | --- |"]
        for name, row in sorted(found.items()):
            undecided = f"{100 * row['undecided']:.0f} %" if "undecided" in row else ""
            cells = [*name.split(), f"{row['all']:.3f}", f"{row['decided']:.3f}" if "decided" in row else "", undecided]
            lines.append(f"| {' | '.join(cells)} |")
        lines += [
            "",
            "Settings of unlc were chosen on DAVIS. Masks of J-HMDB are of a whole person, who often moves one arm.",
        ]
        each = {name.split()[1]: row["each"] for name, row in found.items() if "davis" in name and "each" in row}
        sequences = sorted({sequence for row in each.values() for sequence in row})
        lines += ["", f"| sequence of DAVIS | {' | '.join(each)} |", f"| --- |{' --- |' * len(each)}"]
        lines += [f"| {one} | {' | '.join(f'{row[one]:.2f}' for row in each.values())} |" for one in sequences]
    if "networks" in result:
        lines += ["", "## What a network has learned", "", *_budget(result["networks"]), ""]
        lines += ["| learned from | davis240 | jhmdb14 |", "| --- | --- | --- |"]
        rows = result["networks"].items()
        lines += [f"| {name} | {row['davis240']:.3f} | {row['jhmdb14']:.3f} |" for name, row in rows]
    if "speed" in result:
        lines += ["", "## Speed", "", "| program | frames a second |", "| --- | --- |"]
        lines += [f"| {name} | {rate:.0f} |" for name, rate in result["speed"].items()]
    if "ratio" in result.get("training", {}):
        of = result["training"]
        rounds = ", ".join(f"{one:.2f}" for one in of["ratios"])
        words = f"{of['ours']} images a second; the bare model: {of['bare']}; ratio {of['ratio']} (rounds: {rounds})."
        lines += ["", f"Training on packed masks: {words}"]
    of_machine = [result["machine"]["cpu"], f"{os.cpu_count()} cores", *list(result["machine"].values())[2:]]
    machine = ", ".join(one for one in of_machine if one)
    return "\n".join([*lines, "", f"Measured by CPU time on one core of: {machine}.", ""])


def _budget(networks: dict[str, Any]) -> list[str]:
    """What the networks were given, and whether it was enough."""
    learned = [row for row in networks.values() if "steps" in row]
    if not learned:
        return []
    steps, size = learned[0]["steps"], learned[0]["size"]
    gains = {data: max(row[data] for row in learned) - networks["middle"][data] for data in ("davis240", "jhmdb14")}
    return [
        f"ResNet-18 after {steps} steps of 16 crops of {size} pixels, of clips of J-HMDB, which show people; scored on",
        "frames that it has not seen. The best differs from the ellipse in the middle of the frame by",
        f"{gains['davis240']:+.3f} on DAVIS, which shows other things too, and by {gains['jhmdb14']:+.3f} on J-HMDB.",
    ]


if __name__ == "__main__":
    main()
