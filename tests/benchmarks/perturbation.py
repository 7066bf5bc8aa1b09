"""How fast a drag is answered: a session's re-run beside circuit-tracer, and a slider in JupyterLab.

    python tests/benchmarks/perturbation.py [--part rerun|drag] [--shape small|gpt2] [--out perturbation.json]

rerun: the same change on the same random weights, each side in a process of its own, the median of ten strengths; the
logits of both must agree. drag: in a real JupyterLab on the embedded model, milliseconds from a move of the pointer to
the painted numbers of its answer over a drag of 300 moves, with an idle kernel and while Python code runs in it,
beside a request of the kernel that does nothing.
Times vary with the machine, so read the ratios; the drag shares its cores with the browser and the server.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from attribution import SHAPES, make_weights, peer_python  # noqa: E402

from tests.e2e.measure import in_notebook  # noqa: E402

WORKER = HERE / "perturbation_worker.py"
FEATURES = 5


def measure(python: Path | str, who: str, folder: Path, layer: int) -> dict[str, Any]:
    """One side in a process of its own."""
    settings = json.dumps({"layer": layer, "features": FEATURES})
    done = subprocess.run([str(python), str(WORKER), who, str(folder), settings], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{who} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def rerun(shape_name: str) -> dict[str, Any]:
    """A session's re-run beside `feature_intervention`, for a change low and in the middle of the model."""
    shape, rows = SHAPES[shape_name], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_weights(shape, folder)
        peer = peer_python()
        for layer in (0, shape.layers // 2):
            ours = measure(sys.executable, "ours", folder, layer)
            row: dict[str, Any] = {"layer": layer, "ours_ms": 1000 * ours["median_s"]}
            if peer:
                theirs = measure(peer, "peer", folder, layer)
                np.testing.assert_allclose(ours["top_logit"], theirs["top_logit"], rtol=1e-4, atol=1e-4)
                row |= {"circuit_tracer_ms": 1000 * theirs["median_s"]}
                row["times_faster"] = theirs["median_s"] / ours["median_s"]
            print("rerun", shape_name, {key: round(value, 2) for key, value in row.items()}, flush=True)
            rows.append(row)
    return {"shape": shape_name, "rows": rows}


DRAG_TEST = """
import json
import os
from tests.e2e.card_clock import bare_requests
from tests.e2e.perturbation_drag import BUSY, HAS_THREAD, RUN, SHOW, drag

def test_drag(open_notebook):
    notebook = open_notebook("drag.ipynb", [SHOW], viewport={"width": 1300, "height": 1000})
    notebook.run_cell(0)
    figure = notebook.page.locator(".ctw-p-figure")
    figure.wait_for()
    notebook.page.wait_for_function(HAS_THREAD)
    found = {"bare request": bare_requests(notebook.page)}
    sleeping, busy = "import time; time.sleep(15)", BUSY.format(seconds=15)
    for name, code in (("idle kernel", None), ("sleeping cell", sleeping), ("busy cell", busy)):
        if code:
            notebook.page.evaluate(RUN, code)
            notebook.page.wait_for_timeout(300)
        found[name] = drag(notebook.page, figure, "layer 1", 300)
        notebook.wait_idle()
    with open(os.environ["CTW_MEASURED"], "w") as out:
        json.dump(found, out)
"""


def dragged() -> dict[str, Any]:
    """Latencies of the slider, through the fixtures of the browser tests."""
    found = in_notebook(DRAG_TEST)
    table: dict[str, Any] = {}
    for what, spent in found.items():
        middle, high = np.percentile(spent or [np.nan], (50, 95))
        table[what] = {"times": len(spent), "median_ms": middle, "p95_ms": high}
        print("drag,", what, {key: round(float(value), 1) for key, value in table[what].items()}, flush=True)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("rerun", "drag"), help="one part only")
    parser.add_argument("--shape", choices=("small", "gpt2"), default="small")
    parser.add_argument("--out", type=Path, default=Path("perturbation.json"))
    arguments = parser.parse_args()
    found: dict[str, Any] = {}
    if arguments.part != "drag":
        found["rerun"] = rerun(arguments.shape)
    if arguments.part != "rerun":
        found["drag"] = dragged()
    arguments.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
