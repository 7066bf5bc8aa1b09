"""Vectors through weights, in products of every size and layout, against the same in float64."""

from __future__ import annotations

import pytest
import torch

from ct_widgets.linear import linear


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 2), (90,), (2, 45)])
@pytest.mark.parametrize("layout", ["rows", "columns", "every other row"])
@pytest.mark.parametrize("biased", [True, False])
def test_products(shape: tuple[int, ...], layout: str, biased: bool) -> None:
    torch.manual_seed(0)
    x, W = torch.randn(*shape, 384), torch.randn(30_000, 384)
    if layout == "columns":
        W = W.T.contiguous().T
    elif layout == "every other row":
        W = torch.randn(30_000, 2, 384)[:, 1]
    b = torch.randn(30_000) if biased else None
    exact = x.double() @ W.double().T + (0 if b is None else b.double())
    torch.testing.assert_close(linear(x, W, b).double(), exact, rtol=0, atol=2e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_derivative_is_kept(dtype: torch.dtype) -> None:
    x, W = torch.ones(100, 300, dtype=dtype, requires_grad=True), torch.randn(1000, 300, dtype=dtype)
    linear(x, W).sum().backward()
    torch.testing.assert_close(x.grad, W.sum(0).expand(100, -1), rtol=0, atol=1e-3)
