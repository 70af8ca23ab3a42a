"""Whether the package still computes the same numbers, bit for bit, after its code was moved or rewritten.

Command:   python benchmarks/equality.py --out before.json
           python benchmarks/equality.py --out after.json --compare before.json      # on the same machine
Needs:     the data that come with the package, nothing else; safetensors and numpy
Time:      about 2 minutes on 2 cores; stop it at any time and run it again to go on. Parts that are done are kept in
           --work, in a folder named after the source code, so what other code computed is never taken up. Give
           another --work to compute the same again, and leave the code as it is while this runs
Machine:   any CPU; one thread and 32-bit floats, so that sums are taken in one order. Other processors, or other
           versions of torch, round differently: a comparison across them says so and is expected to fail
Result:    one JSON file of SHA-256 sums and metrics by part:
           - every task trained for 12 steps (and simclr with a transformer, by LARS in accumulated parts, and on 2
             processes): the columns of metrics.csv and heldout.csv, the metrics in summary.json, the tensors of the
             last checkpoint (names and values) and the previews
           - two encoders, a run's and one in a file of weights exported from another run: features and probes
           Times are left out.
Expected:  no difference; each one is printed and the exit code is 1

Only the public functions and the files of a run folder are used, so this script stays valid whatever moves inside.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import importlib.metadata
import json
import multiprocessing
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

import selftaught

Json = dict[str, Any]
Record = dict[str, str]
"""What was computed -> its SHA-256 or its value."""
Compute = Callable[[], Record]

SHARED: Json = {
    "encoder": "resnet18",
    "stem": "standard",
    "size": 32,
    "batch_size": 16,
    "steps": 12,
    "limit": 96,
    "seed": 3,
    "log_every": 1,
    "precision": "32-true",
    "accelerator": "cpu",
}
TASKS: dict[str, Json] = {
    "artifacts": {},
    "audio_visual": {},
    "autoencoder": {},
    "bigan": {},
    "clustering": {},
    "colorization": {},
    "context_prediction": {},
    "counting": {},
    "deep_embedded_clustering": {},
    "exemplar": {},
    "frame_order_verification": {},
    "gan": {},
    "graph_constraint": {},
    "inpainting": {},
    "jigsaw": {},
    "moco": {},
    "noise_as_targets": {},
    "rotation": {},
    "rotation+colorization": {},
    "simclr": {},
    "simclr, 2 processes": {"devices": 2},
    "simclr, LARS": {"optimizer": "lars", "accumulate": 2, "clip": 1.0},
    "simclr, ViT": {"encoder": "timm:test_vit"},
    "split_brain": {},
    "super_resolution": {},
    "supervised": {},
    "transformation": {},
}
"""Task, and what else is tried with it -> settings of its own."""
PROBES: dict[str, Json] = {
    "linear": {"limit": 96},
    "knn": {"limit": 96},
    "mlp": {"limit": 96, "probe_settings": {"epochs": 2}},
    "label_free": {"probe_settings": {"samples": 256, "view_samples": 64, "views": 4}},
    "finetune": {"limit": 96, "probe_settings": {"steps": 8, "batch_size": 16}},
}
RUN, EXPORTED = "simclr", "rotation"
"""The runs whose encoders are evaluated: the first as a run, the second as a file of weights."""
TIMES = ("seconds", "images_per_second")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("equality.json"), help="file to write")
    parser.add_argument("--compare", type=Path, help="an earlier result; the exit code is 1 where it differs")
    parser.add_argument("--only", help="parts by name, with semicolons; the others are neither computed nor compared")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "selftaught-equality")
    parser.add_argument("--jobs", type=int, default=min(4, len(os.sched_getaffinity(0))), help="parts at a time")
    args = parser.parse_args()
    before = json.loads(args.compare.read_text()) if args.compare else None
    wanted = set(args.only.split(";")) if args.only else None
    parts = measure(args.work / digest_of_code()[:16], wanted, args.jobs)
    now = {"commit": commit(), "machine": machine(), "parts": parts}
    args.out.write_text(json.dumps(now, indent=1) + "\n")
    print(f"{len(parts)} parts in {args.out}", file=sys.stderr)
    if before is None:
        return
    found = list(differences(before, now, wanted))
    print("\n".join(found) or "no difference")
    sys.exit(1 if found else 0)


def measure(work: Path, wanted: set[str] | None, jobs: int) -> dict[str, Record]:
    """All parts by name; those that other parts need come first."""
    (work / "parts").mkdir(parents=True, exist_ok=True)
    os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    os.environ["SELFTAUGHT_CACHE"] = str(work / "cache")
    run, weights = work / RUN, work / "exported.safetensors"
    encoders: dict[str, tuple[str, Json]] = {
        RUN: (str(run), {}),
        "exported": (f"resnet18:{weights}", {"size": 32, "stem": "standard"}),
    }
    stages: list[dict[str, Compute]] = [
        {name: partial(train, name, work / name) for name in TASKS},
        {"export": partial(export, work / EXPORTED, weights), "embed": partial(embed, run, work / "vectors.npz")},
        {
            f"{name} {probe}": partial(evaluate, encoder, probe, work / f"{name}-{probe}", settings)
            for name, (encoder, settings) in encoders.items()
            for probe in PROBES
        },
    ]
    parts: dict[str, Record] = {}
    # Started afresh, so that torch is loaded with the threads set here.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, initializer=log_to, initargs=(work,)) as pool:
        for stage in stages:
            names = [name for name in stage if wanted is None or name in wanted]
            started = {pool.submit(kept, work / "parts" / f"{name}.json", stage[name]): name for name in names}
            for part in as_completed(started):
                parts[started[part]] = part.result()
                print(f"{started[part]} done", file=sys.stderr, flush=True)
    return dict(sorted(parts.items()))


def log_to(work: Path) -> None:
    """What a worker says about its progress is of no interest, unless it fails."""
    sys.stderr = (work / f"{os.getpid()}.log").open("w")


def kept(path: Path, compute: Compute) -> Record:
    """What was computed, by this call or by an earlier one that was stopped later."""
    if path.exists():
        earlier: Record = json.loads(path.read_text())
        return earlier
    record = compute()
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(record))
    draft.replace(path)
    return record


def train(name: str, out: Path) -> Record:
    """Train; only runs that are evaluated are kept."""
    summary = pretrain(out, SHARED | {"task": name.split(",")[0]} | TASKS[name])
    record = columns(out / "metrics.csv") | columns(out / "heldout.csv") | numbers("summary", summary)
    record |= tensors(out / "checkpoints" / "last.safetensors")
    previews = sorted(out.rglob("*.png"))
    record["previews"] = digest(path.read_bytes() for path in previews) + f" of {len(previews)}"
    if name not in (RUN, EXPORTED):
        shutil.rmtree(out)
    return record


def pretrain(out: Path, settings: Json) -> Json:
    """By the function, or by the command where there are several processes: each of them starts the program again."""
    if "devices" not in settings:
        return selftaught.pretrain("demo", out=out, overwrite=True, **settings)
    flags = [word for name, value in settings.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    command = [sys.executable, "-m", "selftaught", "pretrain", "demo", "--out", str(out), "--overwrite", "--json"]
    done = subprocess.run([*command, *flags], stdout=subprocess.PIPE, stderr=sys.stderr, text=True, check=True)
    summary: Json = json.loads(done.stdout)
    return summary


def export(run: Path, out: Path) -> Record:
    selftaught.export(run, out=out, overwrite=True)
    return tensors(out)


def embed(run: Path, out: Path) -> Record:
    selftaught.embed(run, "demo", out=out, overwrite=True)
    with np.load(out) as arrays:
        return {name: digest([np.ascontiguousarray(arrays[name]).tobytes()]) for name in sorted(arrays)}


def evaluate(encoder: str, probe: str, out: Path, settings: Json) -> Record:
    shutil.rmtree(out, ignore_errors=True)  # Features that an earlier call left would be taken up.
    settings = settings | PROBES[probe] | {"accelerator": "cpu", "seed": 3, "out": out}
    return numbers(probe, selftaught.evaluate(encoder, "demo", probe=probe, **settings))


def columns(path: Path) -> Record:
    """Each column of a CSV file, with its last value for people."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        f"{path.name} {name}": digest(row[name].encode() + b"\n" for row in rows) + f" last {rows[-1][name]}"
        for name in rows[0]
        if name not in TIMES
    }


