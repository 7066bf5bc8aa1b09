"""The first notebook in JupyterLab, as a newcomer runs it: the embedded model, its graph, and a talk with Python."""

from __future__ import annotations

import json
from pathlib import Path

from playwright.sync_api import expect

from tests.e2e.conftest import OpenNotebook
from tests.e2e.view import View

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "01_trace_a_prompt.ipynb"


def test_the_first_notebook_runs_from_a_new_kernel_and_its_view_talks_with_python(
    open_notebook: OpenNotebook, pictures: Path
) -> None:
    cells = ["".join(c["source"]) for c in json.loads(NOTEBOOK.read_text())["cells"] if c["cell_type"] == "code"]
    notebook = open_notebook(NOTEBOOK.name, cells, viewport={"width": 1500, "height": 950}, new="kernel")
    notebook.run_all()
    assert notebook.page.locator(".jp-OutputArea-output[data-mime-type*=error]").count() == 0
    first = notebook.graphs().first
    first.scroll_into_view_if_needed()
    view = View(first).wait()
    expect(view.root.locator(".ctw-prompt")).to_contain_text("calc: 36+59=")
    expect(view.root.locator(".ctw-answer")).to_contain_text("95")
    view.root.screenshot(path=pictures / "notebook-light.png")

    x, y = view.hover_some_node()
    view.root.screenshot(path=pictures / "notebook-hovered.png")
    notebook.page.mouse.click(x, y)
    notebook.page.mouse.move(5, 5)
    before = view.count("nodes")
    view.slide("nodes", 0.6)
    assert view.count("nodes") != before

    # The second view is the one that the notebook keeps in a variable: read it back after a click, and set it.
    kept = View(notebook.graphs().nth(1))
    kept.root.scroll_into_view_if_needed()
    kept.wait()
    expect(kept.panel).to_contain_text("strongest feature")
    kept.rows.first.click()
    name = kept.panel.locator(".ctw-title .ctw-mono").inner_text().strip("“”")
    notebook.prints("print(view.selected, view.graph.token(view.selected))", lambda text: name in text)
    notebook.python("view.selected = graph.nodes.query(\"kind == 'logit'\").index[0]")
    expect(kept.panel.locator(".ctw-title")).to_contain_text("95")

    notebook.set_theme("dark")
    expect(kept.root).to_have_attribute("data-ctw-theme", "dark")
    kept.root.screenshot(path=pictures / "notebook-dark.png")
    notebook.watch.check()
