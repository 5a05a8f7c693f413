"""Post-training int8 quantisation (Jacob et al. 2018): per-channel weights, per-tensor activations."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np

from netwright.compile import affine, batchnorm, constants, dead, hybrid, int8
from netwright.graph import Graph, Value
from netwright.graph.ops.binary import Add
from netwright.graph.ops.quantise import Dequantise, Quantise
from netwright.graph.ops.shape import Reshape
from netwright.graph.ops.softmax import Softmax
from netwright.graph.types import FLOATS

Range = tuple[float, float]
Method = Literal["minmax", "percentile"]
_BATCH = 128


def prepared(graph: Graph) -> Graph:
    """The graph that is calibrated and lowered: float layers only, norms, factors and constants folded."""
    plain = constants.fold(hybrid.as_float(graph), trainable=True)
    plain = constants.fold(int8.expanded(plain), trainable=True)
    return dead.eliminate(affine.fold(batchnorm.fold(plain)))


def observe(graph: Graph, *samples: np.ndarray, method: Method = "minmax", tail: float = 1e-4) -> dict[str, Range]:
    """The range of every floating value over samples [n, ...], one array an input; states run from sample to sample.

    `percentile` cuts `tail` of the values off either end, averaged over batches. What is not finite counts for nothing,
    and before a softmax nor does what is too far below its row's largest to show in the result.
    """
    seen: dict[Value, list[Range]] = {}
    before = {v for v in graph.producers if _only_softmax(graph, v)}
    for values in _traces(graph, samples):
        for value, array in values.items():
            if value.dtype not in FLOATS or value in graph.param_of or not array.size:
                continue
            found = _near_largest(graph, value, array) if value in before else array
            finite = found if np.isfinite(found).all() else found[np.isfinite(found)]
            if not finite.size:
                continue
            if method == "minmax":
                low, high = float(finite.min()), float(finite.max())
            else:
                low, high = (float(v) for v in np.quantile(finite, (tail, 1 - tail)))
            seen.setdefault(value, []).append((low, high))
    merge = (min, max) if method == "minmax" else (np.mean, np.mean)
    ranges = {
        v.name: (float(merge[0]([r[0] for r in rows])), float(merge[1]([r[1] for r in rows])))
        for v, rows in seen.items()
    }
    return _masks_held(graph, before, ranges)


def _traces(graph: Graph, samples: tuple[np.ndarray, ...]) -> Iterator[dict[Value, np.ndarray]]:
    """Every value of every batch; sample by sample where the graph has states or samples of a batch would mix."""
    runner = graph.runner()
    for part in _parts(graph, samples, _BATCH if _takes_batches(graph, samples) else 1):
        yield runner.trace(*part)


def _takes_batches(graph: Graph, samples: tuple[np.ndarray, ...]) -> bool:
    """Whether a batch gives each sample what it gets alone: shapes that are written out, and sums over all axes, may
    tie a graph to one."""
    if graph.states or any(v.shape[:1] != (1,) for v in graph.inputs):
        return False
    few = [s[:2] for s in samples]
    try:
        together, alone = graph.run(*few), graph.run(*[s[:1] for s in few])
    except ValueError:
        return False
    if any(t.shape != (len(few[0]), *a.shape[1:]) or a.shape[:1] != (1,) for t, a in zip(together, alone, strict=True)):
        return False
    return all(np.allclose(t[:1], a, 1e-3, 1e-5, equal_nan=True) for t, a in zip(together, alone, strict=True))


def _parts(graph: Graph, samples: tuple[np.ndarray, ...], size: int) -> Iterator[tuple[np.ndarray, ...]]:
    """Samples in batches. An input whose leading dimension is no batch takes one array [n, *shape] of whole samples,
    or one sample."""
    if all(s.shape == v.shape for s, v in zip(samples, graph.inputs, strict=True)):
        yield samples
        return
    for start in range(0, len(samples[0]), size):
        cut = [s[start : start + size] for s in samples]
        yield tuple(s if v.shape[:1] == (1,) else s[0] for s, v in zip(cut, graph.inputs, strict=True))


def _only_softmax(graph: Graph, value: Value) -> bool:
    readers = graph.consumers.get(value, ())
    return bool(readers) and value not in graph.outputs and all(isinstance(n.op, Softmax) for n in readers)


def _near_largest(graph: Graph, value: Value, array: np.ndarray) -> np.ndarray:
    """Elements of a softmax, held where all of a row's that lie lower sum to less than e^-6 of its largest."""
    op = graph.consumers[value][0].op
    assert isinstance(op, Softmax)
    with np.errstate(invalid="ignore"):
        return np.maximum(array, array.max(op.axis, keepdims=True) - (6 + math.log(array.shape[op.axis])))


