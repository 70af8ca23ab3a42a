"""ONNX graphs written node by node, for what depends on the size of an image: `torch.onnx` fixes such things."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    import onnx

OPSET = 20
IR_VERSION = 10
"""Of the files, which onnxruntime reads from 1.18 on."""
TYPES = {"float32": 1, "uint8": 2, "int64": 7, "bool": 9, "float64": 11}
"""Numbers of `onnx.TensorProto`."""


def check_packages() -> None:
    """Raises a ValueError where a package is absent that the export to ONNX needs."""
    absent = [package for package in ("onnx", "onnxscript", "onnxruntime") if find_spec(package) is None]
    if absent:
        raise ValueError(f"--format onnx needs {' and '.join(absent)}: pip install 'selftaught[onnx]'")


def program_of(
    network: nn.Module, shapes: Sequence[tuple[int, ...]], axes: Sequence[Mapping[int, Any]]
) -> onnx.ModelProto:
    """A network as an ONNX program, by `torch.onnx.export`.

    Args:
        network: on the CPU, in evaluation mode.
        shapes: of its inputs, float32.
        axes: {axis: `torch.export.Dim`} of each input that may have another size.
    """
    inputs: tuple[Tensor, ...] = tuple(torch.zeros(shape) for shape in shapes)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of torch's own code
        found = torch.onnx.export(
            network, inputs, dynamic_shapes=tuple(map(dict, axes)), opset_version=OPSET, dynamo=True, verbose=False
        )
    assert found is not None
    program: onnx.ModelProto = found.model_proto
    return program


class Graph:
    """Nodes one after the other; values are known by their names.

    `graph.op("Add", x, 1.0)` adds a node and returns the name of its result. Numbers and arrays become constants of
    their own type: Python's whole numbers int64, its others float32. None stands for an input that is left out.
    """

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._count = 0

    def op(self, kind: str, *inputs: Any, **attributes: Any) -> str:
        """The result of an operator with a single one."""
        return self.ops(kind, 1, *inputs, **attributes)[0]

    def ops(self, kind: str, results: int, *inputs: Any, **attributes: Any) -> list[str]:
        """The results of an operator."""
        from onnx import helper

        names = [self._name() for _ in range(results)]
        given = ["" if value is None else self.value(value) for value in inputs]
        self._nodes.append(helper.make_node(kind, given, names, **attributes))
        return names

    def value(self, value: Any) -> str:
        """The name of a constant; of a name, itself."""
        from onnx import numpy_helper

        if isinstance(value, str):
            return value
        array = np.asarray(value)
        if not isinstance(value, np.ndarray | np.generic) and array.dtype.kind == "f":
            array = array.astype(np.float32)
        name = self._name()
        self._constants.append(numpy_helper.from_array(array, name))
        return name

    def cast(self, x: Any, type: str) -> str:
        """The same numbers as another type of `TYPES`."""
        return self.op("Cast", x, to=TYPES[type])

    def run(self, program: onnx.ModelProto, *inputs: str) -> list[str]:
        """The results of a whole program, whose nodes are taken in."""
        from onnx import compose, helper, inliner

        self._count += 1
        inner = compose.add_prefix(inliner.inline_local_functions(program), f"p{self._count}_").graph
        for value, name in zip(inner.input, inputs, strict=True):
            self._nodes.append(helper.make_node("Identity", [name], [value.name]))
        self._nodes += inner.node
        self._constants += inner.initializer
        return [value.name for value in inner.output]

    def program(
        self,
        inputs: Mapping[str, tuple[str, Sequence[int | str]]],
        outputs: Mapping[str, tuple[str, str, Sequence[int | str]]],
        told: Mapping[str, str],
    ) -> onnx.ModelProto:
        """The whole graph.

        Args:
            inputs: name -> type and shape.
            outputs: name -> value that it is of, type and shape.
            told: metadata.
        """
        from onnx import checker, helper

        ends = [helper.make_node("Identity", [value], [name]) for name, (value, _, _) in outputs.items()]
        graph = helper.make_graph(
            [*self._nodes, *ends],
            "selftaught",
            [helper.make_tensor_value_info(name, TYPES[kind], shape) for name, (kind, shape) in inputs.items()],
            [helper.make_tensor_value_info(name, TYPES[kind], shape) for name, (_, kind, shape) in outputs.items()],
            self._constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        helper.set_model_props(model, dict(told))
        checker.check_model(model)
        return model

    def _name(self) -> str:
        self._count += 1
        return f"v{self._count}"
