"""Encoding and decoding of the TopK family that touch active features alone, forwards and backwards.

One dense thing is needed, the pre-activations, to see which features are active. From there on a batch is a list of
entries, and every product over them is a weighted sum of rows of a table: decoder rows for what a token gets (forward),
rows of the gradient for what a decoder gets, rows of x for what an encoder gets. Gradients are exact.
Axes: l layer, n token, f feature, d model, m output layers of a feature, z entry: an active feature on a token.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from ct_widgets.training.dictionary import Dictionary


@dataclass(frozen=True, eq=False)
class Active:
    """Which features are active on which tokens, sorted by layer and token.

    token, feature: [z], within their layer; flat: [z], places in [l, n, f]; by_feature: [z], the entries sorted by
    layer, feature and token; token_start: [l, n + 1] and feature_start: [l, f + 1], where the entries of each begin in
    these two orders, counted from `layer_start`: l + 1 numbers.
    """

    token: Tensor
    feature: Tensor
    flat: Tensor
    by_feature: Tensor
    token_start: Tensor
    feature_start: Tensor
    layer_start: list[int]

    @classmethod
    def of(cls, flat: Tensor, shape: tuple[int, int, int]) -> Active:
        """Build from sorted places in `shape` = [l, n, f]."""
        n_layers, n_tokens, n_features = shape
        row = flat // n_features
        feature = flat - row * n_features
        layer = row // n_tokens
        columns, by_feature = (layer * n_features + feature).sort(stable=True)
        row_start = _starts(row, n_layers, n_tokens)
        return cls(
            token=row - layer * n_tokens,
            feature=feature,
            flat=flat,
            by_feature=by_feature,
            token_start=row_start - row_start[:, :1],
            feature_start=(start := _starts(columns, n_layers, n_features)) - start[:, :1],
            layer_start=[*row_start[:, 0].tolist(), len(flat)],
        )

    @property
    def fired(self) -> Tensor:
        """Number of tokens on which each feature is active. -> [l, f]."""
        return self.feature_start.diff(dim=1)

    def layer(self, layer: int) -> slice:
        """Slice out the entries of one layer, in either order."""
        return slice(self.layer_start[layer], self.layer_start[layer + 1])

    def sum_by_feature(self, layer: int, values: Tensor, rows: Tensor) -> Tensor:
        """Sum values[z] rows[token of z] for every feature of a layer. values: [z], rows: [n, ...] -> [f, ...].

        z runs over the entries of all layers.
        """
        entries = self.by_feature[self.layer(layer)]
        return _weighted_sums(
            rows, self.token.index_select(0, entries), self.feature_start[layer], values.index_select(0, entries)
        )


def _starts(ordered: Tensor, n_layers: int, n: int) -> Tensor:
    """Find where each of the n values of every layer begins in an ordered list, and where the last ends: [l, n + 1].

    Nothing here waits for a GPU, as counting does.
    """
    starts = torch.searchsorted(ordered, torch.arange(n_layers * n + 1, device=ordered.device))
    return starts.unfold(0, n + 1, n)


def _weighted_sums(table: Tensor, index: Tensor, starts: Tensor, weights: Tensor) -> Tensor:
    """Sum weights[z] table[index[z]] over the entries z from starts[i] up to starts[i + 1], into row i."""
    rows = table.flatten(1)
    kernel = _kernel() if rows.is_cuda and rows.dtype == torch.float32 else None
    sums = kernel(rows, index, starts, weights) if kernel else _bags(rows, index, starts, weights)
    return sums.unflatten(1, table.shape[1:])


def _bags(rows: Tensor, index: Tensor, starts: Tensor, weights: Tensor) -> Tensor:
    return embedding_bag(index, rows, starts, mode="sum", per_sample_weights=weights, include_last_offset=True)


@cache
def _kernel() -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] | None:
    """Try the Triton kernel once, on one row; None where Triton is missing or cannot compile it."""
    one, starts = torch.ones(1, 1, device="cuda"), torch.arange(2, device="cuda")
    try:
        from ct_widgets.training.gpu_sums import weighted_sums

        return weighted_sums if weighted_sums(one, starts[:1], starts, one[0]).item() == 1 else None
    except Exception as error:  # noqa: BLE001  (of Triton, its compiler or the driver: we can do without them all)
        warnings.warn(f"Triton cannot be used ({error}); sums over features take several times as long", stacklevel=2)
        return None


def select(dictionary: Dictionary, h: Tensor) -> Active:
    """Find the active features. h: [l, n, f]."""
    if dictionary.config.activation == "topk":
        flat = _strongest(h * dictionary.decoder_norms()[:, None], dictionary)
    else:
        flat = _places(h > dictionary.threshold[:, None].to(h.dtype))
    return Active.of(flat, (h.shape[0], h.shape[1], h.shape[2]))


def _strongest(written: Tensor, dictionary: Dictionary) -> Tensor:
    """Find the places of the k largest of every token and layer, over all shards: each names its own candidates.

    written: [l, n, f].
    """
    k, shards = dictionary.config.k, dictionary.shards
    own = written.topk(min(k, written.shape[-1]), dim=-1)
    kept = own.indices
    if shards.count > 1:
        chosen = shards.whole(own.values, 2).topk(k, dim=-1).indices
        first = shards.index * kept.shape[-1]
        mine = torch.zeros(*kept.shape[:2], shards.count * kept.shape[-1], dtype=torch.bool, device=kept.device)
        mine = mine.scatter_(2, chosen, True)[..., first : first + kept.shape[-1]]
        return _places(torch.zeros_like(written, dtype=torch.bool).scatter_(2, kept, mine))
    first = torch.arange(written[..., 0].numel(), device=written.device) * written.shape[-1]
    return (kept.sort(-1).values.flatten(0, 1) + first[:, None]).flatten()


def _places(mask: Tensor) -> Tensor:
    if mask.device.type == "cpu":  # NumPy finds them three times as fast
        return torch.from_numpy(np.flatnonzero(mask.numpy()))
    return mask.flatten().nonzero()[:, 0]


def _preactivation(dictionary: Dictionary, x: Tensor) -> Tensor:
    """Compute h: [l, n, f] layer by layer into one block of memory: faster than one product of all, or stacking."""
    dtype = torch.bfloat16 if dictionary.config.bf16_matmul else x.dtype
    x, W_enc, b_enc = x.to(dtype), dictionary.W_enc.to(dtype), dictionary.b_enc.to(dtype)
    h = x.new_empty(*x.shape[:2], W_enc.shape[1])
    for layer in range(len(h)):
        torch.addmm(b_enc[layer], x[layer], W_enc[layer].T, out=h[layer])
    return h


def encode(dictionary: Dictionary, x: Tensor) -> tuple[Active, Tensor]:
    """Encode x: [l, n, d] -> the active features, and the activation of each: [z], differentiable."""
    with torch.no_grad():
        h = _preactivation(dictionary, x)
        active = select(dictionary, h)
        values = h.flatten().index_select(0, active.flat).to(x.dtype)
    return active, _Encode.apply(values, dictionary.W_enc, dictionary.b_enc, x, active)  # pyright: ignore


class _Encode(torch.autograd.Function):
    """Passes on activations that are known already, and their gradients to the encoder."""

    @staticmethod
    def forward(values: Tensor, W_enc: Tensor, b_enc: Tensor, x: Tensor, active: Active) -> Tensor:
        return values.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor, Tensor, Active], output: Tensor) -> None:
        _, _, _, x, ctx.active = inputs
        ctx.save_for_backward(x)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[None, Tensor, Tensor, None, None]:
        (x,) = ctx.saved_tensors
        (gradient,) = grad_outputs
        ones = x.new_ones(x.shape[1], 1)
        W_enc = [ctx.active.sum_by_feature(layer, gradient, rows) for layer, rows in enumerate(x)]
        b_enc = [ctx.active.sum_by_feature(layer, gradient, ones)[:, 0] for layer in range(len(x))]
        return None, torch.stack(W_enc), torch.stack(b_enc), None, None


def decode(dictionary: Dictionary, active: Active, values: Tensor, x: Tensor) -> Tensor:
    """Reconstruct the targets. values: [z], x: [l, n, d] -> [l, n, d]."""
    written = [
        _Decode.apply(values[active.layer(layer)], W_dec.flatten(1), active, layer)
        for layer, W_dec in enumerate(dictionary.W_dec)
    ]
    return dictionary.sum_sources(written, x)  # pyright: ignore[reportArgumentType]


class _Decode(torch.autograd.Function):
    """Sums what the features of one layer write. values: the layer's [z], W_dec: [f, m d] -> [n, m d]."""

    @staticmethod
    def forward(values: Tensor, W_dec: Tensor, active: Active, layer: int) -> Tensor:
        return _weighted_sums(W_dec, active.feature[active.layer(layer)], active.token_start[layer], values)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Active, int], output: Tensor) -> None:
        values, W_dec, ctx.active, ctx.layer = inputs
        ctx.save_for_backward(values, W_dec)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, None, None]:
        values, W_dec = ctx.saved_tensors
        active, layer = ctx.active, ctx.layer
        (gradient,) = grad_outputs
        if not gradient.is_cuda:
            gradient = gradient.contiguous()  # there rows with gaps between them are slow
        entries = active.layer(layer)
        order = active.by_feature[entries] - active.layer_start[layer]
        token = active.token[entries]
        by_value = _dots(gradient, W_dec, active.token_start[layer], token, active.feature[entries])
        of_feature = token.index_select(0, order)
        by_decoder = _weighted_sums(gradient, of_feature, active.feature_start[layer], values.index_select(0, order))
        return by_value, by_decoder, None, None


