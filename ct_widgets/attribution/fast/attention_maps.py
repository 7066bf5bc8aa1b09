"""The frozen attention of one layer as a linear map of blocks of vectors, forward (JVP) and transposed (VJP).

Both are the same three products: into the heads, along the frozen pattern, out of the heads. Only the shares differ:
heads of one key-value group read one value, so forward a group fans out to its heads, and transposed its heads add up
before W_V.
Axes: n vector (a source or target), p (q, k) position, d model, h head, g key-value group, e head dimension.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ct_widgets.attribution.fast.matmul import Workspace, matmul_in_runs
from ct_widgets.attribution.local_replacement_model import LocalReplacementModel


@dataclass(frozen=True, eq=False)
class LinearAttention:
    """One direction: into: [d, g x e], out: [g y e, d], pattern: [g, y, b, x, a] from position a to position b."""

    into: Tensor
    out: Tensor
    pattern: Tensor
    workspace: Workspace

    def apply(self, x: Tensor, start: int, at_origin: tuple[Tensor, Tensor] | None = None) -> None:
        """Add what attention makes of x to x: [n, p, d], whose positions begin at `start`.

        at_origin: the last of x are vectors [b, d] that are still at one position [b] each, and stand in x already.
        """
        n_spread = len(x) - (len(at_origin[0]) if at_origin else 0)
        if n_spread:
            self._apply_spread(x[:n_spread], start)
        if at_origin:
            self._apply_at_origin(*at_origin, start, x[n_spread:])

    def _apply_spread(self, x: Tensor, start: int) -> None:
        g, y, _, e_x, _ = self.pattern.shape
        n, p, d = x.shape
        e = self.out.shape[0] // (g * y)
        take = self.workspace.take
        window = slice(start, start + p)
        mix = self.pattern[:, :, window, :, window].reshape(g, y * p, e_x * p)
        heads = matmul_in_runs(x.view(n * p, d), self.into.T, take("a", n * p, g * e_x * e))
        by_group = take("b", g, e_x * p, n * e)
        by_group.view(g, e_x, p, n, e).copy_(heads.view(n, p, g, e_x, e).permute(2, 3, 1, 0, 4))
        mixed = torch.bmm(mix, by_group, out=take("a", g, y * p, n * e))
        by_vector = take("b", n * p, g * y * e)
        by_vector.view(n, p, g, y, e).copy_(mixed.view(g, y, p, n, e).permute(3, 2, 0, 1, 4))
        matmul_in_runs(by_vector, self.out.T, x.view(n * p, d), add=True)

    def _apply_at_origin(self, x: Tensor, position: Tensor, start: int, to: Tensor) -> None:
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
class AttentionMaps:
    """Frozen attention of one layer, in both directions."""

    forward: LinearAttention
    transposed: LinearAttention

    @classmethod
    def of_layer(cls, local: LocalReplacementModel, layer: int, workspace: Workspace) -> AttentionMaps:
        """Read the attention of `layer`, with this run's pattern and norm denominators."""
        attention = local.frozen_map.attention[layer]
        pattern = local.run.weighted_pattern(layer).unflatten(0, (attention.n_groups, -1))  # [g, h / g, q, k]
        W_O = attention.W_O.flatten(0, 1)  # [h e, d]
        W_V = attention.value_rows
        return cls(
            forward=LinearAttention(W_V.T, W_O, pattern[:, :, :, None], workspace),
            transposed=LinearAttention(W_O.T, W_V, pattern.permute(0, 3, 1, 2)[:, None], workspace),
        )
