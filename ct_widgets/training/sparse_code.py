"""Encoding and decoding of the TopK family that touch active features alone, forwards and backwards.

One dense thing is needed, the pre-activations, to see which features are active. From there on a batch is a list of
entries, and every product over them is a weighted sum of rows of a table: decoder rows for what a token gets (forward),
rows of the gradient for what a decoder gets, rows of x for what an encoder gets. Gradients are exact.
Axes: l layer, n token, f feature, d model, m output layers of a feature, z entry: an active feature on a token.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
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
        """From sorted places in `shape` = [l, n, f]."""
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
        """On how many tokens each feature is active. -> [l, f]."""
        return self.feature_start.diff(dim=1)

    def layer(self, layer: int) -> slice:
        """The entries of one layer, in either order."""
        return slice(self.layer_start[layer], self.layer_start[layer + 1])

    def sum_by_feature(self, layer: int, values: Tensor, rows: Tensor) -> Tensor:
        """For every feature of a layer the sum of values[z] rows[token of z]. values: [z], rows: [n, ...] -> [f, ...].

        z runs over the entries of all layers.
        """
        entries = self.by_feature[self.layer(layer)]
        return _weighted_sums(
            rows, self.token.index_select(0, entries), self.feature_start[layer], values.index_select(0, entries)
        )


def _starts(ordered: Tensor, n_layers: int, n: int) -> Tensor:
    """Where each of the n values of every layer begins in an ordered list of them, and where the last ends: [l, n + 1].

    Nothing here waits for a GPU, as counting does.
    """
    starts = torch.searchsorted(ordered, torch.arange(n_layers * n + 1, device=ordered.device))
    return starts.unfold(0, n + 1, n)


def _weighted_sums(table: Tensor, index: Tensor, starts: Tensor, weights: Tensor) -> Tensor:
    """Row i is the sum of weights[z] table[index[z]] over the entries z from starts[i] up to starts[i + 1]."""
    rows = table.flatten(1)
    if rows.is_cuda and rows.dtype == torch.float32 and _has_triton():
        from ct_widgets.training import gpu_sums

        sums = gpu_sums.weighted_sums(rows, index, starts, weights)
    else:
        sums = embedding_bag(index, rows, starts, mode="sum", per_sample_weights=weights, include_last_offset=True)
    return sums.unflatten(1, table.shape[1:])


@cache
def _has_triton() -> bool:
    return find_spec("triton") is not None


def select(dictionary: Dictionary, h: Tensor) -> Active:
    """The active features. h: [l, n, f]."""
    if dictionary.config.activation == "topk":
        flat = _strongest(h * dictionary.decoder_norms()[:, None], dictionary)
    else:
        flat = _places(h > dictionary.threshold[:, None].to(h.dtype))
    return Active.of(flat, (h.shape[0], h.shape[1], h.shape[2]))


def _strongest(written: Tensor, dictionary: Dictionary) -> Tensor:
    """Places of the k largest of every token and layer, over all shards: each names its own candidates.

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
    """h: [l, n, f], layer by layer into one block of memory: faster than one product of all, and than stacking."""
    dtype = torch.bfloat16 if dictionary.config.half_products else x.dtype
    x, W_enc, b_enc = x.to(dtype), dictionary.W_enc.to(dtype), dictionary.b_enc.to(dtype)
    h = x.new_empty(*x.shape[:2], W_enc.shape[1])
    for layer in range(len(h)):
        torch.addmm(b_enc[layer], x[layer], W_enc[layer].T, out=h[layer])
    return h


def encode(dictionary: Dictionary, x: Tensor) -> tuple[Active, Tensor]:
    """The active features, and the activation of each: [z], differentiable. x: [l, n, d]."""
    with torch.no_grad():
        h = _preactivation(dictionary, x)
        active = select(dictionary, h)
        values = h.flatten().index_select(0, active.flat).to(x.dtype)
    return active, _Encode.apply(values, dictionary.W_enc, dictionary.b_enc, x, active)  # pyright: ignore


class _Encode(torch.autograd.Function):
    """Hands on the activations that are known already, and their gradients to the encoder."""

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
    """The reconstruction. values: [z], x: [l, n, d] -> [l, n, d]."""
    written = [
        _Decode.apply(values[active.layer(layer)], W_dec.flatten(1), active, layer)
        for layer, W_dec in enumerate(dictionary.W_dec)
    ]
    return dictionary.place(written, x)  # pyright: ignore[reportArgumentType]


class _Decode(torch.autograd.Function):
    """What the features of one layer write. values: the layer's [z], W_dec: [f, m d] -> [n, m d]."""

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
    """Products <rows[i], table[index[z]]> for the entries z from starts[i] up to starts[i + 1] -> [z].

    token: [z], the i of each. Each device has its own fastest routine.
    """
    if rows.is_cuda:
        summed = 0  # the mode of `embedding_bag` whose derivative this is
        return torch.ops.aten._embedding_bag_per_sample_weights_backward(rows, table, index, starts, token, summed)
    _hush()
    empty = torch.zeros(len(index), dtype=rows.dtype, device=rows.device)
    size = (len(rows), len(table))
    pattern = torch.sparse_csr_tensor(starts, index, empty, size, check_invariants=False)
    return torch.sparse.sampled_addmm(pattern, rows, table.T, beta=0.0).values()


@cache
def _hush() -> None:
    """PyTorch says once that its CSR tensors are in beta; the one operation used here has an oracle in our tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        torch.sparse_csr_tensor([0, 0], [], [], (1, 1), check_invariants=False)
