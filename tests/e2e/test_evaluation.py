"""An evaluation in JupyterLab: the summary, a live figure, and what is said of one graph; nothing is fetched."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import OpenNotebook

CELLS = [
    "import ct_widgets as ct\nfrom ct_widgets.demo import load_texts\nmodel = ct.load_demo()",
    "report = model.evaluate(load_texts(30), prompts=['calc: 36+59='])\nreport",
    "report.figures['L0 against normalised MSE']",
    "report.figures['path lengths']",
    "model.attribute('calc: 36+59=').audit(model)",
]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_an_evaluation_shows_tables_and_live_figures(open_notebook: OpenNotebook, pictures: Path, theme: str) -> None:
    notebook = open_notebook(f"evaluation-{theme}.ipynb", CELLS, theme=theme, viewport={"width": 1200, "height": 2000})
    notebook.run_all()
    outputs = notebook.page.locator(".jp-Cell-outputArea")
    expect(outputs.nth(1).locator("tbody tr")).to_have_count(4)
    expect(outputs.nth(1)).to_contain_text("neurons, L0")
    expect(outputs.nth(2).locator(".scatterlayer .trace")).to_have_count(2)
    expect(outputs.nth(4).locator("li")).to_have_count(4)
    expect(outputs.nth(4)).to_contain_text("of the influence on the output comes from errors")
    notebook.page.screenshot(path=pictures / f"evaluation-{theme}.png")
    notebook.watch.check()
