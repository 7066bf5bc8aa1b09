"""Other widgets in the side panel of the graph view."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import OpenNotebook
from tests.e2e.view import View

PANEL = '''
import anywidget, traitlets
import ct_widgets as ct

class Card(anywidget.AnyWidget):
    """Speaks of features only."""
    note = traitlets.Unicode("card").tag(sync=True)
    _esm = """
    export default () => {
      const shown = [];
      let node = null;
      const fill = (el, model) => { el.textContent = `${model.get("note")} of ${JSON.stringify(node)}`; };
      return {
        initialize({ model }) {
          return { showNode(id) { node = id; for (const el of shown) fill(el, model); return id[0] === "feature"; } };
        },
        render({ el, model, signal }) {
          shown.push(el);
          model.on("change:note", () => fill(el, model));
          signal.addEventListener("abort", () => shown.splice(shown.indexOf(el), 1));
          window.panelViews = shown;
        },
      };
    };
    """

class Mute(anywidget.AnyWidget):
    _esm = 'export default { render({ el }) { el.textContent = "always here"; } }'

graph = ct.AttributionGraph.load("graph.ctgraph")
card = Card()
view = ct.GraphWidget(graph, panels=[card, Mute()])
view
'''


@pytest.mark.usefixtures("graph")
def test_widgets_in_the_panel_hear_of_the_node_in_focus(open_notebook: OpenNotebook, pictures: Path) -> None:
    notebook = open_notebook("panels.ipynb", [PANEL])
    notebook.run_all()
    view = View(notebook.graphs().first).wait()
    slots = view.root.locator(".ctw-slot")
    expect(slots).to_have_count(2)
    expect(slots.first).to_be_hidden()
    feature = notebook.python("view.selected = 100; print(list(view.selected)[0], list(view.selected)[3])").split()
    assert feature[0] == "feature"
    expect(slots.first).to_contain_text('card of ["feature",')
    expect(slots.first).to_contain_text(f"{feature[1]}]")
    expect(slots.nth(1)).to_have_text("always here")
    view.root.screenshot(path=pictures / "panels-light.png")
    notebook.python("view.selected = ('logit', 4, 4, 500)")
    expect(slots.first).to_be_hidden()
    expect(slots.nth(1)).to_be_visible()
    view.hover_some_node()
    notebook.python("card.note = 'renamed'; view.selected = 100")
    expect(slots.first).to_contain_text("renamed of")
    notebook.python("view.panels = [card]")
    expect(slots).to_have_count(1)
    expect(slots).to_contain_text("renamed of")
    assert notebook.page.evaluate("() => panelViews.length") == 1
    notebook.watch.check()
