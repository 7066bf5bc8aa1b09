"""Rows of the attribution graph by one reverse sweep [CT25, "Attribution graphs"]; no autograd, no MLP.

    A[t, s] = sum over the outputs m that s writes to, below t, of  write_s^m . J_{(p_s, m) -> (p_t, l_t)} g_t

The targets of one position walk down the layers together, each joining at its own layer with the vector g_t it
reads there. G[t, p] holds J^T g_t at every position not after the targets'; one product per layer sends it through the
transposed frozen attention, and one product per (layer, position) reads all sources there.
Axes: t target, s source, p (q, k) position, l (m) layer, d model, h head, g key-value group, e head dimension.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ct_widgets.attribution.local_replacement_model import LocalReplacementModel
from ct_widgets.language_model import FrozenAttention


@dataclass(frozen=True, eq=False)
class Targets:
    """Nodes to compute rows for, in any order. layer, position: [t]; vector: [t, d].

    `layer` is the number of layers for logits; `vector` is what the target reads of the residual stream there.
    """

    layer: Tensor
    position: Tensor
    vector: Tensor

    def __len__(self) -> int:
        return len(self.layer)

    def __getitem__(self, chosen: Tensor) -> Targets:
        return Targets(self.layer[chosen], self.position[chosen], self.vector[chosen])


@dataclass(frozen=True, eq=False)
class Rows:
    """Edges into targets of one position p. Positions after p have no columns.

    feature: [t, s], by the numbers of ActiveFeatures; error: [t, l, p]; embedding: [t, p].
    """

    feature: Tensor
    error: Tensor
    embedding: Tensor


def sweep(local: LocalReplacementModel, targets: Targets) -> Rows:
    """Rows of `targets`, which share one position and are sorted by falling layer."""
    position = int(targets.position[0])
    walk = _Walk(local, targets, position)
    n_layers = local.run.n_layers
    walk.join(n_layers)
    for layer in reversed(range(n_layers)):
        walk.read_outputs(layer)
        walk.descend(layer)
    walk.read_embeddings()
    return walk.rows


class _Walk:
    """State of one sweep: G for the targets that have joined, and the rows read so far."""

    def __init__(self, local: LocalReplacementModel, targets: Targets, position: int) -> None:
        self.local, self.targets, self.position = local, targets, position
        n, n_layers, d = len(targets), local.run.n_layers, targets.vector.shape[-1]
        zeros = targets.vector.new_zeros
        self.joined = 0
        self.layers: Sequence[int] = targets.layer.tolist()
        self.G = zeros(n, position + 1, d)
        columns = local.features.starts[position][n_layers]
        self.rows = Rows(zeros(n, columns), zeros(n, n_layers, position + 1), zeros(n, position + 1))
        self.reads_before_attention = local.run.reads_before_attention(local.frozen_map)

    def join(self, layer: int) -> None:
        """Let the targets of `layer` in: they are nonzero at their own position only."""
        first = self.joined
        while self.joined < len(self.layers) and self.layers[self.joined] == layer:
            self.joined += 1
        self.G[first : self.joined, self.position] += self.targets.vector[first : self.joined]

    def read_outputs(self, m: int) -> None:
        """Read what features and errors wrote to the MLP output of layer m, at every position."""
        G, writes, error = self.G[: self.joined], self.local.writes, self.local.error
        if not self.joined:
            return
        for k in range(self.local.first_position, self.position + 1):
            columns = writes.columns(m, k)
            if columns.stop > columns.start:
                self.rows.feature[: self.joined, columns].addmm_(G[:, k], writes.at(m, k).T)
        self.rows.error[: self.joined, m] = torch.einsum("tkd,kd->tk", G, error[m, : self.position + 1])

    def read_embeddings(self) -> None:
        """Read the embeddings, once G is at the bottom of the stream."""
        embedding = self.local.run.embedding[: self.position + 1]
        torch.sum(self.G[: self.joined] * embedding, dim=-1, out=self.rows.embedding)

    def descend(self, layer: int) -> None:
        """Send G from the output of a block to its input, letting the block's own targets in on the way."""
        through_skip = self._through_skip(layer)
        if self.reads_before_attention:
            # MLP and targets see the block's input: attention acts on the old G alone.
            n_old = self.joined
            self._through_attention(layer, fresh=n_old)
            if through_skip is not None:
                self.G[:n_old] += through_skip
            self.join(layer)
            return
        if through_skip is not None:
            self.G[: self.joined] += through_skip
        fresh = self.joined
        self.join(layer)
        self._through_attention(layer, fresh)

    def _through_skip(self, layer: int) -> Tensor | None:
        """G through the transposed skip connection of a layer's transcoder and the norm it reads through."""
        W_skip, run = self.local.transcoder.W_skip, self.local.run
        if W_skip is None or not self.joined:
            return None
        G = self.G[: self.joined]
        written = G @ W_skip[layer].to(G).T
        return run.pull_back_read(self.local.frozen_map, layer, written, slice(self.position + 1))

    def _through_attention(self, layer: int, fresh: int) -> None:
        """Add the transposed frozen attention of a layer to G; targets from `fresh` on are nonzero at one position."""
        attention = self.local.frozen_map.attention[layer]
        pattern = self.local.run.weighted_pattern(layer)[:, : self.position + 1, : self.position + 1]
        old, new = self.G[:fresh], self.G[fresh : self.joined]
        if len(new):
            Z = _head_outputs(attention, new[:, self.position])  # [t, g, h / g, e]
            per_group = pattern[:, self.position].unflatten(0, (attention.n_groups, -1))  # [g, h / g, k]
            U = torch.einsum("tgie,gik->tkge", Z, per_group)
            new += (U.reshape(-1, U.shape[-2] * U.shape[-1]) @ _value_map(attention)).view_as(new)
        if len(old):
            Z = _head_outputs(attention, old)  # [t, q, g, h / g, e]
            t, q, groups, per, e = Z.shape
            # Heads of one group share W_V, so their mixtures add up before it: one product sums over q and heads.
            Z = Z.permute(2, 3, 1, 0, 4).reshape(groups, per * q, t * e)
            mix = pattern.unflatten(0, (groups, per)).permute(0, 3, 1, 2).reshape(groups, -1, per * q)  # [g, k, h/g q]
            U = torch.bmm(mix, Z).view(groups, -1, t, e).permute(2, 1, 0, 3)
            old += (U.reshape(-1, groups * e) @ _value_map(attention)).view_as(old)


def _head_outputs(attention: FrozenAttention, g: Tensor) -> Tensor:
    """Gradients at the attention's output, seen by every head. g: [..., d] -> [..., g, h / g, e]."""
    W_O = attention.W_O
    return (g @ W_O.flatten(0, 1).T).unflatten(-1, (attention.n_groups, -1, W_O.shape[1]))


def _value_map(attention: FrozenAttention) -> Tensor:
    """W_V as one matrix from all groups' values to the stream. -> [g e, d]."""
    return attention.W_V.transpose(1, 2).flatten(0, 1)
