"""Vectors through weights, in products of every size and layout, against the same in float64."""

from __future__ import annotations

import types

import pytest
import torch

from ct_widgets import linear as module
from ct_widgets.linear import is_unwatched_linear, linear


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 2), (90,), (2, 45)])
@pytest.mark.parametrize("layout", ["rows", "columns", "every other row"])
@pytest.mark.parametrize("biased", [True, False])
def test_products_equal_those_in_float64(shape: tuple[int, ...], layout: str, biased: bool) -> None:
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


@pytest.mark.parametrize("broken", ["missing", "refuses"])
def test_a_pytorch_without_the_private_operator_multiplies_all_the_same(
    monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def refuse(*arguments: object) -> None:
        raise TypeError(f"no such signature: {len(arguments)} arguments")

    x, W = torch.randn(90, 384), torch.randn(30_000, 384)
    expected = linear(x, W)
    stripped = types.SimpleNamespace(**({} if broken == "missing" else {"_linear_pointwise": refuse}))
    monkeypatch.setattr(module.torch.ops, "mkldnn", stripped)
    assert module._private_operator() is None
    monkeypatch.setattr(module, "_onednn_linear", None)
    assert not module.onednn_pays(x, W)
    torch.testing.assert_close(linear(x, W), expected, rtol=0, atol=2e-4)


def test_the_private_operator_is_found_where_onednn_is() -> None:
    assert (module._private_operator() is not None) == torch.backends.mkldnn.is_available()


def test_layers_that_somebody_watches_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, before = torch.nn.Linear(3, 2), torch.nn.Identity()
    assert is_unwatched_linear(layer, before)
    handle = before.register_forward_hook(lambda *_: None)
    assert not is_unwatched_linear(layer, before)
    handle.remove()
    assert not is_unwatched_linear(torch.nn.Bilinear(3, 3, 2))
    monkeypatch.delattr(before, "_forward_hooks")
    assert not is_unwatched_linear(layer, before), "a PyTorch that keeps hooks elsewhere"
