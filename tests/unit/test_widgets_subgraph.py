"""Scores and edges of the pinned subgraph: the browser, Python and the plain formula agree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ct_widgets.graph import AttributionGraph
from ct_widgets.graph.subgraph import boxes
from tests.support.graphs import layered_graph

FIXTURE = Path(__file__).parents[2] / "js" / "tests" / "fixtures" / "subgraph.json"


@pytest.fixture(params=range(3))
def case(request: pytest.FixtureRequest) -> tuple[AttributionGraph, dict[str, Any]]:
    found = json.loads(FIXTURE.read_text())["cases"][request.param]
    graph = layered_graph(features=50, edges=500, tokens=4, layers=4, seed=found["seed"])
    ids = graph.node_ids
    groups = [(f"group {place}", [ids[row] for row in rows]) for place, rows in enumerate(found["groups"])]
    return graph.annotated(supernodes=groups, pinned=[ids[row] for row in found["pinned"]]), found


def test_edges_between_boxes(case: tuple[AttributionGraph, dict[str, Any]]) -> None:
    graph, expected = case
    names = [box.name for box in boxes(graph)]
    found = {(row.source, row.target): (row.weight, row.signed) for row in graph.supernode_edges().itertuples()}
    wanted = {(names[i], names[j]): (weight, signed) for i, j, weight, signed in expected["edges"]}
    assert found.keys() == wanted.keys()
    for pair, values in wanted.items():
        assert found[pair] == pytest.approx(values, abs=1e-6)


def test_scores_of_the_pinned(case: tuple[AttributionGraph, dict[str, Any]]) -> None:
    graph, expected = case
    assert graph.subgraph_scores()[:2] == pytest.approx(expected["scores"], abs=1e-6)
    assert graph.subgraph_scores(expected["pinned"])[:2] == pytest.approx(
        graph.annotated(supernodes=[]).subgraph_scores()[:2], abs=1e-9
    )


def test_everything_pinned_scores_as_the_graph(case: tuple[AttributionGraph, dict[str, Any]]) -> None:
    graph, _ = case
    assert graph.subgraph_scores(range(graph.n_nodes)) == pytest.approx(graph.scores(), abs=1e-6)
    nothing = graph.annotated(pinned=[], supernodes=[])
    assert len(nothing.supernode_edges()) == 0
    assert nothing.subgraph_scores().completeness < graph.scores().completeness
