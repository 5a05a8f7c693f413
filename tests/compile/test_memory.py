"""The memory plan: no two live tensors overlap, nothing is below the bound, and chains meet it."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netwright import devices
from netwright.compile.memory import plan
from netwright.compile.placement import ALIGNMENT, Buffer, place
from netwright.graph import OPS, Builder, Quant, Type
from netwright.graph.ops.shape import TO_END

Q = Quant(0.1, 0)
buffers = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 6), st.integers(1, 40)).map(
        lambda t: Buffer((), t[0], t[0] + t[1], t[2] * ALIGNMENT)
    ),
    min_size=1,
    max_size=14,
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(buffers)
def test_buffers_alive_together_never_overlap(rectangles: list[Buffer]) -> None:
    offsets, total, bound = place(rectangles)
    assert total >= bound and total == max(o + b.bytes for o, b in zip(offsets, rectangles))
    for i, (a, p) in enumerate(zip(rectangles, offsets)):
        for b, q in zip(rectangles[:i], offsets):
            if a.first <= b.last and b.first <= a.last:
                assert p + a.bytes <= q or q + b.bytes <= p


def chain(sizes: list[int], elementwise: bool = False) -> object:
    b = Builder("chain")
    v = b.input("x", Type((1, sizes[0]), "int8", Q))
    for i, n in enumerate(sizes[1:]):
        w = b.param(f"w{i}", (n, v.shape[1]), dtype="int8", init=None)
        v = b(OPS["q_linear"](x=Q, out=Q), v, w, b.param(f"s{i}", (n,)), b.param(f"b{i}", (n,), dtype="int32"))
        if elementwise:
            v = b(OPS["q_requantise"](x=Q, out=Q), v)
    b.output(v)
    return b.graph()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 60).map(lambda n: 4 * n), min_size=2, max_size=9), st.booleans())
def test_a_chain_needs_its_largest_neighbours_and_no_more(sizes: list[int], elementwise: bool) -> None:
    made = plan(chain(sizes, elementwise))  # type: ignore[arg-type]
    assert made.bytes == made.bound == max(a + b for a, b in itertools.pairwise(sizes))


def test_a_reshape_costs_nothing_and_a_dying_input_is_overwritten() -> None:
    b = Builder("views")
    x = b.input("x", Type((1, 8, 8, 2), "int8", Q))
    v = b(OPS["reshape"]((1, 128)), x)
    w = b(OPS["q_requantise"](x=Q, out=Q), v)
    b.output(w)
    made = plan(b.graph())
    assert made.bytes == 128 and made.at[x] == made.at[v] == made.at[w]


def test_an_input_that_is_read_again_is_not_overwritten() -> None:
    b = Builder("branch")
    x = b.input("x", Type((1, 64), "int8", Q))
    y = b(OPS["q_requantise"](x=Q, out=Q), x)
    b.output(b(OPS["q_add"](x=Q, y=Q, out=Q), x, y))
    made = plan(b.graph())
    assert made.at[x] != made.at[y] and made.bytes == 128


def test_states_keep_their_place_for_the_whole_step() -> None:
    b = Builder("state")
    x, s = b.input("x", Type((1, 32), "int8", Q)), b.state("s", Type((1, 32), "int8", Q))
    y = b(OPS["q_add"](x=Q, y=Q, out=Q), x, s)
    z = b(OPS["q_requantise"](x=Q, out=Q), y)
    b.update(s, y)
    b.output(z)
    made = plan(b.graph())
    places = [made.at[v] for v in (s, y, z)]
    assert len(set(places)) == 3 and made.bytes == 96


def test_scratch_shares_the_arena() -> None:
    graph = chain([64, 32, 64])
    made = plan(graph, scratch=lambda node: 40)  # type: ignore[arg-type]
    assert made.bytes == 96 + 40 and len(made.scratch) == 2


def test_the_plan_is_safe_on_branching_networks() -> None:
    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).parents[1] / "devices"))
    from networks import random_int8

    for seed in range(40):
        graph, _ = random_int8(seed, layers=8)
        made = plan(graph)
        assert made.bound <= made.bytes <= 1.05 * made.bound + 8, (seed, made.bytes, made.bound)
        assert np.all([o % ALIGNMENT == 0 for o in made.offsets])


def test_float_elementwise_layers_write_over_operands_that_die_there() -> None:
    b = Builder("net")
    x, row = b.input("x", Type((1, 50))), b.input("row", Type((1, 1)))
    y = b(OPS["mul"](), b(OPS["tanh"](), x), row)
    z = b(OPS["add"](), b(OPS["relu"](), y), b(OPS["exp"](), y))
    b.output(z)
    assert plan(b.graph()).bytes == 2 * 200  # the relu and the exponential read the same product


@pytest.mark.parametrize("first", [(1, 0), (0, 1)])
@pytest.mark.parametrize("device", ["host", "cortex-m4"])
def test_stretches_of_one_tensor_are_not_written_over_before_they_are_read(
    first: tuple[int, int], device: str, tmp_path: Path
) -> None:
    """Neighbours' differences, x[1:] - x[:-1]: both operands are slices that lie in x; and x less its first row."""
    b = Builder("net")
    x = b(OPS["q_requantise"](x=Q, out=Q, low=-100), b.input("x", Type((1, 12, 2), "int8", Q)))
    one, other = (b(OPS["slice"]((0, start, 0), (TO_END, start + 11, 2)), x) for start in first)
    b.output(b(OPS["q_sub"](Q, Q, Q), one, other))
    z = b(OPS["q_requantise"](x=Q, out=Q, low=-99), b.input("z", Type((1, 6, 2), "int8", Q)))
    b.output(b(OPS["q_sub"](Q, Q, Q), z, b(OPS["slice"]((0, 0, 0), (TO_END, 1, 2)), z)))
    graph = b.graph()
    inputs = [np.random.default_rng(0).integers(-128, 128, (4, *v.shape[1:])).astype(np.int8) for v in graph.inputs]
    made = devices.get(device).compile(graph, out=tmp_path).run(*inputs)
    for found, expected in zip(made, graph.run(*inputs), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_state_that_a_view_still_shows_is_not_written_over() -> None:
    b = Builder("net")
    state = b.state("weights", Type((2, 3), "int8"))
    shown = b(OPS["reshape"]((3, 2)), state)
    step = b.input("step", Type((2, 3), "int8"))
    scale = b.param("scale", (2,))
    after = b(OPS["q_weight_update"](), state, None, b(OPS["cast"]("float32"), step), scale)
    after = after if not isinstance(after, tuple) else after[0]
    b.update(state, after)
    b.output(b(OPS["expand"]((3, 2)), shown))
    made = plan(b.graph())
    assert made.at[after] != made.at[state]
