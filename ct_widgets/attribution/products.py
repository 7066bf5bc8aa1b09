"""The matrix products of attribution, by the faster library of `ct_widgets.linear`.

oneDNN prepares a kernel for every new shape, which takes as long as a product of some hundred million operations:
shapes that may never come again are multiplied by it only if they are larger, and vectors pass through weights in runs
of a few lengths.
Axes: n vector, i (o) dimension of what goes in (comes out).
"""

from __future__ import annotations

from torch import Tensor

from ct_widgets.linear import onednn, onednn_pays

# Operations above which a kernel of its own pays off for a shape that may never come again, and for one that will.
_ONCE = 2**28
_AGAIN = 2**27
_RUNS = (512, 256, 128, 64, 32, 16)


def product(x: Tensor, W: Tensor) -> Tensor:
    """x W^T. x: [n, i], W: [o, i] -> [n, o]."""
    return onednn(x, W) if onednn_pays(x, W, _ONCE) else x @ W.T


def add_product(to: Tensor, x: Tensor, W: Tensor) -> None:
    """Add x W^T to `to`. x: [n, i], W: [o, i], to: [n, o]."""
    if onednn_pays(x, W, _ONCE):
        to += onednn(x, W)
    else:
        to.addmm_(x, W.T)


def through(W: Tensor, x: Tensor, to: Tensor, *, add: bool = False) -> Tensor:
    """x W^T for weights that many vectors pass, written or added to `to`, which is returned. W: [o, i], x: [n, i]."""
    begin, total = 0, len(x)
    while begin < total:
        length = next((run for run in _RUNS if run <= total - begin), _RUNS[-1])
        start = min(begin, total - length)  # the last run may go over some vectors again: none is too short
        if start < 0 or not onednn_pays(x[start : start + length], W, _AGAIN):
            to[begin:].addmm_(x[begin:], W.T, beta=float(add))
            break
        y, run = onednn(x[start : start + length], W)[begin - start :], slice(begin, start + length)
        if add:
            to[run] += y
        else:
            to[run] = y
        begin = start + length
    return to
