"""Checks that the columns of a graph fit together; each failure says which column, where and what is expected."""

from __future__ import annotations

import numpy as np

from ct_widgets.errors import GraphError
from ct_widgets.graph.adjacency import Adjacency
from ct_widgets.graph.node_id import EMBEDDING, ERROR, FEATURE, KIND_NAMES, LOGIT, NO_INDEX, OTHER
from ct_widgets.graph.schema import NODE_COLUMNS, Columns

# Edges that are checked together: marks of all of them at once would be memory to fill and free.
_TOGETHER = 2**18


def check(graph: Columns) -> None:
    """Raise GraphError unless every column has its length, range and order."""
    _check_lengths(graph)
    check_adjacency(graph.adjacency)
    _check_nodes(graph)
    _check_order(graph)


def _check_lengths(graph: Columns) -> None:
    n = len(graph.kind)
    for name in NODE_COLUMNS:
        column = getattr(graph, name)
        if len(column) != n or (isinstance(column, np.ndarray) and column.ndim != 1):
            raise GraphError(f"column {name!r} has shape {np.shape(column)}, and the graph has {n} nodes")
    if graph.cumulative is not None and graph.cumulative.shape != (n,):
        raise GraphError(f"column 'cumulative' has shape {graph.cumulative.shape}, and the graph has {n} nodes")
    if graph.adjacency.n != n:
        raise GraphError(f"indptr has {len(graph.indptr)} entries; a graph of {n} nodes needs {n + 1}")
    if graph.token_ids.shape != (len(graph.tokens),):
        raise GraphError(f"{len(graph.tokens)} tokens have token ids of shape {graph.token_ids.shape}")


def check_adjacency(adjacency: Adjacency) -> None:
    """Raise GraphError unless edges are finite, sorted and point from lower to higher rows."""
    indptr, source, weight = adjacency
    if len(indptr) == 0 or indptr[0] != 0 or indptr[-1] != len(source) or (np.diff(indptr) < 0).any():
        raise GraphError(f"indptr must rise from 0 to the number of edges, {len(source)}")
    if len(weight) != len(source):
        raise GraphError(f"{len(source)} edges have {len(weight)} weights")
    if len(source) == 0:
        return
    falls = 0  # from one edge to the next
    for start in range(0, len(source), _TOGETHER):
        if not np.isfinite(weight[start : start + _TOGETHER]).all():
            raise GraphError("edge weights must be finite; a nan or an infinity means that attribution went wrong")
        later = source[start + 1 : start + 1 + _TOGETHER]
        falls += np.count_nonzero(later <= source[start : start + len(later)])
    filled = adjacency.in_degree > 0
    first, last = indptr[:-1][filled], indptr[1:][filled] - 1
    between_rows = np.count_nonzero(source[first[1:]] <= source[first[1:] - 1])
    if falls > between_rows or source[first].min() < 0:
        raise GraphError("sources must be >= 0 and rise within each row, each at most once")
    if (source[last] >= np.flatnonzero(filled)).any():
        raise GraphError("an edge points from a later node to an earlier one: sources must come before their targets")


def _check_nodes(graph: Columns) -> None:
    kind, layer, position = graph.kind, graph.layer, graph.position
    if (kind > OTHER).any():
        raise GraphError(f"column 'kind' holds code {int(kind.max())}; codes are 0 to {OTHER}")
    if len(position) and not (position.min() >= 0 and position.max() < len(graph.tokens)):
        raise GraphError(f"positions must lie in the prompt's 0 to {len(graph.tokens) - 1}")
    bounds = {EMBEDDING: (-1, -1), LOGIT: (graph.n_layers, graph.n_layers)}
    for code in (EMBEDDING, FEATURE, ERROR, LOGIT):
        low, high = bounds.get(code, (0, graph.n_layers - 1))
        wrong = (kind == code) & ((layer < low) | (layer > high))
        if wrong.any():
            row = int(np.argmax(wrong))
            expected = f"{low}" if low == high else f"{low} to {high}"
            raise GraphError(
                f"row {row} is a node of kind {KIND_NAMES[code]} at layer {layer[row]}, expected {expected}"
            )
    if not (np.isfinite(graph.row_total).all() and (graph.row_total >= 0).all()):
        raise GraphError("row totals are sums of magnitudes, so they must be finite and >= 0")
    if (graph.index[kind == ERROR] != NO_INDEX).any():
        raise GraphError(f"error nodes have index {NO_INDEX}: there is one per layer and position")
    p = graph.probability[kind == LOGIT]
    if not (np.isfinite(p).all() and (p >= 0).all()):
        raise GraphError("every logit needs a probability >= 0: it weighs the influence on the output")


def _check_order(graph: Columns) -> None:
    """Kinds of our own stand in the one order that makes equal graphs equal files; others where they like."""
    ours = graph.kind != OTHER
    kind, layer, position = graph.kind[ours], graph.layer[ours], graph.position[ours]
    index = np.where(kind == FEATURE, graph.index[ours], 0)
    order = np.lexsort((np.arange(len(kind)), index, position, kind, layer))
    if (order != np.arange(len(kind))).any():
        row = int(np.flatnonzero(ours)[np.argmax(order != np.arange(len(kind)))])
        raise GraphError(
            f"row {row} is out of order: expected embeddings by position, per layer features by (position, index) and "
            "then errors by position, and logits last"
        )
    ids = np.stack([graph.kind, graph.layer, graph.position, graph.index], axis=1)
    ids = ids[np.lexsort(ids.T)]
    if (ids[1:] == ids[:-1]).all(axis=1).any():
        raise GraphError("two nodes have the same kind, layer, position and index")
