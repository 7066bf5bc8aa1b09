"""GraphWidget in Notebook 7 and marimo: it shows, passes the selection both ways, and two on one page are two."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import NewPage
from tests.e2e.notebook import Notebook
from tests.e2e.servers import Lab, jupyter
from tests.e2e.view import View
from tests.support.graphs import layered_graph

CELLS = [
    'import ct_widgets as ct\ngraph = ct.AttributionGraph.load("graph.ctgraph")\nview = graph.show()\nview',
    "other = graph.show()\nother",
]


@pytest.fixture(scope="module")
def notebook_7(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    home = tmp_path_factory.mktemp("notebook")
    with jupyter(home, "notebook", "--JupyterNotebookApp.expose_app_in_browser=True") as server:
        layered_graph().save(server.folder / "graph.ctgraph")
        yield server


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_notebook_7_and_python_share_the_selection_of_one_of_two_views(
    notebook_7: Lab, new_page: NewPage, pictures: Path, theme: str
) -> None:
    page, watch = new_page(viewport={"width": 1200, "height": 1400})
    file = notebook_7.folder / f"{theme}.ipynb"
    notebook = Notebook.open(page, watch, f"{notebook_7.url}/notebooks", notebook_7.token, file, CELLS, theme)
    notebook.run_all()
    first, second = View(notebook.graphs().nth(0)).wait(), View(notebook.graphs().nth(1)).wait()
    expect(first.root).to_have_attribute("data-ctw-theme", theme)
    x, y = first.hover_some_node()
    page.mouse.click(x, y)
    page.mouse.move(5, 5)
    name = first.panel.locator(".ctw-title .ctw-mono").inner_text().strip("“”")
    notebook.prints("print(view.selected, view.graph.token(view.selected))", lambda text: name in text)
    assert notebook.python("print(other.selected)") == "None"
    assert second.title() == "Strongest features"
    notebook.python("other.selected = ('logit', 4, 4, 500)")
    expect(second.panel.locator(".ctw-title")).to_contain_text("out500")
    assert name in first.title()
    first.root.screenshot(path=pictures / f"notebook7-{theme}.png")
    notebook.end_kernel()
    watch.check()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_marimo_app_shares_the_selection_of_one_of_two_views(
    marimo_url: str, new_page: NewPage, pictures: Path, theme: str
) -> None:
    page, watch = new_page(viewport={"width": 1200, "height": 1400}, color_scheme=theme)
    page.goto(f"{marimo_url}graph.py")
    graphs = page.locator(".ctw-graph")
    expect(graphs).to_have_count(2)
    first, second = View(graphs.nth(0)).wait(), View(graphs.nth(1)).wait()
    x, y = first.hover_some_node()
    page.mouse.click(x, y)
    page.mouse.move(5, 5)
    name = first.panel.locator(".ctw-title .ctw-mono").inner_text().strip("“”").rpartition("/")[2]
    expect(page.get_by_text("first [")).to_contain_text(f"{name}] second []")
    assert second.title() == "Strongest features"
    page.get_by_role("button", name="choose the logit").click()
    expect(first.panel.locator(".ctw-title")).to_contain_text("out500")
    assert second.title() == "Strongest features"
    first.root.screenshot(path=pictures / f"marimo-{theme}.png")
    assert watch.errors == []
