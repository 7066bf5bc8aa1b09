"""Accessibility: what axe finds in the view, with everything open that can be open."""

from __future__ import annotations

from pathlib import Path

import pytest

from ct_widgets.widgets.page import graph_html
from ct_widgets.widgets.state import initial_json
from tests.e2e.axe import issues
from tests.e2e.conftest import OpenGraph
from tests.e2e.view import settled
from tests.support.graphs import layered_graph


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with a supernode, a snapshot and a suggestion."""
    graph = layered_graph(tokens=30, features=400, edges=5_000)
    pair, rest = ([list(node) for node in graph.node_ids[40 + start : 42 + start]] for start in (0, 2))
    state = {
        **initial_json(graph),
        "pinned": pair + rest,
        "supernodes": [["pair", pair]],
        "snapshots": {"first": {"pinned": rest, "supernodes": [], "places": {}}},
        "suggestions": [{"name": "two", "nodes": rest, "reason": "alike"}],
    }
    file = tmp_path_factory.mktemp("pages") / "graph.html"
    file.write_text(graph_html(graph, state))
    return file


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [600, 1600])
def test_axe_finds_nothing_serious(
    exported: Path, open_graph: OpenGraph, width: int, theme: str, pictures: Path
) -> None:
    page, watch, view = open_graph(exported, width=width, height=1000, theme=theme, bypass_csp=True)
    assert issues(page) == []
    view.root.get_by_role("button", name="Legend").click()
    view.stage.press("/")
    page.keyboard.type("feature")
    page.keyboard.press("Enter")
    page.keyboard.press("t")
    view.stage.press("/")
    page.keyboard.type("logit")
    page.keyboard.press("Enter")
    page.keyboard.press("t")
    settled(page)
    assert issues(page) == []
    view.hover_some_node()
    assert issues(page) == []
    page.screenshot(path=pictures / f"everything-{width}-{theme}.png", full_page=True)
    watch.check()
