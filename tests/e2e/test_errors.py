"""What a view cannot show reaches Python as the trait `error`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.e2e.notebook import Notebook

# The bytes are cut before the widget has a model in the browser.
SHOW = """import ct_widgets as ct
from ct_widgets.widgets import graph_widget
whole = graph_widget.wire
graph_widget.wire = lambda graph: whole(graph)[:4000]
view = ct.GraphWidget(ct.AttributionGraph.load("graph.ctgraph"))
view"""


@pytest.mark.usefixtures("graph")
def test_what_cannot_be_shown_is_read_in_python(open_notebook: Callable[..., Notebook]) -> None:
    notebook = open_notebook("errors.ipynb", [SHOW])
    notebook.run_all()
    expect(notebook.page.get_by_role("alert")).to_contain_text("This graph cannot be shown. The data are damaged")
    assert notebook.prints("print(view.error)", lambda said: "The data are damaged" in said)
    notebook.watch.check()
