"""GlobalWeightsWidget in a real JupyterLab: walking, ranking, the way back."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import ViewportSize, expect

from tests.e2e.conftest import OpenNotebook

MODEL = """
import ct_widgets as ct
from ct_widgets.demo.corpus import statements
model = ct.load_demo()
texts = [f"{s.prompt} {s.answer}" for s in statements(0)[::16]]
weights = model.global_weights(texts, progress=False)
meeting = weights.pairs.query("not interference")["source"]
lower, upper = (meeting[meeting.str.startswith(layer)].mode()[0] for layer in ("L1/", "L2/"))
"""
VIEW = MODEL + "view = weights.show(lower, theme='THEME')\nview"
WIDE: ViewportSize = {"width": 1500, "height": 1000}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_neighbours_are_ranked_walked_to_and_walked_back_from(
    open_notebook: OpenNotebook, pictures: Path, theme: str
) -> None:
    notebook = open_notebook(f"walk-{theme}.ipynb", [VIEW.replace("THEME", theme)], theme=theme, viewport=WIDE)
    notebook.run_all()
    view = notebook.page.locator(".ctw-walk")
    inputs, outputs = (view.locator(f'.ctw-neighbour[data-side="{side}"]') for side in ("inputs", "outputs"))
    inputs.first.wait_for()
    expect(inputs).to_have_count(10)
    expect(outputs).to_have_count(10)
    assert view.locator(".ctw-apart").count() == 0
    view.screenshot(path=pictures / f"walk-{theme}.png")
    lower, upper = notebook.python("print(lower, upper)").split()
    expected = notebook.python("print(*weights.inputs(lower).source)").split()
    assert [row.get_attribute("data-goto") for row in inputs.all()] == expected

    view.get_by_role("button", name="virtual weight").click()
    expect(view.locator(".ctw-apart").first).to_be_visible()
    assert notebook.python("print(view.by)") == "virtual"
    view.screenshot(path=pictures / f"walk-virtual-{theme}.png")
    marked = notebook.python("print(weights.inputs(lower, by='virtual').interference.sum())")
    assert view.locator('.ctw-apart[data-side="inputs"]').count() == int(marked)

    view.get_by_role("button", name="TWERA").click()
    expect(view.locator(".ctw-apart")).to_have_count(0)
    inputs.first.focus()
    notebook.page.keyboard.press("ArrowDown")
    expect(inputs.nth(1)).to_be_focused()
    notebook.page.keyboard.press("Enter")
    expect(view).to_have_attribute("data-feature", expected[1])
    notebook.prints("print(view.trail)", lambda text: text == f"['{lower}', '{expected[1]}']")
    expect(view.locator(".ctw-missing")).to_have_text("Nothing feeds it: no inputs are kept.")
    view.screenshot(path=pictures / f"walk-lowest-{theme}.png")
    view.locator(".ctw-step").click()
    expect(view).to_have_attribute("data-feature", lower)
    notebook.prints("print(view.trail)", lambda text: text == f"['{lower}']")
    notebook.python("view.feature = upper")
    expect(view).to_have_attribute("data-feature", upper)
    cut = view.evaluate(
        "root => [...root.querySelectorAll('h3, h4, .ctw-trail, .ctw-rankings, .ctw-walk-weight')]"
        ".filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent)"
    )
    assert cut == []
    inputs.first.locator(".ctw-neighbour-head").hover()
    expect(view.locator(".ctw-tooltip")).to_contain_text("of its usual activation where the target is active")
    view.screenshot(path=pictures / f"walk-tip-{theme}.png")
    notebook.page.set_viewport_size({"width": 800, "height": 1000})
    view.screenshot(path=pictures / f"walk-narrow-{theme}.png")
    notebook.watch.check()
