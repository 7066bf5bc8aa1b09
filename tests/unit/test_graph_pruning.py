"""Pruning against circuit-tracer's masks and against plain sorting."""

from __future__ import annotations

import numpy as np
import pytest
from graph_samples import GOLDEN, dense_of, golden, random_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ct_widgets.errors import GraphError
from ct_widgets.graph.pruning import cutoff


@pytest.mark.parametrize("name", GOLDEN)
def test_prune_keeps_what_circuit_tracer_keeps(name: str) -> None:
    graph, order, expected, facts = golden(name)
    pruned = graph.prune(facts["node_threshold"], facts["edge_threshold"])
    rows = np.array([graph.row(node) for node in pruned.node_ids])
    kept = np.zeros(graph.n_nodes, dtype=bool)
    kept[rows] = True
    np.testing.assert_array_equal(kept, expected["node_mask"][order])
    edges = np.zeros((graph.n_nodes, graph.n_nodes), dtype=bool)
    edges[rows[pruned.adjacency.targets], rows[pruned.source]] = True
    np.testing.assert_array_equal(edges, expected["edge_mask"][np.ix_(order, order)])


@pytest.mark.parametrize("name", GOLDEN)
def test_cumulative_influence_equals_circuit_tracers(name: str) -> None:
    graph, order, expected, _ = golden(name)
    theirs = expected["cumulative_scores"][order]
    # Nodes of equal influence share a rank in no fixed order: compare where the influence is not 0.
    some = graph.influence > 0
    np.testing.assert_allclose(graph.cumulative_influence[some], theirs[some], rtol=1e-4)


scores = arrays(
    np.float32,
    st.integers(1, 60),
    elements=st.floats(0, 1e6, width=32, allow_subnormal=False),
)


@settings(deadline=None)  # the first example pays for imports
@given(scores, st.floats(0, 1))
def test_cutoff_keeps_the_fewest_that_reach_the_share(score: np.ndarray, share: float) -> None:
    kept = score >= cutoff(score, share)
    total = score.sum(dtype=np.float64)
    assert score[kept].sum(dtype=np.float64) >= share * total * (1 - 1e-6)
    weakest = score[kept].min()
    assert score[score > weakest].sum(dtype=np.float64) <= share * total * (1 + 1e-6)


def test_cutoff_equals_a_full_sort_on_many_scores() -> None:
    score = np.random.default_rng(0).lognormal(sigma=3, size=200_000).astype(np.float32)
    falling = np.sort(score)[::-1]
    reached = np.cumsum(falling, dtype=np.float64)
    for share in (0.0, 0.3, 0.8, 0.98, 0.9999):
        assert cutoff(score, share) == falling[np.searchsorted(reached, share * reached[-1])]


def test_everything_stays_at_threshold_one_but_what_leads_nowhere() -> None:
    graph = random_graph(density=1.0)
    assert graph.prune(1, 1).n_edges == graph.n_edges


def test_errors_stay_when_protected() -> None:
    graph = random_graph(2)
    protected = graph.prune(0.3, 0.5, protect=("embedding", "error", "logit"))
    assert protected.is_kind("error").sum() == graph.is_kind("error").sum()
    assert graph.prune(0.3, 0.5).is_kind("error").sum() < graph.is_kind("error").sum()


@pytest.mark.parametrize("seed", range(10))
def test_nothing_dangles(seed: int) -> None:
    pruned = random_graph(seed, per_cell=4, density=0.3).prune(0.6, 0.5)
    dense = dense_of(pruned) != 0
    features, errors = pruned.is_kind("feature"), pruned.is_kind("error")
    assert dense.any(0)[features | errors].all()
    assert dense.any(1)[features].all()


def test_a_pruned_graph_remembers() -> None:
    graph = random_graph(3)
    node = graph.node(graph.n_nodes // 2)
    marked = graph.annotated(pinned=[node, graph.node(0)], supernodes=[("both", [node, graph.node(1)])])
    pruned = marked.prune(0.2, 0.5)
    rows = [graph.row(found) for found in pruned.node_ids]
    np.testing.assert_array_equal(pruned.row_total, graph.row_total[rows])
    np.testing.assert_array_equal(pruned.cumulative_influence, graph.cumulative_influence[rows])
    assert node not in pruned.node_ids
    assert pruned.pinned == (graph.node(0),)
    assert pruned.supernodes == (("both", (graph.node(1),)),)
    assert pruned.provenance["pruning"] == {
        "node_threshold": 0.2,
        "edge_threshold": 0.5,
        "nodes_before": graph.n_nodes,
        "edges_before": graph.n_edges,
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"node_threshold": 80}, "node_threshold is 80"),
        ({"edge_threshold": -0.1}, "edge_threshold is -0.1"),
        ({"edge_threshold": float("nan")}, "share of the influence"),
        ({"protect": ("errors",)}, "'errors' is not a kind of node: expected one of embedding, feature, error"),
    ],
)
def test_prune_refuses(settings: dict[str, object], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        random_graph().prune(**settings)  # type: ignore[arg-type]
