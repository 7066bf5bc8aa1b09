"""Vectors through weights, by the faster library that PyTorch carries.

PyTorch multiplies float32 matrices on a CPU with MKL, which does not use the widest instructions of processors that are
not Intel's and reads the weights of a few vectors by one thread; oneDNN, which comes with PyTorch as well, takes half
the time. It prepares a kernel for every new shape, in about half a millisecond, so small products are not for it.
PyTorch's operator for it is private: without it, or where it refuses, products are those of `torch.nn.functional`.
Axes: i (o) dimension of what goes in (comes out).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

# Operations from which the kernel pays for its preparation within a few layers.
_FEWEST = 2**24


def _private_operator() -> Any:
    """PyTorch's oneDNN product, probed on a small one, or None in a PyTorch that lacks it or calls it otherwise."""
    try:
        found = torch.ops.mkldnn._linear_pointwise
        found(torch.ones(1, 1), torch.ones(1, 1), None, "none", [], "")
    except (AttributeError, RuntimeError, TypeError):
        return None
    return found


_onednn_linear = _private_operator()


def linear(x: Tensor, W: Tensor, b: Tensor | None = None) -> Tensor:
    """Compute x W^T + b. x: [..., i], W: [o, i], b: [o] -> [..., o]."""
    return onednn(x, W, b) if onednn_pays(x, W) else nn.functional.linear(x, W, b)


def onednn(x: Tensor, W: Tensor, b: Tensor | None = None) -> Tensor:
    """Compute x W^T + b by oneDNN, without a derivative. x: [..., i], W: [o, i], b: [o] -> [..., o]."""
    # Of rows that are not neighbours it has no fast kernels.
    W = W if W.T.is_contiguous() else W.contiguous()
    return _onednn_linear(x.contiguous(), W, b, "none", [], "")


def onednn_pays(x: Tensor, W: Tensor, fewest: int = _FEWEST) -> bool:
    """Whether oneDNN has a kernel for x W^T, which has no derivative, and the product takes `fewest` operations."""
    return _onednn_linear is not None and _has_kernel(x, W, fewest)


def _has_kernel(x: Tensor, W: Tensor, fewest: int) -> bool:
    return (
        2 * x.numel() * W.shape[0] >= fewest
        and x.device.type == "cpu"
        and x.dtype == W.dtype == torch.float32
        and not (torch.is_grad_enabled() and (x.requires_grad or W.requires_grad))
        and torch.backends.mkldnn.is_available()
        and bool(torch.backends.mkldnn.enabled)
    )


def is_unwatched_linear(module: nn.Module, *around: nn.Module) -> bool:
    """Whether a module is PyTorch's own linear layer and nobody's hook sees what enters or leaves it or those around.

    Hooks are kept in private attributes; where these are not found, hooks may be there.
    """
    names = ("_forward_hooks", "_forward_pre_hooks")
    return type(module) is nn.Linear and not any(
        getattr(one, name, True) for one in (module, *around) for name in names
    )


def onednn_layout(x: Tensor, layer: nn.Linear) -> Tensor:
    """Give x the layout that makes a linear layer use oneDNN, if that pays. The layer's output has to be made dense.

    By public API, and for use inside somebody else's module alone: until `to_dense` the tensor is opaque to all other
    code, so that the layer must be one for which `is_unwatched_linear` holds.
    """
    return x.to_mkldnn() if _has_kernel(x, layer.weight, _FEWEST) else x
