"""TrainingWidget in a real JupyterLab: it shows itself, follows the run, and its buttons steer it meanwhile."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import OpenNotebook
from tests.e2e.view import still_text

MODEL = """
import ct_widgets as ct
from ct_widgets.training import TrainingConfig
model = ct.load_demo()
texts = [f"calc: {a}+{b}={a + b}" for a in range(100) for b in range(99 - a)]
config = TrainingConfig(
    features=256, kind="plt", steps=4000, batch_size=256, buffer=4096, held_out=512, evaluate_every=20
)
"""
TRAIN = """
run = ct.train_transcoder(model, texts, config, callbacks=[ct.TrainingWidget(theme="{theme}")], progress=False)
len(run.history), run.finished
"""


@pytest.mark.parametrize(("theme", "width"), [("light", 1400), ("dark", 800)])
def test_a_run_is_watched_and_steered(open_notebook: OpenNotebook, pictures: Path, theme: str, width: int) -> None:
    notebook = open_notebook(
        f"training-{theme}.ipynb",
        [MODEL, TRAIN.format(theme=theme)],
        theme=theme,
        viewport={"width": width, "height": 1000},
    )
    # The command ends when its cells do; the test goes on meanwhile.
    notebook.page.evaluate("() => void jupyterapp.commands.execute('notebook:run-all-cells')")
    view = notebook.page.locator(".ctw-training")
    state = view.locator(".ctw-t-state")
    expect(state).to_contain_text("left")
    expect(view.locator(".ctw-t-card").first).to_be_visible()
    view.screenshot(path=pictures / f"training-{theme}-running.png")

    view.get_by_role("button", name="Pause").click()
    expect(state).to_contain_text("paused after")
    # After the step at hand nothing is learned: over many frames the state tells of no further token.
    assert still_text(state, frames=60).startswith("paused after")
    view.get_by_role("button", name="Resume").click()
    expect(state).to_contain_text("left")

    # Arrow keys read the curves at a place.
    newest = view.locator(".ctw-t-head b").first.inner_text()
    charts = view.locator(".ctw-t-charts")
    charts.focus()
    charts.press("ArrowLeft")
    expect(view.locator(".ctw-t-cursor")).to_have_count(4)
    for _ in range(9):
        charts.press("Shift+ArrowLeft")
    expect(view.locator(".ctw-t-head b").first).not_to_have_text(newest)
    charts.press("Escape")
    expect(view.locator(".ctw-t-cursor")).to_have_count(0)

    view.get_by_role("button", name="Stop").click()
    expect(state).to_contain_text("stopped after")
    expect(view.locator(".ctw-t-buttons button:visible")).to_have_count(0)
    expect(view.locator(".ctw-t-table tbody tr")).to_have_count(5)
    notebook.wait_idle()
    view.screenshot(path=pictures / f"training-{theme}-stopped.png")
    notebook.watch.check()

    # The saved notebook shows the figure where no kernel runs.
    outputs = notebook.page.evaluate("() => jupyterapp.shell.currentWidget.content.model.cells.get(1).toJSON().outputs")
    picture = json.dumps([output.get("data", {}).get("image/svg+xml") for output in outputs])
    assert "dead features" in picture
    assert "stopped" in picture
