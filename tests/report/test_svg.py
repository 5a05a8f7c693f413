"""Axes hold what they are given."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.report.svg import Chart, Scale, span


@given(st.lists(st.floats(1e-6, 1e9), min_size=1, max_size=5), st.booleans())
def test_every_value_lies_inside_its_axis(values: list[float], log: bool) -> None:
    low, high = span(values, log=log)
    scale = Scale(low, high, 100.0, 0.0, log)
    assert low < high
    assert all(-1e-6 <= scale(v) <= 100 + 1e-6 for v in values)
    assert all(low * (1 - 1e-9) <= t <= high * (1 + 1e-9) for t in scale.ticks())


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_linear_axes_have_a_few_round_ticks(low: float, width: float) -> None:
    assert 2 <= len(Scale(low, low + width, 0, 1).ticks()) <= 7


def test_title_and_words_are_escaped() -> None:
    chart = Chart(10, 10, "<a>")
    chart.dot(1, 1, 1, "k", "<b>")
    chart.words(1, 1, "<i>")
    assert "<a>" not in str(chart) and "<title>&lt;b&gt;</title></circle>" in str(chart) and "&lt;i&gt;" in str(chart)


@pytest.mark.parametrize("values", [[0.0], [5.0, 5.0], [-1.0, 1.0]])
def test_flat_data_has_an_axis_too(values: list[float]) -> None:
    low, high = span(values)
    assert low < min(values) and high > max(values)
