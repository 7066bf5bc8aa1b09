"""CompareWidget: what travels, the table, the page and the picture, and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graph_samples import fetched_by, random_graph

import ct_widgets as ct
from ct_widgets.errors import WidgetError
from ct_widgets.graph.node_matching import match_nodes, matching_table
from ct_widgets.widgets.payload import strongest_nodes

A, B = random_graph(1, per_cell=4), random_graph(2, per_cell=4)


def test_two_views_their_pairs_and_what_only_one_has() -> None:
    view = ct.CompareWidget(A, B, names=("before", "after"))
    pairs = match_nodes(A, B)
    state = view.get_state()
    assert state["a"] == f"anywidget:{view.a.model_id}"
    assert state["b"] == f"anywidget:{view.b.model_id}"
    assert state["names"] == ("before", "after")
    assert json.loads(json.dumps(state["_pairs"])) == [[list(A.node(p.a)), list(B.node(p.b))] for p in pairs]
    for side, graph in ((0, A), (1, B)):
        taken = {pair[side] for pair in pairs}
        left = [graph.node(row) for row in range(graph.n_nodes) if row not in taken]
        assert list((view.a, view.b)[side].unmatched) == left
        assert state["_counts"]["ab"[side]] == len(left)
    assert state["_counts"]["both"] + state["_counts"]["moved"] == len(pairs)


def test_the_table_is_of_the_graphs_as_they_are_labelled_now() -> None:
    view = ct.CompareWidget(A, B)
    assert list(view.nodes.columns) == list(matching_table(A, B, match_nodes(A, B)).columns)
    row = view.nodes.query("found == 'a' and kind == 'feature'").iloc[0]
    view.a.labels = {A.node(int(row.row_a)): "named later"}
    assert "named later" in set(view.nodes.label)


def test_of_large_graphs_only_what_the_views_hold_travels(monkeypatch: pytest.MonkeyPatch) -> None:
    def strongest(graph: ct.AttributionGraph) -> np.ndarray:
        return strongest_nodes(graph, 20)

    monkeypatch.setattr("ct_widgets.widgets.compare_widget.strongest_nodes", strongest)
    view = ct.CompareWidget(A, B)
    for side, graph, shown in ((0, A, view.a), (1, B, view.b)):
        held = {graph.node(row) for row in np.flatnonzero(strongest_nodes(graph, 20))}
        sent = {pair[side] for pair in view.get_state()["_pairs"]}
        assert sent | set(shown.unmatched) <= held
    counts = view.get_state()["_counts"]
    assert sum(counts.values()) == len(view.nodes), "what is said counts all"


def test_both_views_have_one_theme() -> None:
    view = ct.CompareWidget(A, B)
    view.b.theme = "dark"
    assert view.a.theme == "dark"


def test_same_features_may_be_said() -> None:
    kinds = ct.CompareWidget(A, A, same_features=False).nodes.query("found == 'both'").kind
    assert set(kinds) == {"embedding", "error", "logit"}


def test_the_page_is_one_file_with_both_graphs(tmp_path: Path) -> None:
    page = ct.CompareWidget(A, B, names=("</script><b>", "half \ud800")).to_html(tmp_path / "c.html").read_text()
    assert page.startswith("<!doctype html>")
    assert fetched_by(page) == []
    data = json.loads(page.split('id="ctw-state">')[1].split("</script>")[0])
    assert data["state"].keys() == {"names", "_pairs", "_counts", "a", "b"}
    for side in "ab":
        assert data["state"][side]["buffers"].keys() == {"_columns"}
        assert "node_threshold" in data["state"][side]["state"]
    assert data["state"]["names"][0] == "</script><b>"


def test_where_nothing_runs_both_graphs_are_drawn() -> None:
    data, _ = ct.CompareWidget(A, B)._repr_mimebundle_()
    picture = data["image/svg+xml"]
    assert picture.count("<svg ") == picture.count("</svg>") == 3
    heights = [int(height) for height in re.findall(r'<svg [^>]*height="(\d+)"', picture)]
    assert heights[0] == heights[1] + heights[2]
    assert f'y="{heights[1]}"' in picture
    assert data["text/plain"] == f"<CompareWidget of {A.prompt!r} and {B.prompt!r}>"


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((A, "graph.json"), {}, "'graph.json' is not an AttributionGraph"),
        ((A, B), {"names": "ab"}, 'two headings such as \\("before", "after"\\)'),
        ((A, B), {"names": ("one",)}, "two headings"),
    ],
)
def test_what_cannot_be_compared_is_refused(arguments: tuple[Any, ...], options: dict[str, Any], message: str) -> None:
    with pytest.raises(WidgetError, match=message):
        ct.CompareWidget(*arguments, **options)
