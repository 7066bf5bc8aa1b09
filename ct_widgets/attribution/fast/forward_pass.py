"""Forward mode (JVP): what each source has put into the residual stream, layer by layer, and the targets on the way.

What sources below the cut layer have sent there is computed once, here, instead of once per target in reverse mode.
Embeddings go through all layers, since they are few. Axes: t target, s source, p (q, k) position, l (m) layer, d model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ct_widgets.attribution.active_features import FeatureWrites
from ct_widgets.attribution.fast.attention_maps import AttentionMaps
from ct_widgets.attribution.fast.matmul import Workspace, matmul
from ct_widgets.attribution.memory_plan import MemoryPlan
from ct_widgets.attribution.nodes import Ints
from ct_widgets.attribution.rows import Rows, Targets
from ct_widgets.attribution.tuning import Tuning


@dataclass(eq=False)
class SourceBlock:
    """The streams of sources whose origins are `position` [s], none before `start`. x: [s, p - start, d].

    The first `n_active` sources have written; those from `n_spread` on are still at their origin.
    """

    x: Tensor
    start: int
    position: Tensor
    n_active: int = 0
    n_spread: int = 0

    @property
    def active(self) -> Tensor:
        """Return the streams of the active sources. -> [s, p - start, d]."""
        return self.x[: self.n_active]

    def at(self, position: int) -> Tensor:
        """Return what the active sources have put into `position`. -> [s, d]."""
        return self.active[:, position - self.start]

    def apply_attention(self, attention: AttentionMaps) -> None:
        """Add a layer's attention to every active source."""
        at_origin = None
        if self.n_spread < self.n_active:
            new = slice(self.n_spread, self.n_active)
            x, position = self.x[new], self.position[new]
            at_origin = x[torch.arange(len(x), device=x.device), position - self.start], position
        attention.forward.apply(self.active, self.start, at_origin)
        self.n_spread = self.n_active


