"""GraphWidget in JupyterLab: what a person does reaches Python, what Python sets is seen, and nothing else happens."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from ct_widgets import AttributionGraph
from tests.e2e.conftest import OpenNotebook
from tests.e2e.notebook import Notebook
from tests.e2e.view import View

SHOW = 'import ct_widgets as ct\ngraph = ct.AttributionGraph.load("graph.ctgraph")\nview = graph.show()\nview'


@pytest.mark.usefixtures("graph")
def test_a_person_and_python_share_the_state(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook("state.ipynb", [SHOW])
    notebook.run_all()
    view = View(notebook.graphs().first).wait()
    assert view.title() == "Strongest features"

    x, y = view.hover_some_node()
    notebook.prints("print(view.hovered)", lambda text: text != "None")
    previewed = view.title()
    notebook.page.mouse.click(x, y)
    notebook.page.mouse.move(5, 5)
    assert view.title().startswith(previewed.split("\n")[0])
    name = view.panel.locator(".ctw-title .ctw-mono").inner_text().strip("“”")
    notebook.prints("print(view.selected, view.graph.token(view.selected))", lambda text: name in text)
    notebook.prints("print(view.hovered)", lambda text: text == "None")

    before = view.count("nodes")
    view.slide("nodes", 0.5)
    assert view.count("nodes") != before
    notebook.prints("print(view.node_threshold)", lambda text: text == "0.5")
    kept = int(view.count("nodes").split()[0])
    assert int(notebook.python("print(graph.prune(0.5, view.edge_threshold).n_nodes)")) == kept

    notebook.python("view.selected = ('logit', 4, 4, 500); view.edge_threshold = 0.6")
    expect(view.panel.locator(".ctw-title")).to_contain_text("out500")
    expect(view.root.locator(".ctw-slider", has_text="edges").locator("output")).to_have_text(".60")
    notebook.python("view.selected = None")
    expect(view.panel.locator(".ctw-title")).to_have_text("Strongest features")
    notebook.watch.check()


@pytest.mark.usefixtures("graph")
def test_keys_reach_the_graph_and_not_the_notebook(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook("keys.ipynb", [SHOW, "1"])
    notebook.run_all()
    view = View(notebook.graphs().first).wait()
    cells = notebook.page.locator(".jp-Cell")
    active = "() => jupyterapp.shell.currentWidget.content.activeCellIndex"
    view.stage.focus()
    place = notebook.page.evaluate(active)
    walked = []
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "[", "p", "]", "p"):
        notebook.page.keyboard.press(key)
        walked.append(view.title())
    assert walked[0].startswith("“out500”")
    assert len(set(walked)) >= 4
    notebook.prints("print(len(view.pinned))", lambda text: text == "2")
    expect(view.root.locator("[role=status]")).to_contain_text("pinned")
    notebook.page.keyboard.press("Escape")
    notebook.prints("print(view.selected)", lambda text: text == "None")
    view.root.locator(".ctw-slider input").first.focus()
    notebook.page.keyboard.press("ArrowLeft")
    notebook.prints("print(round(view.node_threshold, 2))", lambda text: text == "0.79")
    assert notebook.page.evaluate(active) == place
    assert cells.count() == 2
    notebook.watch.check()


@pytest.mark.usefixtures("graph")
def test_two_views_are_independent_and_a_second_run_leaves_nothing_behind(
    open_notebook: OpenNotebook,
) -> None:
    notebook = open_notebook("two.ipynb", [SHOW, "other = graph.show()\nother"], new="page")
    notebook.run_all()
    first, second = View(notebook.graphs().nth(0)).wait(), View(notebook.graphs().nth(1)).wait()
    x, y = second.hover_some_node()
    notebook.page.mouse.click(x, y)
    second.slide("nodes", 0.6)
    notebook.prints("print(other.node_threshold, other.selected is None)", lambda text: text == "0.6 False")
    assert notebook.python("print(view.selected, view.node_threshold)") == "None 0.8"
    assert first.title() == "Strongest features"

    listeners = _listeners(notebook)
    assert listeners == 2
    for _ in range(3):
        notebook.run_cell(0)
        View(notebook.graphs().nth(0)).wait()
    assert notebook.graphs().count() == 2
    assert _listeners(notebook) == listeners
    assert _living(notebook, ".ctw-stage") == 2
    notebook.watch.check()


def _listeners(notebook: Notebook) -> int:
    """Listeners of ours on the window, where a view that forgot to let go would be found."""
    session = notebook.page.context.new_cdp_session(notebook.page)
    found = session.send("Runtime.evaluate", {"expression": "window"})
    listeners = session.send("DOMDebugger.getEventListeners", {"objectId": found["result"]["objectId"]})["listeners"]
    session.detach()
    return sum(listener["type"] == "keydown" and listener["useCapture"] for listener in listeners)


def _living(notebook: Notebook, selector: str) -> int:
    """Elements that memory still holds after a collection, attached or not."""
    session = notebook.page.context.new_cdp_session(notebook.page)
    session.send("HeapProfiler.enable")
    session.send("HeapProfiler.collectGarbage")
    prototype = session.send("Runtime.evaluate", {"expression": "HTMLDivElement.prototype"})["result"]["objectId"]
    objects = session.send("Runtime.queryObjects", {"prototypeObjectId": prototype})["objects"]["objectId"]
    count = session.send(
        "Runtime.callFunctionOn",
        {
            "objectId": objects,
            "functionDeclaration": "function (selector) { return this.filter(e => e.matches(selector)).length }",
            "arguments": [{"value": selector}],
            "returnByValue": True,
        },
    )["result"]["value"]
    session.detach()
    return count


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_follows_the_notebooks_theme(
    theme: str, graph: AttributionGraph, open_notebook: OpenNotebook, pictures: Path
) -> None:
    notebook = open_notebook(f"{theme}.ipynb", [SHOW], theme=theme)
    notebook.run_all()
    view = View(notebook.graphs().first).wait()
    expect(view.root).to_have_attribute("data-ctw-theme", theme)
    view.root.screenshot(path=pictures / f"jupyterlab-{theme}.png")
    notebook.python("view.theme = 'light'")
    expect(view.root).to_have_attribute("data-ctw-theme", "light")
    notebook.python("view.theme = 'auto'")
    notebook.set_theme("dark" if theme == "light" else "light")
    expect(view.root).not_to_have_attribute("data-ctw-theme", theme)
    # A token that is markup was drawn as text.
    assert notebook.page.evaluate("() => window.hacked") is None
    assert graph.tokens[-1] in view.root.locator(".ctw-prompt").inner_text()
    notebook.watch.check()
