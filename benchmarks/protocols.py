"""Every protocol on the same four encoders: random weights, rotation, simclr and supervised training, in one table.

Command:   python benchmarks/protocols.py                       # everything; run it again to go on
           python benchmarks/protocols.py --only knn,svm        # rows by name
Needs:     the real data sets beside the checkout (../shared/data)
Result:    docs/results/protocols.json (all numbers) and protocols.md (the table)
Time:      about 2 hours on one core with AMX, the training of the three encoders with 55 minutes among it

The encoders are those of the setting "imagenette128" of evidence.py, seed 0; they are trained where their run folders
are missing. Each row is one command on one data set. Fine-tuning, detection and segmentation train by the same recipe
on random weights: from scratch where the encoder is fine-tuned, and only what stands around it where it is frozen.

Expected:  linear, knn, mlp, retrieval and finetune rank every trained encoder above random weights on the data it was
           trained on, and supervised first. With 97 training images (voc_layout) or 128 (coco256), intervals of
           detection and svm are wide and may hold 0. READING says what came of it.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evidence import SHARED, pretrain_words, selftaught
from evidence_page import RESULTS, markdown, note, older
from evidence_settings import FEW_LABELS, SETTINGS

READING = """
What can be concluded: the probes agree on the coarse order. Supervised is far above the others on the classes it was
trained on, and above random weights on other data (cifar10, camvid240). Rotation is above random weights in every
linear protocol on its own data, with all labels as well as with 1 % of them, and fine-tuning it is better than training
from scratch with as many labels. Every trained encoder segments better than random weights, frozen with FCN as well as
fine-tuned with DeepLab, in the order supervised, simclr, rotation.

What is disappointing, and why: 600 steps are eight epochs over 9,469 images, and the paper of simclr has hundreds.
simclr gains with many labels, with nearest neighbours and on other data; with 10 % of the labels it is on a par with
random weights, and fine-tuned it is below training from scratch. With one hidden layer, random features are almost as
good as those of rotation. In cosine retrieval on the last stage, neither pretext task is better than random weights, as
the last stage is specialised in the pretext task. The survey also finds that the middle stages transfer best.

