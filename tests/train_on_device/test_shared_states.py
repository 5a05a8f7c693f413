"""Entries of one program share their states by name, and a state is updated where it lies."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from small_nets import Net, residual

from netwright import devices
from netwright.compile.memory import aligned, plan, shared_states
from netwright.compile.training import Schedule, Scheme, build
from netwright.devices.c import planned_entries
from netwright.errors import UserError
from netwright.graph import Builder, Graph, Quant, Type
from netwright.graph.ops.binary import Add
from netwright.graph.ops.shape import Reshape


def counter(name: str, size: int, state: str = "count") -> Graph:
    """Adds its input to a state and returns it."""
    b = Builder(name)
    x, held = b.input("x", Type((1, size))), b.state(state, Type((1, size)), 2.0)
    after = b(Add(), held, x, name="after")
    b.update(held, after)
    b.output(after)
    return b.graph()


def test_what_one_entry_leaves_the_other_finds() -> None:
    program = devices.get("host").compile({"up": counter("both", 3), "again": counter("both", 3)})
    program.reset("up")
    ones = np.ones((1, 3), np.float32)
    assert program.step(ones, entry="up")[0].tolist() == [[3.0] * 3]
    assert program.step(ones, entry="again")[0].tolist() == [[4.0] * 3]
    assert program.state("count").tolist() == [[4.0] * 3]
    with pytest.raises(UserError, match="no state 'counts'; did you mean 'count'"):
        program.state("counts")


def test_states_of_one_name_must_be_of_one_type() -> None:
    with pytest.raises(UserError, match=r"state 'count' is float32\[1,3\] in one entry and float32\[1,4\] in another"):
        devices.get("host").compile({"up": counter("both", 3), "again": counter("both", 4)})


def test_updated_parameters_lie_in_one_place_and_nothing_over_them() -> None:
    entries = build(residual(), Scheme(6, ((1, 1.0), (4, 1.0))))
    plans, regions = planned_entries(entries), shared_states(entries.values())
    held = sum(region.bytes for region in regions.values())
    for entry, graph in entries.items():
        where = plans[entry]
        states = {s.before for s in graph.states}
        assert all(where.at[s.before] == where.at[s.after] == regions[s.name].offset for s in graph.states)
        assert all(o >= held for b, o in zip(where.buffers, where.offsets) if not states & set(b.values))
    own = plan(entries["train_step"])
    assert own.bytes >= held and sum(aligned(s.before.type.bytes) for s in entries["train_step"].states) == held


def test_immediate_updates_lower_the_peak_and_fused_ones_more() -> None:
    net = Net(2, "wide")
    y = net.b.input("x", Type((1, 2, 2, 32), "int8", Quant(0.02, 0)))
    for name in "abcd":
        y = net.conv(y, 32, 1, name)
    net.b.output(net.linear(net.b(Reshape((1, 128)), y), 3, "head"))
    graph, scheme = net.b.graph(), Scheme(5, tuple((i, 1.0) for i in range(4)))
    peaks = {
        schedule: planned_entries(build(graph, scheme, schedule=schedule, residue="int8"))["train_step"].bytes
        for schedule in get_args(Schedule)
    }
    assert peaks["fused"] < peaks["immediate"] <= 0.6 * peaks["end"]
