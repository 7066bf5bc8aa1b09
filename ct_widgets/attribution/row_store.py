"""Rows of the graph as they are computed, in any order, put together in the graph's own order.

Axes: n node, t target, s source, e edge.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from ct_widgets.graph.adjacency import Adjacency, row_sums
from ct_widgets.graph.influence import influence

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class RowStore:
    """Sparse rows A[t, :] of `n` nodes in topological order. row_total: [n], the sum of |A| over each row."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.row_total = np.zeros(n)
        self._target: list[Ints] = []
        self._count: list[Ints] = []
        self._source: list[npt.NDArray[np.int32]] = []
        self._weight: list[npt.NDArray[np.float32]] = []

    def add(self, target: Ints, count: Ints, source: npt.NDArray[np.int32], weight: npt.NDArray[np.float32]) -> None:
        """Add the rows of nodes `target` [t]: `count` [t] edges each, `source` and `weight` [e] row after row."""
        self._target.append(target)
        self._count.append(count)
        self._source.append(source)
        self._weight.append(weight)
        self.row_total[target] = row_sums(np.concatenate([[0], np.cumsum(count)]), np.abs(weight))

    def adjacency(self) -> Adjacency:
        """All rows; those not computed are empty."""
        target = np.concatenate(self._target)
        indptr = np.concatenate([[0], np.cumsum(np.concatenate(self._count))])
        # One more, empty, row stands for all that were not computed.
        indptr = np.append(indptr, indptr[-1])
        shape = (len(target) + 1, self.n)
        stacked = csr_array((np.concatenate(self._weight), np.concatenate(self._source), indptr), shape=shape)
        place = np.full(self.n, len(target))
        place[target] = np.arange(len(target))
        rows = stacked[place]
        return Adjacency(rows.indptr.astype(np.int64), rows.indices, rows.data)

    def influence(self, share: Floats) -> Floats:
        """Influence of every node on the outputs through the rows so far; share: [n], probability at the logits."""
        return influence(self.adjacency(), self.row_total, share)
