"""Influence, scores, path lengths and audit against dense linear algebra in float64, and against circuit-tracer."""

from __future__ import annotations

import numpy as np
import pytest
from graph_samples import GOLDEN, dense_of, golden, normalised, random_columns, random_graph

from ct_widgets.graph import AttributionGraph

SEEDS = range(5)


def paths_from_logits(a_hat: np.ndarray, p: np.ndarray) -> np.ndarray:
    """p^T ((1 - Ahat)^-1 - 1): the closed form of the sum over paths."""
    identity = np.eye(len(p))
    return p @ (np.linalg.inv(identity - a_hat) - identity)


@pytest.mark.parametrize("seed", SEEDS)
def test_influence_is_the_closed_form(seed: int) -> None:
    graph = random_graph(seed)
    expected = paths_from_logits(normalised(dense_of(graph)), graph.output_weight)
    np.testing.assert_allclose(graph.influence, expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_scores_are_their_definitions(seed: int) -> None:
    graph = random_graph(seed, density=0.2)  # sparse enough for features without inputs
    a_hat, p = normalised(dense_of(graph)), graph.output_weight
    influence = paths_from_logits(a_hat, p)
    explained = 1 - a_hat[:, graph.is_kind("error")].sum(1)
    output = influence + p
    targets = a_hat.sum(1) > 0
    assert not targets[graph.is_kind("feature")].all()
    embeddings, errors = influence[graph.is_kind("embedding")].sum(), influence[graph.is_kind("error")].sum()
    found = graph.scores()
    assert found.replacement == pytest.approx(embeddings / (embeddings + errors), rel=1e-5)
    assert found.completeness == pytest.approx((explained * output)[targets].sum() / output[targets].sum(), rel=1e-5)
    assert found.completeness_with_inputless == pytest.approx((explained * output).sum() / output.sum(), rel=1e-5)


@pytest.mark.parametrize("name", GOLDEN)
def test_scores_equal_circuit_tracers(name: str) -> None:
    graph, _, _, facts = golden(name)
    found = graph.scores()
    assert found.replacement == pytest.approx(facts["replacement_score"], rel=1e-5)
    assert found.completeness_with_inputless == pytest.approx(facts["completeness_score"], rel=1e-5)
    assert found.completeness < found.completeness_with_inputless


@pytest.mark.parametrize("seed", SEEDS)
def test_path_lengths_are_their_definition(seed: int) -> None:
    graph = random_graph(seed)
    a_hat, p = normalised(dense_of(graph)), graph.output_weight
    embeddings = graph.is_kind("embedding")
    powers = [np.linalg.matrix_power(a_hat, k) for k in range(graph.n_layers + 2)]
    reached = np.array([p @ sum(powers[: k + 1])[:, embeddings].sum(1) for k in range(len(powers))])
    share = reached / reached[-1]
    mean = (np.arange(1, len(share)) * np.diff(share)).sum()
    found = graph.path_lengths()
    np.testing.assert_allclose(found.share, share[: len(found.share)], rtol=1e-5, atol=1e-9)
    assert found.share[-1] == pytest.approx(1)
    assert found.mean == pytest.approx(mean, rel=1e-5)


def test_a_graph_without_probability_at_its_logits_has_no_influence() -> None:
    columns = random_columns()
    columns["probability"] = np.where(np.isnan(columns["probability"]), np.nan, 0)
    graph = AttributionGraph.from_columns(**columns)
    assert not graph.influence.any()
    assert graph.scores() == (0, 0, 0)
    assert np.isnan(graph.path_lengths().mean)
    assert graph.prune(edge_threshold=1).n_nodes <= graph.n_nodes


@pytest.mark.parametrize("seed", SEEDS)
def test_pruned_scores_count_what_is_gone_as_error(seed: int) -> None:
    graph = random_graph(seed, per_cell=4)
    pruned = graph.prune(0.6, 0.8)
    rows = [graph.row(node) for node in pruned.node_ids]
    a_hat = np.abs(dense_of(pruned)) / np.maximum(np.abs(dense_of(graph)).sum(1)[rows], 1e-30)[:, None]
    p = pruned.output_weight
    influence = paths_from_logits(a_hat, p)
    output = influence + p
    has_input = np.abs(dense_of(graph)).sum(1)[rows] > 0
    unexplained = 1 - a_hat[:, ~pruned.is_kind("error")].sum(1)
    lost = ((unexplained * output)[has_input]).sum()
    embeddings = influence[pruned.is_kind("embedding")].sum()
    found = pruned.scores()
    assert found.replacement == pytest.approx(embeddings / (embeddings + lost), rel=1e-4)
    assert found.completeness == pytest.approx(1 - lost / output[has_input].sum(), rel=1e-4)
    assert found.completeness < graph.scores().completeness


def test_audit_finds_the_row_that_does_not_close() -> None:
    columns = random_columns()
    graph = AttributionGraph.from_columns(**columns)
    clean = graph.audit()
    assert clean.logit_error is None
    assert clean.largest_residual == pytest.approx(0, abs=1e-5)
    broken = columns["preactivation"].copy()
    broken[-1] += 0.25
    columns |= {"preactivation": broken, "provenance": {"logit_error": 3e-5}}
    found = AttributionGraph.from_columns(**columns).audit()
    assert found.largest_residual == pytest.approx(0.25, abs=1e-5)
    scale = np.abs(dense_of(graph)[-1]).sum() + abs(columns["bias"][-1])
    assert found.relative_residual == pytest.approx(0.25 / scale, rel=1e-4)
    assert found.logit_error == 3e-5
    assert "3.0e-05" in repr(found)


@pytest.mark.parametrize("seed", SEEDS)
def test_audit_says_where_influence_ends(seed: int) -> None:
    graph = random_graph(seed)
    with_bias = np.hstack([dense_of(graph), np.nan_to_num(graph.bias.astype(float))[:, None]])
    square = np.vstack([with_bias, np.zeros(with_bias.shape[1])])
    ends = paths_from_logits(normalised(square), np.append(graph.output_weight, 0))
    found = graph.audit()
    assert found.on_embeddings == pytest.approx(ends[:-1][graph.is_kind("embedding")].sum(), rel=1e-5)
    assert found.on_errors == pytest.approx(ends[:-1][graph.is_kind("error")].sum(), rel=1e-5)
    assert found.on_bias == pytest.approx(ends[-1], rel=1e-5)
    assert found.on_removed == pytest.approx(0, abs=1e-6)


def test_audit_of_a_pruned_graph_adds_up_and_leaves_residuals_out() -> None:
    found = random_graph(1).prune(0.5, 0.8).audit()
    assert found.largest_residual is None
    assert found.on_removed > 0.05
    assert found.on_embeddings + found.on_errors + found.on_bias + found.on_removed == pytest.approx(1, rel=1e-4)
