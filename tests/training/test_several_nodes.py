"""Two nodes of one process each: who packs, who writes, and what the run learns."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from selftaught.core.config import RunConfig
from tests.training.small_run import config
from tests.two_processes import in_two_processes


def work(rank: int, port: int, out: str) -> None:
    """One node: a run with a cache that both share, one with a cache of its own, and the first one longer."""
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), NODE_RANK=str(rank), LOCAL_RANK="0")
    torch.set_num_threads(1)
    from selftaught.data.store import cache
    from selftaught.training.run_folder import RunFolder
    from selftaught.training.train import train

    seen: dict[str, Any] = {"packed": [], "written": []}
    clean_rests, prepare, cache_name = cache.clean_rests, RunFolder.prepare, ""

    def packing() -> None:
        seen["packed"].append(cache_name)
        clean_rests()

    def preparing(self: RunFolder, asked: RunConfig, content: str) -> bool:
        seen["written"].append(self.path.name)
        return prepare(self, asked, content)

    cache.clean_rests = packing
    RunFolder.prepare = preparing  # type: ignore[method-assign]
    for run, cache_name in (("shared", "cache"), ("separate", f"cache{rank}")):
        os.environ["SELFTAUGHT_CACHE"] = f"{out}/{cache_name}"
        train(config(Path(out, run), num_nodes=2, accelerator="cpu", steps=2))
    train(config(Path(out, "shared"), num_nodes=2, accelerator="cpu", steps=3, resume=True))
    Path(out, f"{rank}.json").write_text(json.dumps(seen))


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("nodes")
    in_two_processes(work, str(folder))
    return folder, [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]


def test_the_first_node_packs_what_all_can_read(nodes: tuple[Path, list[dict[str, Any]]]) -> None:
    """Both halves of the data, once in a shared cache, and once in each that is not."""
    first, second = (seen["packed"] for seen in nodes[1])
    assert first == ["cache"] * 2 + ["cache0"] * 2
    assert second == ["cache1"] * 2


def test_only_the_first_node_writes_the_run_folder(nodes: tuple[Path, list[dict[str, Any]]]) -> None:
    folder, (first, second) = nodes
    assert first["written"] == ["shared", "separate", "shared"]
    assert second["written"] == []
    assert json.loads((folder / "shared" / "summary.json").read_text())["steps"] == 3


def test_where_the_cache_is_changes_nothing(nodes: tuple[Path, list[dict[str, Any]]]) -> None:
    folder = nodes[0]
    lines = [(folder / run / "metrics.csv").read_text().splitlines()[:3] for run in ("shared", "separate")]
    assert lines[0] == lines[1]
