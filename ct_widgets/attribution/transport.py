"""The frozen attention of one layer, applied to blocks of vectors: forwards to sources, transposed to targets.

Both ways are the same three products: into the heads, along the frozen pattern, out of the heads. Only the shares
differ: heads of one key-value group read one value, so forwards a group fans out to its heads, and backwards its heads
add up before W_V.
Axes: n vector (a source or target), p (q, k) position, d model, h head, g key-value group, e head dimension.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ct_widgets.attribution.local_replacement_model import LocalReplacementModel


class _Way(NamedTuple):
    """One direction: into: [d, g x e], out: [g y e, d], pattern: [g, y, b, x, a] from position a to position b."""

    into: Tensor
    out: Tensor
    pattern: Tensor


@dataclass(frozen=True, eq=False)
class Transport:
    """Frozen attention of one layer, both ways."""

    forward: _Way
    backward: _Way

    @classmethod
    def of_layer(cls, local: LocalReplacementModel, layer: int) -> Transport:
        """The attention of `layer`, with this run's pattern and norm denominators."""
        attention = local.frozen_map.attention[layer]
        pattern = local.run.weighted_pattern(layer).unflatten(0, (attention.n_groups, -1))  # [g, h / g, q, k]
        W_O = attention.W_O.flatten(0, 1)  # [h e, d]
        W_V = attention.W_V.transpose(1, 2).flatten(0, 1)  # [g e, d]
        return cls(
            forward=_Way(W_V.T, W_O, pattern[:, :, :, None]),
            backward=_Way(W_O.T, W_V, pattern.permute(0, 3, 1, 2)[:, None]),
        )


def carry(way: _Way, x: Tensor, start: int, to: Tensor) -> None:
    """Add to `to` what attention brings from x; both are [n, p, d] and begin at position `start`. They may be one."""
    g, y, _, e_x, _ = way.pattern.shape
    n, p, d = x.shape
    window = slice(start, start + p)
    mix = way.pattern[:, :, window, :, window].reshape(g, y * p, e_x * p)
    heads = (x.view(n * p, d) @ way.into).view(n, p, g, e_x, -1)
    e = heads.shape[-1]
    heads = heads.permute(2, 3, 1, 0, 4).reshape(g, e_x * p, n * e)
    mixed = torch.bmm(mix, heads).view(g, y, p, n, e).permute(3, 2, 0, 1, 4)
    to.view(n * p, d).addmm_(mixed.reshape(n * p, g * y * e), way.out)


def carry_from(way: _Way, x: Tensor, position: Tensor, start: int, to: Tensor) -> None:
    """The same for vectors x: [n, d] that are still at one `position` [n] each. to: [n, p, d]."""
    g, _, _, e_x, _ = way.pattern.shape
    n, p, d = to.shape
    heads = (x @ way.into).view(n, g, e_x, -1)
    shares = way.pattern[:, :, start : start + p].permute(4, 0, 1, 2, 3)[position]  # [n, g, y, b, x]
    mixed = torch.einsum("ngybx,ngxe->nbgye", shares, heads)
    to.view(n * p, d).addmm_(mixed.reshape(n * p, -1), way.out)