def _masks_held(graph: Graph, before: set[Value], ranges: dict[str, Range]) -> dict[str, Range]:
    """What is added before a softmax reaches no further than it takes to leave the softmax's range: masks hold huge
    numbers, beside which there would be no steps for the others."""
    for node in graph.nodes:
        if not isinstance(node.op, Add) or node.output not in before or node.name not in ranges:
            continue
        low, high = ranges[node.name]
        for x, y in (node.inputs, node.inputs[::-1]):
            if x is None or y is None or x.name not in ranges or len(graph.consumers[x]) > 1:
                continue
            array = graph.constant(y)
            least, most = (0.0, 0.0) if array is not None else ranges[y.name]
            ranges[x.name] = (max(ranges[x.name][0], low - most), min(ranges[x.name][1], high - least))
    return ranges


def quantise(
    graph: Graph, *samples: np.ndarray, method: Method = "minmax", ranges: dict[str, Range] | None = None
) -> Graph:
    """The int8 form of a trained float graph, calibrated on samples (or with `ranges` that are known already).

    Reals become int8, whole numbers stay; `integer_inputs` turns samples into what it takes. Raises UserError naming an
    op that has no int8 form.
    """
    graph = prepared(graph)
    return int8.lower(graph, ranges if ranges is not None else observe(graph, *samples, method=method))


def integer_inputs(graph: Graph, quantised: Graph, *samples: np.ndarray) -> tuple[np.ndarray, ...]:
    """Samples of a float graph as its int8 form takes them: reals quantised, in that form's layout."""
    ready = prepared(graph)
    made = []
    for array, value, source in zip(samples, quantised.inputs, ready.inputs, strict=True):
        if value.type.quant is None:
            made.append(array)
            continue
        order, extra = int8.input_order(ready, source), array.ndim - len(source.shape)
        if order:
            array = array.transpose(*range(extra), *(extra + i for i in order))
        made.append(Quantise(value.type.quant).numpy(np.ascontiguousarray(array)))
    return tuple(made)


def layer_errors(graph: Graph, quantised: Graph, *samples: np.ndarray) -> list[tuple[str, float]]:
    """(layer, signal-to-noise in dB) of each int8 value against its float value, worst first."""
    ready = prepared(graph)
    made = {v.name: v for v in quantised.values() if v.type.quant is not None and v not in quantised.param_of}
    held: dict[Value, tuple[str, tuple[int, ...] | None]] = {}  # int8 value -> float value, and how that lies
    for name, place in int8.places(ready).items():
        value = made.get(place.name)
        producer = quantised.producers.get(value) if value is not None else None
        if value is not None and (producer is None or not isinstance(producer.op, Reshape)):
            held.setdefault(value, (name, place.order))  # a reshape loses nothing, and may hold another order
    sums = {value: np.zeros(2) for value in held}
    given = integer_inputs(ready, quantised, *samples)
    for floats, integers in _both(ready, quantised, samples, given):
        truths = {v.name: a for v, a in floats.items()}
        for value, (name, order) in held.items():
            assert value.type.quant is not None
            if name not in truths or value not in integers:
                continue
            truth = truths[name].transpose(order) if order else truths[name]
            real = Dequantise(value.type.quant).numpy(integers[value])
            if truth.shape == real.shape:
                finite = np.isfinite(truth)  # what a mask takes out is at the end of any range
                truth, real = truth[finite].astype(np.float64), real[finite]
                sums[value] += np.sum(truth**2), np.sum((truth - real) ** 2)
    found = [(v.name, 10 * math.log10(max(s, 1e-30) / max(n, 1e-30))) for v, (s, n) in sums.items() if s or n]
    return sorted(found, key=lambda row: row[1])


def _both(
    graph: Graph, quantised: Graph, samples: tuple[np.ndarray, ...], given: tuple[np.ndarray, ...]
) -> Iterator[tuple[dict[Value, np.ndarray], dict[Value, np.ndarray]]]:
    """Traces of the two forms side by side: batches where both take them, else sample by sample."""
    wide, narrow = graph.runner(), quantised.runner()
    size = _BATCH if _takes_batches(graph, samples) and _takes_batches(quantised, given) else 1
    for part, integers in zip(_parts(graph, samples, size), _parts(quantised, given, size), strict=True):
        yield wide.trace(*part), narrow.trace(*integers)
