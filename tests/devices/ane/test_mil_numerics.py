"""The engine's arithmetic: rounding in fp32 arrays, and every switch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mil_programs import Writer

from netwright.devices.ane.execute import Numerics, prepare
from netwright.devices.ane.execute.numerics import round_fp16


def cast_and_back(x: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return x.astype(np.float16).astype(np.float32)


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    nan = np.isnan(a)
    return bool((nan == np.isnan(b)).all() and (a.view(np.uint32) == b.view(np.uint32))[~nan].all())


@pytest.mark.parametrize("step", [-1, 0, 1])
@pytest.mark.parametrize("half", [0, 0x1000])
def test_rounding_equals_a_cast_at_every_fp16_value_and_half_way_between(half: int, step: int) -> None:
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32).view(np.uint32)
    x = (every.astype(np.int64) + half + step).astype(np.uint32).view(np.float32)
    with np.errstate(all="ignore"):
        assert same_bits(round_fp16(x.copy()), cast_and_back(x))


@given(st.integers(0, 2**32 - 1), st.integers(1, 5000))
def test_rounding_equals_a_cast_on_random_bits(seed: int, count: int) -> None:
    x = np.random.default_rng(seed).integers(0, 2**32, count, np.uint32).view(np.float32)
    with np.errstate(all="ignore"):
        assert same_bits(round_fp16(x.copy()), cast_and_back(x))


def test_rounding_takes_arrays_that_are_not_contiguous() -> None:
    x = np.random.default_rng(0).normal(size=(80, 90)).astype(np.float32)
    assert same_bits(round_fp16(x.T), cast_and_back(np.ascontiguousarray(x.T)))


def one(folder: Path, op: str, x: np.ndarray, numerics: Numerics | None = None, **args: object) -> np.ndarray:
    w = Writer(folder)
    given = w.input("x", *x.shape)
    program = w.program(w.op(op, x=given, **args))
    return next(iter(prepare(program, folder, numerics).run({"x": x}).values())).astype(np.float32)


def test_sums_accumulate_in_fp32_or_in_order_in_fp16(tmp_path: Path) -> None:
    x = np.full((1, 4096), 1.0)
    assert one(tmp_path, "reduce_sum", x, axes=[1], keep_dims=False) == 4096
    in_order = one(tmp_path, "reduce_sum", x, Numerics(reduce_sum="fp16"), axes=[1], keep_dims=False)
    assert in_order == 2048  # 2048 + 1 is no fp16 value


def test_matmul_beyond_the_ceiling_is_infinite_where_the_profile_says_so(tmp_path: Path) -> None:
    x = np.array([[256.0, -256.0]])
    w = Writer(tmp_path)
    weight = w.weight(np.array([[129.0], [0.0]]))
    program = w.program(w.op("matmul", x=w.input("x", 1, 2), y=weight, transpose_x=False, transpose_y=False))
    (plain,) = prepare(program, tmp_path).run({"x": x}).values()
    (limited,) = prepare(program, tmp_path, Numerics(matmul_ceiling=32752)).run({"x": x}).values()
    assert plain == 33024 and limited == np.inf


def test_overflow_is_infinite(tmp_path: Path) -> None:
    assert one(tmp_path, "mul", np.array([65504.0, -300.0, 255.0]), y=256.0).tolist() == [np.inf, -np.inf, 65280]


def test_subnormals_are_kept_or_flushed(tmp_path: Path) -> None:
    x = np.array([1e-5, 1.0])
    assert (one(tmp_path, "mul", x, y=1.0) > 0).all()
    assert one(tmp_path, "mul", x, Numerics(flush_subnormals=True), y=1.0).tolist() == [0, 1]


def test_a_subnormal_constant_is_flushed_too(tmp_path: Path) -> None:
    x = np.array([0.0])
    assert one(tmp_path, "add", x, y=1e-5) > 0
    assert one(tmp_path, "add", x, Numerics(flush_subnormals=True), y=1e-5) == 0


@pytest.mark.parametrize("op", ["exp", "tanh", "sigmoid", "silu", "erf"])
def test_tables_err_within_their_cells(tmp_path: Path, op: str) -> None:
    x = np.linspace(-4, 4, 999)
    exact = one(tmp_path, op, x)
    rough = one(tmp_path, op, x, Numerics(activation_step=0.25))
    error = np.abs(exact - rough) / np.maximum(1, np.abs(exact))
    assert 5e-4 < error.max() < 0.25**2 / 8 * 1.1 + 1e-3  # h^2/8 of the second derivative


def test_tables_keep_infinities(tmp_path: Path) -> None:
    x = np.array([-np.inf, np.inf])
    assert one(tmp_path, "exp", x, Numerics(activation_step=0.25)).tolist() == [0, np.inf]


def test_fp32_values_are_not_rounded(tmp_path: Path) -> None:
    w = Writer(tmp_path, "fp32")
    program = w.program(w.op("mul", x=w.input("x", 2), y=1.0))
    x = np.array([0.1, 1e6], np.float32)
    (y,) = prepare(program, tmp_path).run({"x": x}).values()
    assert y.dtype == np.float32 and (y == x).all()
