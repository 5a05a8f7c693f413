"""Post-training int8 quantisation (Jacob et al. 2018): per-channel weights, per-tensor activations."""

from __future__ import annotations

from typing import Literal

import numpy as np

from netwright.compile import affine, batchnorm, constants, dead, hybrid, int8
from netwright.compile.int8.lowering import clamp_of
from netwright.graph import Graph, Value
from netwright.graph.ops.shape import Reshape
from netwright.graph.types import FLOATS

Range = tuple[float, float]
Method = Literal["minmax", "percentile"]
_BATCH = 128


def prepared(graph: Graph) -> Graph:
    """The graph that is calibrated and lowered: float layers only, norms, factors and constants folded."""
    plain = constants.fold(int8.expanded(hybrid.as_float(graph)))
    return dead.eliminate(affine.fold(batchnorm.fold(plain)))


def observe(graph: Graph, *samples: np.ndarray, method: Method = "minmax", tail: float = 1e-4) -> dict[str, Range]:
    """The range of every floating value over samples [n, ...], one array an input; states run from sample to sample.

    `percentile` cuts `tail` of the values off either end, averaged over batches.
    """
    runner = graph.runner()
    batch = 1 if graph.states else _BATCH
    seen: dict[Value, list[Range]] = {}
    for start in range(0, len(samples[0]), batch):
        values = runner.trace(*[s[start : start + batch] for s in samples])
        for value, array in values.items():
            if value.dtype in FLOATS and value not in graph.param_of and array.size:
                if method == "minmax":
                    low, high = float(array.min()), float(array.max())
                else:
                    low, high = (float(v) for v in np.quantile(array, (tail, 1 - tail)))
                seen.setdefault(value, []).append((low, high))
    merge = (min, max) if method == "minmax" else (np.mean, np.mean)
    return {
        v.name: (float(merge[0]([r[0] for r in rows])), float(merge[1]([r[1] for r in rows])))
        for v, rows in seen.items()
    }


def quantise(
    graph: Graph, *samples: np.ndarray, method: Method = "minmax", ranges: dict[str, Range] | None = None
) -> Graph:
    """The int8 form of a trained float graph, calibrated on samples (or with `ranges` that are known already).

    Inputs and outputs become int8, channels last. Raises UserError naming an op that has no int8 form.
    """
    graph = prepared(graph)
    return int8.lower(graph, ranges if ranges is not None else observe(graph, *samples, method=method))


def layer_errors(graph: Graph, quantised: Graph, *samples: np.ndarray) -> list[tuple[str, float]]:
    """(layer, signal-to-noise in dB) of each int8 value against its float value, worst first."""
    graph = prepared(graph)
    floats = {v.name: a for v, a in graph.runner().trace(*samples).items()}
    for node in graph.nodes:  # an int8 layer that took in a clamp goes by the layer's name
        readers = graph.consumers.get(node.output, [])
        if len(readers) == 1 and clamp_of(readers[0].op) is not None:
            floats[node.name] = floats[readers[0].name]
    from netwright.graph.ops.quantise import Dequantise, Quantise

    given = []
    for array, value, source in zip(samples, quantised.inputs, graph.inputs, strict=True):
        assert value.type.quant is not None
        order = int8.input_order(graph, source)
        moved = array.transpose(order) if order else array
        given.append(Quantise(value.type.quant).numpy(np.ascontiguousarray(moved)))
    found = []
    for value, array in quantised.runner().trace(*given).items():
        producer = quantised.producers.get(value)
        if value.type.quant is None or value.name not in floats or value in quantised.param_of:
            continue
        if producer is not None and isinstance(producer.op, Reshape):
            continue  # loses nothing, and may hold another order of elements
        real = Dequantise(value.type.quant).numpy(array)
        truth = floats[value.name]
        truth = np.moveaxis(truth, 1, -1) if truth.ndim in (3, 4) else truth
        if truth.shape == real.shape:
            noise = float(np.mean((truth - real) ** 2))
            signal = float(np.mean(truth**2))
            found.append((value.name, 10 * float(np.log10(max(signal, 1e-30) / max(noise, 1e-30)))))
    return sorted(found, key=lambda row: row[1])
