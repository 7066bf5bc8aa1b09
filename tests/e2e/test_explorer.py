"""CircuitExplorer in JupyterLab, with the embedded model: graph and panels are one view, by mouse and by keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.axe import issues
from tests.e2e.conftest import OpenNotebook
from tests.e2e.view import View, settled

SHOW = """import ct_widgets as ct
model = ct.load_demo()
graph = model.attribute("calc: 36+59=", progress=False)
explorer = ct.CircuitExplorer(model, graph)
explorer"""

# A panel needs no model unless it asks for one.
OWN = """import anywidget, traitlets
import ct_widgets as ct
graph = ct.AttributionGraph.load("graph.ctgraph")
explorer = ct.CircuitExplorer(None, graph, panel="")
class Said(anywidget.AnyWidget):
    _esm = '''export default () => { const seen = []; let paint = () => {};
      return {
        initialize: () => ({ showNode: (node) => { seen.push(node.join("/")); paint(); } }),
        render({ el, model }) {
          el.className = "said";
          paint = () => { el.textContent = model.get("text") + " " + seen.at(-1); };
          paint();
        } } }'''
    text = traitlets.Unicode().tag(sync=True)
@ct.register_panel("said", title="<b>Said</b>", order=1)
def make(model, view):
    return Said(text="<i>panel</i>")
other = ct.CircuitExplorer(None, graph, panel="said")
display(explorer, other)"""


def test_graph_and_panels_are_one_view(open_notebook: OpenNotebook, pictures: Path) -> None:
    notebook = open_notebook("explorer.ipynb", [SHOW], viewport={"width": 1200, "height": 1700})
    notebook.run_all()
    root = notebook.page.locator(".ctw-explorer")
    expect(root).to_have_attribute("data-ctw-theme", "light")
    view = View(root.locator(".ctw-graph")).wait()
    place = root.locator(".ctw-panel-place")
    notebook.python(
        "row = graph.nodes.query(\"kind == 'feature'\").influence.idxmax(); explorer.view.selected = int(row)"
    )
    name = notebook.python("node = graph.node(int(row)); print(f'L{node.layer}/{node[3]}')")
    expect(view.panel.locator(".ctw-title")).to_contain_text(name)
    expect(place).to_contain_text(name)
    root.screenshot(path=pictures / "explorer-feature-light.png")
    assert issues(notebook.page, ".ctw-explorer") == []

    # Groups of the graph are the sliders of the next panel, by keys alone.
    notebook.python("explorer.view.supernodes = [('strongest', [graph.node(int(row))])]")
    tabs = root.get_by_role("tab")
    tabs.first.focus()
    notebook.page.keyboard.press("ArrowRight")
    expect(tabs.nth(1)).to_have_attribute("aria-selected", "true")
    notebook.prints("print(explorer.panel)", lambda text: text == "perturbation")
    expect(place).to_contain_text("strongest")
    notebook.python("explorer.view.supernodes = [('renamed', [graph.node(int(row))])]")
    expect(place).to_contain_text("renamed")
    notebook.set_theme("dark")
    expect(root).to_have_attribute("data-ctw-theme", "dark")
    settled(notebook.page)
    root.screenshot(path=pictures / "explorer-perturbation-dark.png")
    assert issues(notebook.page, ".ctw-explorer") == []
    tabs.nth(1).click()
    expect(place).to_be_hidden()
    notebook.prints("print(repr(explorer.panel), explorer.shown)", lambda text: text == "'' None")
    notebook.watch.check()


@pytest.mark.usefixtures("graph")
def test_a_notebook_adds_a_panel_of_its_own(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook("explorer_own.ipynb", [OWN], new="kernel")
    notebook.run_all()
    expect(notebook.page.locator(".ctw-explorer")).to_have_count(2)
    first, second = (notebook.page.locator(".ctw-explorer").nth(place) for place in (0, 1))
    expect(first.get_by_role("tab")).not_to_contain_text(["Said"])
    expect(second.get_by_role("tab").first).to_have_text("<b>Said</b>")
    notebook.python("other.view.selected = 3")
    expect(second.locator(".said")).to_have_text(
        "<i>panel</i> " + notebook.python("print('/'.join(map(str, graph.node(3))))")
    )
    assert notebook.python("print(explorer.view.selected)") == "None"
    notebook.watch.check()
