"""Path lengths, influence between nodes and pruning curves against the enumeration of every path of a small graph."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from graph_samples import dense_of, normalised, random_graph

from ct_widgets.evaluation import graphs_table, paths_table, pruning_table, reach
from ct_widgets.graph import AttributionGraph
from ct_widgets.graph.influence import influence_of

SEEDS = range(3)


def paths_from(a_hat: np.ndarray, start: int) -> Iterator[tuple[int, int, float]]:
    """Every path downwards from node `start`: (where it ends, its edges, the product of their shares)."""
    stack = [(start, 0, 1.0)]
    while stack:
        node, length, share = stack.pop()
        yield node, length, share
        stack += [(s, length + 1, share * a_hat[node, s]) for s in np.flatnonzero(a_hat[node]).tolist()]


def arriving(graph: AttributionGraph) -> dict[tuple[int, int], float]:
    """(source, length) -> influence on the output over all paths of that length, from the logits' probabilities."""
    a_hat, total = normalised(dense_of(graph)), {}
    for logit in np.flatnonzero(graph.is_kind("logit")).tolist():
        for source, length, share in paths_from(a_hat, logit):
            key = (source, length)
            total[key] = total.get(key, 0.0) + share * float(graph.output_weight[logit])
    return total


@pytest.fixture(params=SEEDS, ids=str)
def graph(request: pytest.FixtureRequest) -> AttributionGraph:
    return random_graph(request.param, per_cell=1, density=0.6)


def test_path_lengths_equal_the_enumeration_of_all_paths(graph: AttributionGraph) -> None:
    found, by_path = graph.path_lengths(), arriving(graph)
    embeddings = set(np.flatnonzero(graph.is_kind("embedding")).tolist())
    n = max(length for _, length in by_path)
    # A sum over embeddings: their average would have the same shape but reach 1 / (number of embeddings).
    ends = np.array([sum(v for (s, k), v in by_path.items() if k == at and s in embeddings) for at in range(n + 1)])
    p_k = np.cumsum(ends) / ends.sum()
    np.testing.assert_allclose(found.share, p_k[: len(found.share)], rtol=1e-5)
    assert found.mean == pytest.approx((np.arange(n + 1) * ends).sum() / ends.sum(), rel=1e-5)
    b_k = np.cumsum([sum(v for (_, k), v in by_path.items() if k == at) * (at > 0) for at in range(n + 1)])
    np.testing.assert_allclose(reach(graph), (b_k / b_k[-1])[: len(reach(graph))], rtol=1e-5)


def test_influence_is_not_the_known_wrong_formula(graph: AttributionGraph) -> None:
    """I = p^T B. B p, as one public pseudocode has it, is 0 everywhere: logits have no outgoing edges."""
    a_hat, p = normalised(dense_of(graph)), graph.output_weight
    B = np.linalg.inv(np.eye(len(p)) - a_hat) - np.eye(len(p))
    assert not (B @ p).any()
    by_path = arriving(graph)
    expected = [sum(v for (s, k), v in by_path.items() if s == node and k) for node in range(graph.n_nodes)]
    np.testing.assert_allclose(graph.influence, expected, rtol=1e-5, atol=1e-9)
    assert graph.influence.sum() > 0


def test_influence_between_nodes_equals_the_enumeration_of_all_paths(graph: AttributionGraph) -> None:
    a_hat = normalised(dense_of(graph))
    sources = np.flatnonzero(graph.is_kind("feature"))[[0, 3, 5]].tolist()
    found = influence_of(graph.adjacency, graph.row_total, sources)
    for place, source in enumerate(sources):
        for target in range(graph.n_nodes):
            over_paths = sum(share for end, length, share in paths_from(a_hat, target) if end == source and length)
            assert found[target, place] == pytest.approx(over_paths, rel=1e-5, abs=1e-12)


def test_completeness_without_inputs_is_another_score() -> None:
    """circuit-tracer counts nodes without inputs as explained; both variants are reported, and they differ."""
    graph = random_graph(0, density=0.2)
    (row,) = graphs_table({"a": [graph]}).to_dict("records")
    assert row["completeness"] < row["completeness_with_inputless"]
    assert row["completeness"] == graph.scores().completeness
    assert row["path_length"] == graph.path_lengths().mean
    assert row["features"] == 24


def test_tables_have_a_row_for_every_dictionary_and_setting() -> None:
    graphs = {"a": [random_graph(0), random_graph(1, density=0.3)], "b": [random_graph(2), random_graph(3)]}
    paths = paths_table(graphs)
    for name, some in graphs.items():
        curve = paths[paths["dictionary"] == name]
        longest = max(len(graph.path_lengths().share) for graph in some)
        mean = [
            np.mean([graph.path_lengths().share[min(k, len(graph.path_lengths().share) - 1)] for graph in some])
            for k in range(longest)
        ]
        np.testing.assert_allclose(curve["P_k"][:longest], mean)
        assert (np.diff(curve["B_k"]) >= 0).all()
        assert curve["B_k"].iloc[-1] == pytest.approx(1)
    pruning = pruning_table(graphs)
    for (name, what), rows in pruning.groupby(["dictionary", "threshold_of"]):
        column = "features" if what == "node" else "edges"
        assert (np.diff(rows[column]) >= 0).all()
        row = rows.iloc[1]
        settings = (row["threshold"], 0.98) if what == "node" else (0.8, row["threshold"])
        kept = [graph.prune(*settings) for graph in graphs[str(name)]]
        assert row["edges"] == np.median([graph.n_edges for graph in kept])
    assert len(pruning) == len(list(itertools.product(graphs, range(11))))
