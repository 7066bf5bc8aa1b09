"""The subgraph that a person pinned: its boxes, the edges between them and how much of the output it explains.

A box is a supernode, or a pinned node that is in none. With Ahat[t, s] = |A[t, s]| / row_total[t] and f_t the share of
t's input that comes from outside its box T, the edge of box S to box T is [CT25]

    A_{S->T} = sum_{t in T} f_t sum_{s in S} Ahat[t, s] / sum_{t in T} f_t.

Axes: n nodes, t targets (rows), s sources.

[CT25] Ameisen et al., "Circuit Tracing: Revealing Computational Graphs in Language Models", 2025.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ct_widgets.graph.adjacency import Float64, select_nodes
from ct_widgets.graph.data import GraphData
from ct_widgets.graph.influence import Scores, influence, scores

if TYPE_CHECKING:
    import pandas as pd


class Box(NamedTuple):
    """A group that is drawn as one: its name and the rows of its nodes."""

    name: str
    rows: tuple[int, ...]


def boxes(graph: GraphData) -> list[Box]:
    """Supernodes in their order, then the pinned nodes that are in none."""
    groups = [Box(name, tuple(graph.row(node) for node in members)) for name, members in graph.supernodes]
    grouped = {row for _, rows in groups for row in rows}
    pins = ((node, graph.row(node)) for node in graph.pinned)
    return groups + [Box(graph.label(node) or str(node), (row,)) for node, row in pins if row not in grouped]


def supernode_edges(graph: GraphData) -> pd.DataFrame:
    """One row per edge between boxes, strongest first: source and target (names), weight, signed."""
    import pandas as pd

    found = boxes(graph)
    rows: list[tuple[str, str, float, float]] = []
    for target in found:
        shares, from_outside = _inputs(graph, target.rows)
        if from_outside.sum() == 0:
            continue
        for source in found:
            if source is target:
                continue
            columns = list(dict.fromkeys(source.rows))
            weight = from_outside @ np.abs(shares[:, columns]).sum(axis=1) / from_outside.sum()
            signed = from_outside @ shares[:, columns].sum(axis=1) / from_outside.sum()
            if weight > 0:
                rows.append((source.name, target.name, float(weight), float(signed)))
    rows.sort(key=lambda row: -row[2])
    return pd.DataFrame(rows, columns=["source", "target", "weight", "signed"])


def subgraph_scores(graph: GraphData, nodes: Iterable[int | Sequence[Any]] | None = None) -> Scores:
    """Scores if all but `nodes`, the embeddings and the logits counted as error; by default the graph's own boxes."""
    keep = graph.is_kind("embedding", "logit")
    rows = [row for box in boxes(graph) for row in box.rows] if nodes is None else [graph.row(node) for node in nodes]
    keep[rows] = True
    row_total = graph.row_total[keep]
    # Shares are of the whole input, so what the other nodes gave is missing here, and `scores` counts that as error.
    p = graph.output_weight[keep]
    inside = influence(select_nodes(graph.adjacency, keep), row_total, p)
    return scores(inside, p, graph.is_kind("embedding")[keep], graph.is_kind("error")[keep], row_total > 0)


def _inputs(graph: GraphData, rows: Sequence[int]) -> tuple[Float64, Float64]:
    """Signed shares A[t, s] / row_total[t], [t, n], and f_t, [t], for the targets in `rows`; f is 0 without input."""
    shares = np.zeros((len(rows), graph.n_nodes))
    for place, row in enumerate(rows):
        if graph.row_total[row] > 0:
            edges = graph.adjacency.row(row)
            shares[place, graph.source[edges]] = graph.weight[edges] / graph.row_total[row]
    has_input = graph.row_total[list(rows)] > 0
    inside = np.abs(shares[:, sorted(set(rows))]).sum(axis=1)
    return shares, np.where(has_input, 1.0 - inside, 0.0)
