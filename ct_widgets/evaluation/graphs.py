"""Graphs of many prompts in numbers: scores, path lengths, and how much of a graph thresholds keep.

Axes: n node, k path length.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ct_widgets.graph import AttributionGraph
from ct_widgets.graph.adjacency import Float64
from ct_widgets.graph.influence import one_step

if TYPE_CHECKING:
    import pandas as pd

NODE_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
EDGE_THRESHOLDS = (0.8, 0.9, 0.95, 0.98, 0.99)
NODE_THRESHOLD, EDGE_THRESHOLD = 0.8, 0.98
"""The thresholds of a view at first: each curve holds the other threshold there."""

Graphs = Mapping[str, Sequence[AttributionGraph]]
"""Graphs of the same prompts by the dictionary that they were made with."""


def reach(graph: AttributionGraph) -> Float64:
    """Compute the share of influence on the output that arrives over at most k edges: p^T (B_k - 1), summed over nodes.

    B_k = 1 + Ahat + ... + Ahat^k. `graph.path_lengths()` counts embeddings alone, P_k.

    >>> reach(graph)[3]
    """
    arriving, x = [0.0], graph.output_weight
    while (x := one_step(graph.adjacency, graph.row_total, x)).any():
        arriving.append(float(x.sum()))
    total = sum(arriving)
    return np.cumsum(arriving) / total if total else np.zeros(len(arriving))


def graphs_table(graphs: Graphs) -> pd.DataFrame:
    """Make a table with one row per graph: its size, scores, mean path length and where influence ends."""
    import pandas as pd

    return pd.DataFrame(_facts(name, graph) for name, some in graphs.items() for graph in some)


def _facts(name: str, graph: AttributionGraph) -> dict[str, object]:
    scores, audit = graph.scores(), graph.audit()
    logits = np.flatnonzero(graph.is_kind("logit"))
    return {
        "dictionary": name,
        "prompt": graph.prompt,
        "next": graph.node_token[logits[0]],
        "probability": float(graph.probability[logits[0]]),
        "tokens": len(graph.tokens),
        "features": int(graph.is_kind("feature").sum()),
        "edges": graph.n_edges,
        "replacement": scores.replacement,
        "completeness": scores.completeness,
        "completeness_with_inputless": scores.completeness_with_inputless,
        "path_length": graph.path_lengths().mean,
        "on_errors": audit.on_errors,
        "on_bias": audit.on_bias,
        "logit_error": audit.logit_error,
        "largest_residual": audit.largest_residual,
    }


def paths_table(graphs: Graphs) -> pd.DataFrame:
    """Average over prompts P_k (share of the embeddings' influence over at most k edges) and B_k (of all nodes')."""
    import pandas as pd

    tables: list[pd.DataFrame] = []
    for name, some in graphs.items():
        embeddings = _mean([graph.path_lengths().share for graph in some])
        every = _mean([reach(graph) for graph in some])
        n = max(len(embeddings), len(every))
        curves = {"P_k": _extend(embeddings, n), "B_k": _extend(every, n)}
        tables.append(pd.DataFrame({"dictionary": name, "k": np.arange(n), **curves}))
    return pd.concat(tables, ignore_index=True)


def _mean(curves: Iterable[Float64]) -> Float64:
    """Mean of cumulative curves; one that has ended stays at its last value."""
    curves = list(curves)
    n = max(map(len, curves))
    return np.mean([_extend(curve, n) for curve in curves], axis=0)


def _extend(curve: Float64, n: int) -> Float64:
    return np.concatenate([curve, np.full(n - len(curve), curve[-1])])


def pruning_table(graphs: Graphs) -> pd.DataFrame:
    """Count features and edges kept by node thresholds and by edge thresholds: median over prompts."""
    import pandas as pd

    settings = [("node", threshold, threshold, EDGE_THRESHOLD) for threshold in NODE_THRESHOLDS]
    settings += [("edge", threshold, NODE_THRESHOLD, threshold) for threshold in EDGE_THRESHOLDS]
    rows: list[dict[str, object]] = []
    for name, some in graphs.items():
        for what, threshold, nodes, edges in settings:
            kept = [graph.prune(nodes, edges) for graph in some]
            rows.append(
                {
                    "dictionary": name,
                    "threshold_of": what,
                    "threshold": threshold,
                    "features": float(np.median([graph.is_kind("feature").sum() for graph in kept])),
                    "edges": float(np.median([graph.n_edges for graph in kept])),
                    "completeness": float(np.median([graph.scores().completeness for graph in kept])),
                }
            )
    return pd.DataFrame(rows)
