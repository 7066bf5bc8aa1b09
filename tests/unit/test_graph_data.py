"""Construction, checks, look-up and tables of a graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graph_samples import L, P, random_columns, random_graph

from ct_widgets.errors import GraphError
from ct_widgets.graph import AttributionGraph, NodeId


def build(**changes: Any) -> AttributionGraph:
    return AttributionGraph.from_columns(**{**random_columns(), **changes})


def with_value(name: str, row: int, value: float) -> np.ndarray:
    column = np.array(random_columns()[name])
    column[row] = value
    return column


FIRST_FEATURE, FIRST_ERROR, N = P, P + 2 * P, P + 3 * L * P + 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer": [0, 1]}, r"column 'layer' has shape \(2,\), and the graph has 43 nodes"),
        ({"node_token": ["a"]}, "column 'node_token'"),
        ({"cumulative": [0.5]}, "column 'cumulative'"),
        ({"token_ids": [1, 2]}, "4 tokens have token ids"),
        ({"indptr": [0, 1]}, "indptr"),
        ({"indptr": with_value("indptr", 0, 1)}, "indptr must rise from 0"),
        ({"weight": [1.0]}, "edges have 1 weights"),
        ({"weight": with_value("weight", 3, np.nan)}, "edge weights must be finite"),
        ({"source": with_value("source", 0, 42)}, "rise within each row|later node"),
        ({"source": with_value("source", -1, N - 1)}, "from a later node to an earlier one"),
        ({"source": with_value("source", 0, -1)}, "sources must be >= 0"),
        ({"kind": with_value("kind", 0, 9)}, "codes are 0 to 4"),
        ({"kind": with_value("kind", 0, 2)}, "row 0 is a node of kind error at layer -1, expected 0 to 2"),
        ({"position": with_value("position", 0, P)}, "positions must lie in the prompt's 0 to 3"),
        ({"layer": with_value("layer", N - 1, 1)}, "row 42 is a node of kind logit at layer 1, expected 3"),
        ({"position": with_value("position", 0, 2)}, "row 0 is out of order"),
        ({"index": with_value("index", FIRST_FEATURE, 10_000)}, "row 4 is out of order"),
        ({"index": with_value("index", FIRST_ERROR, 3)}, "error nodes have index -1"),
        ({"index": with_value("index", N - 1, 7)}, "two nodes have the same kind"),
        ({"probability": with_value("probability", N - 1, np.nan)}, "every logit needs a probability"),
        ({"kind": np.array(["feature"] * N)}, "column 'kind' cannot be read as uint8"),
        ({"layer": with_value("layer", 0, 99_999)}, "column 'layer' has values that int16 cannot hold"),
        ({"row_total": np.full(N, -1.0)}, "row totals"),
        ({"labels": {"517": "x"}}, 'a feature such as "L2/517"'),
        ({"pinned": [("feature", 0, 0, 12345)]}, "the graph has no node L0/12345 @0"),
        ({"supernodes": ["ab", "abc"]}, "not a node id|not a supernode"),
        ({"supernodes": [("name", [("neuron", 0, 0, 1)])]}, "'neuron' is not a kind of node"),
    ],
)
def test_from_columns_refuses(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        build(**changes)


def test_columns_cannot_be_changed() -> None:
    graph = random_graph()
    for column in (graph.weight, graph.influence, graph.kind, graph.prune().weight):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 1
    with pytest.raises(AttributeError):
        graph.prompt = "x"  # type: ignore[misc]
    with pytest.raises(TypeError):
        graph.labels["L0/1"] = "x"  # type: ignore[index]


def test_nodes_are_found_by_row_id_and_tuple() -> None:
    graph = random_graph()
    node = graph.node(FIRST_FEATURE)
    assert node == ("feature", 0, 0, graph.index[FIRST_FEATURE])
    assert graph.row(node) == graph.row(tuple(node)) == graph.row(np.int64(FIRST_FEATURE)) == FIRST_FEATURE
    with pytest.raises(GraphError, match="the graph has rows 0 to 42"):
        graph.node(43)
    with pytest.raises(GraphError, match=r"L0/\d+ @3; it is there at position 0"):
        graph.node(node._replace(position=3))
    with pytest.raises(GraphError, match="not a node id"):
        graph.node("L0/3")


def test_an_own_label_goes_before_the_features() -> None:
    graph = random_graph()
    node = graph.node(FIRST_FEATURE)
    name = f"L{node.layer}/{node.index}"
    assert graph.annotated(labels={name: "anywhere"}).label(node) == "anywhere"
    both = graph.annotated(labels={name: "anywhere", node: "here"})
    assert both.label(node) == "here"
    assert both.label(0) == ""


def test_tables() -> None:
    graph = random_graph()
    nodes, edges = graph.nodes, graph.edges
    assert list(nodes.columns) == [
        "kind", "layer", "position", "index", "token", "activation", "influence", "probability", "label",
    ]  # fmt: skip
    assert nodes.token[0] == graph.tokens[0]
    assert nodes.token[N - 1] == " out14"
    assert nodes.token[FIRST_ERROR + 1] == graph.tokens[1]
    assert (nodes.query("kind == 'feature'").activation > 0).all()
    assert list(edges.columns) == ["source", "target", "weight"]
    last = edges.query(f"target == {N - 1}")
    assert last.weight.sum() == pytest.approx(graph.preactivation[-1] - graph.bias[-1], abs=1e-5)
    nodes.loc[0, "influence"] = 7
    assert graph.nodes.influence[0] != 7


def test_a_graph_prints_as_one_line() -> None:
    graph = random_graph()
    assert repr(graph) == f"<AttributionGraph of {graph.prompt!r}: 43 nodes, {graph.n_edges} edges>"
    assert str(NodeId("feature", 2, 5, 517)) == "L2/517 @5"
    assert str(NodeId("error", 2, 5, -1)) == "error L2 @5"
    assert str(NodeId("logit", 4, 5, 95)) == "logit 95 @5"
