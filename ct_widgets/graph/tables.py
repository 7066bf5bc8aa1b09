"""Nodes and edges as pandas tables. pandas is imported when a table is asked for, so that opening a graph is fast."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ct_widgets.graph.data import GraphData

if TYPE_CHECKING:
    import pandas as pd


def nodes_table(graph: GraphData) -> pd.DataFrame:
    """One row per node: kind, layer, position, index, token, activation, influence, probability, label."""
    import pandas as pd

    rows = range(graph.n_nodes)
    return pd.DataFrame(
        {
            "kind": [node.kind for node in graph.node_ids],
            "layer": graph.layer.copy(),
            "position": graph.position.copy(),
            "index": graph.index.copy(),
            "token": [graph.token(row) for row in rows],
            "activation": graph.activation.copy(),
            "influence": graph.influence.copy(),
            "probability": graph.probability.copy(),
            "label": [graph.label(row) for row in rows],
        }
    )


def edges_table(graph: GraphData) -> pd.DataFrame:
    """One row per edge: source and target (row numbers of the nodes) and the signed weight."""
    import pandas as pd

    return pd.DataFrame({"source": graph.source, "target": graph.adjacency.targets, "weight": graph.weight}, copy=False)
