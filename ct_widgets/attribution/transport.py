"""The frozen attention of one layer, applied to blocks of vectors: forwards to sources, transposed to targets.

Both ways are the same three products: into the heads, along the frozen pattern, out of the heads. Only the shares
differ: heads of one key-value group read one value, so forwards a group fans out to its heads, and backwards its heads
add up before W_V.
Axes: n vector (a source or target), p (q, k) position, d model, h head, g key-value group, e head dimension.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ct_widgets.attribution.local_replacement_model import LocalReplacementModel
from ct_widgets.attribution.products import through
from ct_widgets.attribution.workspace import Workspace


@dataclass(frozen=True, eq=False)
class Way:
    """One direction: into: [d, g x e], out: [g y e, d], pattern: [g, y, b, x, a] from position a to position b."""

    into: Tensor
    out: Tensor
    pattern: Tensor
    workspace: Workspace

    def carry(self, x: Tensor, start: int, to: Tensor) -> None:
        """Add to `to` what attention brings from x; both are [n, p, d] and begin at position `start`, or are one."""
        g, y, _, e_x, _ = self.pattern.shape
        n, p, d = x.shape
        e = self.into.shape[1] // (g * e_x)
        take = self.workspace.take
        window = slice(start, start + p)
        mix = self.pattern[:, :, window, :, window].reshape(g, y * p, e_x * p)
        heads = through(self.into.T, x.view(n * p, d), take("a", n * p, g * e_x * e))
        by_group = take("b", g, e_x * p, n * e)
        by_group.view(g, e_x, p, n, e).copy_(heads.view(n, p, g, e_x, e).permute(2, 3, 1, 0, 4))
        mixed = torch.bmm(mix, by_group, out=take("a", g, y * p, n * e))
        by_vector = take("b", n * p, g * y * e)
        by_vector.view(n, p, g, y, e).copy_(mixed.view(g, y, p, n, e).permute(3, 2, 0, 1, 4))
        through(self.out.T, by_vector, to.view(n * p, d), add=True)

    def carry_from(self, x: Tensor, position: Tensor, start: int, to: Tensor) -> None:
        """The same for vectors x: [n, d] that are still at one `position` [n] each. to: [n, p, d]."""
        g, y, _, e_x, _ = self.pattern.shape
        n, p, d = to.shape
        heads = (x @ self.into).view(n, g, e_x, -1)
        shares = self.pattern[:, :, start : start + p].permute(4, 2, 0, 1, 3)[position]  # [n, b, g, y, x]
        mixed = self.workspace.take("a", n, p, g, y, heads.shape[-1])
        if e_x == 1:
            torch.mul(shares, heads[:, None], out=mixed)
        else:
            torch.matmul(shares, heads[:, None], out=mixed)
        through(self.out.T, mixed.view(n * p, -1), to.view(n * p, d), add=True)


@dataclass(frozen=True, eq=False)
class Transport:
    """Frozen attention of one layer, both ways."""

    forward: Way
    backward: Way

    @classmethod
    def of_layer(cls, local: LocalReplacementModel, layer: int, workspace: Workspace) -> Transport:
        """The attention of `layer`, with this run's pattern and norm denominators."""
        attention = local.frozen_map.attention[layer]
        pattern = local.run.weighted_pattern(layer).unflatten(0, (attention.n_groups, -1))  # [g, h / g, q, k]
        W_O = attention.W_O.flatten(0, 1)  # [h e, d]
        W_V = attention.value_rows
        return cls(
            forward=Way(W_V.T, W_O, pattern[:, :, :, None], workspace),
            backward=Way(W_O.T, W_V, pattern.permute(0, 3, 1, 2)[:, None], workspace),
        )
