"""What a graph shows of itself: the live view with a still picture, and the page."""

from __future__ import annotations

from pathlib import Path

from graph_samples import fetched_by, random_graph

from ct_widgets.widgets.graph_widget import GraphWidget

WIDGET = "application/vnd.jupyter.widget-view+json"


def test_a_notebook_gets_the_view_a_picture_and_a_line() -> None:
    graph = random_graph()
    data, _ = graph._repr_mimebundle_()
    assert data[WIDGET]["model_id"]
    assert data["image/svg+xml"].lstrip().startswith("<svg")
    assert data["text/plain"] == repr(graph)


def test_every_view_is_its_own() -> None:
    graph = random_graph()
    one, other = graph.show(), graph.show()
    assert isinstance(one, GraphWidget)
    one.selected = 5
    assert one.selected == graph.node(5)
    assert other.selected is None


def test_a_view_starts_with_what_the_graph_remembers() -> None:
    graph = random_graph()
    node = graph.node(5)
    marked = graph.annotated(pinned=[node], labels={node: "here"}, supernodes=[("one", [node])])
    view = marked.show()
    assert list(view.pinned) == [node]
    assert view.labels == {node: "here"}
    assert [(group[0], list(group[1])) for group in view.supernodes] == [("one", [node])]


def test_the_page_is_one_file(tmp_path: Path) -> None:
    page = random_graph().to_html(tmp_path / "graph.html").read_text()
    assert page.startswith("<!doctype html>")
    assert fetched_by(page) == []
    assert list(tmp_path.iterdir()) == [tmp_path / "graph.html"]
