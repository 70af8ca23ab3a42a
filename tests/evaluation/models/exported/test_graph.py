"""Graphs of ONNX that are written node by node."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from selftaught.evaluation.models.exported import graph as module
from selftaught.evaluation.models.exported.graph import Graph, check_packages


def test_a_graph_takes_in_a_program_as_often_as_asked() -> None:
    inner = Graph()
    doubled = inner.op("Mul", "x", 2.0)
    program = inner.program({"x": ("float32", ("n",))}, {"y": (doubled, "float32", ("n",))}, {})
    outer = Graph()
    once = outer.run(program, "a")[0]
    (twice,) = outer.run(program, outer.op("Add", once, 1.0))
    shape = outer.op("Shape", twice)
    whole = outer.program(
        {"a": ("float32", ("n",))},
        {"b": (twice, "float32", ("n",)), "shape": (shape, "int64", (1,))},
        {"classes": '["a"]'},
    )
    session = onnxruntime.InferenceSession(whole.SerializeToString())
    found, count = session.run(None, {"a": np.array([1, 2, 3], np.float32)})
    assert found.tolist() == [6, 10, 14]
    assert count.tolist() == [3]
    assert session.get_modelmeta().custom_metadata_map == {"classes": '["a"]'}


def test_constants_keep_their_types_and_none_is_left_out() -> None:
    g = Graph()
    exact = g.op("Mul", g.cast("x", "float64"), np.float64(1 / 3))
    cut = g.op("Clip", "x", None, 2.5)
    whole = g.op("Add", g.cast("x", "int64"), 1)
    program = g.program(
        {"x": ("float32", (2,))},
        {"exact": (exact, "float64", (2,)), "cut": (cut, "float32", (2,)), "whole": (whole, "int64", (2,))},
        {},
    )
    found = onnxruntime.InferenceSession(program.SerializeToString()).run(None, {"x": np.array([1, 3], np.float32)})
    assert [value.tolist() for value in found] == [[1 / 3, 1.0], [1, 2.5], [2, 4]]


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    check_packages()
    monkeypatch.setattr(module, "find_spec", lambda package: None if package == "onnxscript" else package)
    with pytest.raises(ValueError, match=r"^--format onnx needs onnxscript: pip install 'selftaught\[onnx\]'$"):
        check_packages()
