"""The main job on the data in the package: pretrain, probe beside random weights, write the page."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

from selftaught.config import RunConfig
from selftaught.encoders import build_encoder
from selftaught.evaluate import evaluate_run
from selftaught.report import write_report
from selftaught.train import train

BUDGET = "160s"
"""Of pretraining; with imports, probes and page the whole takes at most 5 minutes on 2 cores."""
FEW = 0.02
"""Share of the labels in the first probe: four patches of each photograph."""


def run_demo(out: Path) -> dict[str, Any]:
    """Pretrain SimCLR on the photographs, probe with few labels and with all of them, write the report.

    Returns:
        "run" and "report" (paths), "few_labels" and "all_labels" as `evaluate` gives them, "seconds" for all of it.
    """
    begin = time.monotonic()
    config = RunConfig(
        data="demo",
        out=str(out),
        task="simclr",
        encoder="resnet18",
        size=32,
        stem="standard",
        budget=BUDGET,
        evaluate_every=5.0,
        overwrite=True,
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(_faster(1, threads, config))
    try:
        run = train(config)
        evaluations = {
            "few_labels": evaluate_run(run, "demo", fraction=FEW),
            "all_labels": evaluate_run(run, "demo"),
        }
    finally:
        torch.set_num_threads(threads)
    page = write_report(run)
    return {
        "run": str(run),
        "report": str(page),
        **evaluations,
        "seconds": round(time.monotonic() - begin, 1),
    }


def _faster(one: int, many: int, config: RunConfig) -> int:
    """The number of threads that takes a step in less time, now.

    Where other programs keep the cores busy, many can be ten times slower than one: in bfloat16, oneDNN's weight
    gradients of small maps spin at barriers of their own until a thread that is not running has come too.
    """
    if many == one or torch.cuda.is_available():
        return many
    with torch.random.fork_rng(devices=[]):
        encoder = build_encoder(config.encoder, size=config.size, stem=config.stem)
    encoder = encoder.to(memory_format=torch.channels_last)
    images = torch.zeros(128, 3, config.size, config.size).contiguous(memory_format=torch.channels_last)
    return min((one, many), key=lambda threads: _seconds(encoder, images, threads))


def _seconds(encoder: torch.nn.Module, images: torch.Tensor, threads: int) -> float:
    torch.set_num_threads(threads)
    begin = time.monotonic()
    for step in range(4):
        with torch.autocast("cpu", torch.bfloat16):
            loss = encoder(images).float().square().mean()
        loss.backward()
        if step == 0:  # the first one makes the kernels
            begin = time.monotonic()
    return time.monotonic() - begin
