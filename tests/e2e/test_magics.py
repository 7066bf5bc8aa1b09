"""%trace in JupyterLab: a graph, two side by side, completion, and one line for what is missing."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.e2e.conftest import OpenNotebook

COMPLETE = """async code => {
  const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const reply = await kernel.requestComplete({ code, cursor_pos: code.length });
  return reply.content.matches;
}"""


def test_trace_shows_graphs_and_completes(open_notebook: OpenNotebook) -> None:
    cells = [
        "%load_ext ct_widgets",
        "%trace calc: 36+59=",
        "import ct_widgets as ct\nmodel = ct.load_demo()",
        "%trace calc: 36+59=",
        "%%trace --model model\ncalc: 36+59=\ncalc: 36+58=",
    ]
    notebook = open_notebook("magics.ipynb", cells)
    for place in (0, 1):
        notebook.run_cell(place)
    outputs = notebook.page.locator(".jp-Cell-outputArea")
    expect(outputs.nth(1)).to_contain_text("UsageError: no model is set")
    expect(outputs.nth(1)).to_contain_text("run model = ct.load_demo() first")
    expect(outputs.nth(1)).not_to_contain_text("Traceback")
    for place in (2, 3, 4):
        notebook.run_cell(place)
    expect(outputs.nth(3).locator(".ctw-graph")).to_have_count(1)
    expect(outputs.nth(4).locator(".ctw-compare .ctw-graph")).to_have_count(2)
    expect(outputs.nth(4).locator(".ctw-side-header b")).to_have_text(["calc: 36+59=", "calc: 36+58="])
    assert "--model" in notebook.page.evaluate(COMPLETE, "%trace --mo")
    assert "model" in notebook.page.evaluate(COMPLETE, "%trace --model m")
    notebook.watch.check()
