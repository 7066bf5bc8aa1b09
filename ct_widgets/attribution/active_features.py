"""The features that are active on one prompt, and what each of them writes.

Axes: s active feature, l (m) layer (of an output), p (k) position, d model.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ct_widgets.attribution.tuning import Tuning
from ct_widgets.errors import GraphError
from ct_widgets.language_model import FrozenRun
from ct_widgets.transcoders import Transcoder


@dataclass(frozen=True, eq=False)
class ActiveFeatures:
    """Active features, sorted by position, then layer, then index: the order in which their columns stand.

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
    def counts(self) -> Tensor:
        """Count the features at every position and layer. -> [p, l]."""
        cell = self.position * self.n_layers + self.layer
        return torch.bincount(cell, minlength=self.n_positions * self.n_layers).view(self.n_positions, self.n_layers)

    @cached_property
    def starts(self) -> list[list[int]]:
        """[p + 1][l + 1]: starts[k][l] is the first feature of layer >= l at position k."""
        ends = self.counts.flatten().cumsum(0).view_as(self.counts)
        starts = torch.cat([ends - self.counts, ends[:, -1:]], dim=1)
        return [*starts.tolist(), [len(self)] * (self.n_layers + 1)]


def find_active(
    transcoder: Transcoder, run: FrozenRun, silent: Tensor, first_position: int, tuning: Tuning
) -> ActiveFeatures:
    """Encode the prompt's MLP inputs, a few layers at a time; positions before `first_position` have no features.

    silent: [l, p, d], these inputs when all nodes are silent.
    """
    layer, position, index, activation = _encode(transcoder, run.mlp_input, first_position, tuning.encoded)
    n_here = torch.bincount(layer, minlength=run.n_layers).tolist()
    places = torch.stack([index, position]).to(silent.device).split(n_here, dim=1)
    values: list[Tensor] = []
    for here, (i, p) in enumerate(places):
        # Again from the encoder's rows: a row of the graph is checked against this, not against its own encoding.
        read = transcoder.encoder_vectors(here, i)
        products = [x[here].index_select(0, p).mul_(read).sum(-1) for x in (run.mlp_input, silent)]
        values.append(torch.stack(products) + transcoder.b_enc[here][i].to(read.dtype))
    order = torch.argsort(position * run.n_layers + layer, stable=True)
    on_device = order.to(silent.device)
    preactivation, bias = torch.cat(values, dim=1)[:, on_device]
    layer, position, index = layer[order], position[order], index[order]
    P = run.n_positions
    return ActiveFeatures(layer, position, index, activation[on_device], preactivation, bias, run.n_layers, P)


