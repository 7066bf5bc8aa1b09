"""Speed of operand sheets in headless Chromium without a GPU, of 64 and of 256 plots of 100 x 100 cells.

From the data's arrival to the first frame that shows the sheet, and of that the work of the script: in a page that is
just being opened, and again in the page that is open, as a notebook is. Beside it, in the same browser, the plain way:
a rectangle of a canvas per cell. Also what travels, and the work of a frame while hovering.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))

from operand_samples import made_up, operands_of

from ct_widgets import OperandWidget
from ct_widgets.arithmetic.operands import OperandActivations
from tests.support.chromium import MISSING, find_chromium

SHEETS = (64, 256)
REPEATS = 5
# When the page has decoded its data, when the last plot is on its canvas, and when the frame with it is on its way.
PROBE = """
const decode = window.atob;
window.atob = text => { const bytes = decode(text); window.arrived_ = performance.now(); return bytes; };
const put = CanvasRenderingContext2D.prototype.putImageData;
CanvasRenderingContext2D.prototype.putImageData = function (...all) {
  const done = put.apply(this, all); window.put_ = performance.now();
  if (!window.asked_) {
    window.asked_ = true;
    requestAnimationFrame(() => { const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => { window.painted_ = performance.now(); }; port2.postMessage(0); });
  }
  return done; };
"""
RECTANGLES = """
plots => { const place = document.body.appendChild(document.createElement("div")); const start = performance.now();
  for (let plot = 0; plot < plots; plot++) {
    const canvas = document.createElement("canvas"); canvas.width = canvas.height = 100;
    const context = canvas.getContext("2d");
    for (let a = 0; a < 100; a++) for (let b = 0; b < 100; b++) {
      const share = Math.max(0, 1 - Math.abs(a + b - plot) / 20);
      context.fillStyle = `rgb(${255 - 38 * share},${255 - 183 * share},${255 - 254 * share})`;
      context.fillRect(b, 99 - a, 1, 1);
    }
    context.getImageData(0, 0, 1, 1); place.append(canvas);
  }
  const took = performance.now() - start; place.remove(); return took; }
"""
HOVER = """
async () => { const sheet = document.querySelector(".ctw-o-sheet"); const took = [];
  const plots = sheet.querySelectorAll(".ctw-o-plot");
  for (let i = 0; i < 60; i++) {
    const box = plots[i % 8].getBoundingClientRect(); const start = performance.now();
    plots[i % 8].dispatchEvent(new PointerEvent("pointermove",
      { bubbles: true, clientX: box.left + (i * 37) % 100, clientY: box.top + (i * 53) % 100 }));
    document.body.getBoundingClientRect(); took.push(performance.now() - start);
    await new Promise(requestAnimationFrame); }
  return took.sort((a, b) => a - b)[30]; }
"""


# Show the page's data once more.
AGAIN = """
() => { document.getElementById("ctw-view").replaceChildren(); asked_ = false; painted_ = 0;
  (0, eval)(document.querySelector("script:not([type])").textContent); }
"""
TIMES = "() => ({script: put_ - arrived_, painted: Math.max(painted_, put_) - arrived_})"


def sheet(plots: int) -> OperandActivations:
    """Made-up features, active on 8 % of the pairs as those of the embedded model are in its graphs."""
    size = -(-plots // 3)
    return operands_of(made_up(plots), n_features=(size, size, size))


def measure(browser: Browser, file: Path, plots: int) -> dict[str, float]:
    """Medians over some loads of one page, in milliseconds."""
    runs: list[dict[str, float]] = []
    for _ in range(REPEATS):
        page = browser.new_page(viewport={"width": 1400, "height": 900}, bypass_csp=True)
        page.add_init_script(PROBE)
        page.goto(file.as_uri())
        run: dict[str, float] = {}
        for when in ("opened", "open"):
            if when == "open":
                page.evaluate(AGAIN)
            page.wait_for_function("() => window.painted_")
            page.wait_for_timeout(200)
            run |= {f"{name}_{when}": value for name, value in page.evaluate(TIMES).items()}
        run["hover"] = page.evaluate(HOVER)
        run["rectangles"] = page.evaluate(RECTANGLES, plots)
        runs.append(run)
        page.close()
    return {name: float(np.median([run[name] for run in runs])) for name in runs[0]}


def main() -> None:
    """Print the measurements, and write them as JSON with --out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    path = find_chromium()
    if path is None:
        sys.exit(MISSING)
    results: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        for plots in SHEETS:
            view = OperandWidget(None, operands=sheet(plots))
            file = view.to_html(Path(folder) / f"{plots}.html")
            size = len(view.get_state("_columns")["_columns"])
            result = {"plots": plots, "bytes": size, **measure(browser, file, plots)}
            results.append(result)
            print(
                f"{plots} plots, {size:,} bytes: data to painted frame {result['painted_open']:.0f} ms in an open page "
                f"(script {result['script_open']:.0f} ms), {result['painted_opened']:.0f} ms in a new one; "
                f"a rectangle per cell {result['rectangles']:.0f} ms ("
                f"{result['rectangles'] / result['painted_open']:.1f} times as long); hovering {result['hover']:.0f} ms"
            )
        browser.close()
    if options.out:
        options.out.write_text(json.dumps({"sheets": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
