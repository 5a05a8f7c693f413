"""Graphs as MIL programs: the values of the Graph's own reference, under every profile, in types Core ML tools agree to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lowered import attention_block, errors, filled, mlp, swiglu_block

import netwright
from netwright import spaces
from netwright.compile.autodiff import autodiff
from netwright.devices.ane import profile
from netwright.devices.ane.device import lowered
from netwright.devices.ane.lower.layout import Held, framed, permuted, reshaped
from netwright.devices.ane.lower.port import Port
from netwright.devices.ane.mil import BlobFile, TensorType
from netwright.devices.ane.simulator import Kernel, Simulator
from netwright.errors import UserError
from netwright.graph import Builder, Graph, Init, Type
from netwright.graph import ops as o
from netwright.models import gpt2, llama

TOLERANCE = 0.005


def image_net() -> Graph:
    b = Builder("image")
    x = b.input("x", Type((1, 3, 16, 16)))
    y = b(o.Conv((2, 2), (1, 1, 1, 1)), x, b.param("c.weight", (8, 3, 3, 3)), b.param("c.bias", (8,)))
    norm = [b.param(n, (8,), init=Init("constant", c)) for n, c in (("s", 1.0), ("t", 0.1), ("m", 0.2), ("v", 0.8))]
    y = b(o.Relu(), b(o.BatchNorm(), y, *norm))
    deep = b(o.Conv((), (1, 1, 1, 1), (), 8), y, b.param("d.weight", (8, 1, 3, 3)))
    y = b(o.Add(), y, b(o.HardSwish(), deep))
    y = b(o.AveragePool((3, 3), (1, 1), (1, 1, 1, 1)), b(o.MaxPool((2, 2), (2, 2)), y))
    y = b(o.Reshape((1, -1)), b(o.GlobalAveragePool(), y))
    b.output(b(o.Linear(), y, b.param("f.weight", (5, 8)), b.param("f.bias", (5,)), name="logits"))
    return filled(b.graph())


def flattened() -> Graph:
    b = Builder("flattened")
    x = b.input("x", Type((1, 1, 8, 8)))
    y = b(o.Reshape((1, -1)), b(o.Conv(), x, b.param("c", (4, 1, 3, 3))))
    b.output(b(o.Softmax(-1), b(o.Linear(), y, b.param("f", (5, 144)))))
    return filled(b.graph())


def sequence_conv() -> Graph:
    b = Builder("sequence")
    x = b.input("x", Type((1, 6, 20)))
    b.output(b(o.Tanh(), b(o.Conv((2,), (1, 1)), x, b.param("c", (4, 6, 3)), b.param("b", (4,)))))
    return filled(b.graph())


def of(*shape: int) -> Callable[[Callable[..., Any]], Callable[[], Graph]]:
    """A Graph of one input x of a shape, from a function of a builder and x that gives the outputs."""

    def make(build: Callable[..., Any]) -> Callable[[], Graph]:
        def graph() -> Graph:
            b = Builder(build.__name__)
            made = build(b, b.input("x", Type(shape)))
            b.output(*(made if isinstance(made, tuple) else (made,)))
            return filled(b.graph())

        graph.__name__ = build.__name__
        return graph

    return make


@of(8, 16)
def gelus(b: Any, x: Any) -> Any:
    return b(o.Gelu(True), x), b(o.Gelu(), x)


@of(8, 16)
def unary_ops(b: Any, x: Any) -> Any:
    ops = (o.Relu(), o.Relu6(), o.Tanh(), o.Sigmoid(), o.Neg(), o.Abs(), o.Erf(), o.LeakyRelu(), o.HardSigmoid(),
           o.Clip(-1.0, 2.0), o.Softplus(), o.Silu(), o.Exp(), o.Sin(), o.Cos())
    return tuple(b(op, x) for op in ops)


@of(8, 16)
def positive_ops(b: Any, x: Any) -> Any:
    y = b(o.Add(), b(o.Abs(), x), b.constant(0.5))
    return b(o.Sqrt(), y), b(o.Rsqrt(), y), b(o.Reciprocal(), y), b(o.Log(), y)


@of(6, 12)
def broadcasts(b: Any, x: Any) -> Any:
    row = b.constant(np.arange(12, dtype=np.float32) / 6, "row")
    column = b(o.ReduceMean((1,), True), x)
    total = b(o.ReduceMean((0, 1), True), x)
    return (b(o.Mul(), x, row), b(o.Sub(), row, x), b(o.Div(), x, b(o.Exp(), column)), b(o.Maximum(), column, row),
            b(o.Add(), x, total), b(o.Minimum(), x, b.constant(0.1)))


@of(6, 12)
def matrix_products(b: Any, x: Any) -> Any:
    turned = b(o.Transpose((1, 0)), x)
    return b(o.Matmul(), x, turned), b(o.Matmul(), turned, x), b(o.Matmul(), x, b.param("w", (12, 5)))


@of(6, 12)
def reductions(b: Any, x: Any) -> Any:
    return (b(o.ReduceMean((0,), False), x), b(o.ReduceSum((1,), True), x), b(o.ReduceMax((1,), False), x),
            b(o.ReduceMin((0, 1), True), x))


@of(6, 12)
def moves(b: Any, x: Any) -> Any:
    return (b(o.Slice((1, 2), (5, 10)), x), b(o.Slice((0, 0), (6, 12), (2, 3)), x), b(o.Pad((1, 2, 0, 1)), x),
            b(o.Reshape((4, 18)), x), b(o.Transpose((1, 0)), x), b(o.Reshape((2, 3, 12)), x))


@of(8, 16)
def joins(b: Any, x: Any) -> Any:
    u, v = b(o.Split(-1, (4, 12)), x)
    return b(o.Concat(-1), v, u), b(o.Concat(0), v, v), b(o.Concat(-1), u, v, u)


@of(1, 4, 6, 6)
def joined_images(b: Any, x: Any) -> Any:
    return b(o.Concat(1), x, b(o.Relu(), x), x)


@of(2, 3, 16)
def batched_linear(b: Any, x: Any) -> Any:
    return b(o.Linear(), x, b.param("w", (5, 16)), b.param("b", (5,)))


@of(12, 16)
def softmaxes(b: Any, x: Any) -> Any:
    return b(o.Softmax(-1), x), b(o.Softmax(0), x)


GRAPHS: tuple[Callable[[], Graph], ...] = (
    mlp, image_net, flattened, sequence_conv, attention_block, swiglu_block, gelus, unary_ops, positive_ops, broadcasts,
    matrix_products, reductions, moves, joins, joined_images, batched_linear, softmaxes,
)


@pytest.mark.parametrize("make", GRAPHS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", profile.names())
def test_a_lowered_graph_computes_what_the_graph_computes(make: Callable[[], Graph], name: str, tmp_path: Path) -> None:
    _, found = errors(make(), tmp_path, name)
    assert max(found) <= TOLERANCE


@pytest.mark.parametrize("make", GRAPHS, ids=lambda f: f.__name__)
def test_core_ml_tools_infer_the_same_types(make: Callable[[], Graph], tmp_path: Path) -> None:
    pytest.importorskip("coremltools")
    from core_ml_oracle import check

    made, _ = errors(make(), tmp_path)
    assert check(made.program, tmp_path) > 0


LAYERS: dict[str, Callable[[], Graph]] = {}
for _module, _config in (
    (gpt2, gpt2.Config(vocabulary=96, width=64, layers=2, heads=2, hidden=128, context=64)),
    (llama, llama.Config(vocabulary=96, width=64, layers=2, heads=4, kv_heads=2, hidden=128, context=64)),
):
    for _piece in ("attention", "feed_forward", "project"):
        LAYERS[f"{_module.__name__.split('.')[-1]}_{_piece}"] = (
            lambda m=_module, p=_piece, c=_config: filled(getattr(m, p)(c, 0, 32)))
    LAYERS[f"{_module.__name__.split('.')[-1]}_full"] = (
        lambda m=_module, c=_config: filled(m.full(c, 32, embedded=True)))


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("scale", (0.02, 1.0, 100.0))
def test_layers_of_language_models_at_small_and_large_activations(name: str, scale: float, tmp_path: Path) -> None:
    _, found = errors(LAYERS[name](), tmp_path, scale=scale)
    assert max(found) <= TOLERANCE


@pytest.mark.parametrize("name", LAYERS)
def test_core_ml_tools_agree_on_layers_of_language_models(name: str, tmp_path: Path) -> None:
    pytest.importorskip("coremltools")
    from core_ml_oracle import check

    made, _ = errors(LAYERS[name](), tmp_path)
    assert check(made.program, tmp_path) > 0


@pytest.mark.parametrize("name", [n for n in LAYERS if not n.endswith(("full", "project"))])
@pytest.mark.parametrize("chosen", ("strict", "m5-a16-direct"))
def test_gradients_of_layers_are_programs_too(name: str, chosen: str, tmp_path: Path) -> None:
    _, found = errors(filled(autodiff(LAYERS[name](), ["x"], keep_outputs=False)), tmp_path, chosen)
    assert max(found) <= TOLERANCE


def test_adapters_are_inputs_and_a_zero_adapter_is_none_to_the_bit(tmp_path: Path) -> None:
    def adapted(with_adapter: bool) -> Graph:
        b = Builder("adapted")
        x = b.input("x", Type((32, 64)))
        y = b(o.Linear(), x, b.param("w", (48, 64), init=Init("normal", 0.1)))
        if with_adapter:
            first, second = b.input("lora_A", Type((64, 8))), b.input("lora_B", Type((8, 48)))
            low = b(o.Matmul(), b(o.Matmul(), x, first), second)
            y = b(o.Add(), y, b(o.Mul(), low, b.constant(2.0)))
        b.output(y)
        return filled(b.graph())

    _, found = errors(adapted(True), tmp_path, scale=0.5)
    assert max(found) <= TOLERANCE
    chosen = profile.load("strict")
    kernels = [Kernel.of(Simulator(chosen), lowered(adapted(w), chosen)) for w in (True, False)]
    x = np.random.default_rng(0).standard_normal((32, 64)).astype(np.float32)
    zeros = np.zeros((64, 8), np.float32), np.zeros((8, 48), np.float32)
    assert kernels[0].run(x, *zeros)[0].tobytes() == kernels[1].run(x)[0].tobytes()


@pytest.mark.parametrize("way", ("torch", "onnx"))
def test_a_torch_block_comes_in_either_way(way: str, tmp_path: Path) -> None:
    import torch

    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.qkv, self.out = torch.nn.LayerNorm(32), torch.nn.Linear(32, 96), torch.nn.Linear(32, 32)
            self.feed = torch.nn.Sequential(torch.nn.Linear(32, 64), torch.nn.GELU(), torch.nn.Linear(64, 32))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            q, k, v = self.qkv(self.norm(x)).view(1, 16, 3, 4, 8).permute(2, 0, 3, 1, 4)
            y = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(y.transpose(1, 2).reshape(1, 16, 32))
            return x + self.feed(x)

    torch.manual_seed(0)
    module, example = Block().eval(), torch.randn(1, 16, 32)
    if way == "torch":
        graph = netwright.from_torch(module, example)
    else:
        pytest.importorskip("onnx")
        torch.onnx.export(module, (example,), str(tmp_path / "block.onnx"), dynamo=False)
        graph = netwright.load(tmp_path / "block.onnx")
    _, found = errors(graph, tmp_path)
    assert max(found) <= TOLERANCE
    chosen = profile.load("strict")
    with torch.no_grad():
        want = module(example).numpy()
    got = Kernel.of(Simulator(chosen), lowered(graph, chosen)).run(example.numpy())[0]
    assert np.abs(got - want).max() <= TOLERANCE * max(1.0, np.abs(want).max())


SIZES = {"conv-small": (1, 16, 16), "ds-cnn": (1, 20, 10), "mlp": (24,), "mobilenet": (3, 48, 48), "vit": (1, 28, 28)}


@pytest.mark.parametrize("name", SIZES)
def test_candidates_of_every_space_are_programs(name: str, tmp_path: Path) -> None:
    space, rng = spaces.get(name), np.random.default_rng(0)
    for index in range(3):
        build = space.build(space.sample(rng), Type((1, *SIZES[name])), Type((1, 7)))
        _, found = errors(filled(build.graph), tmp_path / str(index))
        assert max(found) <= TOLERANCE


def test_norms_hold_from_a_thousandth_to_many_thousands(tmp_path: Path) -> None:
    for scale in (1e-3, 1e-2, 1.0, 100.0, 4000.0):
        _, found = errors(swiglu_block(), tmp_path, scale=scale)
        assert max(found) <= TOLERANCE, scale


def test_attention_moves_nothing(tmp_path: Path) -> None:
    made, _ = errors(attention_block(), tmp_path)
    counts = made.program.function().histogram()
    assert counts["transpose"] == 0 and counts["conv"] == 4 and counts["matmul"] == 2 and counts["concat"] == 0


def test_rotation_and_grouped_heads_need_no_concat_and_no_tile(tmp_path: Path) -> None:
    made, _ = errors(LAYERS["llama_attention"](), tmp_path)
    counts = made.program.function().histogram()
    assert not {"concat", "tile", "stack"} & set(counts)
    assert {"R1", "R6", "R20"} <= {a.rule for a in made.applied}


def test_profiles_decide_over_concat_gelu_and_files(tmp_path: Path) -> None:
    direct = lowered(gelus(), profile.load("m5-a16-direct"))
    assert direct.program.function().histogram()["gelu"] == 2
    assert lowered(gelus(), profile.load("strict")).program.function().histogram()["gelu"] == 0
    two, three = (lowered(make(), profile.load("m5-a16-direct")).program.function().histogram()["concat"]
                  for make in (joins, joined_images))
    assert (two, three) == (2, 0)  # two operands at most
    separate = {w.blob.path for w in lowered(mlp(), profile.load("m1-a13")).weights}
    packed = {w.blob.path for w in lowered(mlp(), profile.load("m4max-orion")).weights}
    assert len(separate) == 4 and len(packed) == 1


def test_names_are_chosen_so_that_alphabetical_order_is_the_wanted_order(tmp_path: Path) -> None:
    b = Builder("two")
    x, y = b.input("zz", Type((6, 12))), b.input("aa", Type((6, 12)))
    b.output(b(o.Sub(), x, y, name="q"), b(o.Add(), x, y, name="c"))
    made, _ = errors(b.graph(), tmp_path)
    assert [p.name for p in made.inputs] == ["zz", "aa"] and [p.name for p in made.outputs] == ["q", "c"]
    assert {"R3", "R13"} <= {a.rule for a in made.applied}


def test_weights_of_one_tensor_are_written_once(tmp_path: Path) -> None:
    b = Builder("tied")
    w = b.param("w", (16, 16))
    b.output(b(o.Linear(), b(o.Linear(), b.input("x", Type((4, 16))), w), w))
    assert len(lowered(filled(b.graph()), profile.load("strict")).weights) == 1


def test_half_precision_ends(tmp_path: Path) -> None:
    from netwright.devices.ane.lower import lower

    made = lower(attention_block(), profile.load("strict"), io="fp16")
    function = made.program.function()
    assert {v.type.dtype for v in function.inputs} == {"fp16"}
    assert function.histogram()["cast"] == 0


def test_ops_without_a_form_are_named() -> None:
    b = Builder("lookup")
    table = b.param("table", (10, 4))
    b.output(b(o.Gather(), table, b.input("tokens", Type((3,), "int64")), name="embedded"))
    with pytest.raises(UserError, match="embedded: gather has no form on the Neural Engine"):
        lowered(filled(b.graph()), profile.load("strict"))


def test_a_cache_is_left_to_the_processor() -> None:
    config = llama.Config(vocabulary=96, width=64, layers=1, heads=4, kv_heads=2, hidden=128, context=64)
    with pytest.raises(UserError, match="Neural Engine"):
        lowered(filled(llama.attend(config, 0, 64)), profile.load("strict"))


def test_weight_files_hold_what_the_text_refers_to(tmp_path: Path) -> None:
    made, _ = errors(mlp(), tmp_path, "m4max-orion")
    blobs = {v for s in made.program.function().statements for _, v in s.attributes if isinstance(v, BlobFile)}
    assert blobs == {w.blob for w in made.weights}


shapes = st.lists(st.integers(1, 6), min_size=1, max_size=5).map(tuple)


@given(shapes, st.randoms(use_true_random=False), st.data())
@settings(max_examples=200, deadline=None)
def test_a_reshape_that_is_another_reading_reads_the_same_bytes(shape: tuple[int, ...], random: Any, data: Any) -> None:
    order = list(range(len(shape)))
    random.shuffle(order)
    size = int(np.prod(shape))
    divisors = [n for n in range(1, size + 1) if size % n == 0]
    first = data.draw(st.sampled_from(divisors))
    after = (first, size // first)
    found = reshaped(shape, tuple(order), after)
    if found is not None:
        array = np.arange(size).reshape(shape)
        memory = array.transpose(order).reshape(-1)
        assert (array.reshape(after).transpose(found).reshape(-1) == memory).all()


@given(shapes, st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_ports_round_trip(shape: tuple[int, ...], random: Any) -> None:
    order = list(range(len(shape)))
    random.shuffle(order)
    port = Port("x", "x", Type(shape), tuple(order), TensorType("fp32", framed(permuted(shape, tuple(order)))))
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    assert (port.outwards(port.inwards(array)) == array).all()
    assert Port.from_json(port.to_json()) == port
    assert Held("x", tuple(order), port.type.shape)
