"""Suggested supernodes: planted groups are found with their reason, and nothing else is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graph_samples import columns_of, normalised, random_graph

from ct_widgets.errors import GraphError
from ct_widgets.graph import AttributionGraph, NodeId
from ct_widgets.graph.suggest import LEAST_COSINE

E0, E1, E2 = (NodeId("embedding", -1, p, 10 + p) for p in range(3))
SAME = [NodeId("feature", 0, p, 7) for p in range(3)]
ALIKE = [NodeId("feature", 0, 2, 21), NodeId("feature", 0, 2, 22), NodeId("feature", 1, 2, 23)]
OPPOSED = NodeId("feature", 1, 2, 30)
FIRST, SECOND = (NodeId("logit", 2, 2, k) for k in (0, 1))
IDS = [E0, E1, E2, *SAME, *ALIKE[:2], ALIKE[2], OPPOSED, FIRST, SECOND]


def planted(**marks: Any) -> AttributionGraph:
    """One feature at three positions with inputs of their own, three alike, and one with their signs turned."""
    dense = np.zeros((len(IDS), len(IDS)))

    def edge(target: NodeId, source: NodeId, weight: float) -> None:
        dense[IDS.index(target), IDS.index(source)] = weight

    for place, node in enumerate(SAME):
        edge(node, (E0, E1, E2)[place], 1.0)
        edge((FIRST, SECOND, SECOND)[place], node, 0.5)
    for scale, node in zip((1.0, 2.0, 0.5), ALIKE, strict=True):
        edge(node, E1, scale)
        edge(node, E2, -scale)
        edge(FIRST, node, scale)
        edge(SECOND, node, -scale)
    edge(OPPOSED, E1, -1.0)
    edge(OPPOSED, E2, 1.0)
    edge(FIRST, OPPOSED, -0.3)
    edge(SECOND, OPPOSED, 0.3)
    rng = np.random.default_rng(0)
    columns = columns_of(IDS, dense.astype(np.float32), np.array([0.6, 0.4]), np.arange(10, 13), rng)
    return AttributionGraph.from_columns(**columns, **marks)


def test_planted_groups_are_found_strongest_first() -> None:
    graph = planted()
    found = graph.suggest_supernodes(nodes=IDS)
    assert [set(suggestion.nodes) for suggestion in found] == [set(ALIKE), set(SAME)]
    alike, same = found
    assert (alike.name, alike.reason) == ("L0/22 and 2 like it", "similar inputs and outputs (mean cosine 1.00)")
    assert (same.name, same.reason) == ("L0/7", "the same feature at positions 0, 1, 2")
    influence = [sum(graph.influence[graph.row(node)] for node in suggestion.nodes) for suggestion in found]
    assert influence == sorted(influence, reverse=True)


def test_names_are_labels_where_there_are_any() -> None:
    labels = {"L0/7": "comma", ALIKE[2]: "sum = _5"}
    assert [s.name for s in planted(labels=labels).suggest_supernodes(nodes=IDS)] == ["sum = _5", "comma"]


def test_grouped_features_are_left_out() -> None:
    graph = planted(supernodes=[("mine", SAME[:2])])
    assert [set(suggestion.nodes) for suggestion in graph.suggest_supernodes(nodes=IDS)] == [set(ALIKE)]


def test_shared_promoted_tokens_are_a_sign_of_their_own() -> None:
    promoted = {"L1/30": ["95", " 195", "85"], "L0/7": [" 95", "195", "7"], "L0/21": ["the", "a"], "L1/23": []}
    found = planted().suggest_supernodes(nodes=[*SAME[:1], ALIKE[0], OPPOSED], promoted=promoted)
    assert [(set(s.nodes), s.name) for s in found] == [({SAME[0], OPPOSED}, "promotes “195”, “95”, “7”")]
    assert found[0].reason == "they promote the same tokens: “195”, “95”, “7”"


def test_two_signs_of_one_group_are_one_suggestion() -> None:
    promoted = {f"L{node.layer}/{node.index}": ["95"] for node in ALIKE}
    first = planted().suggest_supernodes(nodes=ALIKE, promoted=promoted)
    assert len(first) == 1
    assert first[0].reason == ("similar inputs and outputs (mean cosine 1.00); they promote the same tokens: “95”")


def test_similarity_is_the_lesser_cosine_of_signed_profiles() -> None:
    """Against profiles by dense matrices: every suggested pair averages at the threshold, no better merge is left."""
    graph = random_graph(3, per_cell=5, density=0.9)
    signed = np.zeros((graph.n_nodes, graph.n_nodes))
    signed[graph.adjacency.targets, graph.source] = graph.weight
    share = np.sign(signed) * normalised(signed)
    output = graph.influence + graph.output_weight

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        return float(a @ b / np.sqrt((a @ a) * (b @ b))) if a.any() and b.any() else 0.0

    def similarity(a: int, b: int) -> float:
        return min(cosine(share[a], share[b]), cosine(share[:, a] * output, share[:, b] * output))

    found = [s for s in graph.suggest_supernodes(nodes=range(graph.n_nodes)) if s.reason.startswith("similar")]
    assert found
    for suggestion in found:
        rows = [graph.row(node) for node in suggestion.nodes]
        pairs = [similarity(a, b) for place, a in enumerate(rows) for b in rows[:place]]
        assert f"{np.mean(pairs):.2f}" in suggestion.reason
    grouped = {node for suggestion in found for node in suggestion.nodes}
    single = [row for row in np.flatnonzero(graph.is_kind("feature")) if graph.node(row) not in grouped]
    assert all(similarity(a, b) < LEAST_COSINE for place, a in enumerate(single) for b in single[:place])


def test_they_are_the_same_every_time_and_about_what_a_view_shows() -> None:
    graph = random_graph(4, per_cell=5)
    found = graph.suggest_supernodes()
    assert found == graph.suggest_supernodes()
    shown = set(graph.prune(0.8, 1.0).node_ids)
    assert {node for suggestion in found for node in suggestion.nodes} <= shown
    assert all(node.kind == "feature" for suggestion in found for node in suggestion.nodes)


@pytest.mark.parametrize(
    ("promoted", "message"), [({"2/517": ["a"]}, "a label cannot be for '2/517'"), ({"L2/517": [95]}, "not 95")]
)
def test_promoted_tokens_of_the_wrong_form_are_refused(promoted: Any, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        planted().suggest_supernodes(promoted=promoted)


def test_a_graph_without_features_has_none() -> None:
    assert random_graph(per_cell=0).suggest_supernodes() == ()
