"""Pages, tables and plots made from run folders alone: `write_report`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selftaught.report.page import write_report as write_report

__all__ = ["write_report"]


def __getattr__(name: str) -> Any:
    # Lazy: the command line imports this package to answer --help and must not pay for Pillow and plotly.
    if name == "write_report":
        from selftaught.report.page import write_report

        return write_report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
