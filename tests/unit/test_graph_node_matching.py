"""Alignment of two graphs: by what nodes are and by position from the end, each node once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from graph_samples import columns_of, random_graph

from ct_widgets.graph import AttributionGraph, NodeId
from ct_widgets.graph.node_matching import match_nodes, matching_table, unmatched


def graph_of(ids: list[NodeId], transcoder: str | None = "one", **marks: Any) -> AttributionGraph:
    """A graph of these nodes without edges; the number of tokens is that of the embeddings."""
    tokens = np.array([node.index for node in ids if node.kind == "embedding"])
    logits = sum(node.kind == "logit" for node in ids)
    rng = np.random.default_rng(0)
    columns = columns_of(ids, np.zeros((len(ids), len(ids)), np.float32), np.full(logits, 1 / logits), tokens, rng)
    return AttributionGraph.from_columns(**columns | {"provenance": {"transcoder": transcoder}} | marks)


def nodes(tokens: list[int], features: list[tuple[int, int, int]], logits: list[int], layers: int = 2) -> list[NodeId]:
    """Embeddings of the tokens, features as (layer, position, index), errors of layer 0 at all positions, logits."""
    last = len(tokens) - 1
    return [
        *(NodeId("embedding", -1, position, token) for position, token in enumerate(tokens)),
        *(NodeId("feature", *feature) for feature in sorted(features) if feature[0] == 0),
        *(NodeId("error", 0, position, -1) for position in range(len(tokens))),
        *(NodeId("feature", *feature) for feature in sorted(features) if feature[0] == 1),
        *(NodeId("logit", layers, last, token) for token in logits),
    ]


# "9 6 +" against "7 7 6 +": the end is the same, feature 5 is one token further away, and 8 is at two places in b.
A = graph_of(nodes([9, 6, 3], [(0, 0, 5), (0, 2, 4), (1, 2, 8)], [95, 94]), labels={"L1/8": "sum"})
B = graph_of(nodes([7, 7, 6, 3], [(0, 0, 5), (0, 3, 4), (1, 1, 8), (1, 2, 8), (1, 3, 6)], [94, 90]))


def named(a: AttributionGraph, b: AttributionGraph, **options: Any) -> set[tuple[NodeId, NodeId, bool]]:
    return {(a.node(pair.a), b.node(pair.b), pair.moved) for pair in match_nodes(a, b, **options)}


def test_nodes_correspond_from_the_end_and_else_by_name() -> None:
    same = {
        (NodeId("embedding", -1, 1, 6), NodeId("embedding", -1, 2, 6), False),
        (NodeId("embedding", -1, 2, 3), NodeId("embedding", -1, 3, 3), False),
        (NodeId("feature", 0, 2, 4), NodeId("feature", 0, 3, 4), False),
        *((NodeId("error", 0, place, -1), NodeId("error", 0, place + 1, -1), False) for place in range(3)),
        (NodeId("logit", 2, 2, 94), NodeId("logit", 2, 3, 94), False),
    }
    moved = {
        (NodeId("feature", 0, 0, 5), NodeId("feature", 0, 0, 5), True),
        (NodeId("feature", 1, 2, 8), NodeId("feature", 1, 2, 8), True),
    }
    assert named(A, B) == same | moved
    assert named(B, A) == {(b, a, moved) for a, b, moved in same | moved}
    only_a, only_b = unmatched(A, B, match_nodes(A, B))
    assert [A.node(row) for row in only_a] == [NodeId("embedding", -1, 0, 9), NodeId("logit", 2, 2, 95)]
    assert [B.node(row) for row in only_b] == [
        NodeId("embedding", -1, 0, 7),
        NodeId("embedding", -1, 1, 7),
        NodeId("error", 0, 0, -1),
        NodeId("feature", 1, 1, 8),
        NodeId("feature", 1, 3, 6),
        NodeId("logit", 2, 3, 90),
    ]


@pytest.mark.parametrize("seed", range(4))
def test_every_node_is_in_one_pair_at_most_and_a_graph_is_itself(seed: int) -> None:
    a, b = random_graph(seed, per_cell=4), random_graph(seed + 10, per_cell=4)
    pairs = match_nodes(a, b)
    for side in list(zip(*pairs, strict=True))[:2]:
        assert len(set(side)) == len(side)
    # No two nodes of one name are left over on both sides.
    only_a, only_b = unmatched(a, b, pairs)
    names = [
        {(g.node(row).kind, g.node(row).layer, g.node(row).index) for row in rows}
        for g, rows in ((a, only_a), (b, only_b))
    ]
    assert names[0] & names[1] == set()
    assert [(pair.a, pair.b, pair.moved) for pair in match_nodes(a, a)] == [
        (row, row, False) for row in range(a.n_nodes)
    ]


def test_features_of_another_transcoder_are_other_features() -> None:
    other = graph_of(nodes([9, 6, 3], [(0, 0, 5), (0, 2, 4), (1, 2, 8)], [95, 94]), transcoder="two")
    kinds = {a.kind for a, _, _ in named(A, other)}
    assert kinds == {"embedding", "error", "logit"}
    assert len(named(A, other, same_features=True)) == A.n_nodes
    assert "feature" not in {a.kind for a, _, _ in named(A, A, same_features=False)}


def test_logits_correspond_over_models_of_other_depth() -> None:
    deeper = graph_of(nodes([9, 6, 3], [], [95], layers=5))
    assert (NodeId("logit", 2, 2, 95), NodeId("logit", 5, 2, 95), False) in named(A, deeper)


def test_the_table_has_a_row_per_pair_and_per_lonely_node() -> None:
    a, b = random_graph(1, per_cell=4), random_graph(2, per_cell=4)
    pairs = match_nodes(a, b)
    table = matching_table(a, b, pairs)
    assert len(table) == a.n_nodes + b.n_nodes - len(pairs)
    assert table.found.value_counts().to_dict() == {
        key: count
        for key, count in {
            "both": sum(not pair.moved for pair in pairs),
            "moved": sum(pair.moved for pair in pairs),
            "a": a.n_nodes - len(pairs),
            "b": b.n_nodes - len(pairs),
        }.items()
        if count
    }
    strongest = table[["influence_a", "influence_b"]].max(axis=1)
    assert strongest.is_monotonic_decreasing
    for row in table.itertuples():
        for side, graph in (("a", a), ("b", b)):
            place = getattr(row, f"row_{side}")
            if pd.isna(place):
                assert pd.isna(getattr(row, f"influence_{side}"))
                continue
            node = graph.node(int(place))
            assert row.kind == node.kind
            assert getattr(row, f"position_{side}") == node.position
            assert getattr(row, f"token_{side}") == graph.token(node)
            assert getattr(row, f"influence_{side}") == pytest.approx(graph.influence[int(place)])


def test_labels_of_either_graph_are_in_the_table() -> None:
    table = matching_table(B, A, match_nodes(B, A)).query("kind == 'feature' and layer == 1")
    assert set(zip(table["index"], table.found, table.label, strict=True)) == {
        (6, "a", ""),
        (8, "a", ""),
        (8, "moved", "sum"),
    }
