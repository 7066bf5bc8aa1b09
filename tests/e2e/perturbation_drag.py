"""A drag of a slider in a real notebook, and how long each move took until the numbers of its answer were painted."""

from __future__ import annotations

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
HAS_THREAD = """async () => {
  const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const reply = await kernel.requestListSubshell({}).done;
  return reply.content.subshell_id.length > 0;
}"""
"""Whether the kernel has a thread for widgets beside its cells, which JupyterLab asks for after it has shown one."""

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
_FRAME = "() => new Promise(requestAnimationFrame)"
# The last strength that was asked for is that of the last picture.
_ANSWERED = """name => {
  const [, wanted] = taken.moves.at(-1);
  return taken.paints.length > 0 && (taken.paints.at(-1)[1][name] ?? 1) === wanted;
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


def drag(page: Page, figure: Locator, name: str, moves: int) -> list[float]:
    """Drag one slider to and fro, a move a frame; -> milliseconds from every move to the painted numbers of it or of a
    later one."""
    slider = figure.locator(f'.ctw-p-slider[data-name="{name}"]')
    slider.scroll_into_view_if_needed()
    figure.evaluate(_RECORD)
    page.mouse.move(*place(slider, 1))
    page.mouse.down()
    for step in range(moves):
        page.mouse.move(*place(slider, 1.9 * (1 - abs(1 - (step * 0.013) % 2) * 2)))
        page.evaluate(_FRAME)
    page.mouse.up()
    page.wait_for_function(_ANSWERED, arg=name)
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
