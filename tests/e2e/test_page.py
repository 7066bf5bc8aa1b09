"""The graph_page page: one file that works from disk and asks for nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import expect

from ct_widgets.widgets.page import graph_html
from ct_widgets.widgets.state import initial_json
from tests.e2e.conftest import NewPage, OpenGraph
from tests.support.graphs import HOSTILE, layered_graph


@pytest.mark.parametrize(("width", "theme"), [(600, "light"), (600, "dark"), (1000, "light"), (1600, "dark")])
def test_it_works_from_disk_without_a_request(
    graph_page: Path, open_graph: OpenGraph, pictures: Path, width: int, theme: str
) -> None:
    page, watch, view = open_graph(graph_page, width=width, theme=theme)
    page.screenshot(path=pictures / f"page-{width}-{theme}.png", full_page=True)
    x, y = view.hover_some_node()
    page.mouse.click(x, y)
    page.mouse.move(2, 2)
    assert view.title() != "Strongest features"
    page.screenshot(path=pictures / f"page-{width}-{theme}-selected.png", full_page=True)
    view.slide("nodes", 0.4)
    assert view.count("nodes").endswith("of 264")
    view.panel.locator(".ctw-row").first.click()
    view.root.get_by_role("button", name="Legend").click()
    expect(view.root.locator(".ctw-legend")).to_be_visible()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    assert page.evaluate("() => window.hacked") is None
    assert watch.requests == [graph_page.as_uri()]
    watch.check()


def test_the_wheel_scrolls_the_page_and_zooms_with_control(graph_page: Path, open_graph: OpenGraph) -> None:
    page, _, view = open_graph(graph_page, width=1000, height=300)
    box = view.stage.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.7, 200)
    page.mouse.wheel(0, 80)
    page.wait_for_function("() => scrollY > 0")
    expect(view.root.get_by_role("button", name="Reset zoom")).to_be_hidden()
    scrolled = page.evaluate("() => scrollY")
    page.keyboard.down("Control")
    page.mouse.wheel(0, -120)
    page.keyboard.up("Control")
    expect(view.root.get_by_role("button", name="Reset zoom")).to_be_visible()
    assert page.evaluate("() => scrollY") == scrolled
    view.root.get_by_role("button", name="Reset zoom").click()
    expect(view.root.get_by_role("button", name="Reset zoom")).to_be_hidden()


@pytest.mark.parametrize("text", [HOSTILE, "\u202egnp.exe\u2066", "x" * 10_000, "\ud800", "\n\t\0"])
def test_hostile_text_stays_text(open_graph: OpenGraph, tmp_path: Path, text: str) -> None:
    graph = layered_graph()
    node = next(iter(sorted(graph.node_ids, key=lambda node: -graph.influence[graph.row(node)])))
    state = {
        **initial_json(graph),
        "selected": list(node),
        "pinned": [list(node)],
        "supernodes": [[text, [list(node)]]],
        "labels": {json.dumps(list(node), separators=(",", ":")): text},
        "snapshots": {text: {"pinned": [], "supernodes": [], "places": {}}},
        "suggestions": [{"name": text, "nodes": [list(node)], "reason": text}],
    }
    file = tmp_path / "hostile.html"
    file.write_text(graph_html(graph, state))
    page, watch, view = open_graph(file, width=800)
    view.hover_some_node()
    assert view.root.locator("img, script").count() == 0
    assert page.evaluate("() => window.hacked") is None
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 800
    for element in (view.root.locator(".ctw-box-title"), view.root.locator("[data-action=restore]")):
        shown = element.first.text_content() or ""
        assert len(shown) < 60
        assert not set(shown) & set("\u202e\u2066\0")
    watch.check()


def test_damaged_data_are_an_error_that_reads(graph_page: Path, new_page: NewPage, tmp_path: Path) -> None:
    page, watch = new_page()
    text = graph_page.read_text()
    start = text.index('"_columns": "') + len('"_columns": "')
    broken = tmp_path / "broken.html"
    broken.write_text(text[: start + 4000] + text[text.index('"', start) :])
    page.goto(broken.as_uri())
    expect(page.get_by_role("alert")).to_contain_text("This graph cannot be shown")
    watch.check()
