"""CompareWidget in JupyterLab and as a page: two views that follow each other, and what only one graph has."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from ct_widgets import AttributionGraph, CompareWidget
from tests.e2e.axe import issues
from tests.e2e.conftest import NewPage, OpenNotebook
from tests.e2e.servers import Lab
from tests.e2e.view import View, settled, still_box
from tests.support.graphs import HOSTILE, layered_graph

SHOW = """import ct_widgets as ct
graph = ct.AttributionGraph.load("graph.ctgraph")
some = graph.prune(0.5, 0.9)
view = ct.CompareWidget(graph, some, names=["all", "some"])
view"""


def sides(place: Page | Locator) -> tuple[View, View]:
    graphs = place.locator(".ctw-compare .ctw-graph")
    expect(graphs).to_have_count(2)
    return View(graphs.nth(0)).wait(), View(graphs.nth(1)).wait()


@pytest.mark.usefixtures("graph")
def test_what_is_in_focus_in_one_is_so_in_the_other(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook("compare.ipynb", [SHOW])
    notebook.run_all()
    first, second = sides(notebook.page)
    x, y = second.hover_some_node()
    notebook.prints("print(view.b.hovered == view.a.hovered is not None)", lambda text: text == "True")
    notebook.page.mouse.click(x, y)
    notebook.page.mouse.move(5, 5)
    notebook.prints("print(view.a.hovered, view.b.hovered)", lambda text: text == "None None")
    notebook.prints("print(view.a.selected == view.b.selected is not None)", lambda text: text == "True")
    assert first.title() == second.title() != "Strongest features"

    # A node of the first that the second lacks: the second shows none, and the first keeps its own.
    notebook.python("only = view.nodes.query(\"found == 'a' and kind == 'feature'\").row_a.iloc[0]")
    notebook.python("view.a.selected = int(only)")
    expect(second.panel.locator(".ctw-title")).to_have_text("Strongest features")
    notebook.prints(
        "print(view.b.selected, view.a.selected == graph.node(int(only)))", lambda text: text == "None True"
    )
    expect(first.panel.locator(".ctw-title")).not_to_have_text("Strongest features")
    assert notebook.python("print(len(view.a.unmatched), len(view.b.unmatched))").split()[1] == "0"
    counts = notebook.page.locator(".ctw-only").all_inner_texts()
    assert counts[1] == "0 nodes only here"
    assert counts[0].split()[0] == notebook.python("print((view.nodes.found == 'a').sum())")
    notebook.watch.check()


@pytest.mark.usefixtures("graph")
def test_running_the_cell_again_leaves_one_link(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook("compare_again.ipynb", [SHOW, "view.a"])
    notebook.run_all()
    for _ in range(2):
        notebook.run_cell(0)
        sides(notebook.page)
    # A view of the first graph elsewhere is the same view, and drives the other through the comparison.
    notebook.run_cell(1)
    alone = View(notebook.graphs().nth(2)).wait()
    x, y = alone.hover_some_node()
    notebook.page.mouse.click(x, y)
    notebook.prints("print(view.a.selected is not None)", lambda text: text == "True")
    expect(sides(notebook.page)[0].panel.locator(".ctw-title")).to_contain_text(alone.title().split("\n")[0])
    notebook.watch.check()


def test_it_looks_right_wide_and_narrow_light_and_dark(lab: Lab, open_notebook: OpenNotebook, pictures: Path) -> None:
    real = Path(__file__).parents[1] / "data" / "graphs"
    for name in ("dallas", "opposite-of-small"):
        packed = real / f"gemma-2-2b-clt-{name}.json.gz"
        (lab.folder / f"{name}.json").write_bytes(gzip.decompress(packed.read_bytes()))
    cell = (
        "import ct_widgets as ct\n"
        'a, b = (ct.AttributionGraph.load(f"{name}.json") for name in ("dallas", "opposite-of-small"))\n'
        'view = ct.CompareWidget(a, b, names=("capital", "opposite"))\nview'
    )
    notebook = open_notebook("compare_look.ipynb", [cell], viewport={"width": 1600, "height": 1300})
    notebook.run_all()
    first, second = sides(notebook.page)
    notebook.python("view.a.selected = view.nodes.query(\"found == 'both' and kind == 'feature'\").row_a.iloc[0]")
    expect(second.panel.locator(".ctw-title")).not_to_have_text("Strongest features")
    root = notebook.page.locator(".ctw-compare")

    def tops() -> list[float]:
        return [side.root.evaluate("root => root.getBoundingClientRect().top") for side in (first, second)]

    for theme, width in (("light", 1600), ("dark", 1000)):
        notebook.set_theme(theme)
        notebook.page.set_viewport_size({"width": width, "height": 1300})
        expect(root).to_have_attribute("data-ctw-theme", theme)
        settled(notebook.page)
        still_box(second.root)
        assert (tops()[0] == tops()[1]) == (width == 1600), "side by side where there is room, else stacked"
        root.screenshot(path=pictures / f"compare-{theme}-{width}.png")
    notebook.watch.check()


def test_the_exported_page_keeps_the_link(new_page: NewPage, graph: AttributionGraph, tmp_path: Path) -> None:
    view = CompareWidget(graph, layered_graph(tokens=6, seed=1), names=(HOSTILE, "other"))
    page, watch = new_page(viewport={"width": 1500, "height": 900})
    page.goto(view.to_html(tmp_path / "compare.html").as_uri())
    first, second = sides(page)
    x, y = first.hover_some_node()
    page.mouse.click(x, y)
    logit = second.root.locator(".ctw-prediction").first
    logit.click()
    expect(first.panel.locator(".ctw-title")).to_contain_text(second.title().split("\n")[0])
    assert "out500" in first.title()
    expect(page.locator(".ctw-side-header b").first).to_have_text(HOSTILE)
    assert page.evaluate("() => window.hacked") is None
    watch.check()
    assert watch.requests == [page.url]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(new_page: NewPage, graph: AttributionGraph, tmp_path: Path, theme: str) -> None:
    page, _ = new_page(viewport={"width": 1500, "height": 900}, color_scheme=theme, bypass_csp=True)
    page.goto(CompareWidget(graph, graph.prune(0.5)).to_html(tmp_path / "compare.html").as_uri())
    sides(page)[0].root.locator(".ctw-prediction").first.click()
    assert issues(page, ".ctw-compare") == []


def test_views_are_linked_in_marimo_too(marimo_url: str, new_page: NewPage) -> None:
    page, watch = new_page(viewport={"width": 1600, "height": 1200})
    page.goto(f"{marimo_url}compare.py")
    expect(page.locator(".ctw-side-header b")).to_have_text(["all", "some"])
    first, second = sides(page)
    second.root.locator(".ctw-prediction").first.click()
    expect(first.panel.locator(".ctw-title")).to_contain_text("out500")
    page.get_by_role("button", name="choose what").click()
    expect(second.panel.locator(".ctw-title")).to_have_text("Strongest features")
    expect(first.panel.locator(".ctw-title")).not_to_contain_text("out500")
    assert watch.errors == []
