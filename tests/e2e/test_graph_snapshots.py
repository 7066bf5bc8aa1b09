"""Snapshots of the subgraph: kept, restored, deleted and undone in the view; read and set from Python."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import OpenNotebook
from tests.e2e.test_subgraph import SHOW, pin_two
from tests.e2e.view import View
from tests.support.graphs import HOSTILE


@pytest.mark.usefixtures("graph")
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_subgraph_is_kept_and_comes_back(open_notebook: OpenNotebook, pictures: Path, theme: str) -> None:
    notebook = open_notebook(f"snapshots-{theme}.ipynb", [SHOW], theme=theme)
    notebook.run_all()
    view = View(notebook.graphs().first).wait()
    boxes, line = view.root.locator(".ctw-box"), view.root.get_by_role("group", name="snapshots")
    expect(line).to_be_hidden()
    pin_two(view)
    line.get_by_role("button", name="Save…").click()
    notebook.page.keyboard.type(f"two {HOSTILE}")
    notebook.page.keyboard.press("Enter")
    expect(view.stage).to_be_focused()
    notebook.prints(
        "print([(name, len(kept.pinned)) for name, kept in view.snapshots.items()])", lambda t: ", 2)]" in t
    )
    view.stage.press("p")
    expect(boxes).to_have_count(1)
    view.root.locator(".ctw-subgraph").scroll_into_view_if_needed()
    view.root.screenshot(path=pictures / f"snapshots-{theme}.png")
    line.get_by_role("button", name="two <img").first.click()
    expect(boxes).to_have_count(2)
    line.get_by_role("button", name="Delete two").click()
    notebook.prints("print(view.snapshots)", lambda text: text == "{}")
    view.root.get_by_role("button", name="Undo").click()
    notebook.prints("print(len(view.snapshots))", lambda text: text == "1")
    notebook.python("view.snapshots = {'of Python': ([5, 6, 7], [('three', [5, 6, 7])], {})}")
    line.get_by_role("button", name="of Python", exact=True).click()
    expect(boxes).to_have_count(1)
    expect(boxes).to_contain_text("three")
    notebook.prints("print(len(view.pinned), view.supernodes[0].name)", lambda text: text == "3 three")
    assert notebook.page.evaluate("() => window.hacked") is None
    notebook.watch.check()
