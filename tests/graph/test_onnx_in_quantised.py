"""Networks that ONNX Runtime's own quantiser made: integer results within one step of its kernels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from test_onnx_round_trip import network

from netwright.graph.onnx import from_onnx, save_onnx

rng = np.random.default_rng(0)


class Drawn(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self) -> None:
        self.left = [{"x": rng.standard_normal((1, 3, 16, 16)).astype(np.float32)} for _ in range(8)]

    def get_next(self) -> Any:
        return self.left.pop() if self.left else None


def both(path: Path) -> tuple[Any, np.ndarray, np.ndarray]:
    """The imported graph, what it gives and what ONNX Runtime gives."""
    x = rng.standard_normal((1, 3, 16, 16)).astype(np.float32)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    graph = from_onnx(path)
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return graph, graph.run(x)[0], session.run(None, {"x": x})[0]


@pytest.mark.parametrize("activations", [QuantType.QInt8, QuantType.QUInt8], ids=lambda t: t.name)
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("form", [QuantFormat.QDQ, QuantFormat.QOperator], ids=lambda f: f.name)
def test_static_quantisation_in_both_forms(tmp_path: Path, form: Any, per_channel: bool, activations: Any) -> None:
    save_onnx(network(0), tmp_path / "float.onnx")
    quantize_static(
        tmp_path / "float.onnx", tmp_path / "int.onnx", Drawn(), quant_format=form, per_channel=per_channel,
        activation_type=activations, weight_type=QuantType.QInt8,
    )  # fmt: skip
    graph, ours, theirs = both(tmp_path / "int.onnx")
    step = max(n.op.x.scale for n in graph.nodes if n.op.name == "dequantise")
    assert np.abs(ours - theirs).max() <= 1.01 * step
    assert {"quantise", "dequantise", "conv", "linear"} <= {n.op.name for n in graph.nodes}


def test_dynamic_quantisation_is_integer_products_of_measured_ranges(tmp_path: Path) -> None:
    save_onnx(network(0), tmp_path / "float.onnx")
    quantize_dynamic(tmp_path / "float.onnx", tmp_path / "int.onnx")
    _, ours, theirs = both(tmp_path / "int.onnx")
    assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()
