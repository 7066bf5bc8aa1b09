"""Strongest paths and suggested supernodes in the view."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from ct_widgets.widgets.page import graph_html
from ct_widgets.widgets.state import initial_json
from tests.e2e.conftest import OpenGraph, OpenNotebook
from tests.e2e.test_subgraph import SHOW
from tests.e2e.view import View
from tests.support.graphs import HOSTILE, layered_graph


@pytest.mark.parametrize(("width", "theme"), [(600, "dark"), (1000, "light"), (1600, "dark")])
def test_keys_show_the_strongest_paths_from_an_embedding_to_a_logit(
    graph_page: Path, open_graph: OpenGraph, pictures: Path, width: int, theme: str
) -> None:
    page, watch, view = open_graph(graph_page, width=width, theme=theme)
    strip = view.root.get_by_role("region", name="paths")
    expect(strip).to_be_hidden()
    for query in ("embedding tok0", "logit out500"):
        view.stage.press("/")
        page.keyboard.type(query)
        page.keyboard.press("Enter")
        page.keyboard.press("t")
    expect(strip).to_contain_text("paths from “tok0” to “out500”: 8 carry")
    paths = strip.locator(".ctw-path")
    expect(paths).to_have_count(8)
    expected = layered_graph().paths(("embedding", -1, 0, 100), ("logit", 4, 4, 500), 8)
    sign = {1: "+", -1: "−"}
    for place, path in enumerate(expected):
        expect(paths.nth(place).locator(".ctw-step")).to_have_count(len(path.nodes))
        assert paths.nth(place).locator(".ctw-weight").inner_text().startswith(sign[path.sign])
        title = paths.nth(place).locator(".ctw-weight").get_attribute("title") or ""
        assert float(title) == pytest.approx(path.sign * path.share, rel=1e-4)
    page.screenshot(path=pictures / f"paths-{width}-{theme}.png", full_page=True)
    paths.nth(1).hover()
    page.screenshot(path=pictures / f"paths-one-{width}-{theme}.png", full_page=True)
    paths.first.locator(".ctw-step").nth(1).click()
    assert view.title().split("\n")[0] == paths.first.locator(".ctw-step").nth(1).inner_text()
    view.stage.press("Escape")
    view.stage.press("Escape")
    expect(strip).to_be_hidden()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    watch.check()


@pytest.mark.usefixtures("graph")
def test_python_asks_for_paths_and_answers_for_suggestions(open_notebook: OpenNotebook, pictures: Path) -> None:
    notebook = open_notebook("paths.ipynb", [SHOW])
    notebook.run_all()
    view = View(notebook.graphs().first).wait()
    notebook.python("view.path_ends = [0, ('logit', 4, 4, 500)]")
    expect(view.root.locator(".ctw-path")).to_have_count(8)
    view.root.get_by_role("region", name="paths").get_by_role("button", name="Close").click()
    notebook.prints("print(view.path_ends)", lambda text: text == "()")

    view.root.get_by_role("button", name="Suggest").click()
    strip = view.root.get_by_role("region", name="suggestions")
    expect(strip).to_contain_text("for you to judge")
    count = int(notebook.prints("print(len(graph.suggest_supernodes()))", str.isdigit))
    expect(strip.locator("li")).to_have_count(count)
    notebook.python(
        f"view.suggestions = [('sum {HOSTILE}', [20, 21, 22], 'made up'), ('other', [30, 31], 'made up, too')]"
    )
    expect(strip.locator("li")).to_have_count(2)
    strip.locator("li").first.hover()
    view.root.screenshot(path=pictures / "suggestions-light.png")
    strip.get_by_role("button", name="Accept").first.click()
    expect(view.root.locator(".ctw-box")).to_contain_text("sum <img")
    notebook.prints("print(view.supernodes[0].members == graph.node_ids[20:23])", lambda text: text == "True")
    strip.get_by_role("button", name="Reject").click()
    expect(strip).to_contain_text("no suggestions")
    notebook.prints("print(view.suggestions, len(view.supernodes))", lambda text: text == "() 1")
    strip.get_by_role("button", name="Close").click()
    expect(strip).to_be_hidden()
    assert notebook.page.evaluate("() => window.hacked") is None
    notebook.watch.check()


def test_an_exported_page_has_its_suggestions_and_asks_nobody(open_graph: OpenGraph, tmp_path: Path) -> None:
    graph = layered_graph()
    nodes = [list(node) for node in graph.node_ids[20:22]]
    state = {**initial_json(graph), "suggestions": [{"name": "pair", "nodes": nodes, "reason": "why not"}]}
    file = tmp_path / "page.html"
    file.write_text(graph_html(graph, state))
    _, watch, view = open_graph(file)
    expect(view.root.get_by_role("button", name="Suggest")).to_have_count(0)
    view.root.get_by_role("button", name="Accept").click()
    expect(view.root.locator(".ctw-box")).to_contain_text("pair")
    watch.check()
