"""Which small encoder a test of all tasks trains."""

from __future__ import annotations

from selftaught.tasks.catalogue import load_task

TOKENS = "timm:test_vit"


def needs_tokens(task: str) -> bool:
    """Whether the task takes transformers alone."""
    return load_task(task).encoders["encoder"].tokens


def fitting(task: str, encoder: str) -> str:
    """`encoder`, or a small transformer where the task needs one."""
    return TOKENS if needs_tokens(task) else encoder
