"""What a view receives: the strongest part, with numbers that stay those of the whole graph."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pytest

from ct_widgets.columns import decode
from ct_widgets.graph import AttributionGraph
from ct_widgets.widgets.payload import MOST_EDGES, MOST_NODES, wire
from tests.support.graphs import layered_graph

FIXTURE = Path(__file__).resolve().parents[2] / "js" / "tests" / "fixtures" / "pruning.json"


def test_a_small_graph_travels_whole() -> None:
    graph = layered_graph(features=60, edges=400)
    arrays, facts = decode(wire(graph))
    for name in ("kind", "layer", "position", "index", "activation", "probability", "row_total"):
        np.testing.assert_array_equal(arrays[name], getattr(graph, name))
    np.testing.assert_array_equal(arrays["source"], graph.source)
    total = np.repeat(arrays["row_total"], np.diff(arrays["indptr"]))
    np.testing.assert_allclose(arrays["share"] * total, graph.weight, rtol=1e-6)
    assert arrays["share"].dtype == np.float32
    assert facts["prompt"] == graph.prompt
    assert facts["tokens"] == list(graph.tokens)
    assert {int(row): text for row, text in facts["node_token"].items()} == {
        row: text for row, text in enumerate(graph.node_token) if text
    }
    assert facts["scores"]["replacement"] == graph.scores().replacement


def test_a_large_graph_is_cut_to_its_strongest_part() -> None:
    graph = layered_graph(features=300, edges=6_000)
    arrays, facts = decode(wire(graph, most_nodes=100, most_edges=500))
    assert len(arrays["kind"]) == 100
    assert len(arrays["source"]) == 500
    assert (facts["total_nodes"], facts["total_edges"]) == (graph.n_nodes, graph.n_edges)
    assert facts["total_influence"] == pytest.approx(float(graph.influence.sum()), rel=1e-6)
    # Tokens and outputs are all there, and of the rest the strongest.
    assert [(arrays["kind"] == code).sum() for code in (0, 3)] == [(graph.kind == code).sum() for code in (0, 3)]
    rest = ~graph.is_kind("embedding", "logit")
    sent = np.isin(arrays["kind"], (0, 3), invert=True)
    weakest = np.sort(graph.influence[rest])[::-1][sent.sum() - 1]
    assert arrays["influence"][sent].min() == weakest
    # Sources still come before their targets, and shares are of the whole row.
    target = np.repeat(np.arange(100), np.diff(arrays["indptr"]))
    assert (arrays["source"] < target).all()
    sums = np.bincount(target, np.abs(arrays["share"]), minlength=100)
    assert (sums <= 1 + 1e-6).all()
    assert sums[arrays["row_total"] > 0].min() < 0.9


def test_the_limits_hold_and_the_bytes_are_few() -> None:
    graph = layered_graph(features=5_600, edges=130_000, tokens=20, layers=26, logits=10)
    assert graph.n_nodes > MOST_NODES
    assert graph.n_edges > MOST_EDGES
    data = wire(graph)
    arrays, _ = decode(data)
    assert len(arrays["kind"]) == MOST_NODES
    assert len(arrays["source"]) == MOST_EDGES
    assert arrays["share"].dtype == np.float16
    assert len(data) <= 700_000


def test_shares_fit_whatever_the_scale_of_the_model() -> None:
    graph = layered_graph(features=60, edges=400)
    tiny = _scaled(graph, 1e-30)
    huge = _scaled(graph, 1e30)
    expected = decode(wire(graph))[0]["share"]
    for other in (tiny, huge):
        np.testing.assert_allclose(decode(wire(other))[0]["share"], expected, rtol=1e-4)


def _scaled(graph: AttributionGraph, factor: float) -> AttributionGraph:
    names = ("prompt", "tokens", "token_ids", "n_layers", "kind", "layer", "position", "index", "activation")
    more = ("probability", "node_token", "indptr", "source", "bias", "preactivation", "provenance")
    columns = {name: getattr(graph, name) for name in (*names, *more)}
    return AttributionGraph.from_columns(**columns, weight=graph.weight * np.float32(factor))


def test_error_share_counts_what_pruning_removed() -> None:
    graph = layered_graph()
    whole = decode(wire(graph))[0]
    explained = 1 - whole["error_share"][graph.row_total > 0]
    weight = (graph.influence + graph.output_weight)[graph.row_total > 0]
    assert (explained * weight).sum() / weight.sum() == pytest.approx(graph.scores().completeness, abs=1e-5)
    pruned = graph.prune(0.5, 0.9)
    assert decode(wire(pruned))[0]["error_share"].mean() > 0.05


def test_pruning_agrees_with_the_fixture_of_the_front_end() -> None:
    cases = json.loads(FIXTURE.read_text())["cases"]
    packed = {case["graph"]: case for case in cases if "columns" in case}
    graphs = {}
    for seed, (features, edges) in {3: (40, 260), 4: (90, 700)}.items():
        graphs[seed] = layered_graph(features=features, edges=edges, tokens=4, layers=5, seed=seed)
        assert wire(graphs[seed]) == base64.b64decode(packed[seed]["columns"])
        np.testing.assert_allclose(graphs[seed].influence, packed[seed]["influence"], rtol=1e-5, atol=1e-7)
    for case in cases:
        graph = graphs[case["graph"]]
        pruned = graph.prune(case["node"], case["edge"])
        assert pruned.node_ids == tuple(graph.node_ids[row] for row in case["nodes"])
        row_of = {node: row for row, node in enumerate(graph.node_ids)}
        ends = zip(pruned.adjacency.targets.tolist(), pruned.source.tolist(), strict=True)
        pairs = sorted((row_of[pruned.node_ids[t]], row_of[pruned.node_ids[s]]) for t, s in ends)
        assert pairs == [tuple(pair) for pair in case["edges"]]
