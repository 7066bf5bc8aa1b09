"""The server extension, as the development install enables it: kernel sockets do not hold small messages back."""

from __future__ import annotations

import statistics

from tests.e2e.conftest import OpenNotebook
from tests.e2e.servers import Lab

ASK = """async () => {
  const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const times = [];
  for (let i = 0; i < 15; i++) {
    const start = performance.now();
    await kernel.requestExecute({ code: "None", store_history: false }).done;
    times.push(performance.now() - start);
  }
  return times;
}"""


def test_answers_are_not_held_back(open_notebook: OpenNotebook, lab: Lab) -> None:
    notebook = open_notebook("server.ipynb", ["None"])
    times = notebook.page.evaluate(ASK)
    print(f"an empty request takes {statistics.median(times):.0f} ms")
    told = "() => JSON.parse(document.getElementById('jupyter-config-data').textContent).ctWidgetsAtOnce"
    assert notebook.page.evaluate(told) is True
    assert "ct_widgets | extension was successfully loaded" in (lab.folder.parent / "log").read_text()
