"""The strongest paths between two nodes.

The share of a path is the product of Ahat[t, s] = |A[t, s]| / row_total[t] over its edges: the part of the target's
input that arrives along it. The shares of all paths from s to t add up to B[t, s].

Axes: n nodes, e edges.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ct_widgets.errors import GraphError
from ct_widgets.graph.adjacency import Float64
from ct_widgets.graph.data import GraphData
from ct_widgets.graph.node_id import NodeId


class NodePath(NamedTuple):
    """Nodes from source to target, the part of the target's input that takes this way, and the sign of its product."""

    nodes: tuple[NodeId, ...]
    share: float
    sign: int

    def __str__(self) -> str:
        return f"{self.share:.3g} {' -> '.join(map(str, self.nodes))}"


class _Step(NamedTuple):
    """A path to one node as its last edge: `place` is the rank of the path that it extends at the source."""

    share: float
    sign: int
    source: int
    place: int


def strongest_paths(
    graph: GraphData, source: int | Sequence[Any], target: int | Sequence[Any], k: int
) -> list[NodePath]:
    """The `k` paths of the largest share, strongest first; fewer if there are fewer.

    Nodes are in topological order, so the k best paths to a node extend the k best to its sources, and one pass finds
    them exactly; edges without weight are no path.
    """
    if k < 1:
        raise GraphError(f"k is {k}; ask for at least one path")
    first, last = graph.row(source), graph.row(target)
    if first == last:
        raise GraphError(f"source and target are the same node, {graph.node(first)}")
    best: dict[int, list[_Step]] = {first: [_Step(1.0, 1, -1, 0)]}
    largest = np.zeros(graph.n_nodes)  # share of the best path to each node, [n]
    largest[first] = 1.0
    for row in range(first + 1, last + 1):
        steps = _steps_to(graph, row, best, largest, k)
        if steps:
            best[row], largest[row] = steps, steps[0].share
    return [_trace(graph, best, last, step) for step in best.get(last, [])]


def _steps_to(graph: GraphData, row: int, best: dict[int, list[_Step]], largest: Float64, k: int) -> list[_Step]:
    """The k best paths to `row` that extend those in `best`."""
    edges = graph.adjacency.row(row)
    if graph.row_total[row] <= 0:
        return []
    shares = graph.weight[edges].astype(np.float64) / graph.row_total[row]
    sources = graph.source[edges]
    # A path through a source is no better than the best one: only the k sources with the best ones can matter.
    bound = np.abs(shares) * largest[sources]
    strongest = np.argsort(-bound, kind="stable")[:k]
    candidates = (
        _Step(known.share * abs(share), known.sign * (-1 if share < 0 else 1), source, place)
        for source, share in zip(sources[strongest].tolist(), shares[strongest].tolist(), strict=True)
        if share != 0 and source in best
        for place, known in enumerate(best[source])
    )
    return heapq.nlargest(k, candidates, key=lambda step: step.share)


def _trace(graph: GraphData, best: dict[int, list[_Step]], last: int, step: _Step) -> NodePath:
    """The path that ends with `step` at `last`, read backwards."""
    rows, here = [last], step
    while here.source >= 0:
        rows.append(here.source)
        here = best[here.source][here.place]
    return NodePath(tuple(graph.node_ids[row] for row in reversed(rows)), step.share, step.sign)