How to read it: "supervised" was trained with all labels of imagenette128, so its rows with few labels on these data are
an upper bound, not a fair comparison. Detection trains on a hundred images for 100 to 250 steps and stays at 0 to 3
percent; in these rows and that of the SVM the data are too small to distinguish most encoders, as the intervals show.
The interval of an average precision that is bootstrapped over few images can lie mostly above the value itself, as
duplicated images are easy to rank.
"""

SETTING = "imagenette128"
ENCODERS = ("rotation", "simclr", "supervised")
KEPT = ("metric", "value", "interval", "stage", "gain", "random", "train_samples", "test_samples", "seconds")


@dataclass(frozen=True)
class Row:
    """One protocol on one data set."""

    words: str
    probe: str
    data: str
    flags: str = ""


ROWS = {
    "linear": Row("linear, best stage", "linear", "imagenette128"),
    "linear10": Row("linear, 10 % of the labels", "linear", "imagenette128", "--fraction 0.1"),
    "linear1": Row("linear, 1 % of the labels", "linear", "imagenette128", "--fraction 0.01"),
    "sgd": Row(
        "linear by SGD, RotNet's schedule, a fifth of its epochs",
        "linear",
        "imagenette128",
        "--limit 2000 --probe.solver sgd --probe.epoch-scale 0.2",
    ),
    "mlp": Row("one hidden layer", "mlp", "imagenette128"),
    "knn": Row("weighted k-NN", "knn", "imagenette128"),
    "retrieval": Row("retrieval", "retrieval", "imagenette128"),
    "finetune": Row(
        "fine-tuning, 10 % of the labels",
        "finetune",
        "imagenette128",
        "--fraction 0.1 --probe.steps 200 --probe.batch-size 64 --probe.lr 0.01",
    ),
    "cifar10": Row("linear on other data, 2,000 labels", "linear", "cifar10", "--limit 2000"),
    "svm": Row("one-vs-rest SVM", "svm", "voc_layout"),
    "detection": Row("Faster R-CNN with FPN, frozen", "detection", "voc_layout", "--probe.steps 250"),
    "coco": Row("Faster R-CNN with FPN, frozen", "detection", "coco256", "--probe.steps 100"),
    "segmentation": Row("FCN, frozen", "segmentation", "camvid240", "--probe.steps 150"),
    "deeplab": Row(
        "DeepLab, fine-tuned",
        "segmentation",
        "camvid240",
        "--probe.head deeplab --probe.frozen false --probe.steps 100",
    ),
    "label_free": Row("label-free: rank of the features", "label_free", "imagenette128"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="names of rows, with commas")
    parser.add_argument("--core", type=int, default=min(os.sched_getaffinity(0)), help="core to use")
    parser.add_argument("--runs", type=Path, default=Path(tempfile.gettempdir()) / "selftaught-evidence")
    args = parser.parse_args()
    for name in args.only.split(",") if args.only else ROWS:
        for task in ENCODERS:
            if task not in read().get(name, {}):
                measure(name, task, args.runs / SETTING / f"{task}-0", args.core)
    write_page()


def read() -> dict[str, Any]:
    """Row -> encoder -> what was measured so far."""
    path = RESULTS / "protocols.json"
    return json.loads(path.read_text()) if path.exists() else {}


def measure(name: str, task: str, run: Path, core: int) -> None:
    """One cell; its encoder is trained first where it is missing."""
    row = ROWS[name]
    if not (run / "summary.json").exists():
        selftaught(core, *pretrain_words(SETTINGS[SETTING], task, 0), "--out", str(run), "--resume")
    words = ["--probe", row.probe, *row.flags.split()]
    found, _ = selftaught(core, "evaluate", str(run), str(SHARED / row.data), *words)
    rows = read()
    command = f"selftaught evaluate RUN ../shared/data/{row.data} {' '.join(words)}"
    kept: dict[str, Any] = {"command": command, "measured": datetime.now(UTC).date().isoformat()}
    kept |= {key: found[key] for key in KEPT}
    kept["random"] = {key: found["random"][key] for key in ("value", "interval", "stage")}
    rows.setdefault(name, {})[task] = kept
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "protocols.json").write_text(json.dumps(rows, indent=1) + "\n")
    write_page()


def write_page() -> None:
    """docs/results/protocols.md from protocols.json alone."""
    rows, setting = read(), SETTINGS[SETTING]
    lines = [
        "# All protocols on the same encoders",
        "",
        "Generated by `python benchmarks/protocols.py`; all numbers are in protocols.json. The encoders were trained",
        f"on {setting.data} with `{setting.flags}`, seed 0. Metrics have 95 % confidence intervals (bootstrap over",
        "test samples). Bold: significantly better than random weights, that is, the interval of the difference on the",
        "same test samples is above 0; (lower): significantly worse. Where the encoder is fine-tuned, random weights",
        "are trained on the labels with the same recipe; where it is frozen, they stay random.",
        "",
    ]
    head = ["protocol", "data", "training samples", "metric", "random weights", *ENCODERS]
    body, marked = [], False
    for name, row in ROWS.items():
        found = rows.get(name, {})
        if not found:
            continue
        first = next(iter(found.values()))
        cells = [cell(found[task], found[task]["gain"]) if task in found else "" for task in ENCODERS]
        samples = str(first["train_samples"] or "")
        is_old = name in ("linear10", "linear1") and older(list(found.values()), FEW_LABELS)
        marked |= is_old
        body.append(
            [
                row.words + (" \\*" if is_old else ""),
                row.data,
                samples,
                first["metric"],
                cell(first["random"], None),
                *cells,
            ]
        )
    lines += [*markdown(head, body)]
    lines += ["", f"\\* {note('few labels', FEW_LABELS)}"] if marked else []
    lines += [READING, "Commands:", ""]
    lines += [
        f"- {row.words}, {row.data}: `{next(iter(rows[n].values()))['command']}`"
        for n, row in ROWS.items()
        if n in rows
    ]
    (RESULTS / "protocols.md").write_text("\n".join([*lines, ""]))


def cell(figures: dict[str, Any], gain: dict[str, Any] | None) -> str:
    """Value with its interval; how it compares with random weights where `gain` is given."""
    interval = figures["interval"]
    words = f"{figures['value']:.1f}" + (f" ({interval[0]:.1f} to {interval[1]:.1f})" if interval else "")
    low, high = (gain or {}).get("interval") or (0.0, 0.0)
    return f"**{words}**" if low > 0 else f"{words} (lower)" if high < 0 else words


if __name__ == "__main__":
    main()
