"""The features that are active on one prompt, and what each of them writes.

Axes: s active feature, l (m) layer (of an output), p (k) position, d model.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ct_widgets.errors import GraphError
from ct_widgets.language_model import FrozenRun
from ct_widgets.transcoders import Transcoder


@dataclass(frozen=True, eq=False)
class ActiveFeatures:
    """Active features, sorted by position, then layer, then index: the order in which the sweep reads them.

    layer, position, index: [s] integers, on the CPU, where they are read; activation, preactivation: [s]; bias: [s],
    the pre-activation when all nodes are silent.
    """

    layer: Tensor
    position: Tensor
    index: Tensor
    activation: Tensor
    preactivation: Tensor
    bias: Tensor
    n_layers: int
    n_positions: int

    def __len__(self) -> int:
        return len(self.layer)

    @cached_property
    def starts(self) -> list[list[int]]:
        """[p + 1][l + 1]: starts[k][l] is the first feature of layer >= l at position k."""
        cell = self.position * self.n_layers + self.layer
        counts = torch.bincount(cell, minlength=self.n_positions * self.n_layers).view(self.n_positions, self.n_layers)
        ends = counts.flatten().cumsum(0).view_as(counts)
        starts = torch.cat([(ends - counts), ends[:, -1:]], dim=1)
        return [*starts.tolist(), [len(self)] * (self.n_layers + 1)]


def find_active(transcoder: Transcoder, run: FrozenRun, silent: Tensor, first_position: int) -> ActiveFeatures:
    """Encode the prompt's MLP inputs, one layer at a time; positions before `first_position` have no features.

    silent: [l, p, d], these inputs when all nodes are silent.
    """
    layers: list[Tensor] = []
    positions: list[Tensor] = []
    indices: list[Tensor] = []
    activations: list[Tensor] = []
    preactivations: list[Tensor] = []
    biases: list[Tensor] = []
    for layer in range(run.n_layers):
        x = run.mlp_input[layer]
        a = transcoder.encode(layer, x)
        a[:first_position] = 0
        position, index = a.nonzero().cpu().T
        layers.append(torch.full_like(position, layer))
        positions.append(position)
        indices.append(index)
        activations.append(a[position, index])
        # Again from the encoder's rows: a row of the graph is checked against this, not against its own encoding.
        read = transcoder.encoder_vectors(layer, index)
        b_enc = transcoder.b_enc[layer][index].to(read.dtype)
        preactivations.append((read * x[position]).sum(-1) + b_enc)
        biases.append((read * silent[layer, position]).sum(-1) + b_enc)
    layer, position = torch.cat(layers), torch.cat(positions)
    order = torch.argsort(position * run.n_layers + layer, stable=True)
    return ActiveFeatures(
        layer=layer[order],
        position=position[order],
        index=torch.cat(indices)[order],
        activation=torch.cat(activations)[order],
        preactivation=torch.cat(preactivations)[order],
        bias=torch.cat(biases)[order],
        n_layers=run.n_layers,
        n_positions=run.n_positions,
    )


@dataclass(frozen=True, eq=False)
class FeatureWrites:
    """Decoder vectors times activations, grouped by output layer and position so that one product reads a group.

    rows[m]: the vectors written to the MLP output of layer m, sorted like the features that write them.
    """

    rows: list[Tensor]
    features: ActiveFeatures
    first_layer: list[int]  # [m]: the lowest layer that writes to output m

    def columns(self, m: int, position: int) -> slice:
        """The features (as numbers in `features`) at `position` that write to output m."""
        starts = self.features.starts[position]
        return slice(starts[self.first_layer[m]], starts[m + 1])

    @cached_property
    def _offsets(self) -> list[list[int]]:
        """[m][p + 1]: where the rows of each position begin in rows[m]."""
        offsets: list[list[int]] = []
        for m in range(len(self.rows)):
            bounds = [0]
            for position in range(self.features.n_positions):
                columns = self.columns(m, position)
                bounds.append(bounds[-1] + columns.stop - columns.start)
            offsets.append(bounds)
        return offsets

    def at(self, m: int, position: int) -> Tensor:
        """Vectors that the features `columns(m, position)` write to output m. -> [s, d]."""
        bounds = self._offsets[m]
        return self.rows[m][bounds[position] : bounds[position + 1]]

    @cached_property
    def total(self) -> Tensor:
        """Sum of all writes at every output. -> [m, p, d]."""
        features, d = self.features, self.rows[0].shape[-1]
        out = self.rows[0].new_zeros(len(self.rows), features.n_positions, d)
        for m, rows in enumerate(self.rows):
            writes = (features.layer <= m) & (features.layer >= self.first_layer[m])
            out[m].index_add_(0, features.position[writes].to(rows.device), rows)
        return out


def read_writes(transcoder: Transcoder, features: ActiveFeatures, max_memory: float) -> FeatureWrites:
    """Gather the decoder vectors of the active features, layer by layer, touching no other rows of the decoder.

    Raises GraphError if they take more than `max_memory` bytes.
    """
    n_layers = features.n_layers
    outputs = torch.tensor([len(transcoder.output_layers(layer)) for layer in range(n_layers)])
    n_bytes = 4 * transcoder.d_model * int(outputs[features.layer].sum())
    if n_bytes > max_memory:
        raise GraphError(
            f"the vectors that the {len(features):,} active features of this prompt write take {n_bytes / 2**30:.2f} "
            f"GiB, more than max_memory ({max_memory / 2**30:.2f} GiB); shorten the prompt, or raise max_memory"
        )
    first_layer = [0 if transcoder.kind == "clt" else m for m in range(n_layers)]
    writes = [(features.layer <= m) & (features.layer >= first_layer[m]) for m in range(n_layers)]
    # Place of every feature among those that write to output m; they keep their order.
    place = [mask.cumsum(0) - 1 for mask in writes]
    rows = [features.activation.new_empty(int(mask.sum()), transcoder.d_model) for mask in writes]
    for layer in range(n_layers):
        mine = (features.layer == layer).nonzero().flatten()
        vectors = transcoder.decoder_vectors(layer, features.index[mine])
        vectors *= features.activation[mine, None, None]
        for m in transcoder.output_layers(layer):
            rows[m].index_copy_(0, place[m][mine].to(vectors.device), vectors[:, m - layer])
    return FeatureWrites(rows, features, first_layer)
