"""Random networks compute the same everywhere, have the right gradients, and survive being written down."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import HealthCheck, given, settings
from peers import as_float64, assert_close, in_onnx_runtime, in_torch, output_gradients, torch_gradients
from random_graphs import graphs

from netwright.compile.autodiff import autodiff
from netwright.graph import Builder, Graph, ops, parse, to_text

SETTINGS = settings(
    derandomize=True, deadline=None, max_examples=250, database=None, suppress_health_check=list(HealthCheck)
)
FLOOR = 1e-6  # below this a double-precision result is all cancellation


def with_floats(inputs: list[np.ndarray]) -> list[np.ndarray]:
    return [x.astype(np.float64) for x in inputs]


@SETTINGS
@given(graphs())
def test_numpy_torch_and_onnx_runtime_agree(drawn: tuple[Graph, list[np.ndarray]]) -> None:
    graph, inputs = drawn
    wide = as_float64(graph)
    exact = wide.run(*with_floats(inputs))
    assert_close(in_torch(wide, with_floats(inputs)), exact, 1e-5, "torch in float64", FLOOR)
    ours, torch, runtime = graph.run(*inputs), in_torch(graph, inputs), in_onnx_runtime(graph, inputs)
    for index, (a, t, r, e) in enumerate(zip(ours, torch, runtime, exact, strict=True)):
        largest = float(np.abs(e).max())
        lost = float(np.abs(a - e).max())
        if lost <= 1e-6 * largest:
            assert_close((t, r), (a, a), 1e-5, f"float32 output {index}")
        else:  # this output cancels: float64 was compared above, float32 must be no further off than our own
            assert_close((t, r), (a, a), 1e-5, f"cancelling output {index}", 1e6 * lost)


@SETTINGS
@given(graphs())
def test_gradients_agree_with_torch_autograd(drawn: tuple[Graph, list[np.ndarray]]) -> None:
    graph, inputs = drawn
    wide = as_float64(graph)
    wrt = [v.name for v in wide.inputs] + [p.value.name for p in wide.params if p.trainable and p.value.dtype == "float64"]
    dys = output_gradients(wide, np.random.default_rng(3))
    ours = autodiff(wide, wrt, keep_outputs=False).run(*with_floats(inputs), *dys)
    assert_close(ours, torch_gradients(wide, with_floats(inputs), wrt, dys), 1e-4, "gradient", FLOOR)


@SETTINGS
@given(graphs())
def test_text_form_round_trips(drawn: tuple[Graph, list[np.ndarray]]) -> None:
    graph, inputs = drawn
    text = to_text(graph)
    again = parse(text, graph.store)
    assert to_text(again) == text
    assert again.structure_hash == graph.structure_hash
    assert again.content_hash == graph.content_hash
    assert_close(again.run(*inputs), graph.run(*inputs), 0.0)


@SETTINGS
@given(graphs())
def test_structure_hash_ignores_names_and_sees_attributes(drawn: tuple[Graph, list[np.ndarray]]) -> None:
    graph, _ = drawn
    assert renamed(graph).structure_hash == graph.structure_hash
    hashes = {extended(graph, slope).structure_hash for slope in (None, 0.1, 0.2, 0.3)}
    assert len(hashes) == 4


def renamed(graph: Graph) -> Graph:
    """The same network with every value called otherwise."""
    b = Builder("other")
    new = {v: b.input(f"in{i}", v.type) for i, v in enumerate(graph.inputs)}
    for i, param in enumerate(graph.params):
        new[param.value] = b.param(f"w{i}", param.value.shape, dtype=param.value.dtype)
    for i, node in enumerate(graph.nodes):
        result = b(node.op, *(new[v] if v is not None else None for v in node.inputs), name=f"n{i}")
        new.update(zip(node.outputs, result if isinstance(result, tuple) else (result,), strict=True))
    b.output(*(new[v] for v in graph.outputs))
    return b.graph()


def extended(graph: Graph, slope: float | None) -> Graph:
    """With a leaky relu after the first output."""
    text = to_text(graph)
    if slope is None:
        return graph
    extra = parse(text + f"tail = leaky_relu({graph.outputs[0].name}) {{alpha={slope}}}\n")
    tail = next(v for n in extra.nodes for v in n.outputs if isinstance(n.op, ops.LeakyRelu) and v.name.startswith("tail"))
    return replace(extra, outputs=(tail, *extra.outputs[1:]))


@settings(SETTINGS, max_examples=60)
@given(graphs())
def test_gradient_graphs_run_in_onnx_runtime(drawn: tuple[Graph, list[np.ndarray]]) -> None:
    graph, inputs = drawn
    wrt = [v.name for v in graph.inputs] + [p.value.name for p in graph.params if p.trainable]
    backward = autodiff(graph, wrt, keep_outputs=False)
    given_arrays = [*inputs, *output_gradients(graph, np.random.default_rng(3))]
    ours = backward.run(*given_arrays)
    largest = max(float(np.abs(g).max()) for g in ours)
    assert_close(in_onnx_runtime(backward, given_arrays), ours, 1e-3, "gradient in float32", 1e-3 * largest)
