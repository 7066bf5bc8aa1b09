"""Sources on their way up: what each of them has put into the residual stream, layer by layer.

The sweep of targets (`sweep.py`) stops at a plane of the model; what sources below the plane have sent there is
computed once, here, instead of once per target. Embeddings flow through all layers, since they are few.
Axes: s source, p (q, k) position, l (m) layer, d model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ct_widgets.attribution.local_replacement_model import LocalReplacementModel
from ct_widgets.attribution.transport import Transport

# Embeddings flow in parts: smaller ones multiply fewer zeros, and cost more calls.
_FEWEST_EMBEDDINGS = 4
_MOST_EMBEDDING_FLOWS = 8


@dataclass(eq=False)
class Flow:
    """The stream of a block of sources that begin at position `start` or later. x: [s, p - start, d].

    The first `joined` sources have begun; those from `fresh` on are still at the position where they began.
    """

    x: Tensor
    start: int
    joined: int = 0
    fresh: int = 0

    @property
    def active(self) -> Tensor:
        """The sources that have begun. -> [s, p - start, d]."""
        return self.x[: self.joined]

    def at(self, position: int) -> Tensor:
        """What the sources that have begun put into `position`. -> [s, d]."""
        return self.active[:, position - self.start]

    def through_attention(self, transport: Transport) -> None:
        """Add a layer's attention to every source that has begun."""
        old, new = self.x[: self.fresh], self.x[self.fresh : self.joined]
        if len(old):
            transport.forward.carry(old, self.start, old)
        if len(new):
            begun = torch.full((len(new),), self.start, device=new.device)
            transport.forward.carry_from(new[:, 0].clone(), begun, self.start, new)
        self.fresh = self.joined

    def skipped(self, local: LocalReplacementModel, layer: int) -> Tensor:
        """What a layer's skip connection makes of the stream. -> [s, p - start, d]."""
        read = local.run.read(local.frozen_map, layer, self.active, slice(self.start, None))
        return local.transcoder.skip(layer, read)


def _embedding_flows(embedding: Tensor) -> list[Flow]:
    """Flows of neighbouring embeddings [p, d], in parts: none reaches a position before its own."""
    P, d = embedding.shape
    flows: list[Flow] = []
    for part in torch.arange(P).split(max(_FEWEST_EMBEDDINGS, -(-P // _MOST_EMBEDDING_FLOWS))):
        start, n = int(part[0]), len(part)
        x = embedding.new_zeros(n, P - start, d)
        x.diagonal(dim1=0, dim2=1).copy_(embedding[start : start + n].T)
        flows.append(Flow(x, start, joined=n, fresh=n))
    return flows


class Streams:
    """All sources that flow: features by position and errors up to the plane in layer `cut`, embeddings to the top."""

    def __init__(self, local: LocalReplacementModel, cut: int, transports: Sequence[Transport]) -> None:
        run, features = local.run, local.features
        P, d = run.embedding.shape
        zeros = run.embedding.new_zeros
        self.local, self.cut, self.transports = local, cut, transports
        self._reads_before_attention = run.reads_before_attention(local.frozen_map)
        self.features = [
            Flow(zeros(features.starts[p][cut] - features.starts[p][0], P - p, d), start=p)
            for p in range(local.first_position, P)
        ]
        self.errors = Flow(zeros(cut * (P - local.first_position), P - local.first_position, d), local.first_position)
        self.embeddings = _embedding_flows(run.embedding)

    def forget(self, position: int) -> None:
        """Free the features' streams that begin after `position`, which no target that is left can see."""
        for flow in self.features:
            if flow.start > position:
                flow.x, flow.joined = flow.x[:0].clone(), 0

    def to_read(self, layer: int) -> None:
        """Bring the streams from a block's input to the place where its transcoder reads."""
        if not self._reads_before_attention:
            self._attention(layer)

    def to_output(self, layer: int) -> None:
        """Bring the streams from there to the block's output; below the plane, sources write to it."""
        has_skip = self.local.transcoder.W_skip is not None
        skipped = [flow.skipped(self.local, layer) for flow in self._flows(layer)] if has_skip else []
        if self._reads_before_attention:
            self._attention(layer)
        for flow, addition in zip(self._flows(layer), skipped, strict=False):
            flow.active.add_(addition)
        if layer < self.cut:
            self._write(layer)

    def _flows(self, layer: int) -> list[Flow]:
        below = [*self.features, self.errors] if layer <= self.cut else []
        return [*self.embeddings, *(flow for flow in below if flow.joined)]

    def _attention(self, layer: int) -> None:
        for flow in self._flows(layer):
            flow.through_attention(self.transports[layer])

    def _write(self, m: int) -> None:
        """Let the sources of layer m begin, and add what all of them write to the MLP output of layer m."""
        features, writes, first = self.local.features, self.local.writes, self.local.first_position
        for flow in self.features:
            begin = features.starts[flow.start][0]
            columns = writes.columns(m, flow.start)
            flow.joined = features.starts[flow.start][m + 1] - begin
            flow.x[columns.start - begin : columns.stop - begin, 0] += writes.at(m, flow.start)
        error = self.local.error[m, first:]
        n = len(error)
        self.errors.x[m * n : (m + 1) * n].diagonal(dim1=0, dim2=1).copy_(error.T)
        # Errors begin at positions of their own, so none counts as fresh.
        self.errors.joined = self.errors.fresh = (m + 1) * n
