"""The matrix products of the fast path, by the faster library of `ct_widgets.linear`, and memory for what they give.

oneDNN prepares a kernel for every new shape, as long as some hundred million operations take: shapes that may not come
again are for it only if they are larger, and vectors pass through weights in runs of a few lengths.
Axes: n vector, i (o) dimension of what goes in (comes out).
"""

from __future__ import annotations

from math import prod

from torch import Tensor

from ct_widgets.attribution.tuning import ONEDNN_AGAIN, ONEDNN_LENGTHS, ONEDNN_ONCE
from ct_widgets.linear import onednn, onednn_pays


def matmul(x: Tensor, W: Tensor) -> Tensor:
    """Multiply x W^T. x: [n, i], W: [o, i] -> [n, o]."""
    return onednn(x, W) if onednn_pays(x, W, ONEDNN_ONCE) else x @ W.T


def add_matmul(to: Tensor, x: Tensor, W: Tensor) -> None:
    """Add x W^T to `to`. x: [n, i], W: [o, i], to: [n, o]."""
    if onednn_pays(x, W, ONEDNN_ONCE):
        to += onednn(x, W)
    else:
        to.addmm_(x, W.T)


def matmul_in_runs(x: Tensor, W: Tensor, to: Tensor, *, add: bool = False) -> Tensor:
    """Write x W^T, or add it, to `to` and return it, by weights that many vectors pass. x: [n, i], W: [o, i]."""
    begin, total = 0, len(x)
    while begin < total:
        length = next((one for one in ONEDNN_LENGTHS if one <= total - begin), ONEDNN_LENGTHS[-1])
        start = min(begin, total - length)  # the last run may go over some vectors again: none is too short
        if start < 0 or not onednn_pays(x[start : start + length], W, ONEDNN_AGAIN):
            to[begin:].addmm_(x[begin:], W.T, beta=float(add))
            break
        y, run = onednn(x[start : start + length], W)[begin - start :], slice(begin, start + length)
        if add:
            to[run] += y
        else:
            to[run] = y
        begin = start + length
    return to


class Workspace:
    """Named buffers of one dtype and device; each grows to the largest size that was asked for.

    Fresh memory costs more than the products that fill it.
    """

    def __init__(self, like: Tensor) -> None:
        self._like = like
        self._buffers: dict[str, Tensor] = {}

    def take(self, name: str, *shape: int) -> Tensor:
        """Return the buffer `name` in this shape. It holds what was left in it, and is good until it is taken again."""
        size = prod(shape)
        buffer = self._buffers.get(name)
        if buffer is None or buffer.numel() < size:
            buffer = self._buffers[name] = self._like.new_empty(size)
        return buffer[:size].view(shape)
