"""The text form: whatever a graph holds is written and read back, and mistakes are named with their line."""

from __future__ import annotations

import numpy as np
import pytest

from netwright.graph import Builder, Init, Quant, Type, ops, parse, to_text


@pytest.mark.parametrize("name", ["output", "input", "graph", "a b", 'q"uote', "x) {y", "1st", "_", "é", "a,b", "#", "="])
def test_any_name_round_trips(name: str) -> None:
    b = Builder(name)
    x, state = b.input(f"{name}.x", Type((2,))), b.state(f"{name}.s", Type((2,)))
    y = b(ops.Add(), b(ops.Mul(), x, b.param(f"{name}.w", (2,)), name=name), state)
    b.update(state, y)
    b.output(y)
    graph = b.graph()
    again = parse(to_text(graph))
    assert to_text(again) == to_text(graph)
    assert again.structure_hash == graph.structure_hash


def test_quantised_types_infinities_and_every_parameter_option_round_trip() -> None:
    b = Builder("net")
    quant = Quant(float(np.float32(0.1)), -3)
    x = b.input("x", Type((1, 4), "int8", quant))
    y = b(ops.Dequantise(quant), x)
    y = b(ops.Pad((0, 1, 0, 1), value=-float("inf")), y)
    w = b.param("w", (1, 6), init=Init("normal", 0.5), trainable=False)
    b.output(b(ops.Quantise(Quant(0.5, 1)), b(ops.Maximum(), y, w)))
    text = to_text(b.graph())
    assert to_text(parse(text)) == text


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("y = relu(z)", "unknown name 'z'"),
        ("y = magic(x)", "unknown op 'magic'"),
        ("y = relu(x) {slope=1}", "slope"),
        ("y = clip(x) {low=open('f')}", "malformed"),
        ("y = clip(x) {low=}", "invalid syntax"),
        ("y = matmul(x, x)", "inner dimensions"),
        ("y == relu(x)", "not a statement"),
        ("input z: float99[1]", "not a type"),
        ("input z: float32[-1]", "negative"),
        ("output nothing", "unknown name 'nothing'"),
        ("state 5", "expected a name"),
        ("update x = x", "not a state"),
        ("param w: float32[2] views=[('Magic', 1)]", "Magic"),
    ],
)
def test_parse_errors_give_the_line_and_the_reason(line: str, reason: str) -> None:
    text = f'graph "net"\ninput x: float32[1,2]\n\n{line}\noutput x\n'
    with pytest.raises(ValueError, match=r"^line 4: ") as error:
        parse(text)
    assert reason in str(error.value)
