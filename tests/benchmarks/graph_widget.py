"""Speed of the graph view in headless Chromium without a GPU, at 5,000 nodes and 100,000 edges.

Prints the time from the data to the first picture, frames while hovering, zooming and panning, the bytes sent, and,
for comparison on the same machine, the time in which a canvas strokes every edge once.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ct_widgets.widgets import graph_html
from ct_widgets.widgets.payload import wire
from ct_widgets.widgets.state import initial_json
from tests.e2e.samples import layered_graph

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Times every animation frame and every listener of the pointer, and notes when each started.
PROBE = """
window.frames_ = []; window.begun_ = [];
const frame = requestAnimationFrame.bind(window);
const timed = run => argument => {
  const start = performance.now(); run(argument); const took = performance.now() - start;
  const tick = Math.round(start / 16.7);
  if (frames_.length && frames_.at(-1)[0] === tick) frames_.at(-1)[1] += took; else frames_.push([tick, took]);
};
window.requestAnimationFrame = run => frame(timed(run));
const listen = EventTarget.prototype.addEventListener;
EventTarget.prototype.addEventListener = function (type, run, options) {
  const isPointer = typeof run === "function" && /^(pointer|wheel)/.test(type);
  return listen.call(this, type, isPointer ? timed(run) : run, options);
};
const draw = CanvasRenderingContext2D.prototype.drawImage;
CanvasRenderingContext2D.prototype.drawImage = function (...all) {
  window.drawn_ ??= performance.now(); return draw.apply(this, all);
};
const decode = window.atob;
window.atob = text => { const bytes = decode(text); window.arrived_ = performance.now(); return bytes; };
"""
STROKES = """
edges => { const canvas = document.createElement("canvas"); canvas.width = 900; canvas.height = 600;
  const context = canvas.getContext("2d"); const start = performance.now();
  for (let i = 0; i < edges; i++) { context.strokeStyle = i % 2 ? "#1b783722" : "#762a8322"; context.beginPath();
    const [a, b, c, d] = [i * 7 % 900, 300 + i % 300, i * 13 % 900, i % 280];
    context.moveTo(a, b); context.bezierCurveTo(a, b - 60, c, d + 60, c, d); context.stroke(); }
  context.getImageData(0, 0, 1, 1); return performance.now() - start; }
"""


def report(page: Page, name: str) -> None:
    """Percentiles of the work per frame since the last report."""
    took = np.array([time for _, time in page.evaluate("frames_.splice(0)")] or [0.0])
    middle, high = np.percentile(took, (50, 95))
    print(f"{name:<38}{len(took):4} frames, median {middle:5.1f} ms, 95 % under {high:5.1f} ms")


def gestures(page: Page) -> None:
    """Hover, zoom and pan as a hand does."""
    box = page.locator(".ctw-stage").bounding_box()
    assert box
    rng = np.random.default_rng(0)

    def at(x: float, y: float) -> None:
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        page.wait_for_timeout(20)

    page.evaluate("frames_.length = 0")
    for x, y in rng.random((150, 2)):
        at(float(x), float(y))
    report(page, "hover")
    at(0.7, 0.5)
    page.keyboard.down("Control")
    for _ in range(12):
        page.mouse.wheel(0, -50)
        page.wait_for_timeout(20)
    page.keyboard.up("Control")
    report(page, "zoom")
    page.wait_for_timeout(2000)
    page.evaluate("frames_.length = 0")
    page.mouse.down()
    for step in range(100):
        at(0.7 - step / 400, 0.5 - step / 400)
    page.mouse.up()
    report(page, "pan")


def main() -> None:
    """Print the measurements."""
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        sys.exit("no Chromium on the path: `make browser` installs one")
    graph = layered_graph(features=5_600, edges=130_000, tokens=20, layers=26, logits=10)
    print(f"{graph.n_nodes:,} nodes, {graph.n_edges:,} edges; {len(wire(graph)):,} bytes sent")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        for name, threshold in (("first sight", {}), ("all there is", {"node_threshold": 1.0, "edge_threshold": 1.0})):
            file = Path(folder) / "graph.html"
            file.write_text(graph_html(graph, {**initial_json(graph), **threshold}))
            page = browser.new_page(viewport={"width": 1400, "height": 900})
            page.add_init_script(PROBE)
            page.goto(file.as_uri())
            page.wait_for_timeout(3000)
            first = page.evaluate("drawn_ - arrived_")
            shown = [count.inner_text() for count in page.locator(".ctw-count").all()]
            print(f"\n{name}: {shown[0]} nodes, {shown[1]} edges\n{'data to first picture':<38}{first:.0f} ms")
            gestures(page)
            print(f"{'stroking 100,000 edges on a canvas':<38}{page.evaluate(STROKES, 100_000):.0f} ms per frame")
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
