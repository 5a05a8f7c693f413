"""The random baseline is an expectation that can be counted out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.report.progress import best_so_far, expected_best

VALUES = st.lists(st.floats(-10, 10).map(lambda v: round(v, 3)), min_size=1, max_size=4)


@given(VALUES, st.integers(1, 4), st.sampled_from(["min", "max"]))
def test_expected_best_is_the_mean_over_all_draws(values: list[float], draws: int, direction: str) -> None:
    best = min if direction == "min" else max
    counted = [np.mean([best(d) for d in itertools.product(values, repeat=n)]) for n in range(1, draws + 1)]
    assert expected_best(values, draws, direction) == pytest.approx(counted, abs=1e-9)


@given(VALUES)
def test_expected_best_begins_at_the_mean_and_never_passes_the_best(values: list[float]) -> None:
    curve = expected_best(values, 50)
    assert curve[0] == pytest.approx(np.mean(values), abs=1e-9)
    assert (np.diff(curve) <= 1e-9).all() and curve[-1] >= min(values) - 1e-9


def test_best_so_far_skips_failed_trials() -> None:
    assert best_so_far([None, 3.0, None, 5.0, 1.0]) == [None, 3.0, 3.0, 3.0, 1.0]
    assert best_so_far([1.0, 3.0, 2.0], "max") == [1.0, 3.0, 3.0]
