"""Reverse mode (VJP) for a block of targets: `sweep.py` by as few and as large products as pay.

Targets go down the layers together, each injected at its own layer. G[t, p] is the gradient of what t reads at the
positions not after the targets'; one product per layer sends it through the transposed frozen attention, and one
product per (layer, position) reads all sources there. The pass ends at the embeddings, or at the cut layer: what
sources below it have sent there is known (`forward_pass.py`), and the two meet in one product per position.
Axes: t target, s source, p (q, k) position, l (m) layer, d model.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from ct_widgets.attribution.active_features import FeatureWrites
from ct_widgets.attribution.fast.attention_maps import AttentionMaps
from ct_widgets.attribution.fast.forward_pass import ForwardPass
from ct_widgets.attribution.fast.matmul import Workspace, add_matmul, matmul
from ct_widgets.attribution.fast.padded_writes import PaddedWrites
from ct_widgets.attribution.local_replacement_model import LocalReplacementModel
from ct_widgets.attribution.rows import Rows, TargetBlock, upload


class ReversePass:
    """One pass for a block of targets, sorted by falling layer, whose vectors read the residual stream.

    It ends at the cut layer of the `forward` pass, which all targets are above, or at the embeddings. Padded writes are
    read by fewer and larger operations. G: [t, p - first, d], for the targets that are active.
    """

    def __init__(
        self,
        local: LocalReplacementModel,
        writes: FeatureWrites | PaddedWrites,
        attention: Sequence[AttentionMaps],
        workspace: Workspace,
        targets: TargetBlock,
        forward: ForwardPass | None,
    ) -> None:
        self._local, self._writes, self._attention, self._forward = local, writes, attention, forward
        self._vector, self._layers, self._workspace = targets.vector, targets.layer.tolist(), workspace
        self.end = int(targets.position.max()) + 1
        self.first = local.first_position if forward else 0  # no source but embeddings is before that
        self.n_active = 0
        (n, d), width = self._vector.shape, self.end - self.first
        self._position = upload(targets.position, self._vector.device)
        self.G = workspace.take("G", n, width, d).zero_()
        # Where in G a target's own position is.
        self._own = torch.arange(n, device=self.G.device) * width + self._position - self.first
        self.rows = Rows.zeros(local, n, self.end, partial(workspace.take, "rows"))
        self._reads_before_attention = local.run.reads_before_attention(local.frozen_map)

    def run(self) -> Rows:
        """Compute the rows of the targets, but those of embeddings after a forward pass; good until the next pass."""
        lowest = self._forward.cut if self._forward else -1
        self._inject(self._local.run.n_layers)
        if self.end > self.first:  # else embeddings are all there is to read
            for layer in reversed(range(max(lowest, 0), self._local.run.n_layers)):
                self._read_outputs(layer)
                if layer > lowest:
                    self._pull_back(layer)
        if self._forward is None:
            self.rows.embedding[:] = self._read_each(self.G, self._local.run.embedding[: self.end])
        elif self.end > self.first and self._forward.cut:
            self._meet(self._forward)
        return self.rows

    def _inject(self, layer: int) -> slice:
        """Activate the targets of `layer`: they are nonzero at their own position only."""
        begin = self.n_active
        self.n_active += self._layers.count(layer)
        new = slice(begin, self.n_active)
        self.G.flatten(0, 1).index_copy_(0, self._own[new], self._vector[new])
        return new

    def _read_outputs(self, m: int) -> None:
        """Read what features and errors wrote to the MLP output of layer m, at every position."""
        if not self.n_active:
            return
        first = self._local.first_position
        G, to = self.G[: self.n_active, first - self.first :], self.rows.feature[: self.n_active]
        self.rows.error[: self.n_active, m, first:] = self._read_each(G, self._local.error[m, first : self.end])
        if isinstance(self._writes, PaddedWrites):
            self._writes.read(m, G, first, to)
            return
        for k in range(first, self.end):
            columns = self._writes.columns(m, k)
            if columns.stop > columns.start:
                add_matmul(to[:, columns], G[:, k - first], self._writes.at(m, k))

    def _meet(self, forward: ForwardPass) -> None:
        """Read what the sources below the cut layer have sent there, at every position they reach."""
        for block in forward.features:
            if block.start < self.end and block.n_active:
                begin = self._local.features.starts[block.start][0]
                to = self.rows.feature[:, begin : begin + block.n_active]
                add_matmul(to, *self._shared(block.start, block.active))
        n = self._local.run.n_positions - self.first
        errors = forward.errors.active.view(forward.cut, n, n, -1)[:, : self.end - self.first]
        G, X = self._shared(self.first, errors.flatten(0, 1))
        self.rows.error[:, : forward.cut, self.first :] = matmul(G, X).view(len(G), forward.cut, -1)

    def _shared(self, start: int, x: Tensor) -> tuple[Tensor, Tensor]:
        """G and a stream x [s, p - start, d] as rows whose products are summed over shared positions."""
        return self.G[:, start - self.first :].flatten(1), x[:, : self.end - start].flatten(1)

    def _pull_back(self, layer: int) -> None:
        """Pull G back from the output of a layer to its input, injecting the layer's own targets on the way."""
        skipped = self._skip_transposed(layer)
        if self._reads_before_attention:
            # MLP and targets see the layer's input: attention acts on what came from above alone.
            self._apply_attention(layer)
        if skipped is not None:
            self.G[: self.n_active] += skipped
        new = self._inject(layer)
        if not self._reads_before_attention:
            self._apply_attention(layer, new)

    def _apply_attention(self, layer: int, new: slice = slice(0, 0)) -> None:
        """Add to G what transposed attention makes of it; `new` targets are still at their own position."""
        # Padded, they go with the others, as if they were everywhere.
        apart = new.stop > new.start and not isinstance(self._writes, PaddedWrites)
        if self.n_active:
            at_origin = (self._vector[new], self._position[new]) if apart else None
            self._attention[layer].transposed.apply(self.G[: self.n_active], self.first, at_origin)

    def _skip_transposed(self, layer: int) -> Tensor | None:
        """G through the transposed skip connection of a layer's transcoder and the norm it reads through."""
        W_skip, run = self._local.model.transcoder.W_skip, self._local.run
        if W_skip is None or not self.n_active:
            return None
        G = self.G[: self.n_active]
        written = G @ W_skip[layer].to(G).T
        return run.pull_back_read(self._local.frozen_map, layer, written, slice(self.first, self.end))

    def _read_each(self, G: Tensor, sources: Tensor) -> Tensor:
        """Read the one source at every position by G: [t, p, d]. sources: [p, d] -> [t, p]."""
        return torch.mul(G, sources, out=self._workspace.take("a", *G.shape)).sum(-1)
