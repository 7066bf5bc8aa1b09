"""A drag of a slider in a real notebook, and how long each move took until the numbers of its answer were painted."""

from __future__ import annotations

import time

from playwright.sync_api import Locator, Page

SHOW = """import ct_widgets as ct
model = ct.load_demo()
graph = model.attribute("calc: 36+59=", progress=False)
nodes = graph.nodes.query("kind == 'feature'")
groups = [(f"layer {layer}", [graph.node_ids[i] for i in rows.nlargest(5, "influence").index])
          for layer, rows in nodes.groupby("layer")]
view = ct.PerturbationWidget(model, graph, groups)
view"""
BUSY = "import time\nend = time.time() + {seconds}\nwhile time.time() < end:\n    sum(range(2000))"
RUN = """code => {
  const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  window.ended = false;
  void kernel.requestExecute({ code }).done.then(() => { window.ended = true; });
}"""
"""Executes code as a cell does, without waiting for it."""

# Moves are timed before the view hears of them, answers after the frame that shows them.
_RECORD = """svg => {
  const taken = window.taken = { moves: [], paints: [] };
  const value = () => svg.querySelector('.ctw-p-active')?.getAttribute('aria-valuenow');
  svg.addEventListener('pointermove', () => taken.moves.push([performance.now(), null]), { capture: true });
  svg.addEventListener('pointermove', () => { taken.moves.at(-1)[1] = Number(value()); });
  new MutationObserver(() => {
    const answered = JSON.parse(svg.dataset.answered) ?? {};
    requestAnimationFrame(() => setTimeout(() => taken.paints.push([performance.now(), answered])));
  }).observe(svg, { attributeFilter: ['data-answered'] });
}"""


def axis(slider: Locator) -> tuple[float, float, float]:
    """Where the axis of a slider begins and ends, and its height on the page."""
    frame = slider.locator(".ctw-p-frame").bounding_box()
    assert frame
    return frame["x"] + 10, frame["x"] + frame["width"] - 10, frame["y"] + 34


def place(slider: Locator, strength: float) -> tuple[float, float]:
    """Where a hand puts the thumb for a strength."""
    left, right, y = axis(slider)
    return left + (right - left) * (strength + 2) / 4, y


def drag(page: Page, figure: Locator, name: str, seconds: float) -> list[float]:
    """Drag one slider to and fro; -> milliseconds from every move to the painted numbers of it or of a later one."""
    slider = figure.locator(f'.ctw-p-slider[data-name="{name}"]')
    slider.scroll_into_view_if_needed()
    figure.evaluate(_RECORD)
    page.mouse.move(*place(slider, 1))
    page.mouse.down()
    end, step = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        page.mouse.move(*place(slider, 1.9 * (1 - abs(1 - (step * 0.013) % 2) * 2)))
        step += 1
        page.wait_for_timeout(8)
    page.mouse.up()
    page.wait_for_timeout(1500)
    taken = figure.evaluate("() => window.taken")
    return _latencies(taken["moves"], taken["paints"], name)


def _latencies(moves: list[list[float]], paints: list[list], name: str) -> list[float]:
    """An answer belongs to the last move before it that asked for its strength."""
    answered: list[tuple[float, int]] = []
    for at, strengths in paints:
        value = strengths.get(name, 1)
        asked = [i for i, (when, wanted) in enumerate(moves) if when < at and wanted == value]
        if asked:
            answered.append((at, asked[-1]))
    found: list[float] = []
    for i, (when, wanted) in enumerate(moves):
        if i and moves[i - 1][1] == wanted:
            continue  # the strength snapped to the same value: nothing to answer
        later = [at for at, move in answered if move >= i]
        if later:
            found.append(min(later) - when)
    return found
