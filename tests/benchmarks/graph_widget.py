"""Speed of the graph view in headless Chromium without a GPU, at 5,000 nodes and 100,000 edges.

Measures the time from the data to the first picture, frames while hovering, zooming and panning, the bytes sent, what
50 views that came and went leave in memory, and, for comparison on the same machine, the time in which a canvas strokes
every edge once. Then what Python does with 50,000 nodes and 1,000,000 edges. Prints all, and writes it as JSON.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ct_widgets.widgets.page import graph_html
from ct_widgets.widgets.payload import wire
from ct_widgets.widgets.state import initial_json
from ct_widgets.widgets.static_files import static_text
from tests.support.chromium import MISSING, find_chromium
from tests.support.graphs import large_graph, layered_graph
from tests.support.view_cycles import RENDER, measured

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


def frames(page: Page) -> dict[str, float]:
    """Percentiles of the work per frame since this was asked last."""
    took = np.array([time for _, time in page.evaluate("frames_.splice(0)")] or [0.0])
    middle, high = np.percentile(took, (50, 95)).round(1).tolist()
    return {"frames": len(took), "median_ms": middle, "p95_ms": high}


def gestures(page: Page) -> dict[str, dict[str, float]]:
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
    hover = frames(page)
    at(0.7, 0.5)
    page.keyboard.down("Control")
    for _ in range(12):
        page.mouse.wheel(0, -50)
        page.wait_for_timeout(20)
    page.keyboard.up("Control")
    zoom = frames(page)
    page.wait_for_timeout(2000)
    page.evaluate("frames_.length = 0")
    page.mouse.down()
    for step in range(100):
        at(0.7 - step / 400, 0.5 - step / 400)
    page.mouse.up()
    return {"hover": hover, "zoom": zoom, "pan": frames(page)}


def first_sight(browser: Browser, file: Path) -> dict[str, Any]:
    """Time to the first picture, gestures, and the strokes to compare with, on one page."""
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.add_init_script(PROBE)
    page.goto(file.as_uri())
    page.wait_for_timeout(3000)
    nodes, edges = (count.inner_text() for count in page.locator(".ctw-count").all())
    found = {"nodes": nodes, "edges": edges, "first_picture_ms": round(page.evaluate("drawn_ - arrived_"))}
    found |= gestures(page)
    found["stroke_per_edge_ms"] = round(page.evaluate(STROKES, 100_000))
    page.close()
    return found


def left_behind(browser: Browser, columns: bytes) -> dict[str, float]:
    """Listeners, elements and bytes that 50 views leave, after a few that warm up."""
    page = browser.new_page()
    page.add_style_tag(content=static_text("graph.css"))
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    argument = {"code": static_text("graph.js"), "columns": base64.b64encode(columns).decode()}
    page.evaluate(RENDER, {**argument, "times": 5})
    before = measured(session)
    page.evaluate(RENDER, {**argument, "times": 50})
    after = measured(session)
    page.close()
    return {name: after[name] - before[name] for name in before}


def from_python() -> dict[str, float]:
    """Seconds and bytes of a graph ten times too large to send."""
    graph = large_graph(50_000, 1_000_000)
    start = time.perf_counter()
    sent = wire(graph)
    return {
        "nodes": graph.n_nodes,
        "edges": graph.n_edges,
        "bytes": len(sent),
        "seconds": round(time.perf_counter() - start, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("graph_widget.json"))
    arguments = parser.parse_args()
    path = find_chromium()
    if path is None:
        sys.exit(MISSING)
    graph = layered_graph(features=5_600, edges=130_000, tokens=20, layers=26, logits=10)
    columns = wire(graph)
    found: dict[str, Any] = {"bytes": len(columns)}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        for name, threshold in (("first_sight", {}), ("all", {"node_threshold": 1.0, "edge_threshold": 1.0})):
            file = Path(folder) / "graph.html"
            file.write_text(graph_html(graph, {**initial_json(graph), **threshold}))
            found[name] = first_sight(browser, file)
        found["left_by_50_views"] = left_behind(browser, columns)
        browser.close()
    found["from_python"] = from_python()
    text = json.dumps(found, indent=1)
    print(text)
    arguments.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
