"""What a view cannot show reaches Python as the trait `error`."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import OpenNotebook

# The data are damaged from the first message on: a view does not read them again.
SHOW = """import traitlets
import ct_widgets as ct
class Damaged(ct.GraphWidget):
    @traitlets.validate("_columns")
    def _cut(self, proposal):
        return bytes(proposal.value)[:4000]
view = Damaged(ct.AttributionGraph.load("graph.ctgraph"))
view"""


@pytest.mark.usefixtures("graph")
def test_what_cannot_be_shown_is_read_in_python(open_notebook: OpenNotebook) -> None:
    notebook = open_notebook("errors.ipynb", [SHOW])
    notebook.run_all()
    expect(notebook.page.get_by_role("alert")).to_contain_text("This graph cannot be shown. The data are damaged")
    assert notebook.prints("print(view.error)", lambda said: "The data are damaged" in said)
    notebook.watch.check()
