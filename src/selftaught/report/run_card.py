"""The card of an encoder in Markdown (Mitchell et al., FAT* 2019), from the files of its run alone."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Any

from selftaught.report.facts.evaluations import PROTOCOLS, WITHOUT_LABELS, estimate, gain
from selftaught.report.facts.read import Json, read_run
from selftaught.report.facts.runs import heldout_metric, is_short
from selftaught.report.facts.wording import number

LICENCE = "_Not stated yet. Say here under which licence the encoder may be used, and which one its data have._"


def run_card(folder: Path, *, name: str, encoder: str) -> str:
    """The card.

    Args:
        folder: run folder.
        name: OWNER/NAME of the repository.
        encoder: name of the encoder in it.
    """
    run = read_run(folder)
    config, summary = run.config or {}, run.summary or {}
    sections = {
        "Use": _use(name),
        "Training": _training(config, summary),
        "Results": _results(run.evaluations),
        "Limits": _limits(summary, is_short(run), bool(run.evaluations)),
        "Licence": [LICENCE],
    }
    what, value, chance = heldout_metric(run)
    learned = "" if value is None else f" Its held-out {what} is {number(value)}"
    learned += "" if value is None or chance is None else f" (chance {number(chance)})"
    head = [
        f"# {PurePath(name).name}",
        "",
        f"`{encoder}`, pretrained without labels by `{config.get('task')}` with "
        f"[selftaught](https://pypi.org/project/selftaught).{learned}{'.' if learned else ''}",
        "",
    ]
    text = [*_front(str(config.get("task"))), *head]
    for title, lines in sections.items():
        text += [f"## {title}", "", *lines, ""]
    return "\n".join(text)


def _front(task: str) -> list[str]:
    tags = ["self-supervised-learning", "feature-extraction", *task.split("+")]
    listed = [f"- {tag}" for tag in tags if tag.replace("_", "").replace("-", "").isalnum()]
    return ["---", "library_name: selftaught", "pipeline_tag: image-feature-extraction", "tags:", *listed, "---", ""]


def _use(name: str) -> list[str]:
    return [
        "```python",
        "import selftaught",
        "",
        f'encoder = selftaught.load_encoder("hf:{name}", download=True)',
        'features = encoder(encoder.transform("photo.jpg")[None])  # (1, num_features)',
        "```",
        "",
        f"    selftaught evaluate hf:{name} LABELLED_DATA --download",
        "",
        "The metadata of `model.safetensors` state how the same weights are loaded without selftaught.",
    ]


def _training(config: Json, summary: Json) -> list[str]:
    rows = {
        "task": config.get("task"),
        "data": PurePath(str(config.get("data", ""))).name,
        "training samples": _count(summary.get("train_samples")),
        "steps": _count(summary.get("steps")),
        "passes over the data": _count(summary.get("epochs")),
        "batch size": _count(config.get("batch_size")),
        "image size": f"{config.get('size')} pixels",
        "optimiser": f"{config.get('optimizer')}, learning rate {_count(config.get('lr'))}",
        "seed": config.get("seed"),
        "training time": f"{number(summary['seconds'])} seconds" if summary.get("seconds") else None,
    }
    table = [f"| {name} | {value} |" for name, value in rows.items() if value not in (None, "", "None")]
    return ["| | |", "|---|---|", *table]


def _results(evaluations: tuple[Json, ...]) -> list[str]:
    rows = []
    for found in evaluations:
        probe, best = str(found.get("probe")), estimate(found, found)
        if probe in WITHOUT_LABELS or best is None:
            continue
        random, more = estimate(found.get("random"), found), gain(found)
        cells = (
            PROTOCOLS.get(probe, probe),
            PurePath(str(found.get("labelled", ""))).name,
            f"{number(100 * float(found.get('fraction') or 1))} %",
            str(found.get("metric")),
            *(_with_interval(one) for one in (best, random, more)),
        )
        rows.append(f"| {' | '.join(cells)} |")
    if not rows:
        return ["Not measured with labels yet."]
    return [
        "With 95 % confidence intervals. Random weights are those of the same encoder under the same probe.",
        "",
        "| probe | data | labels used | metric | this encoder | random weights | difference |",
        "|---|---|---|---|---|---|---|",
        *rows,
    ]


def _limits(summary: Json, is_few: bool, is_measured: bool) -> list[str]:
    lines = [
        "- The features have been measured on the data above alone; measure them on yours before you rely on them."
    ]
    if not is_measured:
        lines = ["- The features have not been measured; do so on your own data before you rely on them."]
    if is_few:
        lines.append("- The run was short: it has hardly learned anything.")
    return [*lines, *(f"- {warning}" for warning in summary.get("warnings") or [])]


def _with_interval(found: Any) -> str:
    if found is None:
        return ""
    within = "" if found.interval is None else f" ({number(found.interval[0])} to {number(found.interval[1])})"
    return f"{number(found.value)}{within}"


def _count(value: Any) -> str | None:
    return number(value) if isinstance(value, int | float) else None