def _encode(
    transcoder: Transcoder, x: Tensor, first_position: int, together: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Layer, position and index, on the CPU, and activation of the active features, sorted by layer, then index.

    together: activations that are searched at once, at most.
    """
    n_layers, n_positions, _ = x.shape
    n_features = torch.tensor([transcoder.n_features(layer) for layer in range(n_layers)])
    ends = n_features.cumsum(0)
    found: list[Tensor] = []
    activations: list[Tensor] = []
    for layers in torch.arange(n_layers).split(max(1, together // (n_positions * int(n_features.max())))):
        encoded = [transcoder.encode(layer, x[layer, first_position:]) for layer in layers.tolist()]
        a = torch.cat(encoded, dim=-1).T
        active = a.nonzero()
        activations.append(a[active[:, 0], active[:, 1]])
        begin = int(ends[layers[0]] - n_features[layers[0]])
        found.append(active.cpu() + torch.tensor([begin, first_position]))
    column, position = torch.cat(found).T.contiguous()  # features of all layers side by side
    layer = torch.bucketize(column, ends, right=True)
    return layer, position, column - (ends - n_features)[layer], torch.cat(activations)


@dataclass(eq=False)
class FeatureWrites:
    """Decoder vectors times activations, grouped by output layer and position so that one product reads a group.

    They are most of what an attribution holds, so whoever computes rows owns them and releases what is read no more.
    rows[m]: the vectors written to the MLP output of layer m, sorted like the features that write them;
    total: [m, p, d], their sums at every output and position.
    """

    rows: list[Tensor]
    total: Tensor
    features: ActiveFeatures
    first_layer: list[int]  # [m]: the lowest layer that writes to output m
    bounds: list[list[int]]  # [m][p + 1]: where the rows of each position begin in rows[m]

    def columns(self, m: int, position: int) -> slice:
        """Number, as in `features`, the features at `position` that write to output m."""
        starts = self.features.starts[position]
        return slice(starts[self.first_layer[m]], starts[m + 1])

    def at(self, m: int, position: int) -> Tensor:
        """Read the vectors that the features `columns(m, position)` write to output m. -> [s, d]."""
        return self.rows[m][self.bounds[m][position] : self.bounds[m][position + 1]]

    def release(self, outputs: range) -> None:
        """Free what is written to outputs that nobody will read any more."""
        for m in outputs:
            self.rows[m] = self.rows[m][:0].clone()


def read_writes(transcoder: Transcoder, features: ActiveFeatures, max_memory: float, tuning: Tuning) -> FeatureWrites:
    """Gather the decoder vectors of the active features, layer by layer, touching no other rows of the decoder.

    Raises GraphError if they take more than `max_memory` bytes.
    """
    n_layers, n_positions, d = features.n_layers, features.n_positions, transcoder.d_model
    across = transcoder.kind == "clt"
    first_layer = [0 if across else m for m in range(n_layers)]
    sizes = (features.counts.cumsum(1) if across else features.counts).T.contiguous()  # [m, p]: how many write there
    n_bytes = 4 * d * int(sizes.sum())
    if n_bytes > max_memory:
        raise GraphError(
            f"the vectors that the {len(features):,} active features of this prompt write take {n_bytes / 2**30:.2f} "
            f"GiB, more than max_memory ({max_memory / 2**30:.2f} GiB); shorten the prompt, or raise max_memory"
        )
    device, begins = features.activation.device, sizes.cumsum(1) - sizes  # [m, p], in rows[m]
    starts = torch.tensor(features.starts)
    by_layer = torch.argsort(features.layer, stable=True).split(features.counts.sum(0).tolist())
    places: list[Tensor] = []  # [m, s] of every layer: where its features' vectors stand in rows[m]
    for layer, mine in enumerate(by_layer):
        outputs, position = transcoder.output_layers(layer), features.position[mine]
        rank = mine - starts[position, first_layer[layer]]
        places.append(begins[outputs.start : outputs.stop, position] + rank)
    place = torch.cat([part.flatten() for part in places]).to(device).split([part.numel() for part in places])
    activation = features.activation[torch.cat(by_layer).to(device)].split([len(part) for part in by_layer])
    # A buffer for each output: the smaller ones need no new pages from the system.
    rows = [features.activation.new_empty(n, d) for n in sizes.sum(1).tolist()]
    for layer, mine in enumerate(by_layer):
        outputs = transcoder.output_layers(layer)
        n = max(1, tuning.moved // (len(outputs) * d))
        to = place[layer].view(len(outputs), -1)
        for numbers, a, part in zip(mine.split(n), activation[layer].split(n), to.split(n, dim=1), strict=True):
            written = transcoder.decoder_vectors(layer, features.index[numbers])
            written *= a[:, None, None]
            for k, m in enumerate(outputs):
                rows[m].index_copy_(0, part[k], written[:, k])
    position = torch.arange(n_positions).repeat(n_layers).repeat_interleave(sizes.flatten()).to(device)
    total = rows[0].new_zeros(n_layers, n_positions, d)
    for m, part in enumerate(position.split(sizes.sum(1).tolist())):
        total[m].index_add_(0, part, rows[m])
    return FeatureWrites(rows, total, features, first_layer, torch.nn.functional.pad(sizes.cumsum(1), (1, 0)).tolist())
