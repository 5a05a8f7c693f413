"""Products in C are NumPy's, whatever the sizes, the packing and the number of threads."""

from __future__ import annotations

import numpy as np
import pytest

from netwright.devices.ane.execute.numerics import round_fp16
from netwright.devices.host import native
from netwright.models.blocks import BYTES, Blocks

SIZES = [(1, 1, 1), (16, 4, 16), (17, 3, 1), (40, 129, 5), (576, 576, 16), (33, 1000, 21), (600, 700, 64)]


@pytest.mark.parametrize(("rows", "inner", "columns"), SIZES)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_products_are_numpys(
    rows: int, inner: int, columns: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "threads", lambda: threads)
    rng = np.random.default_rng(rows)
    # sums of whole numbers are exact in any order
    w = rng.integers(-8, 9, (rows, inner)).astype(np.float32)
    x = rng.integers(-8, 9, (inner, columns)).astype(np.float32)
    made = native.Product(w)
    assert native.available(columns)
    assert np.array_equal(made(x, False), w @ x)
    assert np.array_equal(made(x, True), round_fp16(w @ x))


def test_weights_are_rounded_once_and_results_overflow_as_fp16_does() -> None:
    w = np.array([[60000.0, 60000.0], [2.0**-24, 0.0]], np.float32)
    x = np.array([[1.0], [1.0]], np.float32)
    assert native.Product(w)(x, True).tolist() == [[np.inf], [2.0**-24]]
    assert np.isnan(native.Product(w)(np.array([[np.nan], [0.0]], np.float32), True)).all()


def test_wide_products_are_left_to_numpy() -> None:
    assert not native.available(native.MOST_COLUMNS + 1)


@pytest.mark.parametrize("kind", BYTES)
@pytest.mark.parametrize(("rows", "inner"), [(1, 32), (19, 64), (700, 576), (33, 1536)])
@pytest.mark.parametrize("threads", [1, 2])
def test_matrices_in_blocks_are_multiplied_as_the_numbers_they_stand_for(
    kind: str, rows: int, inner: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "threads", lambda: threads)
    rng = np.random.default_rng(inner)
    raw = rng.integers(0, 256, (rows, inner // 32, BYTES[kind])).astype(np.uint8)
    for at in (0, 2) if kind == "q4_1" else (0,):  # scales are numbers of a usual size
        raw[:, :, at : at + 2] = rng.standard_normal((rows, inner // 32, 1)).astype("<f2").view(np.uint8)
    matrix = Blocks(kind, raw.reshape(rows, -1))
    x, out = rng.standard_normal(inner).astype(np.float32), np.empty(rows, np.float32)
    call = native.blocks(kind, matrix.rows, x, out)
    assert call is not None
    call()
    exact = matrix.dequantised().astype(np.float64)
    assert np.abs(out - exact @ x).max() <= 1e-5 * (np.abs(exact) @ np.abs(x)).max()


@pytest.mark.parametrize("shape", [(1, 1), (5, 16), (67, 33), (900, 576)])
@pytest.mark.parametrize("threads", [1, 3])
def test_float_rows_times_one_column(shape: tuple[int, int], threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "threads", lambda: threads)
    rng = np.random.default_rng(0)
    w, x = rng.integers(-8, 9, shape).astype(np.float32), rng.integers(-8, 9, shape[1]).astype(np.float32)
    out = np.empty(shape[0], np.float32)
    call = native.vector(w, x, out)
    assert call is not None
    call()
    assert np.array_equal(out, w @ x)
    assert native.vector(w.astype(np.float64), x, out) is None and native.vector(np.zeros((4, 6), np.float32)[:, ::2], x, out) is None
