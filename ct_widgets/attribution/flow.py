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

# Embeddings flow in parts: smaller ones multiply fewer zeros, and cost more calls. A part of n by d numbers with
# n = 2^11 / d takes as long to multiply its zeros as to call for.
_PART = 2**11
_MOST_PARTS = 8


@dataclass(eq=False)
class Flow:
    """The stream of a block of sources that begin at `position` [s], none before `start`. x: [s, p - start, d].

    The first `joined` sources have begun; those from `fresh` on are still at the position where they began.
    """

    x: Tensor
    start: int
    position: Tensor
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
        new, position = self.x[self.fresh : self.joined], self.position[self.fresh : self.joined]
        begun = None
        if len(new):
            begun = new[torch.arange(len(new), device=new.device), position - self.start], position
        transport.forward.carry(self.active, self.start, begun)
        self.fresh = self.joined

    def skipped(self, local: LocalReplacementModel, layer: int) -> Tensor:
        """What a layer's skip connection makes of the stream. -> [s, p - start, d]."""
        read = local.run.read(local.frozen_map, layer, self.active, slice(self.start, None))
        return local.transcoder.skip(layer, read)


def _embedding_flows(embedding: Tensor) -> list[Flow]:
    """Flows of neighbouring embeddings [p, d], in parts: none reaches a position before its own."""
    P, d = embedding.shape
    flows: list[Flow] = []
    for part in torch.arange(P, device=embedding.device).split(max(1, _PART // d, -(-P // _MOST_PARTS))):
        start, n = int(part[0]), len(part)
        x = embedding.new_zeros(n, P - start, d)
        x.diagonal(dim1=0, dim2=1).copy_(embedding[start : start + n].T)
        flows.append(Flow(x, start, part, joined=n))
    return flows


class Streams:
    """All sources that flow: features by position and errors up to the plane in layer `cut`, embeddings to the top."""

    def __init__(self, local: LocalReplacementModel, cut: int, transports: Sequence[Transport]) -> None:
        run, features = local.run, local.features
        P, d = run.embedding.shape
        first, zeros = local.first_position, run.embedding.new_zeros
        position = torch.arange(P, device=run.embedding.device)
        self.local, self.cut, self.transports = local, cut, transports
        self._reads_before_attention = run.reads_before_attention(local.frozen_map)
        sizes = [features.starts[p][cut] - features.starts[p][0] for p in range(first, P)]
        self.features = [
            Flow(zeros(n, P - p, d), p, position[p : p + 1].expand(n))
            for p, n in zip(range(first, P), sizes, strict=True)
        ]
        self.errors = Flow(zeros(cut * (P - first), P - first, d), first, position[first:].repeat(cut))
        self.embeddings = _embedding_flows(run.embedding)

    def forget(self, position: int) -> None:
        """Free the features' streams that begin after `position`, which no target that is left can see."""
        for flow in self.features:
            if flow.start > position and flow.joined:
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
        self.errors.joined = (m + 1) * n
