"""Rows of the graph as they are computed, in any order, and what they say so far.

Axes: n node, t target, s source, e edge.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ct_widgets.attribution.nodes import Ints, Nodes
from ct_widgets.attribution.rows import Rows, upload
from ct_widgets.graph.adjacency import Adjacency, Bool
from ct_widgets.graph.node_id import EMBEDDING, ERROR, FEATURE

Floats = npt.NDArray[np.float64]
_DTYPES = (torch.int32, torch.float32)  # of an edge's source and weight


class _Part(NamedTuple):
    """Rows that came together, and the nodes that they may read.

    target: [t], by falling layer; source: [s], rising; weight: [t, s], zero where there is no edge.
    """

    target: Ints
    source: Ints
    weight: Tensor


class RowStore:
    """Rows A[t, :] of nodes in topological order.

    All targets of one layer and position have the same sources: every node of the layers below, up to that position.
    Rows are kept in such parts on the CPU: they hold no zeros, in half the room of sparse ones. On a GPU every part
    costs the launch of its kernels, so with a `blocks_device` a part is all that is added at once, and stays there.
    """

    def __init__(self, nodes: Nodes, blocks_device: torch.device | None = None) -> None:
        self.n = len(nodes.number)
        self._nodes, self._in_blocks = nodes, blocks_device is not None
        self._device = blocks_device or torch.device("cpu")
        self._total = torch.zeros(self.n, dtype=torch.float64, device=self._device)
        self._parts: list[_Part] = []
        self._sources: dict[int, Ints] = {}
        self._n_positions = int(nodes.columns["position"].max()) + 1
        self._cell = nodes.columns["layer"] * self._n_positions + nodes.columns["position"]
        self._reserved: list[Tensor] = []

    @property
    def row_total(self) -> Floats:
        """Sum |A| over each row, [n]."""
        return self._total.cpu().numpy()

    def add(self, rows: Rows, target: Ints) -> None:
        """Add the rows of the nodes `target` [t], by falling layer and then rising position."""
        dense = rows.dense.to(self._device, torch.float32)
        self._total[self._on_device(target)] = torch.linalg.vector_norm(dense, 1, dim=1).double()
        for part, source in self._split(target):
            weight = dense[part].index_select(1, self._on_device(self._columns(rows, source)))
            self._parts.append(_Part(target[part], source, weight))

    def _on_device(self, values: npt.NDArray[Any]) -> Tensor:
        return upload(torch.from_numpy(values), self._device)

    def _split(self, target: Ints) -> Iterator[tuple[slice, Ints]]:
        """Cut neighbouring rows into the parts in which they are kept; yields each with its sources."""
        cell = self._cell[target]
        ends = [] if self._in_blocks else (np.flatnonzero(cell[1:] != cell[:-1]) + 1).tolist()
        for start, stop in pairwise([0, *ends, len(target)]):
            # Of a block, the highest layer and the last position.
            layer, position = divmod(int(cell[start]), self._n_positions)
            if self._in_blocks:
                position = int(self._nodes.columns["position"][target].max())
            yield slice(start, stop), self._up_to(layer, position)

    def _up_to(self, layer: int, position: int) -> Ints:
        """Nodes of lower layers, up to a position. Nodes are sorted by layer."""
        key = layer * self._n_positions + position
        if key not in self._sources:
            n_below = np.searchsorted(self._nodes.columns["layer"], layer)
            self._sources[key] = np.flatnonzero(self._nodes.columns["position"][:n_below] <= position)
        return self._sources[key]

    def _columns(self, rows: Rows, source: Ints) -> Ints:
        """Where a block of rows has these sources. -> [s]."""
        offset = np.zeros(1 + max(EMBEDDING, FEATURE, ERROR), dtype=np.int64)
        offset[FEATURE] = rows.embedding.shape[1]
        offset[ERROR] = rows.embedding.shape[1] + rows.feature.shape[1]
        return offset[self._nodes.columns["kind"][source]] + self._nodes.number[source]

    def influence(self, share: Floats) -> Floats:
        """Compute the influence of every node on the outputs through the rows so far. share: [n], p at the logits.

        I = p^T (Ahat + Ahat^2 + ...) [CT25]. Rows of one layer do not feed each other, so one pass down is exact, and
        so are as many products with all rows as there are layers.
        """
        return self._influence_at_once(share) if self._in_blocks else self._influence_by_layer(share)

    def _influence_by_layer(self, share: Floats) -> Floats:
        influence, row_total, layer = np.zeros(self.n), self.row_total, self._nodes.columns["layer"]
        for part in sorted(self._parts, key=lambda part: -layer[part.target[0]]):
            total = row_total[part.target]
            passing = influence[part.target] + share[part.target]
            value = np.divide(passing, total, out=np.zeros(len(total)), where=total > 0)
            influence[part.source] += value.astype(np.float32) @ np.abs(part.weight.numpy())
        return influence

    def _influence_at_once(self, share: Floats) -> Floats:
        target = self._on_device(np.concatenate([part.target for part in self._parts]))
        rows = torch.zeros(len(target), self.n, device=self._device)
        sizes = [len(part.target) for part in self._parts]
        for part, to in zip(self._parts, rows.split(sizes), strict=True):
            to.index_copy_(1, self._on_device(part.source), part.weight.abs())
        rows /= self._total[target, None].clamp_min(torch.finfo(torch.float32).tiny)
        start = passing = self._on_device(share).float()
        for _ in range(int(self._nodes.columns["layer"].max()) + 1):
            passing = start + passing[target] @ rows
        return (passing - start).double().cpu().numpy()

    def reserve(self, keep: Bool) -> None:
        """Get memory for the edges of `take(keep)` if they come from a GPU, which may still be at work.

        A transfer to memory that nobody has touched takes several times as long.
        """
        if self._in_blocks:
            n = self._most_edges(keep)
            self._reserved = [torch.empty(n, dtype=dtype).zero_() for dtype in _DTYPES]

    def take(self, keep: Bool) -> Adjacency:
        """Hand over the rows of the nodes in `keep` [n] and their edges, renumbered; rows not computed are empty.

        The store is empty afterwards: rows become edges, and rows of a whole prompt do not fit in memory twice.
        """
        number = np.cumsum(keep) - 1
        parts = [_chosen(part, keep, number) for part in self._parts]
        self._parts.clear()
        count = np.zeros(int(keep.sum()), dtype=np.int64)
        if parts:
            counted = torch.cat([torch.count_nonzero(part.weight, dim=1) for part in parts])
            count[np.concatenate([part.target for part in parts])] = counted.cpu().numpy()
        indptr = np.concatenate([[0], np.cumsum(count)])
        n_edges = int(indptr[-1])
        source, weight = (torch.empty(n_edges, dtype=dtype, device=self._device) for dtype in _DTYPES)
        while parts:
            _write(parts.pop(), indptr, source, weight)
        if self._reserved:
            source, weight = (self._reserved.pop(0)[:n_edges].copy_(edges) for edges in (source, weight))
        return Adjacency(indptr, source.numpy(), weight.numpy())

    def _most_edges(self, keep: Bool) -> int:
        """Edges among the nodes in `keep` if no weight is zero."""
        layer, position = self._nodes.columns["layer"], self._nodes.columns["position"]
        sources = np.zeros((int(layer.max()) + 2, int(position.max()) + 1), dtype=np.int64)
        np.add.at(sources, (layer[keep] + 1, position[keep]), 1)
        below = sources.cumsum(0).cumsum(1)
        target = np.concatenate([part.target for part in self._parts])
        target = target[keep[target]]
        return int(below[layer[target], position[target]].sum())


def _chosen(part: _Part, keep: Bool, number: Ints) -> _Part:
    """The kept rows and columns of a part, under their new numbers; a matrix of which all is kept is not copied."""
    if len(number) == number[-1] + 1:
        return part
    rows, columns, weight = keep[part.target], keep[part.source], part.weight
    if not rows.all():
        weight = weight[upload(torch.from_numpy(np.flatnonzero(rows)), weight.device)]
    if not columns.all():
        weight = weight.index_select(1, upload(torch.from_numpy(np.flatnonzero(columns)), weight.device))
    return _Part(number[part.target[rows]], number[part.source[columns]], weight)


def _write(part: _Part, indptr: Ints, source: Tensor, weight: Tensor) -> None:
    """Put the edges of a part into their places. A weight of exactly 0 is no edge; most parts on a CPU have none."""
    target, values = part.target, part.weight
    sources = upload(torch.from_numpy(part.source.astype(np.int32)), values.device)
    first, count = indptr[target], indptr[target + 1] - indptr[target]
    neighbours = len(target) == 0 or target[-1] - target[0] == len(target) - 1
    if neighbours and count.sum() == values.numel():
        place = slice(first[0], first[0] + values.numel()) if len(target) else slice(0)
        source[place].view_as(values)[:] = sources
        weight[place].view_as(values)[:] = values
        return
    row, column = values.nonzero(as_tuple=True)
    # An edge's place: its row's first, and its own among all that were found, which come row by row.
    start = upload(torch.from_numpy(first - (np.cumsum(count) - count)), values.device)
    place = start[row] + torch.arange(len(row), device=values.device)
    source[place], weight[place] = sources[column], values[row, column]
