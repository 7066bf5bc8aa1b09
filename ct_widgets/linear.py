"""Vectors through weights, by the faster library that PyTorch carries.

PyTorch multiplies float32 matrices on a CPU with MKL, which does not use the widest instructions of processors that are
not Intel's and reads the weights of a few vectors by one thread; oneDNN, which comes with PyTorch as well, takes half
the time. It prepares a kernel for every new shape, in about half a millisecond, so small products are not for it.
Axes: i (o) dimension of what goes in (comes out).
"""

from __future__ import annotations

import torch
from torch import Tensor

# Operations from which the kernel pays for its preparation within a few layers.
_FEWEST = 2**24


def linear(x: Tensor, W: Tensor, b: Tensor | None = None) -> Tensor:
    """x W^T + b. x: [..., i], W: [o, i], b: [o] -> [..., o]."""
    return onednn(x, W, b) if onednn_pays(x, W) else torch.nn.functional.linear(x, W, b)


def onednn(x: Tensor, W: Tensor, b: Tensor | None = None) -> Tensor:
    """The same by oneDNN, without a derivative."""
    # Of rows that are not neighbours it has no fast kernels.
    W = W if W.T.is_contiguous() else W.contiguous()
    return torch.ops.mkldnn._linear_pointwise(x.contiguous(), W, b, "none", [], "")


def onednn_pays(x: Tensor, W: Tensor, fewest: int = _FEWEST) -> bool:
    """Whether oneDNN has a kernel for x W^T, which has no derivative, and the product takes `fewest` operations."""
    return (
        2 * x.numel() * W.shape[0] >= fewest
        and x.device.type == "cpu"
        and x.dtype == W.dtype == torch.float32
        and not (torch.is_grad_enabled() and (x.requires_grad or W.requires_grad))
        and torch.backends.mkldnn.is_available()
        and bool(torch.backends.mkldnn.enabled)
    )
