"""Random float networks as int8: refused in one line, or the same bytes in the NumPy reference and in C."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

sys.path.insert(0, str(Path(__file__).parents[1] / "graph"))
from random_graphs import graphs

from netwright import devices
from netwright.compress import integer_inputs, layer_errors, quantise
from netwright.errors import UserError
from netwright.graph import OPS, Builder, Graph, Type


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@settings(
    max_examples=30, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(graphs())
def test_random_networks_are_refused_in_one_line_or_the_same_bytes_in_c(case: tuple[Graph, list[np.ndarray]]) -> None:
    graph, arrays = case
    batch = [v.shape[:1] == (1,) for v in graph.inputs]
    data = [np.concatenate([a, a]) if many else np.stack([a, a]) for a, many in zip(arrays, batch)]
    try:
        quantised = quantise(graph, *data)
    except UserError as error:
        assert "\n" not in str(error) and "int8" in str(error)
        return
    codes = integer_inputs(graph, quantised, *data)
    found = devices.get("host").compile(quantised).run(*[c[:1] for c in codes])
    wanted = quantised.run(*[c[:1] if many else c[0] for c, many in zip(codes, batch)])
    for ours, theirs in zip(wanted, found, strict=True):
        assert ours.tobytes() == theirs.tobytes()
    layer_errors(graph, quantised, *data)


def _lstm(b: Builder, x: Any) -> Any:
    h, c = b.state("h", Type((1, 8))), b.state("c", Type((1, 8)))
    after, cell = b(OPS["lstm_cell"](), x, h, c, b.param("wx", (32, 6)), b.param("wh", (32, 8)), b.param("bias", (32,)))
    b.update(h, after), b.update(c, cell)
    return after


def _gru(b: Builder, x: Any) -> Any:
    h = b.state("h", Type((1, 8)))
    after = b(OPS["gru_cell"](), x, h, b.param("wx", (24, 6)), b.param("wh", (24, 8)))
    b.update(h, after)
    return after


def _remembered_keys(b: Builder, x: Any) -> Any:
    keys = b.state("keys", Type((1, 5, 6)))
    row = b(OPS["reshape"]((0, 1, 6)), b(OPS["linear"](), x, b.param("w", (6, 6))))
    after = b(OPS["concat"](1), b(OPS["slice"]((0, 1, 0), (1, 5, 6)), keys), row)
    b.update(keys, after)
    return b(OPS["attention"](), row, after, after)


def _streamed_convolution(b: Builder, x: Any) -> Any:
    window = b.state("window", Type((1, 6, 3)))
    new = b(OPS["reshape"]((0, 6, 1)), x)
    after = b(OPS["concat"](2), b(OPS["slice"]((0, 0, 1), (1, 6, 3)), window), new)
    b.update(window, after)
    return b(OPS["reshape"]((0, 4)), b(OPS["conv"](), after, b.param("w", (4, 6, 3))))


@pytest.mark.parametrize("network", [_lstm, _gru, _remembered_keys, _streamed_convolution])
def test_networks_with_states_stay_near_and_the_same_bytes_in_c(network: Any, tmp_path: Path) -> None:
    b = Builder("steps")
    b.output(network(b, b.input("x", Type((1, 6)))))
    graph = b.graph()
    graph = graph.with_store(graph.store.initialise(graph, 0))
    data = np.random.default_rng(0).standard_normal((40, 6)).astype("f")
    quantised = quantise(graph, data)
    (codes,) = integer_inputs(graph, quantised, data)
    floats, integers = graph.runner(), quantised.runner()
    wanted = np.concatenate([floats.step(data[i : i + 1])[0] for i in range(40)])
    made = np.concatenate([integers.step(codes[i : i + 1])[0] for i in range(40)])
    quant = quantised.outputs[0].type.quant
    assert quant is not None
    noise = (made.astype(float) - quant.zero) * quant.scale - wanted
    assert 10 * np.log10(np.square(wanted).sum() / np.square(noise).sum()) > 25  # dB
    found = devices.get("host").compile(quantised, out=tmp_path).run(codes, stream=True)[0]
    assert made.tobytes() == found.tobytes()
