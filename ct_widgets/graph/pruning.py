"""Pruning: the nodes, then the edges, that carry a given share of the influence on the output.

The rules are those of circuit-tracer, so that graphs compare: keep the smallest set of nodes whose share of the
influence reaches the node threshold, normalise again on the survivors, keep the smallest set of edges whose share
reaches the edge threshold, and drop what that leaves dangling.

Axes: n nodes, t targets (rows), s sources, e edges.
"""

from __future__ import annotations

import numpy as np

from ct_widgets.graph.adjacency import Adjacency, Bool, Float32, Float64, Floats, row_sums, select_edges, select_nodes
from ct_widgets.graph.influence import influence

_BINS = 1 << 15  # upper half of the bits of a float32 without its sign


def cutoff(score: Float32, share: float) -> float:
    """The smallest score among the largest that together reach `share` of the total; scores are >= 0.

    Bits of positive floats sort as the floats do, so a histogram over their upper half finds the bin that crosses the
    share, and only that bin is sorted.
    """
    bins = (score.view(np.uint32) >> np.uint32(16)).astype(np.intp)
    reached = np.cumsum(np.bincount(bins, weights=score, minlength=_BINS)[::-1])
    total = reached[-1]
    if total == 0:
        return 0.0
    first = int(np.searchsorted(reached, 0.0, side="right"))  # a share of 0 still keeps the largest
    place = max(first, int(np.searchsorted(reached, share * total)))
    inside = np.sort(score[bins == _BINS - 1 - place])[::-1]
    before = reached[place - 1] if place else 0.0
    crossing = int(np.searchsorted(before + np.cumsum(inside, dtype=np.float64), share * total))
    return float(inside[min(crossing, len(inside) - 1)])


def cumulative_share(score: Floats) -> Float32:
    """For each node the share of the total that it and all stronger nodes hold, [n]."""
    order = np.argsort(-score, kind="stable")
    total = score.sum()
    result = np.ones(len(score), dtype=np.float32)
    if total > 0:
        result[order] = np.cumsum(score[order]) / total
    return result


def prune(
    adjacency: Adjacency,
    node_influence: Floats,
    p: Float64,
    *,
    node_threshold: float,
    edge_threshold: float,
    protected: Bool,
    needs_input: Bool,
) -> tuple[Bool, Adjacency]:
    """Nodes to keep, [n], and the edges among them.

    `protected` [n] nodes always stay. Others stay only with an outgoing edge, and those in `needs_input` [n] (features)
    only with an incoming one too.
    """
    score = node_influence.astype(np.float32, copy=False)
    keep = (score >= cutoff(score, node_threshold)) | protected
    edges = _prune_edges(select_nodes(adjacency, keep), p[keep], edge_threshold)
    stays = ~_dangling(edges, protected[keep], needs_input[keep])
    keep[keep] = stays
    return keep, select_nodes(edges, stays)


def _prune_edges(adjacency: Adjacency, p: Float64, threshold: float) -> Adjacency:
    """The smallest set of edges whose scores Ahat[t, s] (I[t] + p[t]) reach `threshold` of their total."""
    magnitude = np.abs(adjacency.weight)
    total = row_sums(adjacency.indptr, magnitude)
    output = influence(adjacency, total, p) + p
    per_row = np.divide(output, total, out=np.zeros_like(total), where=total > 0).astype(np.float32)
    score = magnitude * np.repeat(per_row, adjacency.in_degree)
    return select_edges(adjacency, score >= cutoff(score, threshold))


def _dangling(adjacency: Adjacency, protected: Bool, needs_input: Bool) -> Bool:
    """Nodes that lack an outgoing edge, or an incoming one where they need it, once all such nodes are gone, [n]."""
    gone = np.zeros(adjacency.n, dtype=np.bool_)
    source, target = adjacency.source, adjacency.targets
    while True:
        has_output = np.zeros(adjacency.n, dtype=np.bool_)
        has_input = np.zeros(adjacency.n, dtype=np.bool_)
        has_output[source] = True
        has_input[target] = True
        now = ~protected & ~(has_output & (has_input | ~needs_input))
        if (now == gone).all():
            return gone
        gone = now
        left = ~(gone[source] | gone[target])
        source, target = source[left], target[left]