def _embedding_blocks(embedding: Tensor, tuning: Tuning) -> list[SourceBlock]:
    """Blocks of neighbouring embeddings [p, d]: none reaches a position before its own."""
    P, d = embedding.shape
    n_together = max(1, tuning.embedding_block // d, -(-P // tuning.embedding_blocks))
    blocks: list[SourceBlock] = []
    for position in torch.arange(P, device=embedding.device).split(n_together):
        start, n = int(position[0]), len(position)
        x = embedding.new_zeros(n, P - start, d)
        x.diagonal(dim1=0, dim2=1).copy_(embedding[start : start + n].T)
        blocks.append(SourceBlock(x, start, position, n_active=n))
    return blocks


class ForwardPass:
    """The streams of all sources: of features by position and of errors up to the cut layer, of embeddings to the top.

    embedding: [t, p], the rows of the embeddings for all targets: their streams pass every target once.
    """

    def __init__(
        self, targets: Targets, writes: FeatureWrites, maps: list[AttentionMaps], workspace: Workspace, plan: MemoryPlan
    ) -> None:
        local = targets.local
        starts, first, cut = local.features.starts, local.first_position, plan.cut or 0
        (P, d), zeros = local.run.embedding.shape, local.run.embedding.new_zeros
        position = torch.arange(P, device=local.run.embedding.device)
        self.cut = cut
        self._targets, self._local, self._writes, self._attention = targets, local, writes, maps
        self._memory = partial(workspace.take, "rows")
        self._reads_before_attention = local.run.reads_before_attention(local.frozen_map)
        sizes = [starts[p][cut] - starts[p][0] for p in range(first, P)]
        self.features = [
            SourceBlock(zeros(n, P - p, d), p, position[p : p + 1].expand(n))
            for p, n in zip(range(first, P), sizes, strict=True)
        ]
        self.errors = SourceBlock(zeros(cut * (P - first), P - first, d), first, position[first:].repeat(cut))
        self._embeddings = _embedding_blocks(local.run.embedding, plan.tuning)
        self.embedding = zeros(len(targets.node), P)

    def run(self) -> Iterator[tuple[Ints, Rows]]:
        """Push features and errors to the cut layer and embeddings to the top.

        Yields numbers and rows, good until the next, of features up to the cut layer that read more than embeddings.
        """
        starts, run = self._local.features.starts, self._local.run
        for layer in range(run.n_layers):
            if not self._reads_before_attention:
                self._apply_attention(layer)
            groups = [np.arange(*starts[p][layer : layer + 2]) for p in range(run.n_positions)]
            # The encoder's rows of a layer leave its file together.
            vectors = self._targets.block(np.concatenate(groups), at_stream=True).vector
            for position, vector in enumerate(vectors.split([len(numbers) for numbers in groups])):
                if len(vector):
                    begin = starts[position][layer]
                    self._read_embeddings(vector, position, begin)
                    if 0 < layer <= self.cut:
                        yield groups[position], self._read(vector, position, begin)
            self._to_output(layer)
        n = self._targets.n_features
        logits = self._targets.block(np.arange(n, len(self.embedding)), at_stream=True)
        self._read_embeddings(logits.vector, run.n_positions - 1, n)

    def release(self, position: int) -> None:
        """Free the features' streams that begin after `position`, which no target that is left can see."""
        for block in self.features:
            if block.start > position and block.n_active:
                block.x, block.n_active = block.x[:0].clone(), 0

    def _read_embeddings(self, vector: Tensor, position: int, begin: int) -> None:
        """Rows of the embeddings for targets [t, d] at one position, numbered from `begin` on."""
        rows = self.embedding[begin : begin + len(vector)]
        for block in self._embeddings:
            if block.start <= position:
                torch.mm(vector, block.at(position).T, out=rows[:, block.start : block.start + block.n_active])

    def _read(self, vector: Tensor, position: int, begin: int) -> Rows:
        """All rows of these targets."""
        first, starts, n = self._local.first_position, self._local.features.starts, len(vector)
        rows = Rows.zeros(self._local, n, position + 1, self._memory)
        rows.embedding[:] = self.embedding[begin : begin + n, : position + 1]
        for block in self.features:
            if block.start <= position and block.n_active:
                column = starts[block.start][0]
                rows.feature[:, column : column + block.n_active] = matmul(vector, block.at(position))
        if self.errors.n_active and position >= first:
            read = matmul(vector, self.errors.at(position)).view(n, -1, self._local.run.n_positions - first)
            rows.error[:, : read.shape[1], first:] = read[..., : position + 1 - first]
        return rows

    def _to_output(self, layer: int) -> None:
        """Bring the streams from where a transcoder reads to the layer's output; below the cut, sources write to it."""
        local, transcoder = self._local, self._local.model.transcoder
        skipped = [
            transcoder.skip(layer, local.run.read(local.frozen_map, layer, block.active, slice(block.start, None)))
            for block in (self._blocks(layer) if transcoder.W_skip is not None else ())
        ]
        if self._reads_before_attention:
            self._apply_attention(layer)
        for block, addition in zip(self._blocks(layer), skipped, strict=False):
            block.active.add_(addition)
        if layer < self.cut:
            self._write(layer)

    def _blocks(self, layer: int) -> list[SourceBlock]:
        below = [*self.features, self.errors] if layer <= self.cut else []
        return [*self._embeddings, *(block for block in below if block.n_active)]

    def _apply_attention(self, layer: int) -> None:
        for block in self._blocks(layer):
            block.apply_attention(self._attention[layer])

    def _write(self, m: int) -> None:
        """Activate the sources of layer m, and add what all of them write to the MLP output of layer m."""
        starts, error = self._local.features.starts, self._local.error[m, self._local.first_position :]
        for block in self.features:
            begin = starts[block.start][0]
            columns = self._writes.columns(m, block.start)
            block.n_active = starts[block.start][m + 1] - begin
            block.x[columns.start - begin : columns.stop - begin, 0] += self._writes.at(m, block.start)
        n = len(error)
        self.errors.x[m * n : (m + 1) * n].diagonal(dim1=0, dim2=1).copy_(error.T)
        self.errors.n_active = (m + 1) * n