def numbers(place: str, value: Any) -> Record:
    """All numbers of a JSON value by their place in it."""
    if isinstance(value, dict):
        items = [(f"{place} {key}", inner) for key, inner in value.items() if key not in TIMES]
    elif isinstance(value, list):
        items = [(f"{place} {i}", inner) for i, inner in enumerate(value)]
    else:
        return {place: repr(value)} if isinstance(value, int | float) else {}
    return {key: text for name, inner in items for key, text in numbers(name, inner).items()}


def tensors(path: Path) -> Record:
    """Names and values of a safetensors file, in groups such as task.encoder and the state of the optimiser."""
    groups: dict[str, list[bytes]] = defaultdict(list)
    with safe_open(path, "numpy") as file:
        for name in sorted(file.keys()):
            words = name.split(".")
            array = file.get_tensor(name)
            said = f"{name} {array.dtype} {array.shape}".encode()
            groups[".".join(words[:2]) if words[0] == "task" else words[0]] += [said, array.tobytes()]
    return {f"tensors {group}": digest(parts) + f" of {len(parts) // 2}" for group, parts in groups.items()}


def digest(parts: Iterable[bytes]) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(len(part).to_bytes(8, "little") + part)
    return total.hexdigest()


def digest_of_code() -> str:
    """Of all that decides what is computed: the package, this script, and the machine."""
    files = [*sorted(Path(selftaught.__file__).parent.rglob("*.py")), Path(__file__)]
    return digest([json.dumps(machine()).encode(), *(path.read_bytes() for path in files)])


def commit() -> str:
    """The commit of the package, with "-dirty" where files differ from it; "" outside a checkout."""
    command = ["git", "-C", str(Path(selftaught.__file__).parent), "describe", "--always", "--dirty"]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip()


def machine() -> dict[str, str]:
    """What the bits depend on besides the code."""
    packages = ("torch", "torchvision", "timm", "numpy", "opencv-python-headless", "scikit-learn", "faiss-cpu", "av")
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.exists() else []
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    return {"cpu": model or platform.processor(), **{name: importlib.metadata.version(name) for name in packages}}


def differences(before: dict[str, Any], now: dict[str, Any], wanted: set[str] | None) -> Iterator[str]:
    """A line for each number or sum that changed, came or went; of the machine too, as it explains the others."""
    for name in sorted({*before["machine"], *now["machine"]}):
        yield from changed(f"machine, {name}", before["machine"].get(name), now["machine"].get(name))
    for part in sorted({*before["parts"], *now["parts"]}):
        if wanted is not None and part not in wanted:
            continue
        old, new = before["parts"].get(part, {}), now["parts"].get(part, {})
        for name in sorted({*old, *new}):
            yield from changed(f"{part}, {name}", old.get(name), new.get(name))


def changed(what: str, before: str | None, now: str | None) -> Iterator[str]:
    if before != now:
        yield f"{what}: {before} before, {now} now"


if __name__ == "__main__":
    main()
