"""The large matrix products of attribution, by the fastest library that PyTorch carries.

PyTorch multiplies float32 matrices on a CPU with MKL, which does not use the widest instructions of processors that are
not Intel's; oneDNN, which comes with PyTorch as well, does. It prepares a kernel for every new shape, which takes as
long as a product of some hundred million operations: shapes that may never come again are multiplied by it only if they
are larger, and vectors pass through weights in runs of a few lengths.
Axes: n vector, i (o) dimension of what goes in (comes out).
"""

from __future__ import annotations

import torch
from torch import Tensor

# Operations above which a kernel of its own pays off for a shape that may never come again, and for one that will.
_ONCE = 2**28
_AGAIN = 2**24
_RUNS = (512, 256, 128, 64, 32, 16)


def product(x: Tensor, W: Tensor) -> Tensor:
    """x W^T. x: [n, i], W: [o, i] -> [n, o]."""
    return _onednn(x, W) if _pays(x, W, _ONCE) else x @ W.T


def add_product(to: Tensor, x: Tensor, W: Tensor) -> None:
    """Add x W^T to `to`. x: [n, i], W: [o, i], to: [n, o]."""
    if _pays(x, W, _ONCE):
        to += _onednn(x, W)
    else:
        to.addmm_(x, W.T)


def through(W: Tensor, x: Tensor, to: Tensor, *, add: bool = False) -> Tensor:
    """x W^T for weights that many vectors pass, written or added to `to`, which is returned. W: [o, i], x: [n, i]."""
    begin, total = 0, len(x)
    while begin < total:
        length = next((run for run in _RUNS if run <= total - begin), _RUNS[-1])
        start = min(begin, total - length)  # the last run may go over some vectors again: none is too short
        if start < 0 or not _pays(x[start : start + length], W, _AGAIN):
            to[begin:].addmm_(x[begin:], W.T, beta=float(add))
            break
        y, run = _onednn(x[start : start + length], W)[begin - start :], slice(begin, start + length)
        if add:
            to[run] += y
        else:
            to[run] = y
        begin = start + length
    return to


def _pays(x: Tensor, W: Tensor, least: int) -> bool:
    return (
        x.device.type == "cpu"
        and x.dtype == W.dtype == torch.float32
        and 2 * x.numel() * len(W) >= least
        and torch.backends.mkldnn.is_available()
        and bool(torch.backends.mkldnn.enabled)
    )


def _onednn(x: Tensor, W: Tensor) -> Tensor:
    # Of rows that are not neighbours it has no fast kernels.
    W = W if W.T.is_contiguous() else W.contiguous()
    return torch.ops.mkldnn._linear_pointwise(x.contiguous(), W, None, "none", [], "")
