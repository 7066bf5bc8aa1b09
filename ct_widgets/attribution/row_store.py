"""Rows of the graph as they are computed, in any order, and what they say so far.

Axes: n node, t target, s source, e edge.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import csc_array, csr_array

from ct_widgets.graph.adjacency import Adjacency, Bool, row_sums, select_edges

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class _Chunk(NamedTuple):
    """Some rows. target, layer: [t]; edges: the rows, whose sources are numbers of nodes."""

    target: Ints
    layer: Ints
    edges: Adjacency


class RowStore:
    """Sparse rows A[t, :] of `n` nodes in topological order. row_total: [n], the sum of |A| over each row."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.row_total = np.zeros(n)
        self._new: list[_Chunk] = []
        self._sorted: list[_Chunk] = []

    def add(
        self,
        target: Ints,
        layer: Ints,
        count: Ints,
        source: npt.NDArray[np.int32],
        weight: npt.NDArray[np.float32],
    ) -> None:
        """Add rows of nodes `target` [t] in `layer` [t]: `count` [t] edges each, `source`, `weight` [e] row by row."""
        edges = Adjacency(np.concatenate([[0], np.cumsum(count)]), source, weight)
        self.row_total[target] = row_sums(edges.indptr, np.abs(weight))
        self._new.append(_Chunk(target, layer, edges))

    def influence(self, share: Floats) -> Floats:
        """Influence of every node on the outputs through the rows so far; share: [n], probability at the logits.

        I = p^T (Ahat + Ahat^2 + ...) [CT25]; rows of one layer do not feed each other, so one pass down is exact.
        """
        self._sort()
        influence = np.zeros(self.n)
        for layer in np.unique(np.concatenate([chunk.layer for chunk in self._sorted]))[::-1]:
            for target, _, edges in self._sorted_rows(layer):
                total = self.row_total[target]
                value = np.divide(influence[target] + share[target], total, out=np.zeros(len(target)), where=total > 0)
                shape = (self.n, len(target))
                influence += csc_array((np.abs(edges.weight), edges.source, edges.indptr), shape=shape) @ value
        return influence

    def adjacency(self, keep: Bool) -> Adjacency:
        """The rows of the nodes in `keep` [n] and their edges among them, renumbered; rows not computed are empty."""
        self._sort()
        number = np.cumsum(keep, dtype=np.int32) - np.int32(1)
        parts = [select_edges(chunk.edges, keep[chunk.edges.source]) for chunk in self._sorted]
        target = np.concatenate([chunk.target for chunk in self._sorted])
        source = number[np.concatenate([part.source for part in parts])]
        count = np.concatenate([part.in_degree for part in parts])
        # One more, empty, row stands for all that were not computed.
        indptr = np.concatenate([[0], np.cumsum(count), [count.sum()]])
        shape = (len(target) + 1, int(keep.sum()))
        stacked = csr_array((np.concatenate([part.weight for part in parts]), source, indptr), shape=shape)
        place = np.full(self.n, len(target))
        place[target] = np.arange(len(target))
        rows = stacked[place[keep]]
        return Adjacency(rows.indptr.astype(np.int64), rows.indices, rows.data)

    def _sort(self) -> None:
        """Make one chunk, sorted by layer, of all that came since the last time."""
        if not self._new:
            return
        layer = np.concatenate([chunk.layer for chunk in self._new])
        order = np.argsort(layer, kind="stable")
        count = np.concatenate([chunk.edges.in_degree for chunk in self._new])
        source = np.concatenate([chunk.edges.source for chunk in self._new])
        weight = np.concatenate([chunk.edges.weight for chunk in self._new])
        indptr = np.concatenate([[0], np.cumsum(count)])
        rows = csr_array((weight, source, indptr), shape=(len(layer), self.n))[order]
        target = np.concatenate([chunk.target for chunk in self._new])[order]
        edges = Adjacency(rows.indptr.astype(np.int64), rows.indices, rows.data)
        self._sorted.append(_Chunk(target, layer[order], edges))
        self._new = []

    def _sorted_rows(self, layer: int) -> list[_Chunk]:
        """The rows of one layer, chunk by chunk."""
        found: list[_Chunk] = []
        for chunk in self._sorted:
            start, stop = np.searchsorted(chunk.layer, [layer, layer + 1])
            first, last = chunk.edges.indptr[start], chunk.edges.indptr[stop]
            indptr, edges = chunk.edges.indptr[start : stop + 1] - first, slice(first, last)
            rows = Adjacency(indptr, chunk.edges.source[edges], chunk.edges.weight[edges])
            found.append(_Chunk(chunk.target[start:stop], chunk.layer[start:stop], rows))
        return found
