"""Products with constant fp16 weights in C are NumPy's, whatever the sizes and the number of threads."""

from __future__ import annotations

import numpy as np
import pytest

from netwright.devices.ane.execute.numerics import round_fp16
from netwright.devices.host import native

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
