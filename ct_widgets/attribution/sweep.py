"""Rows of the attribution graph by one reverse sweep [CT25, "Attribution graphs"]; no autograd, no MLP.

    A[t, s] = sum over the outputs m that s writes to, below t, of  write_s^m . J_{(p_s, m) -> (p_t, l_t)} g_t

A block of targets walks down the layers together, each joining at its own layer with the vector g_t it reads there.
G[t, p] holds J^T g_t at the positions not after the targets'; one product per layer sends it through the transposed
frozen attention, and one product per (layer, position) reads all sources there. The walk ends at the embeddings, or at
a plane (`cut`): what sources below it have sent up there is known (`flow.py`) and read by one product per position.
Axes: t target, s source, p (q, k) position, l (m) layer, d model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ct_widgets.attribution.flow import Streams
from ct_widgets.attribution.local_replacement_model import LocalReplacementModel
from ct_widgets.attribution.products import add_product, product
from ct_widgets.attribution.stacked_writes import StackedWrites
from ct_widgets.attribution.transport import Transport
from ct_widgets.attribution.workspace import Workspace, upload


@dataclass(frozen=True, eq=False)
class Targets:
    """Nodes to compute rows for. layer, position: [t], on the CPU; vector: [t, d].

    `layer` is the number of layers for logits; `vector` is what the target reads of the residual stream there.
    """

    layer: Tensor
    position: Tensor
    vector: Tensor

    def __len__(self) -> int:
        return len(self.layer)

    def __getitem__(self, run: slice) -> Targets:
        return Targets(self.layer[run], self.position[run], self.vector[run])

    def split(self, sizes: list[int]) -> list[Targets]:
        """Runs of so many targets each."""
        parts = zip(self.layer.split(sizes), self.position.split(sizes), self.vector.split(sizes), strict=True)
        return [Targets(*part) for part in parts]

    @classmethod
    def cat(cls, parts: Sequence[Targets]) -> Targets:
        """Targets one after another."""
        if len(parts) == 1:
            return parts[0]
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in ("layer", "position", "vector")))


@dataclass(frozen=True, eq=False)
class Rows:
    """Edges into a block of targets, up to the position of the last of them.

    dense: [t, source], where embeddings [p] come first, then features, numbered as in ActiveFeatures, then errors
    [p, l]; the other fields are views of it. embedding: [t, p]; feature: [t, s]; error: [t, l, p].
    """

    dense: Tensor
    embedding: Tensor
    feature: Tensor
    error: Tensor

    @classmethod
    def zeros(cls, local: LocalReplacementModel, targets: Targets, workspace: Workspace) -> Rows:
        """Rows of zeros for a block of targets, good until the workspace makes the next."""
        n, end, n_layers = len(targets), int(targets.position.max()) + 1, local.run.n_layers
        sizes = (end, local.features.starts[end][0], end * n_layers)
        dense = workspace.take("rows", n, sum(sizes)).zero_()
        embedding, feature, error = dense.split(sizes, dim=1)
        return cls(dense, embedding, feature, error.unflatten(1, (end, n_layers)).transpose(1, 2))

    @classmethod
    def of_embeddings(cls, embedding: Tensor) -> Rows:
        """Rows of targets that have no other sources."""
        return cls(embedding, embedding, embedding[:, :0], embedding[:, :0, None])


def feature_targets(local: LocalReplacementModel, chosen: Tensor) -> Targets:
    """What the features numbered `chosen`, sorted by layer, read of the residual stream at their layer and position."""
    features, run = local.features, local.run
    layer, position = features.layer[chosen], features.position[chosen]
    vector = features.activation.new_empty(len(chosen), run.embedding.shape[-1])
    index, at = upload(torch.stack([features.index[chosen], position]), vector.device)
    layers, counts = layer.unique_consecutive(return_counts=True)
    parts = zip(layers.tolist(), *(x.split(counts.tolist()) for x in (index, at, vector)), strict=True)
    for one, index_part, at_part, vector_part in parts:
        read = local.transcoder.encoder_vectors(one, index_part)
        vector_part[:] = run.pull_back_read(local.frozen_map, one, read, at_part)
    return Targets(layer, position, vector)


def sweep(
    local: LocalReplacementModel,
    streams: Streams | None,
    transports: Sequence[Transport],
    targets: Targets,
    workspace: Workspace,
    stacked: StackedWrites | None = None,
) -> Rows:
    """Rows of a block of targets sorted by falling layer: down to the plane, at which the `streams` have arrived and
    which all targets are above, or to the embeddings. With `stacked` writes, by fewer and larger operations.
    """
    walk = _Walk(local, targets, workspace, stacked, to_embeddings=streams is None)
    walk.join(local.run.n_layers)
    if streams is None:
        for layer in reversed(range(local.run.n_layers)):
            walk.read_outputs(layer)
            walk.descend(layer, transports[layer])
        walk.read_embeddings()
    elif walk.end > local.first_position:  # else embeddings are all there is to read
        for layer in reversed(range(streams.cut, local.run.n_layers)):
            walk.read_outputs(layer)
            if layer > streams.cut:
                walk.descend(layer, transports[layer])
        walk.read_plane(streams)
    return walk.rows


class _Walk:
    """State of one sweep: G [t, p - first, d] for the targets that have joined, and the rows read so far."""

    def __init__(
        self,
        local: LocalReplacementModel,
        targets: Targets,
        workspace: Workspace,
        stacked: StackedWrites | None,
        *,
        to_embeddings: bool,
    ) -> None:
        self.local, self.targets, self.workspace, self.stacked = local, targets, workspace, stacked
        self.first = 0 if to_embeddings else local.first_position  # no source but embeddings is before that
        self.end = int(targets.position.max()) + 1
        self.joined = 0
        self.layers: list[int] = targets.layer.tolist()
        self.position = upload(targets.position, targets.vector.device)
        width = self.end - self.first
        self.G = workspace.take("G", len(targets), width, targets.vector.shape[-1]).zero_()
        # Where in G a target's own position is.
        self.own = torch.arange(len(targets), device=self.G.device) * width + self.position - self.first
        self.rows = Rows.zeros(local, targets, workspace)
        self.reads_before_attention = local.run.reads_before_attention(local.frozen_map)

    def join(self, layer: int) -> slice:
        """Let the targets of `layer` in: they are nonzero at their own position only."""
        begin = self.joined
        self.joined += self.layers.count(layer)
        new = slice(begin, self.joined)
        self.G.flatten(0, 1).index_copy_(0, self.own[new], self.targets.vector[new])
        return new

    def read_outputs(self, m: int) -> None:
        """Read what features and errors wrote to the MLP output of layer m, at every position."""
        if not self.joined:
            return
        first = self.local.first_position
        G, to = self.G[: self.joined, first - self.first :], self.rows.feature[: self.joined]
        self.rows.error[: self.joined, m, first:] = self._read_each(G, self.local.error[m, first : self.end])
        if self.stacked is not None:
            self.stacked.read(m, G, first, to)
            return
        writes = self.local.writes
        for k in range(first, self.end):
            columns = writes.columns(m, k)
            if columns.stop > columns.start:
                add_product(to[:, columns], G[:, k - first], writes.at(m, k))

    def read_embeddings(self) -> None:
        """Read the embeddings, one of which is at every position."""
        self.rows.embedding[:] = self._read_each(self.G, self.local.run.embedding[: self.end])

    def read_plane(self, streams: Streams) -> None:
        """Read what the sources below the plane have sent there, at every position they reach."""
        if not streams.cut:
            return
        for flow in streams.features:
            if flow.start < self.end and flow.joined:
                begin = self.local.features.starts[flow.start][0]
                add_product(self.rows.feature[:, begin : begin + flow.joined], *self._meet(flow.start, flow.active))
        n = self.local.run.n_positions - self.first
        errors = streams.errors.active.view(streams.cut, n, n, -1)[:, : self.end - self.first]
        G, X = self._meet(self.first, errors.flatten(0, 1))
        self.rows.error[:, : streams.cut, self.first :] = product(G, X).view(len(G), streams.cut, -1)

    def _meet(self, start: int, x: Tensor) -> tuple[Tensor, Tensor]:
        """G and a stream x [s, p - start, d] as rows whose products are summed over shared positions."""
        shared = self.end - start
        return self.G[:, start - self.first :].flatten(1), x[:, :shared].flatten(1)

    def descend(self, layer: int, transport: Transport) -> None:
        """Send G from the output of a block to its input, letting the block's own targets in on the way."""
        skipped = self._through_skip(layer)
        if self.reads_before_attention:
            # MLP and targets see the block's input: attention acts on what came from above alone.
            self._carry(transport)
            if skipped is not None:
                self.G[: self.joined] += skipped
            self.join(layer)
            return
        if skipped is not None:
            self.G[: self.joined] += skipped
        new = self.join(layer)
        if self.stacked is not None or new.start == new.stop:
            self._carry(transport)  # with all at once, the new ones go with the old, as if they were at every position
        else:
            self._carry(transport, (self.targets.vector[new], self.position[new]))

    def _carry(self, transport: Transport, begun: tuple[Tensor, Tensor] | None = None) -> None:
        """Add to G what attention brings of it; `begun`: the targets that have just joined, and where."""
        if self.joined:
            transport.backward.carry(self.G[: self.joined], self.first, begun)

    def _through_skip(self, layer: int) -> Tensor | None:
        """G through the transposed skip connection of a layer's transcoder and the norm it reads through."""
        W_skip, run = self.local.transcoder.W_skip, self.local.run
        if W_skip is None or not self.joined:
            return None
        G = self.G[: self.joined]
        written = G @ W_skip[layer].to(G).T
        return run.pull_back_read(self.local.frozen_map, layer, written, slice(self.first, self.end))

    def _read_each(self, G: Tensor, sources: Tensor) -> Tensor:
        """What G: [t, p, d] reads of the one source at every position. sources: [p, d] -> [t, p]."""
        return torch.mul(G, sources, out=self.workspace.take("a", *G.shape)).sum(-1)
