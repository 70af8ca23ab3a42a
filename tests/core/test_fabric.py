"""What is imported with Lightning Fabric."""

from __future__ import annotations

import operator
import sys

import pytest
from lightning_utilities.core.imports import compare_version

from selftaught.core.fabric import _only_version_of


def test_a_package_is_asked_for_its_version_and_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "packaging", raising=False)
    with _only_version_of("packaging"):
        assert compare_version("packaging", operator.ge, "20")
        assert not compare_version("packaging", operator.ge, "1000")
        assert not hasattr(sys.modules["packaging"], "__file__")
    assert "packaging" not in sys.modules


def test_one_that_is_imported_or_absent_stays_so() -> None:
    for package in ("pytest", "no_such_package"):
        found = sys.modules.get(package)
        with _only_version_of(package):
            assert sys.modules.get(package) is found
