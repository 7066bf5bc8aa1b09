"""Weights of the frozen linear map: all that differs between model families, read from the bridge in one place.

With attention patterns and norm denominators frozen, attention is a linear map of the residual stream:

    attn(x)[q] = sum_h sum_k pattern_h[q, k] / (s_post[q] s_1[k]) * x[k] W_V^h W_O^h + constant[q]

where the norms' weights and centring are folded into W_V and W_O once per model. See [CT25], "local replacement model".
Axes: l layer, p (q, k) position, h head, g key-value group, e head dimension, d model, v vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ct_widgets.errors import ModelError
from ct_widgets.language_model.norm import Norm
from ct_widgets.linear import linear


@dataclass(frozen=True)
class FrozenAttention:
    """Weights of one layer's attention. W_V: [g, d, e] and W_O: [h, e, d] carry the norms around them.

    b_in: [g, e] is what the first norm's bias and b_V add to every value; b_out: [d] = b_O.
    """

    ln1: Norm
    ln1_post: Norm | None
    W_V: Tensor
    W_O: Tensor
    b_in: Tensor
    b_out: Tensor

    @property
    def n_groups(self) -> int:
        """Key-value groups; equal to the number of heads without grouped queries."""
        return self.W_V.shape[0]

    @cached_property
    def value_rows(self) -> Tensor:
        """W_V with one row for every dimension of every group's value. -> [g e, d]."""
        return self.W_V.transpose(1, 2).flatten(0, 1)

    def __call__(self, x: Tensor, pattern: Tensor, scale: Tensor, post_scale: Tensor | None) -> Tensor:
        """Compute all that attention adds to x, constants included. x: [..., k, d] -> [..., q, d].

        pattern: [..., h, q, k], whose rows may sum to less than 1 (sinks); scale: [..., k] and post_scale: [..., q],
        the denominators of the norms before and after, of which a family may lack the second.
        """
        value = linear(x / scale[..., None], self.value_rows, self.b_in.flatten())
        value = value.unflatten(-1, (self.n_groups, 1, -1)).movedim(-4, -2)  # [..., g, 1, k, e]
        mixed = pattern.unflatten(-3, (self.n_groups, -1)) @ value  # [..., g, h / g, q, e]
        mixed, W_O = mixed.movedim(-2, -4).flatten(-3), self.W_O.flatten(0, 1)
        if self.ln1_post is None or post_scale is None:
            return linear(mixed, W_O.T, self.b_out)
        out = linear(mixed, W_O.T) / post_scale[..., None] + self.ln1_post.linear(
            self.b_out.expand(*post_scale.shape, -1), post_scale
        )
        return out if self.ln1_post.bias is None else out + self.ln1_post.bias


@dataclass(frozen=True)
class Unembedding:
    """From the output of the final norm to logits: soft_cap(scale * (x W_U + b_U)). W_U: [d, v]; b_U: [v]."""

    W_U: Tensor
    b_U: Tensor
    soft_cap: float
    scale: float = 1.0

    @cached_property
    def mean(self) -> Tensor:
        """The direction [d] whose product is the mean over the vocabulary of the logits, without b_U."""
        return self.W_U.mean(1)

    def __call__(self, x: Tensor) -> Tensor:
        """Logits of the final norm's output. x: [..., d] -> [..., v]."""
        logits = linear(x, self.W_U.T, self.b_U)
        logits = logits if self.scale == 1 else self.scale * logits
        return self.soft_cap * torch.tanh(logits / self.soft_cap) if self.soft_cap else logits


@dataclass(frozen=True)
class FrozenMap:
    """The frozen linear map of a whole model, without what one run adds (patterns and denominators)."""

    attention: tuple[FrozenAttention, ...]
    ln2: tuple[Norm, ...]
    final_norm: Norm
    parallel: bool


def read_unembedding(bridge: Any) -> Unembedding:
    """Read the unembedding from a TransformerBridge."""
    W_U, b_U = full_precision(bridge.W_U), bridge.b_U
    return Unembedding(
        W_U=W_U,
        b_U=torch.zeros_like(W_U[0]) if b_U is None else full_precision(b_U),
        # TransformerLens writes "no soft-cap" as -1.
        soft_cap=max(0.0, float(getattr(bridge.cfg, "output_logits_soft_cap", 0.0) or 0.0)),
    )


def read_frozen_map(bridge: Any) -> FrozenMap:
    """Read the weights from a TransformerBridge (which is not changed).

    Raises ModelError for blocks that are not attention plus MLP around one residual stream.
    """
    blocks = list(bridge.blocks)
    parallel = bool(getattr(bridge.cfg, "parallel_attn_mlp", False))
    for layer, block in enumerate(blocks):
        missing = [name for name in ("ln1", "attn", "ln2", "mlp") if name not in block.submodules]
        if missing:
            raise ModelError(f"block {layer} of {type(bridge.original_model).__name__} has no {', '.join(missing)}")
    return FrozenMap(
        attention=tuple(_read_attention(block, int(bridge.cfg.d_model)) for block in blocks),
        ln2=tuple(read_norm(block.ln2) for block in blocks),
        final_norm=read_norm(bridge.ln_final),
        parallel=parallel,
    )


def read_norm(component: Any) -> Norm:
    """Read a bridge's normalisation component."""
    original = component.original_component
    weight = getattr(original, "weight", None)
    bias = getattr(original, "bias", None)
    rms = bool(component.uses_rms_norm)
    if weight is not None:
        weight = full_precision(weight)
        weight = weight + 1.0 if component.uses_weight_offset else weight
    found = (getattr(original, "eps", None), getattr(original, "variance_epsilon", None))
    eps = next((eps for eps in found if eps is not None), getattr(component.config, "eps", 1e-5))
    return Norm(weight, None if rms or bias is None else full_precision(bias), centred=not rms, eps=float(eps))


def _read_attention(block: Any, d_model: int) -> FrozenAttention:
    attn = block.attn
    ln1 = read_norm(block.ln1)
    ln1_post = read_norm(block.ln1_post) if "ln1_post" in block.submodules else None
    W_V, W_O = full_precision(attn.W_V), full_precision(attn.W_O)
    n_groups, _, d_head = W_V.shape
    n_heads = W_O.shape[0]
    if W_V.shape[1] != d_model or W_O.shape[1:] != (d_head, d_model) or n_heads % n_groups:
        raise ModelError(f"attention weights have shapes {tuple(W_V.shape)} and {tuple(W_O.shape)}, d_model {d_model}")
    b_V = W_V.new_zeros(n_groups, d_head) if attn.b_V is None else full_precision(attn.b_V)
    if ln1.bias is not None:
        b_V = b_V + torch.einsum("d,gde->ge", ln1.bias, W_V)
    return FrozenAttention(
        ln1=ln1,
        ln1_post=ln1_post,
        W_V=torch.stack([ln1.fold_into(w) for w in W_V]),
        W_O=W_O if ln1_post is None else ln1_post.fold_after(W_O),
        b_in=b_V,
        b_out=W_V.new_zeros(d_model) if attn.b_O is None else full_precision(attn.b_O),
    )


def full_precision(value: Tensor) -> Tensor:
    """A value outside autograd in float32 (float64 stays)."""
    value = value.detach()
    return value if value.dtype == torch.float64 else value.float()
