"""Imported networks of many kinds as int8: host C gives the NumPy reference's bytes, near the float network."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "graph" / "torch_import"))
from torch_modules import MODULES

from netwright import devices, from_torch
from netwright.compile import int8
from netwright.compress import integer_inputs, layer_errors, quantise
from netwright.compress.quantise import prepared
from netwright.errors import UserError
from netwright.graph import OPS, Builder, Graph, Type

SAMPLES = 6
BOUNDS = {  # dB of the worst output
    "Assorted": 15, "Autoencoder": 36, "BidirectionalGru": 30, "CausalAttention": 28, "ConvNeXtBlock": 35,
    "DenseNetBlock": 33, "DepthwiseSeparable": 40, "DiffusionBlock": 31, "GptDecoder": 31, "InvertedResidualSE": 34,
    "LstmClassifier": 27, "MaskedAttention": 31, "Mlp": 36, "MlpMixer": 31, "PlainConvNet": 42, "ResNetBlock": 34,
    "ShuffleNetBlock": 35, "SuperResolution": 34, "SwinWindow": 31, "TextClassifier": 33, "TransformerEncoder": 29,
    "UNet": 45, "VggBN": 42, "ViTTiny": 27, "WaveNet": 31,
}  # fmt: skip
WITHOUT_TRANSPOSES = (
    "Autoencoder", "BidirectionalGru", "ConvNeXtBlock", "DenseNetBlock", "DepthwiseSeparable", "DiffusionBlock", "InvertedResidualSE",
    "LstmClassifier", "Mlp", "PlainConvNet", "ResNetBlock", "TextClassifier", "UNet", "VggBN", "WaveNet",
)  # fmt: skip
MOST_TRANSPOSES = {
    "SuperResolution": 1, "ShuffleNetBlock": 2, "MlpMixer": 3, "SwinWindow": 4, "GptDecoder": 4, "TransformerEncoder": 12,
}  # fmt: skip


def samples(example: tuple[torch.Tensor, ...]) -> list[np.ndarray]:
    """Calibration data [n, ...] like an example."""
    rng, made = np.random.default_rng(0), []
    for x in example:
        inner = tuple(x.shape[1:] if x.shape[0] == 1 else x.shape)
        whole = not x.is_floating_point()
        made.append(rng.integers(0, 40, (SAMPLES, *inner)) if whole else rng.standard_normal((SAMPLES, *inner)).astype("f"))
    return made


def one(graph: Graph, arrays: list[np.ndarray], i: int) -> list[np.ndarray]:
    return [a[i : i + 1] if v.shape[:1] == (1,) else a[i] for a, v in zip(arrays, graph.inputs)]


def worst_signal_to_noise(graph: Graph, quantised: Graph, data: list[np.ndarray]) -> float:
    """dB of the output that loses most."""
    given, ready = integer_inputs(graph, quantised, *data), prepared(graph)
    places = int8.places(ready)
    sums = np.zeros((len(graph.outputs), 2))
    for i in range(len(data[0])):
        real, codes = graph.run(*one(graph, data, i)), quantised.run(*one(quantised, list(given), i))
        for k, (value, truth, found) in enumerate(zip(ready.outputs, real, codes, strict=True)):
            order = places[value.name].order if value.name in places else None
            quant = quantised.outputs[k].type.quant
            near = (found.astype(float) - quant.zero) * quant.scale if quant is not None else found
            turned = truth.transpose(order) if order else truth
            assert turned.shape == near.shape
            sums[k] += np.sum(np.square(turned, dtype=float)), np.sum(np.square(turned - near, dtype=float))
    return float((10 * np.log10(sums[:, 0] / np.maximum(sums[:, 1], 1e-30))).min())


@pytest.mark.parametrize("name", sorted(BOUNDS))
def test_imported_modules_are_near_their_float_network_and_the_same_bytes_in_c(name: str, tmp_path: Path) -> None:
    module, example = MODULES[name]()
    graph, data = from_torch(module, example), samples(example)
    quantised = quantise(graph, *data)
    assert worst_signal_to_noise(graph, quantised, data) > BOUNDS[name]
    given = integer_inputs(graph, quantised, *data)
    found = devices.get("host").compile(quantised, out=tmp_path).run(*given)
    for i in range(SAMPLES):
        for ours, theirs in zip(quantised.run(*one(quantised, list(given), i)), found, strict=True):
            assert ours.dtype == theirs.dtype and ours.tobytes() == theirs[i].tobytes()
    transposes = sum(n.op.name == "transpose" for n in quantised.nodes)
    assert transposes <= (0 if name in WITHOUT_TRANSPOSES else MOST_TRANSPOSES.get(name, 6))
    errors = layer_errors(graph, quantised, *data)
    assert errors and errors == sorted(errors, key=lambda row: row[1])


def test_what_has_no_int8_form_is_named_in_one_line_and_by_rule_m1() -> None:
    module, example = MODULES["OddPools"]()
    graph = from_torch(module, example)
    with pytest.raises(UserError, match=r"^max_pool2d_with_indices: int8 max_pool gives no indices; [^\n]*$"):
        quantise(graph, *samples(example))
    (broken,) = devices.get("cortex-m4").check(graph)
    assert (broken.rule, broken.where) == ("M1", "max_pool2d_with_indices")


@pytest.mark.parametrize("name", ["GptDecoder", "ViTTiny", "LstmClassifier", "DiffusionBlock"])
def test_a_microcontroller_checks_networks_that_are_not_convolutional(name: str) -> None:
    module, example = MODULES[name]()
    assert not devices.get("cortex-m7").check(from_torch(module, example))


def only(op: str, *shapes: tuple[int, ...], **attributes: object) -> Graph:
    b = Builder("net")
    b.output(b(OPS[op](**attributes), *(b.input(f"x{i}", Type(s)) for i, s in enumerate(shapes)), name="y"))
    return b.graph()


def near(graph: Graph, *data: np.ndarray, bound: float) -> Graph:
    quantised = quantise(graph, *data)
    assert worst_signal_to_noise(graph, quantised, list(data)) > bound
    return quantised


@pytest.mark.parametrize("axis", [1, 2, -1])
@pytest.mark.parametrize("shape", [(1, 6, 5), (1, 6, 4, 5), (1, 3, 4, 2, 5)])
@pytest.mark.parametrize("op", ["softmax", "log_softmax"])
def test_softmax_goes_along_any_axis(op: str, shape: tuple[int, ...], axis: int) -> None:
    x = 2 * np.random.default_rng(0).standard_normal((8, *shape[1:])).astype("f")
    near(only(op, shape, axis=axis), x, bound=25)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axes", [(1,), (2,), (1, 3), (2, 3), (1, 2, 3), (-1,)])
@pytest.mark.parametrize("op", ["reduce_mean", "reduce_sum", "reduce_max", "reduce_min"])
def test_reductions_go_over_any_axes(op: str, axes: tuple[int, ...], keepdims: bool) -> None:
    x = np.random.default_rng(0).standard_normal((8, 5, 4, 3)).astype("f") + 0.5
    near(only(op, (1, 5, 4, 3), axes=axes, keepdims=keepdims), x, bound=30)


@pytest.mark.parametrize("coordinates", ["half_pixel", "asymmetric", "align_corners"])
@pytest.mark.parametrize("shape, size", [((1, 3, 5, 6), (9, 14)), ((1, 3, 6), (11,))])
def test_linear_resizing_stays_near(coordinates: str, shape: tuple[int, ...], size: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).standard_normal((6, *shape[1:])).astype("f")
    near(only("resize", shape, size=size, mode="linear", coordinates=coordinates), x, bound=35)


@pytest.mark.parametrize(
    "equation, shapes",
    [("bhqd,bhkd->bhqk", ((1, 2, 5, 4), (1, 2, 6, 4))), ("bij,bjk->bki", ((1, 3, 4), (1, 4, 5))), ("bi,bj->bij", ((1, 3), (1, 4)))],
)
def test_einstein_sums_become_matrix_products(equation: str, shapes: tuple[tuple[int, ...], ...]) -> None:
    rng = np.random.default_rng(0)
    near(only("einsum", *shapes, equation=equation), *(rng.standard_normal((6, *s[1:])).astype("f") for s in shapes), bound=33)


@pytest.mark.parametrize("op", ["add", "sub", "mul", "div", "maximum", "minimum"])
@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("shape", [(), (1,), (4,), (3, 1), (5, 1, 1), (1, 5, 3, 4)])
def test_constants_of_any_shape_stand_on_either_side(op: str, left: bool, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    constant = rng.uniform(0.5, 2, shape).astype("f")
    b = Builder("net")
    x, c = b.input("x", Type((1, 5, 3, 4))), b.constant(constant, "c")
    b.output(b(OPS[op](), *((c, x) if left else (x, c)), name="y"))
    near(b.graph(), rng.uniform(0.5, 3, (8, 5, 3, 4)).astype("f"), bound=30)


def test_operands_of_other_ranks_broadcast_in_either_layout() -> None:
    b = Builder("net")
    image, row = b.input("image", Type((1, 3, 6, 5))), b.input("row", Type((1, 6, 1)))
    mixed = b(OPS["conv"](), image, b.param("w", (4, 3, 1, 1)))
    b.output(b(OPS["mul"](), mixed, row, name="y"))
    graph, rng = b.graph(), np.random.default_rng(0)
    graph = graph.with_store(graph.store.initialise(graph, 0))
    near(graph, rng.standard_normal((8, 3, 6, 5)).astype("f"), rng.standard_normal((8, 6, 1)).astype("f"), bound=33)


@pytest.mark.parametrize("masked", [-np.inf, -1e9, np.finfo("f").min])
def test_masks_leave_the_steps_to_what_is_not_masked(masked: float) -> None:
    rng = np.random.default_rng(0)
    b = Builder("net")
    x = b.input("x", Type((1, 2, 8, 8)))
    mask = np.where(np.tril(np.ones((8, 8))), 0, masked).astype("f")
    b.output(b(OPS["softmax"](-1), b(OPS["add"](), x, b.constant(mask, "mask"))))
    quantised = near(b.graph(), 2 * rng.standard_normal((8, 2, 8, 8)).astype("f"), bound=33)
    data = 2 * rng.standard_normal((4, 2, 8, 8)).astype("f")
    (found,) = quantised.run(*integer_inputs(b.graph(), quantised, data))
    assert (found[..., ~np.tril(np.ones((8, 8), bool))] == -128).all()


@pytest.mark.parametrize("spread", [0.05, 1.0, 20.0])
@pytest.mark.parametrize("kind, shape", [("layer_norm", (1, 9, 64)), ("rms_norm", (1, 64)), ("group_norm", (1, 16, 5, 4))])
def test_norms_keep_their_digits_where_variances_differ_much(kind: str, shape: tuple[int, ...], spread: float) -> None:
    """Rows whose variances are 400 to 1 apart: tables of squares and roots in int8 lose the small ones."""
    rng = np.random.default_rng(0)
    b = Builder("net")
    x = b.input("x", Type(shape))
    width = shape[1] if kind == "group_norm" else shape[-1]
    scale = b.constant(rng.uniform(0.5, 1.5, width).astype("f"), "scale")
    bias = b.constant(rng.standard_normal(width).astype("f"), "bias")
    op = OPS[kind](groups=4) if kind == "group_norm" else OPS[kind]()
    b.output(b(op, *((x, scale) if kind == "rms_norm" else (x, scale, bias)), name="y"))
    sizes = rng.uniform(1, 20, (8, *[1] * (len(shape) - 1)))
    near(b.graph(), (spread * sizes * rng.standard_normal((8, *shape[1:]))).astype("f"), bound=25)


@pytest.mark.parametrize("alphas, op", [(1, "q_lookup"), (3, "q_prelu")])
def test_prelu_written_as_a_choice_is_one_layer(alphas: int, op: str) -> None:
    b, rng = Builder("net"), np.random.default_rng(0)
    x = b.input("x", Type((1, 3, 6, 5)))
    alpha = b.constant(rng.uniform(0.1, 0.4, (alphas, 1, 1)).astype("f"), "alpha")
    positive = b(OPS["greater"](), x, b.constant(np.float32(0), "zero"))
    b.output(b(OPS["where"](), positive, x, b(OPS["mul"](), x, alpha)))
    quantised = near(b.graph(), rng.standard_normal((8, 3, 6, 5)).astype("f"), bound=38)
    assert [n.op.name for n in quantised.nodes] == [op]


@pytest.mark.parametrize(
    "cut, turn, join",
    [
        ((0, 3, 4, 6, 5), (0, 2, 1, 3, 4), (0, 12, 6, 5)),
        ((0, 3, 2, 2, 6, 5), (0, 1, 4, 2, 5, 3), (0, 3, 12, 10)),
        ((0, 4, 3, 30), (0, 2, 1, 3), (0, 12, 6, 5)),
        ((0, 12, 3, 2, 5), (0, 1, 3, 2, 4), (0, 24, 15)),
    ],
)
def test_shuffles_between_convolutions_are_one_turn(
    cut: tuple[int, ...], turn: tuple[int, ...], join: tuple[int, ...]
) -> None:
    b, rng = Builder("net"), np.random.default_rng(0)
    x = b.input("x", Type((1, 2, 6, 5)))
    y = b(OPS["conv"](), x, b.param("w", (12, 2, 1, 1)))
    y = b(OPS["reshape"](join), b(OPS["transpose"](turn), b(OPS["reshape"](cut), y)))
    b.output(b(OPS["conv"](), y, b.param("v", (4, y.shape[1], *[1] * (len(y.shape) - 2))), name="y"))
    graph = b.graph()
    graph = graph.with_store(graph.store.initialise(graph, 0))
    quantised = near(graph, rng.standard_normal((8, 2, 6, 5)).astype("f"), bound=30)
    assert sum(n.op.name == "transpose" for n in quantised.nodes) == 1


@pytest.mark.parametrize("device", ["host", "cortex-m0plus", "cortex-m4"])
def test_samples_that_are_written_into_a_graph_are_all_computed(device: str, tmp_path: Path) -> None:
    b, rng = Builder("net"), np.random.default_rng(0)
    x = b.input("x", Type((3, 4, 7, 6)))
    y = b(OPS["conv"](), x, b.param("w", (8, 4, 3, 3)))
    y = b(OPS["conv"]((1, 1), (1, 1, 1, 1), groups=8), y, b.param("d", (8, 1, 3, 3)))
    y = b(OPS["group_norm"](2), b(OPS["average_pool"]((2, 2), (2, 2)), y), b.param("s", (8,)), b.param("t", (8,)))
    y = b(OPS["max_pool"]((2, 1)), b(OPS["conv_transpose"]((2, 2)), y, b.param("u", (8, 2, 3, 3))))
    b.output(b(OPS["layer_norm"](), y), b(OPS["resize"]((5, 5), "linear"), y))
    graph = b.graph()
    graph = graph.with_store(graph.store.initialise(graph, 0))
    data = rng.standard_normal((5, 3, 4, 7, 6)).astype("f")
    quantised = near(graph, data, bound=24)
    given = integer_inputs(graph, quantised, data)
    found = devices.get(device).compile(quantised, out=tmp_path).run(*given)
    for i in range(len(data)):
        for ours, theirs in zip(quantised.run(given[0][i]), found, strict=True):
            assert np.array_equal(ours, theirs[i])


def test_a_graph_that_mixes_the_samples_of_a_batch_is_calibrated_sample_by_sample() -> None:
    b = Builder("net")
    x = b.input("x", Type((1, 5)))
    b.output(b(OPS["add"](), x, b(OPS["reduce_sum"]((), False), x), name="y"))
    data = np.random.default_rng(0).uniform(0, 1, (64, 5)).astype("f")
    near(b.graph(), data, bound=38)