def _dots(rows: Tensor, table: Tensor, starts: Tensor, token: Tensor, index: Tensor) -> Tensor:
    """Compute <rows[i], table[index[z]]> for the entries z from starts[i] up to starts[i + 1] -> [z].

    token: [z], the i of each. Each device has its own fastest routine.
    """
    if rows.is_cuda:
        return _bag_dots(rows, table, starts, token, index)
    _ignore_beta_warning()
    empty = torch.zeros(len(index), dtype=rows.dtype, device=rows.device)
    size = (len(rows), len(table))
    pattern = torch.sparse_csr_tensor(starts, index, empty, size, check_invariants=False)
    return torch.sparse.sampled_addmm(pattern, rows, table.T, beta=0.0).values()


_BAG_GRADIENT: Any = getattr(torch.ops.aten, "_embedding_bag_per_sample_weights_backward", None)
"""The gradient of `embedding_bag` by its weights: private, so a release of PyTorch may come without it."""


def _bag_dots(
    rows: Tensor, table: Tensor, starts: Tensor, token: Tensor, index: Tensor, operator: Any = _BAG_GRADIENT
) -> Tensor:
    """Compute `_dots` as the gradient of `embedding_bag`, for one more forward pass where there is no `operator`."""
    if operator is not None:
        return operator(rows, table, index, starts, token, 0)  # 0: of mode "sum"
    with torch.enable_grad():
        weights = rows.new_ones(len(index), requires_grad=True)
        return torch.autograd.grad(_bags(table.detach(), index, starts, weights), weights, rows)[0]


@cache
def _ignore_beta_warning() -> None:
    """Let PyTorch say unheard, once, that CSR tensors are in beta; tests compare the one operation used here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        torch.sparse_csr_tensor([0, 0], [], [], (1, 1), check_invariants=False)
