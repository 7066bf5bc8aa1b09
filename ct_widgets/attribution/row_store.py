"""Rows of the graph as they are computed, in any order, and the influence they give so far.

Axes: n node, t target, s source, e edge.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class RowStore:
    """Sparse rows A[t, :] of `n` nodes in topological order."""

    def __init__(self, n: int) -> None:
        self.n = n
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

    def matrix(self) -> Any:
        """All rows as one scipy CSR array [n, n]; rows not computed are empty."""
        target = np.concatenate(self._target)
        indptr = np.concatenate([[0], np.cumsum(np.concatenate(self._count))])
        # One more, empty, row stands for all that were not computed.
        indptr = np.append(indptr, indptr[-1])
        shape = (len(target) + 1, self.n)
        stacked = csr_array((np.concatenate(self._weight), np.concatenate(self._source), indptr), shape=shape)
        place = np.full(self.n, len(target))
        place[target] = np.arange(len(target))
        return stacked[place]

    def influence(self, share: Floats) -> Floats:
        """Influence of every node on the outputs, through the rows computed so far: METHODS of [CT25], I = p^T B.

        share: [n], the probability of each logit node and 0 elsewhere.
        """
        matrix = abs(self.matrix())
        total = np.asarray(matrix.sum(axis=1)).ravel()
        scale = np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)
        influence, carried = np.zeros(self.n), share
        while carried.any():  # every step goes down at least one layer, so this ends
            carried = matrix.T @ (carried * scale)
            influence += carried
        return influence
