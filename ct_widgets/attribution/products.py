"""The large matrix products of attribution, by the fastest library that PyTorch carries.

PyTorch multiplies float32 matrices on a CPU with MKL, which does not use the widest instructions of processors that are
not Intel's; oneDNN, which comes with PyTorch as well, does. It prepares a kernel for every new shape, which takes as
long as a product of some hundred million operations, so smaller ones stay with MKL.
Axes: n vector, i (o) dimension of what goes in (comes out).
"""

from __future__ import annotations

import torch
from torch import Tensor

# Operations above which a kernel of its own pays off for a shape that may never come again.
_WORTH_A_KERNEL = 2**28


def product(x: Tensor, W: Tensor) -> Tensor:
    """x W^T. x: [n, i], W: [o, i] -> [n, o]."""
    if _by_onednn(x, W):
        return torch.ops.mkldnn._linear_pointwise(x, W, None, "none", [], "")
    return x @ W.T


def add_product(to: Tensor, x: Tensor, W: Tensor) -> None:
    """Add x W^T to `to`. x: [n, i], W: [o, i], to: [n, o]."""
    if _by_onednn(x, W):
        to += product(x, W)
    else:
        to.addmm_(x, W.T)


def _by_onednn(x: Tensor, W: Tensor) -> bool:
    return (
        x.device.type == "cpu"
        and x.dtype == W.dtype == torch.float32
        and 2 * x.numel() * len(W) >= _WORTH_A_KERNEL
        and torch.backends.mkldnn.is_available()
        and torch.backends.mkldnn.enabled
    )
