"""Which small encoder a test of all tasks trains."""

from __future__ import annotations

from selftaught.tasks.catalogue import load_task

TOKENS = {"image": "timm:test_vit", "video": "videovit_tiny"}


def needs_tokens(task: str) -> bool:
    """Whether the task takes transformers alone."""
    return load_task(task).encoders["encoder"].tokens


def fitting(task: str, encoder: str) -> str:
    """`encoder`, or a small transformer where the task needs one."""
    return TOKENS[load_task(task).encoders["encoder"].kind] if needs_tokens(task) else encoder
