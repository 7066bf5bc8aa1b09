"""Rows of the graph as they are computed, in any order, and what they say so far.

All targets of one layer and position have the same sources: every node of the layers below, up to that position. So
their rows stand together as one dense matrix, in half the room of a sparse one.
Axes: n node, t target, s source, e edge.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from ct_widgets.attribution.nodes import Nodes
from ct_widgets.attribution.sweep import Rows
from ct_widgets.graph.adjacency import Adjacency, Bool, Float32
from ct_widgets.graph.node_id import EMBEDDING, ERROR, FEATURE

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class _Part(NamedTuple):
    """Rows that came together. target: [t]; weight: [t, s]."""

    target: Ints
    weight: Float32


class _Cell(NamedTuple):
    """The rows of one layer and position. source: [s], rising."""

    source: Ints
    parts: list[_Part]


class RowStore:
    """Rows A[t, :] of nodes in topological order. row_total: [n], the sum of |A| over each row."""

    def __init__(self, nodes: Nodes) -> None:
        self.n = len(nodes.number)
        self.row_total = np.zeros(self.n)
        self._nodes = nodes
        self._cells: dict[tuple[int, int], _Cell] = {}

    def add(self, rows: Rows, target: Ints) -> None:
        """Add the rows of the nodes `target` [t], of which those of one layer and position are neighbours."""
        dense = rows.dense.float().cpu()  # the block's one transfer from a GPU
        layer, position = (self._nodes.columns[name][target] for name in ("layer", "position"))
        ends = np.flatnonzero((np.diff(layer) != 0) | (np.diff(position) != 0)) + 1
        for start, stop in zip([0, *ends], [*ends, len(target)], strict=True):
            cell = self._cell(int(layer[start]), int(position[start]))
            places = torch.from_numpy(self._places(rows, cell.source))
            weight = dense[start:stop].index_select(1, places).numpy()
            self.row_total[target[start:stop]] = np.abs(weight).sum(1)
            cell.parts.append(_Part(target[start:stop], weight))

    def _cell(self, layer: int, position: int) -> _Cell:
        if (layer, position) not in self._cells:
            columns = self._nodes.columns
            source = np.flatnonzero((columns["layer"] < layer) & (columns["position"] <= position))
            self._cells[layer, position] = _Cell(source, [])
        return self._cells[layer, position]

    def _places(self, rows: Rows, source: Ints) -> Ints:
        """Where a block of rows has these sources. -> [s]."""
        offset = np.zeros(1 + max(EMBEDDING, FEATURE, ERROR), dtype=np.int64)
        offset[FEATURE] = rows.embedding.shape[1]
        offset[ERROR] = rows.embedding.shape[1] + rows.feature.shape[1]
        return offset[self._nodes.columns["kind"][source]] + self._nodes.number[source]

    def influence(self, share: Floats) -> Floats:
        """Influence of every node on the outputs through the rows so far; share: [n], probability at the logits.

        I = p^T (Ahat + Ahat^2 + ...) [CT25]; rows of one layer do not feed each other, so one pass down is exact.
        """
        influence = np.zeros(self.n)
        for _, cell in sorted(self._cells.items(), key=lambda item: item[0], reverse=True):
            passed = np.zeros(len(cell.source), dtype=np.float32)
            for target, weight in cell.parts:
                total = self.row_total[target]
                value = np.divide(influence[target] + share[target], total, out=np.zeros(len(target)), where=total > 0)
                passed += value.astype(np.float32) @ np.abs(weight)
            influence[cell.source] += passed
        return influence

    def take(self, keep: Bool) -> Adjacency:
        """The rows of the nodes in `keep` [n] and their edges among them, renumbered; rows not computed are empty.

        The store is empty afterwards: rows leave as they are written, so that they never stand in memory twice.
        """
        number = np.cumsum(keep) - 1
        count = np.zeros(int(keep.sum()), dtype=np.int64)
        for cell in self._cells.values():
            for i, (target, weight) in enumerate(cell.parts):
                part = _Part(number[target[keep[target]]], _chosen(weight, keep[target], keep[cell.source]))
                count[part.target] = np.count_nonzero(part.weight, axis=1)
                cell.parts[i] = part
        indptr = np.concatenate([[0], np.cumsum(count)])
        edges = Adjacency(indptr, np.empty(indptr[-1], np.int32), np.empty(indptr[-1], np.float32))
        while self._cells:
            _, (source, parts) = self._cells.popitem()
            renumbered = number[source[keep[source]]].astype(np.int32)
            for part in parts:
                _write(part, renumbered, edges)
        return edges


def _write(part: _Part, source: npt.NDArray[np.int32], edges: Adjacency) -> None:
    """Put rows that read these sources [s] into their places. A weight of exactly 0 is no edge; most rows have none."""
    (rows, weight), indptr = part, edges.indptr
    if not len(rows):
        return
    place = slice(indptr[rows[0]], indptr[rows[-1] + 1])
    if rows[-1] - rows[0] + 1 == len(rows) and place.stop - place.start == weight.size:
        edges.source[place].reshape(weight.shape)[:] = source
        edges.weight[place].reshape(weight.shape)[:] = weight
        return
    for row, values in zip(rows.tolist(), weight, strict=True):
        place = slice(indptr[row], indptr[row + 1])
        present = slice(None) if place.stop - place.start == len(values) else values != 0
        edges.source[place], edges.weight[place] = source[present], values[present]


def _chosen(weight: Float32, rows: Bool, columns: Bool) -> Float32:
    """The chosen rows and columns of a matrix, which is not copied if they are all."""
    weight = weight if rows.all() else weight[rows]
    return weight if columns.all() else weight.take(np.flatnonzero(columns), axis=1)
