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

    def carry(self, x: Tensor, start: int, begun: tuple[Tensor, Tensor] | None = None) -> None:
        """Add to x: [n, p, d], whose positions begin at `start`, what attention brings of it.

        `begun`: the last of x are vectors [b, d] still at one position [b] each, where they stand in x already.
        """
        n_spread = len(x) - (len(begun[0]) if begun else 0)
        if n_spread:
            self._carry_spread(x[:n_spread], start)
        if begun:
            self._carry_begun(*begun, start, x[n_spread:])

    def _carry_spread(self, x: Tensor, start: int) -> None:
        g, y, _, e_x, _ = self.pattern.shape
        n, p, d = x.shape
        e = self.out.shape[0] // (g * y)
        take = self.workspace.take
        window = slice(start, start + p)
        mix = self.pattern[:, :, window, :, window].reshape(g, y * p, e_x * p)
        heads = through(self.into.T, x.view(n * p, d), take("a", n * p, g * e_x * e))
        by_group = take("b", g, e_x * p, n * e)
        by_group.view(g, e_x, p, n, e).copy_(heads.view(n, p, g, e_x, e).permute(2, 3, 1, 0, 4))
        mixed = torch.bmm(mix, by_group, out=take("a", g, y * p, n * e))
        by_vector = take("b", n * p, g * y * e)
        by_vector.view(n, p, g, y, e).copy_(mixed.view(g, y, p, n, e).permute(3, 2, 0, 1, 4))
        through(self.out.T, by_vector, x.view(n * p, d), add=True)

    def _carry_begun(self, x: Tensor, position: Tensor, start: int, to: Tensor) -> None:
        """Through the heads once, and only then to all positions: a head brings the same vector to each, in its share.

        x: [b, d], position: [b], to: [b, p, d].
        """
        g, y, _, e_x, _ = self.pattern.shape
        b, p, d = to.shape
        heads = (x @ self.into).view(b, g, e_x, -1).permute(1, 2, 0, 3).flatten(1, 2)[:, None]  # [g, 1, x b, e]
        brought = torch.matmul(heads, self.out.view(g, y, -1, d))  # [g, y, x b, d]
        shares = self.pattern[:, :, start : start + p].permute(4, 2, 0, 1, 3)[position]  # [b, p, g, y, x]
        to.baddbmm_(shares.flatten(2), brought.view(g * y * e_x, b, d).transpose(0, 1))


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
