"""The columns of a graph view: its strongest nodes and edges (`js/src/core/graph/graph.ts` reads them).

Edges travel as signed shares of their target's whole input, A[t, s] / row_total[t], which fit float16 whatever the
scale of the model, and as float32 where there are few. `row_total`, `influence` and `error_share` are those of the
whole graph, so that numbers stay true where nodes or edges are left out.

Axes: n nodes in topological order, t targets (rows), e edges.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ct_widgets.columns import encode
from ct_widgets.graph import AttributionGraph
from ct_widgets.graph.adjacency import Adjacency, Bool, Float32, row_sums, select_edges, select_nodes

MOST_NODES = 5_000
MOST_EDGES = 100_000
_EXACT_EDGES = MOST_EDGES // 2
"""Up to this many edges keep float32, so that pruning in the browser is to the edge what it is in Python."""


def wire(graph: AttributionGraph, *, most_nodes: int = MOST_NODES, most_edges: int = MOST_EDGES) -> bytes:
    """Encode the strongest `most_nodes` nodes of `graph` and, among these, the strongest `most_edges` edges."""
    keep = strongest_nodes(graph, most_nodes)
    row_total = graph.row_total[keep]
    adjacency = select_nodes(graph.adjacency, keep)
    share = _shares(adjacency, row_total)
    if len(share) > most_edges:
        output = (graph.influence + graph.output_weight)[keep]
        stay = _largest(np.abs(share) * output[adjacency.targets], most_edges)
        adjacency, share = select_edges(adjacency, stay), share[stay]
    return encode(
        {
            "kind": graph.kind[keep],
            "layer": graph.layer[keep],
            "position": graph.position[keep],
            "index": graph.index[keep],
            "activation": graph.activation[keep],
            "probability": graph.probability[keep],
            "influence": graph.influence[keep],
            "row_total": row_total,
            "error_share": _error_share(graph)[keep],
            "indptr": adjacency.indptr.astype(np.int32),
            "source": adjacency.source.astype(np.uint16),
            "share": share if len(share) <= _EXACT_EDGES else share.astype(np.float16),
        },
        _facts(graph, keep),
    )


def _facts(graph: AttributionGraph, keep: Bool) -> dict[str, Any]:
    rows = np.flatnonzero(keep).tolist()
    scores = graph.scores()
    return {
        "prompt": graph.prompt,
        "tokens": list(graph.tokens),
        "n_layers": graph.n_layers,
        "node_token": {str(i): graph.node_token[row] for i, row in enumerate(rows) if graph.node_token[row]},
        "total_nodes": graph.n_nodes,
        "total_edges": graph.n_edges,
        "total_influence": float(graph.influence.sum(dtype=np.float64)),
        "scores": {"replacement": scores.replacement, "completeness": scores.completeness},
    }


def strongest_nodes(graph: AttributionGraph, most: int = MOST_NODES) -> Bool:
    """Mark logits, embeddings, then the rest by influence, until there are `most`, [n]."""
    rank = graph.influence.astype(np.float64)
    for kind in ("embedding", "logit"):
        rank[graph.is_kind(kind)] += rank.sum() + 1.0
    return _largest(rank, most)


def _largest(score: np.ndarray[Any, np.dtype[np.floating[Any]]], most: int) -> Bool:
    """Mark the `most` largest values of `score`."""
    keep = np.ones(len(score), dtype=np.bool_)
    if len(score) > most:
        keep[np.argpartition(score, len(score) - most)[: len(score) - most]] = False
    return keep


def _shares(adjacency: Adjacency, row_total: Float32) -> Float32:
    """Divide each edge by the whole input of its target: A[t, s] / row_total[t], [e]."""
    total = np.repeat(row_total, adjacency.in_degree)
    return np.divide(adjacency.weight, total, out=np.zeros_like(adjacency.weight), where=total > 0)


def _error_share(graph: AttributionGraph) -> Float32:
    """Compute the share of each target's input that comes from errors, or from what was pruned before, [n]."""
    is_error = graph.is_kind("error")
    explained = row_sums(graph.indptr, np.abs(graph.weight) * ~is_error[graph.source])
    missing = graph.row_total - explained
    share = np.divide(missing, graph.row_total, out=np.zeros_like(missing), where=graph.row_total > 0)
    return np.clip(share, 0.0, 1.0).astype(np.float32)
