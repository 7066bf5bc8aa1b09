"""Nodes with more edges than fit: lists hold every row and make those in sight, strokes say what they leave out."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from ct_widgets import AttributionGraph
from ct_widgets.widgets.page import graph_html
from ct_widgets.widgets.state import initial_json
from tests.e2e.conftest import OpenGraph
from tests.support.graphs import layered_graph

HUB = 0
MOST_ROWS = 80


@pytest.fixture(scope="module")
def graph() -> AttributionGraph:
    """A graph whose first token feeds more nodes than are stroked."""
    return layered_graph(features=1200, edges=30_000, tokens=2, layers=2, logits=2)


@pytest.fixture(scope="module")
def exported(graph: AttributionGraph, tmp_path_factory: pytest.TempPathFactory) -> Path:
    whole = {"node_threshold": 1.0, "edge_threshold": 1.0, "selected": list(graph.node_ids[HUB])}
    file = tmp_path_factory.mktemp("pages") / "hub.html"
    file.write_text(graph_html(graph, {**initial_json(graph), **whole}))
    return file


def test_a_list_holds_all_outputs_of_a_hub(
    graph: AttributionGraph, exported: Path, open_graph: OpenGraph, pictures: Path
) -> None:
    page, watch, view = open_graph(exported)
    out = np.flatnonzero(graph.source == HUB)
    target = graph.adjacency.targets[out]
    share = np.abs(graph.weight[out] / graph.row_total[target])
    # The view tells shares apart to one part in a million, and of equal ones the earlier edge comes first.
    falling = np.argsort(-np.round(np.minimum(share, 1) * 2**20), kind="stable")
    outputs = view.panel.get_by_role("region", name="outputs")
    expect(outputs.locator("h4")).to_have_text(f"outputs {len(out):,}")
    note = view.root.locator(".ctw-corner").get_by_text("edges")
    drawn = re.fullmatch(r"showing 500 of ([\d,]+) edges", note.inner_text())
    assert drawn
    # All but those to nodes that pruning dropped for having no way on.
    assert 500 < int(drawn[1].replace(",", "")) <= len(out)
    page.screenshot(path=pictures / "hub.png")

    rows = outputs.locator(".ctw-row")
    assert rows.first.get_attribute("data-row") == str(target[falling[0]])
    assert rows.count() <= MOST_ROWS
    outputs.evaluate("element => { element.scrollTop = element.scrollHeight }")
    last = outputs.locator(f'[data-row="{target[falling[-1]]}"]')
    expect(last).to_be_in_viewport()
    assert rows.count() <= MOST_ROWS

    # From the keyboard, past the rows that exist at first.
    outputs.evaluate("element => { element.scrollTop = 0 }")
    expect(outputs.locator(f'[data-row="{target[falling[0]]}"]')).to_be_in_viewport()
    rows.first.focus()
    for _ in range(95):
        page.keyboard.press("Tab")
    focused = page.evaluate("() => Number(document.activeElement.dataset.row)")
    assert focused == target[falling[95]]
    watch.check()


def test_search_lists_all_that_it_finds(graph: AttributionGraph, exported: Path, open_graph: OpenGraph) -> None:
    page, watch, view = open_graph(exported)
    view.stage.press("/")
    page.keyboard.type("feature")
    features = np.flatnonzero(graph.is_kind("feature"))
    expect(view.root.locator(".ctw-search")).to_contain_text(f"{len(features):,} found")
    results = view.root.locator(".ctw-results").first
    results.evaluate("element => { element.scrollTop = element.scrollHeight }")
    weakest = features[np.argsort(-graph.influence[features], kind="stable")[-1]]
    expect(results.locator(f'[data-row="{weakest}"]')).to_be_in_viewport()
    # A logit is as strong as it is likely.
    view.root.get_by_label("Search nodes").fill("logit out500")
    expect(results.locator(".ctw-weight")).to_have_text(
        f"{graph.probability.max(initial=0, where=graph.is_kind('logit')):.2f}"[1:]
    )
    watch.check()


def test_shift_and_click_pins(exported: Path, open_graph: OpenGraph) -> None:
    page, watch, view = open_graph(exported)
    x, y = view.hover_some_node()
    page.keyboard.down("Shift")
    page.mouse.click(x, y)
    page.keyboard.up("Shift")
    expect(view.root.locator(".ctw-box")).to_have_count(1)
    page.mouse.move(2, 2)
    assert "tok0" in view.title()
    watch.check()
