"""Finding things: strongest paths against all paths, and nodes by a query."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ct_widgets.errors import GraphError, WidgetError
from ct_widgets.graph import AttributionGraph
from tests.support.graphs import layered_graph


@pytest.fixture(scope="module")
def graph() -> AttributionGraph:
    return layered_graph(features=24, edges=110, tokens=3, layers=4, seed=2)


def all_paths(shares: np.ndarray, source: int, target: int) -> Iterator[tuple[list[int], float]]:
    """Every path with the signed product of its shares, by plain recursion."""
    if source == target:
        yield [source], 1.0
        return
    for before in np.flatnonzero(shares[target]).tolist():
        for rows, product in all_paths(shares, source, before):
            yield [*rows, target], product * shares[target, before]


def test_the_k_strongest_of_all_paths(graph: AttributionGraph) -> None:
    shares = np.zeros((graph.n_nodes, graph.n_nodes))
    shares[graph.adjacency.targets, graph.source] = graph.weight
    shares /= np.maximum(np.abs(shares).sum(axis=1, keepdims=True), 1e-30)
    logit = graph.n_nodes - 3
    longest = 0
    for source in (0, 1, 5, 9):
        expected = sorted(all_paths(shares, source, logit), key=lambda path: -abs(path[1]))
        longest = max(longest, len(expected))
        for k in (1, 4, 25, 10_000):
            found = graph.paths(source, logit, k)
            assert [path.share for path in found] == pytest.approx([abs(product) for _, product in expected[:k]])
            assert [path.sign for path in found] == [int(np.sign(product)) for _, product in expected[:k]]
            for path, (rows, _) in zip(found[:4], expected[:4], strict=False):
                assert [graph.row(node) for node in path.nodes] == rows
        reach = np.linalg.inv(np.eye(graph.n_nodes) - np.abs(shares))[logit, source]
        assert sum(path.share for path in graph.paths(source, logit, 10_000)) == pytest.approx(reach)
    assert longest > 25


def test_paths_that_cannot_be(graph: AttributionGraph) -> None:
    assert graph.paths(graph.n_nodes - 1, 0) == []
    with pytest.raises(GraphError, match="same node"):
        graph.paths(3, 3)
    with pytest.raises(GraphError, match="at least one"):
        graph.paths(0, 5, 0)


def test_select_takes_a_query(graph: AttributionGraph) -> None:
    view = graph.show()
    found = view.select("layer >= 2 and kind == 'feature'")
    table = graph.nodes.query("layer >= 2 and kind == 'feature'")
    assert set(found) == {graph.node_ids[row] for row in table.index}
    assert view.selected == found[0] == graph.node_ids[table["influence"].idxmax()]
    view.pinned = view.select("kind == 'logit'")
    assert len(view.pinned) == 3
    before = view.selected
    with pytest.raises(WidgetError, match="no node fits"):
        view.select("layer > 99")
    with pytest.raises(WidgetError, match="columns are kind, layer"):
        view.select("layr > 2")
    assert view.selected == before


def test_paths_are_those_that_the_browser_finds() -> None:
    fixture = json.loads((Path(__file__).parents[2] / "js" / "tests" / "fixtures" / "paths.json").read_text())
    for case in fixture["cases"]:
        graph = layered_graph(features=26, edges=130, tokens=3, layers=5, seed=case["seed"])
        for pair in case["pairs"]:
            found = graph.paths(pair["source"], pair["target"], fixture["k"])
            assert [[graph.row(node) for node in path.nodes] for path in found] == [rows for rows, _ in pair["paths"]]
            shares = [path.share * path.sign for path in found]
            assert shares == pytest.approx([share for _, share in pair["paths"]], rel=1e-5)
