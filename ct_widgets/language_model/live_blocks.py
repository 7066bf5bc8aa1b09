"""A model's blocks as plain functions: attention along a given pattern, norms live or frozen, the MLP as it is.

They let an intervention run from the first layer that changes, at the positions from the first change on, for many
changes at once, and they leave no hook anywhere. `Baseline.live` checks them against the model before they are used.
Axes: n intervention, l layer, p (q, k) position, d model, h head, g key-value group, e head dimension.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ct_widgets.errors import ModelError
from ct_widgets.language_model.frozen_map import full_precision, read_norm
from ct_widgets.language_model.frozen_run import READ_POINTS
from ct_widgets.language_model.norm import Norm


@dataclass(frozen=True, eq=False)
class LiveBlock:
    """One block. W_V: [d, g e], b_V: [g e], W_O: [h e, d], b_O: [d]; mlp_module takes and gives [n, p, d]."""

    ln1: Norm
    ln1_post: Norm | None
    ln2: Norm
    ln2_post: Norm | None
    W_V: Tensor
    b_V: Tensor
    W_O: Tensor
    b_O: Tensor
    n_groups: int
    mlp_module: Callable[[Tensor], Tensor]
    dtype: torch.dtype
    parallel: bool

    def values(self, x: Tensor, scale: Tensor | None = None) -> Tensor:
        """Compute attention's values of a block's input x: [n, p, d] -> [n, p, g, e]."""
        return torch.addmm(self.b_V, self.ln1(x, scale).flatten(0, 1), self.W_V).view(*x.shape[:2], self.n_groups, -1)

    def attention(
        self,
        x: Tensor,
        pattern: Tensor,
        earlier: Tensor,
        scale: Tensor | None = None,
        post_scale: Tensor | None = None,
    ) -> Tensor:
        """Compute what attention adds at the last positions. x: [n, q, d]; pattern: [..., h, p, k] -> [n, q, d].

        earlier: [..., k - q, g, e], the values of the positions before those in x, which are no part of the change.
        """
        n, q, _ = x.shape
        value = self.values(x, scale)
        if earlier.shape[-3]:
            value = torch.cat([earlier.expand(n, *earlier.shape[-3:]), value], dim=1)
        along = pattern[..., -q:, :].unflatten(-3, (self.n_groups, -1)).flatten(-3, -2)  # [..., g, (h / g) q, k]
        mixed = along @ value.transpose(1, 2)  # [n, g, (h / g) q, e]
        heads = mixed.view(n, pattern.shape[-3], q, -1).transpose(1, 2).reshape(n * q, -1)
        out = torch.addmm(self.b_O, heads, self.W_O).view(n, q, -1)
        return out if self.ln1_post is None else self.ln1_post(out, post_scale)

    def mlp(self, x: Tensor, scale: Tensor | None = None, post_scale: Tensor | None = None) -> Tensor:
        """Compute what the MLP adds. x: [n, p, d], before its norm -> [n, p, d]."""
        out = self.mlp_module(self.ln2(x, scale).to(self.dtype)).to(x.dtype)
        return out if self.ln2_post is None else self.ln2_post(out, post_scale)

    def read(self, hook: str, x: Tensor, middle: Tensor, scale: Tensor | None = None) -> Tensor:
        """Return what a transcoder that reads at `hook` sees of a block's input and its stream after attention."""
        point = READ_POINTS[hook]
        if point == "pre":
            return x
        seen = x if self.parallel else middle
        if point == "mid":
            return seen
        norm = self.ln2 if point == "norm" else replace(self.ln2, weight=None, bias=None)
        return norm(seen, scale)


@dataclass(frozen=True, eq=False)
class LiveModel:
    """All blocks and the final norm."""

    blocks: tuple[LiveBlock, ...]
    final: Norm


def read_live_model(bridge: Any, *, parallel: bool) -> LiveModel | None:
    """Read the blocks of a bridge, or None where it lacks the parts that they are read from."""
    try:
        blocks = tuple(_read_block(block, parallel) for block in bridge.blocks)
        return LiveModel(blocks, read_norm(bridge.ln_final))
    except (ModelError, AttributeError, KeyError, ValueError, TypeError):
        # A bridge of an unknown family may be built in any way; hooks serve it.
        return None


def _read_block(block: Any, parallel: bool) -> LiveBlock:
    attn, parts = block.attn, block.submodules
    W_V, W_O = full_precision(attn.W_V), full_precision(attn.W_O)  # [g, d, e], [h, e, d]
    n_groups, d_model, _ = W_V.shape
    b_V = W_V.new_zeros(W_V[:, 0].shape) if attn.b_V is None else full_precision(attn.b_V)
    # Not through the bridge's own wrapper, whose hooks another thread may be using at this moment.
    mlp_module = block.mlp.original_component
    return LiveBlock(
        ln1=read_norm(block.ln1),
        ln1_post=read_norm(block.ln1_post) if "ln1_post" in parts else None,
        ln2=read_norm(block.ln2),
        ln2_post=read_norm(block.ln2_post) if "ln2_post" in parts else None,
        W_V=W_V.transpose(0, 1).reshape(d_model, -1).contiguous(),
        b_V=b_V.flatten(),
        W_O=W_O.flatten(0, 1),
        b_O=W_V.new_zeros(d_model) if attn.b_O is None else full_precision(attn.b_O),
        n_groups=n_groups,
        mlp_module=mlp_module,
        dtype=next(mlp_module.parameters()).dtype,
        parallel=parallel,
    )
