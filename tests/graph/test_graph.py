"""Graphs hold together: states, parameter views, rebuilding, hashing and storing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from op_cases import CASES
from peers import assert_close, in_onnx_runtime, in_torch, single

from netwright.errors import UserError
from netwright.graph import (
    Builder,
    CentreCrop,
    Graph,
    Init,
    Mask,
    Node,
    Slice,
    Store,
    Transform,
    Type,
    Value,
    expand_all,
    load,
    ops,
    parse,
    rebuild,
    save,
    to_text,
)
from netwright.graph.graph import topological
from netwright.graph.onnx import save_onnx, to_onnx
from netwright.graph.torch import to_torch

RNG = np.random.default_rng(0)


def counter(initial: float = 3.0) -> Graph:
    """y = x + total; total becomes y."""
    b = Builder("counter")
    x, total = b.input("x", Type((1, 2))), b.state("total", Type((1, 2)), initial)
    y = b(ops.Add(), x, total, name="y")
    b.update(total, y)
    b.output(y)
    return b.graph()


def small(shape: tuple[int, ...] = (1, 2, 6, 6)) -> Graph:
    b = Builder("small")
    x = b.input("x", Type(shape))
    with b.scope("stage"):
        y = b(ops.Conv(padding=(1, 1, 1, 1)), x, b.param("weight", (3, 2, 3, 3)), b.param("bias", (3,)), name="conv")
        y = b(ops.Silu(), y, name="act")
    b.output(b(ops.Reshape((0, -1)), y, name="flat"))
    graph = b.graph()
    return graph.with_store(graph.store.initialise(graph, 0))


# states


def test_runner_keeps_states_and_run_starts_afresh() -> None:
    graph, one = counter(), np.ones((1, 2), "f")
    runner = graph.runner()
    assert [runner.step(one)[0][0, 0] for _ in range(3)] == [4, 5, 6]
    assert runner.states["total"][0, 0] == 6
    runner.reset()
    assert runner.step(one)[0][0, 0] == 4
    assert graph.run(one)[0][0, 0] == graph.run(one)[0][0, 0] == 4


def test_states_follow_the_batch_that_is_given() -> None:
    runner = counter().runner()
    assert runner.step(np.ones((5, 2), "f"))[0].shape == (5, 2)
    assert runner.step(np.ones((5, 2), "f"))[0][4, 1] == 5


def test_torch_steps_states_as_numpy_does() -> None:
    module, runner, states = to_torch(counter()), counter().runner(), None
    for _ in range(3):
        x = RNG.standard_normal((4, 2)).astype("f")
        (y,), states = module.step((torch.from_numpy(x),), states)
        np.testing.assert_allclose(y.numpy(), runner.step(x)[0], rtol=1e-6)


def test_onnx_carries_states_as_inputs_and_outputs() -> None:
    model = to_onnx(counter())
    onnx.checker.check_model(model, full_check=True)
    assert [i.name for i in model.graph.input] == ["x", "total"]
    assert [o.name for o in model.graph.output] == ["y", "total.after"]
    x = np.ones((1, 2), "f")
    y, after = in_onnx_runtime(counter(), [x, 5 * x])
    assert y[0, 0] == after[0, 0] == 6


def test_a_state_must_be_updated_with_its_own_type() -> None:
    b = Builder()
    state = b.state("s", Type((1, 2)))
    with pytest.raises(ValueError, match="never updated"):
        b.graph()
    with pytest.raises(ValueError, match="'s' is float32"):
        b.update(state, b.input("x", Type((1, 3))))


# parameters that look into larger tensors


def viewed(*views: object, shape: tuple[int, ...], store: Store, full: tuple[int, ...]) -> Graph:
    b = Builder("view", store)
    x = b.input("x", Type((1, shape[1], 9, 9)))
    w = b.param("w", shape, tensor="big", views=views, full=full)  # type: ignore[arg-type]
    b.output(b(ops.Conv(), x, w))
    return b.graph()


BIG = RNG.standard_normal((8, 6, 5, 5)).astype("f")
MATRIX = RNG.standard_normal((9, 9)).astype("f")
MASK = (RNG.random((8, 6, 5, 5)) < 0.5).astype("f")
CENTRE = BIG[:4, :3, 1:4, 1:4]
VIEWS = {
    "slice": ((Slice((2, 1, 0, 0)),), (4, 3, 5, 5), BIG[2:6, 1:4]),
    "centre": ((CentreCrop(),), (4, 3, 3, 3), CENTRE),
    "mask": ((Mask("mask"),), (8, 6, 5, 5), BIG * MASK),
    "crop then transform": (
        (CentreCrop(), Transform("matrix")),
        (4, 3, 3, 3),
        (CENTRE.reshape(4, 3, 9) @ MATRIX.T).reshape(4, 3, 3, 3),
    ),
}


@pytest.mark.parametrize("name", VIEWS)
def test_views_cut_alike_in_numpy_torch_and_onnx(name: str) -> None:
    views, shape, wanted = VIEWS[name]
    store = Store({"big": BIG, "matrix": MATRIX, "mask": MASK})
    graph = viewed(*views, shape=shape, store=store, full=BIG.shape)
    np.testing.assert_allclose(graph.store.read(graph.params[0]), wanted, rtol=1e-6)
    x = [RNG.standard_normal((1, shape[1], 9, 9)).astype("f")]
    ours = graph.run(*x)
    assert_close(in_torch(graph, x), ours, 1e-5)
    assert_close(in_onnx_runtime(graph, x), ours, 1e-5)
    again = parse(to_text(graph), store)
    assert again.params[0].views == graph.params[0].views and again.params[0].full == graph.params[0].full
    assert again.content_hash == graph.content_hash


def test_torch_trains_the_shared_tensor_through_every_view() -> None:
    store = Store({"big": BIG, "matrix": MATRIX, "mask": MASK})
    graph = viewed(CentreCrop(), Transform("matrix"), shape=(4, 3, 3, 3), store=store, full=BIG.shape)
    module = to_torch(graph)
    module(torch.ones(1, 3, 9, 9)).sum().backward()
    grad = module.tensor("big").grad
    assert grad is not None and grad.shape == BIG.shape
    assert grad[:4, :3, 1:4, 1:4].abs().min() > 0 and not grad[4:].any()
    assert module.to_store()["big"].shape == BIG.shape


def test_graphs_that_share_a_store_do_not_overwrite_each_others_constants() -> None:
    store = Store()
    graphs = []
    for length in (20, 30):
        b = Builder("net", store)
        b.output(b(ops.Add(), b.input("x", Type((length,))), b.constant(np.arange(length, dtype="f"), "ramp")))
        graphs.append(b.graph())
    for graph, length in zip(graphs, (20, 30), strict=True):
        np.testing.assert_array_equal(graph.run(np.zeros(length, "f"))[0], np.arange(length))


# rebuilding


def test_rebuild_copies_names_structure_and_contents() -> None:
    graph = small()
    again = rebuild(graph)
    assert to_text(again) == to_text(graph) and again is not graph
    assert again.content_hash == graph.content_hash


def test_rebuild_replaces_what_its_rule_builds_and_drops_unread_parameters() -> None:
    graph = rebuild(small(), lambda b, node, inputs: inputs[0] if isinstance(node.op, ops.Conv) else None)
    assert [n.op.name for n in graph.nodes] == ["silu", "reshape"]
    assert not graph.params


def test_rebatch_changes_the_leading_dimension_everywhere() -> None:
    graph = small().rebatch(7)
    assert [v.shape[0] for v in (*graph.inputs, *graph.outputs)] == [7, 7]
    x = RNG.standard_normal((7, 2, 6, 6)).astype("f")
    assert_close(graph.run(x), small().run(x), 1e-6)
    assert counter().rebatch(3).states[0].before.shape == (3, 2)


def test_a_type_of_batch_1_takes_any_batch_and_nothing_else() -> None:
    x = RNG.standard_normal((5, 2, 6, 6)).astype("f")
    (all_,) = small().run(x)
    for i in range(5):
        np.testing.assert_allclose(small().run(x[i : i + 1])[0][0], all_[i], rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=r"'x' has shape \[1, 2, 6, 6\], got \[5, 2, 6, 5\]"):
        small().run(x[..., 1:])
    with pytest.raises(ValueError, match="is float32, got int64"):
        small().run(np.zeros((1, 2, 6, 6), int))
    with pytest.raises(ValueError, match="takes 1 inputs"):
        small().run()


def test_a_slice_to_the_end_keeps_the_batch_and_an_exact_one_does_not() -> None:
    x = RNG.standard_normal((4, 3)).astype("f")
    for end, rows in ((ops.shape.TO_END, 4), (1, 1)):
        b = Builder()
        b.output(b(ops.Slice((0, 1), (end, 3)), b.input("x", Type((1, 3)))))
        assert b.graph().run(x)[0].shape == (rows, 2)


def test_expanding_keeps_the_names_of_results() -> None:
    graph = expand_all(small())
    assert [n.op.name for n in graph.nodes] == ["conv", "sigmoid", "mul", "reshape"]
    assert [n.name for n in graph.nodes] == ["stage.conv", "stage.act.sigmoid", "stage.act", "flat"]


def test_topological_order_is_stable_and_finds_cycles() -> None:
    graph = small()
    assert topological(reversed(graph.nodes)) == graph.nodes
    assert topological(graph.nodes) == graph.nodes
    one, other = Value("a", Type((1,))), Value("b", Type((1,)))
    with pytest.raises(ValueError, match="needs a state"):
        topological([Node(ops.Relu(), (one,), (other,)), Node(ops.Relu(), (other,), (one,))])


def test_builder_errors_name_the_node_and_its_operands() -> None:
    b = Builder()
    x = b.input("x", Type((1, 3, 8, 8)))
    with b.scope("stage"), pytest.raises(ValueError, match=r"stage\.conv: .*3 channels.*x: float32\[1,3,8,8\]"):
        b(ops.Conv(), x, b.param("w", (4, 2, 3, 3)))


# hashes


def test_content_hash_sees_weights_that_structure_hash_does_not() -> None:
    graph = small()
    store = graph.store.copy()
    store["stage.bias"] = store["stage.bias"] + 1
    other = graph.with_store(store)
    assert other.structure_hash == graph.structure_hash
    assert other.content_hash != graph.content_hash
    assert small((2, 2, 6, 6)).structure_hash != graph.structure_hash


def test_every_op_with_its_attributes_has_its_own_structure_hash() -> None:
    hashes: dict[str, set[str]] = {}
    for case in CASES:
        graph = single(case.op, case.inputs, case.quants)
        types = str([v.type for v in graph.inputs])
        hashes.setdefault(graph.structure_hash, set()).add(f"{case.op}{types}{[x is None for x in case.inputs]}")
    assert all(len(same) == 1 for same in hashes.values()), [s for s in hashes.values() if len(s) > 1]


def test_a_whole_number_given_for_a_float_attribute_is_the_same_op() -> None:
    assert str(ops.Clip(0, 6)) == str(ops.Clip(0.0, 6.0)) == "clip(low=0.0, high=6.0)"


# storing


def test_initialise_fills_what_is_missing_the_same_way_each_time() -> None:
    graph = small()
    one, other, third = (Store({"stage.bias": np.zeros(3, "f")}).initialise(graph, seed) for seed in (0, 0, 1))
    assert not one["stage.bias"].any()
    np.testing.assert_array_equal(one["stage.weight"], other["stage.weight"])
    assert (one["stage.weight"] != third["stage.weight"]).any()
    with pytest.raises(ValueError, match="unknown initialiser"):
        Init("magic").fill((1,), "float32", RNG)


def test_saving_and_loading_gives_the_same_network(tmp_path: Path) -> None:
    graph = small()
    save(graph, tmp_path / "net")
    again = load(tmp_path / "net")
    assert to_text(again) == to_text(graph) and again.content_hash == graph.content_hash
    assert sorted(p.name for p in (tmp_path / "net").iterdir()) == ["graph.txt", "weights.safetensors"]


@pytest.mark.parametrize("keep", [0, 4, 100, -5])
def test_a_damaged_weights_file_is_one_clear_error(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "weights.safetensors"
    Store({"a": np.arange(100, dtype="f")}).save(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        Store.load(path)


def test_a_folder_that_is_no_network_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no graph\.txt there"):
        load(tmp_path)
    save(small(), tmp_path)
    (tmp_path / "graph.txt").write_text("graph broken\n")
    with pytest.raises(UserError, match="damaged: line 1"):
        load(tmp_path)
    save(small(), tmp_path)
    Store({"stage.weight": np.zeros((1, 1), "f"), "stage.bias": np.zeros(3, "f")}).save(tmp_path / "weights.safetensors")
    with pytest.raises(UserError, match="another shape"):
        load(tmp_path)


def test_saved_onnx_is_whole_and_leaves_nothing_beside(tmp_path: Path) -> None:
    save_onnx(small(), tmp_path / "net.onnx")
    assert [p.name for p in tmp_path.iterdir()] == ["net.onnx"]
    model = onnx.load(tmp_path / "net.onnx")
    assert [i.name for i in model.graph.initializer] == ["stage.weight", "stage.bias", "flat.ints"]
    with pytest.raises(ValueError, match="opset 9"):
        save_onnx(small(), tmp_path / "old.onnx", opset=9)
    with pytest.raises(FileNotFoundError):
        save_onnx(small(), tmp_path / "nowhere" / "net.onnx")
    assert [p.name for p in tmp_path.iterdir()] == ["net.onnx"]


def test_onnx_outputs_carry_the_names_of_values_even_where_inputs_and_parameters_are_returned() -> None:
    b = Builder()
    x, w = b.input("x", Type((2,))), b.param("w", (2,))
    y = b(ops.Silu(), x, name="y")
    b.output(y, x, w, y)
    graph = b.graph().with_store(Store({"w": np.ones(2, "f")}))
    onnx.checker.check_model(to_onnx(graph), full_check=True)
    assert to_onnx(graph).graph.output[0].name == "y"
    array = np.float32([1, -2])
    assert_close(in_onnx_runtime(graph, [array]), graph.run(array), 1e-6)


def test_the_graph_package_and_its_onnx_side_import_neither_torch_nor_onnx() -> None:
    code = (
        "import sys, netwright.graph, netwright.compile.autodiff, netwright.graph.onnx as side\n"
        "assert not {'torch', 'onnx'} & set(sys.modules)\n"
        "sys.modules['onnx'] = None\n"
        "from netwright.graph import parse\n"
        "try: side.to_onnx(parse('input x: float32[1]'))\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.startswith("MissingExtra onnx is not installed: run `pip install 'netwright[onnx]'`")


def test_constants_without_dimensions_are_saved_as_such(tmp_path: Path) -> None:
    b = Builder("net")
    x = b.input("x", Type((2, 3), "int64"))
    b.output(b(ops.Equal(), x, b.constant(np.int64(0), "zero")))
    save(b.graph(), tmp_path)
    assert load(tmp_path).params[0].value.shape == ()
