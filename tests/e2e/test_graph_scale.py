"""Size and endurance: a million edges, and fifty views made and let go."""

from __future__ import annotations

import base64
import time
from pathlib import Path

from playwright.sync_api import expect

from ct_widgets.widgets.payload import wire
from ct_widgets.widgets.static_files import static_text
from tests.e2e.conftest import NewPage, OpenGraph
from tests.support.graphs import large_graph, layered_graph
from tests.support.view_cycles import RENDER, measured


def test_a_million_edges_arrive_as_the_strongest_and_say_so(
    open_graph: OpenGraph, tmp_path: Path, pictures: Path
) -> None:
    graph = large_graph(50_000, 1_000_000)
    assert graph.n_nodes > 50_000
    assert graph.n_edges > 990_000
    start = time.perf_counter()
    sent = wire(graph)
    assert time.perf_counter() - start < 10
    assert len(sent) <= 700_000
    page, watch, view = open_graph(graph.to_html(tmp_path / "large.html"), width=1400, height=1000)
    expect(view.root.locator(".ctw-footer")).to_contain_text("holds the strongest 5,000 nodes and ")
    assert view.count("nodes").endswith(f"of {graph.n_nodes:,}")
    assert view.count("edges").endswith(f"of {graph.n_edges:,}")
    view.hover_some_node()
    view.slide("nodes", 0.7)
    page.screenshot(path=pictures / "large.png", full_page=True)
    watch.check()


def test_fifty_views_leave_nothing_behind(new_page: NewPage) -> None:
    page, watch = new_page()
    page.goto("about:blank")
    page.add_style_tag(content=static_text("graph.css"))
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    columns = base64.b64encode(wire(layered_graph(features=800, edges=8_000, tokens=30))).decode()
    argument = {"code": static_text("graph.js"), "columns": columns}
    page.evaluate(RENDER, {**argument, "times": 5})
    before = measured(session)
    page.evaluate(RENDER, {**argument, "times": 50})
    after = measured(session)
    print(before, after)
    assert after["JSEventListeners"] <= before["JSEventListeners"]
    assert after["Nodes"] <= before["Nodes"] + 50
    assert after["JSHeapUsedSize"] - before["JSHeapUsedSize"] < 2_000_000
    watch.check()
