"""Keys that select one node of a graph after the other, and how long each card took until it was painted."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.e2e.view import View

SHOW = """import ct_widgets as ct
model = ct.load_demo()
graph = model.attribute("calc: 36+59=", progress=False)
view = ct.GraphWidget(graph, node_threshold=1.0)
view"""
_ROW = 10
_WALK = [*["ArrowRight"] * _ROW, "ArrowUp", *["ArrowLeft"] * _ROW, "ArrowUp"]
_NODES = 88

# A key is timed by its event; that the view has heard of it shows in the panel's title, which it sets at once.
_RECORD = """root => {
  const taken = window.taken = { asked: [], shown: [] };
  const title = () => root.querySelector(".ctw-title .ctw-mono")?.textContent ?? "";
  window.addEventListener("keydown", (event) => taken.asked.push([event.timeStamp, title()]), { capture: true });
  const card = root.querySelector(".ctw-card");
  new MutationObserver(() => {
    const feature = card.dataset.feature;
    requestAnimationFrame(() => setTimeout(() => taken.shown.push([performance.now(), feature])));
  }).observe(card, { attributeFilter: ["data-feature"] });
}"""
_BARE = """async () => {
  const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const spent = [];
  for (let i = 0; i < 40; i++) {
    const start = performance.now();
    await kernel.requestExecute({ code: "pass", store_history: false }).done;
    spent.push(performance.now() - start);
  }
  return spent;
}"""
_SETTLED = """() => {
  const [, asked] = taken.asked.at(-1);
  return !/^L\\d/.test(asked) || taken.shown.some(([, shown]) => shown === asked);
}"""


def walk_cards(page: Page, view: View) -> dict[str, float]:
    """Walk over the graph by keys; -> milliseconds from the key to the painted card, by feature that is new."""
    view.root.evaluate(_RECORD)
    view.stage.focus()
    for step in range(_NODES):
        page.keyboard.press(_WALK[step % len(_WALK)])
        page.wait_for_function(_SETTLED)
    asked, shown = page.evaluate("() => [taken.asked, taken.shown]")
    first: dict[str, float] = {}
    for at, feature in asked:
        first.setdefault(feature, at)
    painted: dict[str, float] = {}
    for at, feature in shown:
        painted.setdefault(feature, at)
    return {feature: painted[feature] - at for feature, at in first.items() if feature in painted}


def bare_requests(page: Page) -> list[float]:
    """Milliseconds of requests to the kernel that do nothing, for comparison."""
    return page.evaluate(_BARE)
