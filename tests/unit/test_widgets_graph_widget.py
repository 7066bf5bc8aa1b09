"""GraphWidget in Python: values in and out, checked; nothing of it needs a browser."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ct_widgets.errors import WidgetError
from ct_widgets.graph import AttributionGraph, NodeId, Supernode
from ct_widgets.widgets import graph_widget
from ct_widgets.widgets import static_files as static
from ct_widgets.widgets.graph_widget import GraphWidget
from ct_widgets.widgets.pictures.graph import graph_picture
from ct_widgets.widgets.pictures.svg import Picture
from ct_widgets.widgets.state import Snapshot
from tests.support.graphs import layered_graph


@pytest.fixture(scope="module")
def graph() -> AttributionGraph:
    return layered_graph(features=60, edges=400)


def from_browser(view: GraphWidget, **state: Any) -> None:
    """What arrives when a person changes something in the view."""
    view.set_state(state)


def test_nodes_are_accepted_in_every_form(graph: AttributionGraph) -> None:
    view = graph.show()
    node = graph.node_ids[7]
    for form in (node, tuple(node), list(node), 7, np.int64(7)):
        view.selected = None
        view.selected = form
        assert view.selected == node
        assert isinstance(view.selected, NodeId)
    view.pinned = [3, graph.node_ids[4], 3]
    assert view.pinned == (graph.node_ids[3], graph.node_ids[4])


def test_the_browser_sends_and_receives_json(graph: AttributionGraph) -> None:
    view = graph.show()
    node = graph.node_ids[7]
    seen: list[Any] = []
    view.observe(lambda change: seen.append(change["new"]), "selected")
    from_browser(view, selected=list(node), pinned=[list(node)], node_threshold=0.5)
    assert seen == [node]
    assert view.pinned == (node,)
    assert view.node_threshold == 0.5
    from_browser(view, selected=None)
    assert view.selected is None
    view.labels = {node: "mine", "L2/517": "sum = _5"}
    state = view.get_state(["labels", "selected"])
    assert state["labels"] == {f'["feature",{node.layer},{node.position},{node.index}]': "mine", "L2/517": "sum = _5"}
    from_browser(view, labels=state["labels"])
    assert view.labels == {node: "mine", "L2/517": "sum = _5"}


def test_a_view_starts_with_what_the_graph_holds(graph: AttributionGraph) -> None:
    feature = next(node for node in graph.node_ids if node.kind == "feature")
    made = graph.annotated(labels={feature: "named"}, supernodes=[("group", [feature])], pinned=[feature])
    view = made.show()
    assert view.labels == {feature: "named"}
    assert view.supernodes == (Supernode("group", (feature,)),)
    assert view.pinned == (feature,)
    assert (view.node_threshold, view.edge_threshold) == (0.8, 0.98)
    assert view.graph is made
    # Who pruned a graph wants to see all of the rest.
    pruned = graph.prune(0.7).show()
    assert (pruned.node_threshold, pruned.edge_threshold) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("selected", ("feature", 9, 9, 9), "the graph has no node"),
        ("selected", 10_000, "row 10000 does not exist"),
        ("selected", "L2/517", "is not a node id"),
        ("hovered", ("neuron", 0, 0, 0), "is not a kind of node"),
        ("pinned", 5, "expected a list of nodes"),
        ("pinned", [("feature", 9, 9, 9)], "the graph has no node"),
        ("supernodes", [("name", [("feature", 9, 9, 9)])], "the graph has no node"),
        ("supernodes", ["name"], "is not a supernode"),
        ("labels", ["L2/517"], "expected a mapping"),
        ("labels", {"feature 517": "x"}, "a label cannot be for"),
        ("node_threshold", 1.5, "from 0 to 1"),
        ("edge_threshold", "high", "expected a number"),
        ("node_threshold", float("nan"), "from 0 to 1"),
        ("places", {("feature", 9, 9, 9): (0, 1)}, "the graph has no node"),
        ("places", {3: (0, float("inf"))}, "must be finite"),
        ("places", {3: 5}, "is not a place"),
        ("theme", "blue", "is not one of 'auto', 'light', 'dark'"),
    ],
)
def test_wrong_values_are_errors_that_teach(graph: AttributionGraph, name: str, value: Any, message: str) -> None:
    view = graph.show()
    before = getattr(view, name)
    with pytest.raises(WidgetError, match=message):
        setattr(view, name, value)
    assert getattr(view, name) == before
    with pytest.raises(WidgetError, match=message):
        GraphWidget(graph, **{name: value})


def test_the_graph_of_a_view_carries_what_was_noted_in_it(graph: AttributionGraph, tmp_path: Path) -> None:
    view = graph.show()
    assert view.graph is graph
    feature = next(node for node in graph.node_ids if node.kind == "feature")
    name = f"L{feature.layer}/{feature.index}"
    from_browser(view, pinned=[list(feature)], labels={name: "typed"}, supernodes=[["group", [list(feature)]]])
    assert view.graph is view.graph
    for suffix in ("ctgraph", "json"):
        loaded = AttributionGraph.load(view.graph.save(tmp_path / f"noted.{suffix}"))
        assert loaded.pinned == (feature,)
        assert loaded.label(feature) == "typed"
        assert [group.name for group in loaded.supernodes] == ["group"]
    assert not graph.pinned
    again = view.graph.show()
    assert (again.pinned, again.labels, again.supernodes) == (view.pinned, view.labels, view.supernodes)


def test_an_unknown_setting_gets_a_hint(graph: AttributionGraph) -> None:
    with pytest.raises(WidgetError, match="did you mean 'node_threshold'"):
        GraphWidget(graph, node_treshold=0.5)
    with pytest.raises(WidgetError, match="it takes selected, hovered"):
        GraphWidget(graph, colour="red")


def test_notebooks_get_a_view_and_a_picture(graph: AttributionGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[AttributionGraph] = []

    def draw(shown: AttributionGraph) -> Picture:
        drawn.append(shown)
        return graph_picture(shown)

    monkeypatch.setattr(graph_widget, "graph_picture", draw)
    for shown in (graph, graph.show()):
        data, _ = shown._repr_mimebundle_()
        assert data["application/vnd.jupyter.widget-view+json"]["model_id"]
        assert data["image/svg+xml"].startswith("<svg ")
        assert len(data["text/plain"]) < 200
    assert len(drawn) == 2, "each picture is drawn once"


def test_a_checkout_without_the_built_front_end_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(static, "_STATIC", tmp_path)
    with pytest.raises(WidgetError, match=r"python hatch_build\.py"):
        static.static_text("graph.js")


def test_views_load_neither_torch_nor_a_model() -> None:
    code = (
        "import sys, ct_widgets; ct_widgets.GraphWidget\n"
        "from ct_widgets.widgets.page import graph_html\n"
        "from ct_widgets.widgets.pictures.graph import graph_picture\n"
        "print([name for name in ('torch', 'transformer_lens', 'transformers', 'plotly') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_panels_travel_as_references_and_stay_out_of_pages(graph: AttributionGraph, tmp_path: Path) -> None:
    other = graph.show()
    view = GraphWidget(graph, panels=[other])
    assert view.panels == (other,)
    assert view.get_state(["panels"]) == {"panels": [f"anywidget:{other.model_id}"]}
    assert other.model_id not in view.to_html(tmp_path / "page.html").read_text()
    for wrong in (["card"], 7):
        with pytest.raises(WidgetError, match="is not a widget"):
            view.panels = wrong


def test_snapshots_go_both_ways_and_into_pages(graph: AttributionGraph, tmp_path: Path) -> None:
    view = graph.show()
    first, second, third = graph.node_ids[7:10]
    view.snapshots = {"mine": ([7, 8], [("pair", [7, 8])], {7: (0.5, 40)}), "empty": Snapshot()}
    mine = Snapshot((first, second), (Supernode("pair", (first, second)),), {first: (0.5, 40.0)})
    assert view.snapshots == {"mine": mine, "empty": Snapshot()}
    state = view.get_state(["snapshots"])["snapshots"]
    assert json.loads(json.dumps(state["mine"])) == {
        "pinned": [list(first), list(second)],
        "supernodes": [["pair", [list(first), list(second)]]],
        "places": {json.dumps(list(first), separators=(",", ":")): [0.5, 40.0]},
    }
    from_browser(view, snapshots={**state, "other": {"pinned": [list(third)], "supernodes": [], "places": {}}})
    assert view.snapshots == {"mine": mine, "empty": Snapshot(), "other": Snapshot((third,))}
    assert '"snapshots": {"mine"' in view.to_html(tmp_path / "page.html").read_text()
    for wrong in (7, {"a": 7}, {"a": ([10**6], [], {})}, {"a": ([7], [], 3)}):
        with pytest.raises(WidgetError, match="snapshots"):
            view.snapshots = wrong


def test_the_view_asks_and_python_suggests(graph: AttributionGraph) -> None:
    view = graph.show()
    assert view.suggestions is None
    view._handle_custom_msg({"ask": "suggestions"}, [])
    assert view.suggestions == graph.suggest_supernodes()
    first, second = graph.node_ids[7:9]
    view.suggestions = [("pair", [7, second], "alike")]
    assert view.get_state(["suggestions"])["suggestions"] == [
        {"name": "pair", "nodes": (first, second), "reason": "alike"}
    ]
    from_browser(view, suggestions=[])
    assert view.suggestions == ()
    for wrong in ([3], [("a", [10**6], "b")]):
        with pytest.raises(WidgetError, match="suggestions"):
            view.suggestions = wrong
