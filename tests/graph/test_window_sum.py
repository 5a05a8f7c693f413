"""Sums over windows by shifted additions, against torch's pooling."""

from __future__ import annotations

import pytest
import torch

from netwright.graph.ops.pool import AveragePool
from netwright.graph.ops.window_sum import window_sum


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 4, 5), (70, 16, 32, 32), (3, 2, 2, 9)])
@pytest.mark.parametrize("kernel", [(3, 3), (5, 3), (1, 7)])
@pytest.mark.parametrize("form", [torch.contiguous_format, torch.channels_last])
def test_it_is_a_pooling_that_counts_padding(
    shape: tuple[int, ...], kernel: tuple[int, int], form: torch.memory_format) -> None:
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = x.contiguous(memory_format=form).requires_grad_()
    halves = tuple(size // 2 for size in kernel)
    expected = torch.nn.functional.avg_pool2d(x, kernel, 1, halves) * kernel[0] * kernel[1]
    found = window_sum(x, kernel)
    assert torch.allclose(found, expected, atol=1e-12)
    along = torch.randn_like(found)
    (one,), (two,) = (torch.autograd.grad(y, x, along) for y in (found, expected))
    assert torch.allclose(one, two, atol=1e-12)


def test_it_can_be_differentiated_twice() -> None:
    x = torch.randn(2, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda v: window_sum(v, (3, 3)) ** 2, (x,))


def test_averages_of_windows_around_every_place_do_not_count_padding() -> None:
    x = torch.randn(2, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    pool = AveragePool((3, 5), (1, 1), (1, 2, 1, 2))
    expected = torch.nn.functional.avg_pool2d(x, (3, 5), 1, (1, 2), count_include_pad=False)
    assert torch.allclose(pool.torch(x), expected, atol=1e-6)
