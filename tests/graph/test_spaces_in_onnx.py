"""Samples of every built-in space: the same in NumPy, torch and ONNX Runtime, and trainable through torch."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from netwright import spaces
from netwright.graph import Type
from netwright.graph.onnx import to_onnx
from netwright.graph.torch import from_numpy, to_torch

SHAPES = {
    "mobilenet": [(1, 3, 40, 40)],
    "mlp": [(1, 12), (1, 1, 6, 6)],
    "ds-cnn": [(1, 1, 30, 10), (1, 6, 50)],
    "conv-small": [(1, 1, 10, 10), (1, 3, 40)],
    "vit": [(1, 3, 17, 20), (1, 2, 50)],
    "nb201": [(1, 3, 16, 16), (1, 1, 9, 6)],
    "darts": [(1, 3, 16, 16), (1, 2, 7, 5)],
    "eeea": [(1, 3, 16, 16), (1, 2, 7, 5)],
    "nasnet": [(1, 3, 16, 16), (1, 2, 7, 5)],
    "ofa-mobilenetv3": [(1, 3, 33, 33), (1, 2, 40)],
    "einspace": [(1, 3, 28, 28)],
}
SMALL = {
    "nb201": {"channels": 4, "cells": 1},
    "darts": {"channels": 4, "cells": 3},
    "eeea": {"channels": 4, "cells": 4, "concat": "unused"},
    "nasnet": {"channels": 4, "repeats": 1},
    "ofa-mobilenetv3": {"width": 0.2},
}


WORDS = {"rnn-cells", "flexibert", "text-templates"}  # take numbers of words: tests/spaces/test_rnn_cells.py, ...


def test_every_space_is_covered() -> None:
    assert set(SHAPES) | WORDS == set(spaces.names())


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_samples_agree_in_numpy_torch_and_onnx_runtime(name: str) -> None:
    space, rng = spaces.get(name, **SMALL.get(name, {})), np.random.default_rng(7)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    for shape in SHAPES[name]:
        for _ in range(4):
            graph = space.build(space.sample(rng), Type(shape), Type((1, 5))).graph
            graph = graph.with_store(graph.store.initialise(graph, int(rng.integers(1 << 20))))
            x = rng.standard_normal(graph.inputs[0].shape).astype(np.float32)
            (expected,) = graph.run(x)
            model = to_onnx(graph)
            onnx.checker.check_model(model)
            session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
            (there,) = session.run(None, {session.get_inputs()[0].name: x})
            bound = 1e-5 * float(np.abs(expected).max())
            assert np.abs(there - expected).max() <= bound
            torch_out = to_torch(graph).eval()(from_numpy(x)).detach().numpy()
            assert np.abs(torch_out - expected).max() <= bound
