"""Edges of a graph as compressed rows, and the few products over them that every formula needs.

Axes: n nodes in topological order, t targets (rows), s sources, e edges.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Floats = npt.NDArray[np.floating[Any]]
Bool = npt.NDArray[np.bool_]


class Adjacency(NamedTuple):
    """Signed edges A[t, s], rows = targets. Sources rise within a row and lie before their target."""

    indptr: Int64  # [n + 1]
    source: Int32  # [e]
    weight: Float32  # [e]

    @property
    def n(self) -> int:
        """Number of nodes."""
        return len(self.indptr) - 1

    @property
    def in_degree(self) -> Int64:
        """Number of edges into each node, [n]."""
        return np.diff(self.indptr)

    @property
    def targets(self) -> Int32:
        """Target of every edge, [e]."""
        return np.repeat(np.arange(self.n, dtype=np.int32), self.in_degree)

    def row(self, t: int) -> slice:
        """The edges into node `t`."""
        return slice(int(self.indptr[t]), int(self.indptr[t + 1]))


class Block(NamedTuple):
    """Rows `start:stop` of an adjacency that do not feed each other, with |weight|."""

    start: int
    stop: int
    indptr: Int64
    source: Int32
    magnitude: Float32

    def scatter(self, value: Floats, into: Float64) -> None:
        """Add sum_t value[t] |A[t, s]| over the block's rows to `into` [n]; `value` is [stop - start]."""
        if len(self.source):
            # Sources lie before the block, so its columns end where its rows start.
            matrix = _csc()((self.magnitude, self.source, self.indptr), shape=(self.start, len(value)))
            into[: self.start] += matrix @ value.astype(np.float32)

    def gather(self, value: Float64) -> Float64:
        """sum_s |A[t, s]| value[s] of the block's rows. value: [start, c] -> [stop - start, c]."""
        if not len(self.source):
            return np.zeros((self.stop - self.start, value.shape[1]))
        shape = (self.start, self.stop - self.start)
        return _csc()((self.magnitude, self.source, self.indptr), shape=shape).T @ value


def blocks_from_last(adjacency: Adjacency) -> Iterator[Block]:
    """The adjacency cut into runs of rows that do not feed each other, from the logits down.

    Rows of one layer are such a run, so there are about as many blocks as layers, and a triangular solve becomes
    one matrix-vector product per block.
    """
    for start, stop in reversed(_block_bounds(adjacency)):
        first, last = adjacency.indptr[start], adjacency.indptr[stop]
        yield Block(
            start,
            stop,
            adjacency.indptr[start : stop + 1] - first,
            adjacency.source[first:last],
            np.abs(adjacency.weight[first:last]),
        )


def _block_bounds(adjacency: Adjacency) -> list[tuple[int, int]]:
    """Bounds of the blocks: each run goes on until a row reads from inside the run."""
    latest_source = np.full(adjacency.n, -1, dtype=np.int64)  # of each row, [n]; -1 for an empty row
    filled = adjacency.in_degree > 0
    latest_source[filled] = adjacency.source[adjacency.indptr[1:][filled] - 1]
    bounds: list[tuple[int, int]] = []
    start = 0
    for row, latest in enumerate(latest_source.tolist()):
        if latest >= start:
            bounds.append((start, row))
            start = row
    return [*bounds, (start, adjacency.n)]


@lru_cache(maxsize=1)
def _csc() -> Any:
    """scipy.sparse.csc_array; importing scipy takes longer than opening a graph, so only those who need it pay."""
    from scipy.sparse import csc_array

    return csc_array


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A view of `array` that cannot be written to: columns of a graph are values."""
    view = array.view()
    view.flags.writeable = False
    return view


def row_sums(indptr: Int64, values: npt.NDArray[Any]) -> Float64:
    """Sum of `values` [e] over each row, [n]; empty rows give 0."""
    total = np.zeros(len(indptr) - 1)
    filled = np.diff(indptr) > 0
    if filled.any():
        total[filled] = np.add.reduceat(values, indptr[:-1][filled])
    return total


def select_nodes(adjacency: Adjacency, keep: Bool) -> Adjacency:
    """The edges among the nodes in `keep` [n], with these nodes renumbered."""
    rows = [adjacency.row(t) for t in np.flatnonzero(keep).tolist()]
    if not rows:
        return Adjacency(np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))
    source = np.concatenate([adjacency.source[row] for row in rows])
    weight = np.concatenate([adjacency.weight[row] for row in rows])
    indptr = np.cumsum([0, *(row.stop - row.start for row in rows)], dtype=np.int64)
    new_row = np.cumsum(keep, dtype=np.int32) - np.int32(1)
    inside = keep[source]
    return select_edges(Adjacency(indptr, new_row[source], weight), inside)


def select_edges(adjacency: Adjacency, keep: Bool) -> Adjacency:
    """The adjacency with only the edges in `keep` [e]."""
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(keep, dtype=np.int64)])
    return Adjacency(before[adjacency.indptr], adjacency.source[keep], adjacency.weight[keep])
