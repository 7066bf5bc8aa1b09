"""Size and endurance: a million edges, and fifty views made and let go."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from playwright.sync_api import CDPSession, Page, expect

from ct_widgets import AttributionGraph
from ct_widgets.graph.node_id import EMBEDDING, FEATURE, LOGIT
from ct_widgets.widgets.payload import wire
from ct_widgets.widgets.static_files import static_text
from tests.e2e.notebook import View, Watch
from tests.e2e.samples import layered_graph

NewPage = Callable[..., tuple[Page, Watch]]


def large_graph(features: int, edges: int, tokens: int = 100, layers: int = 26) -> AttributionGraph:
    """Features that read from anywhere in lower layers."""
    rng = np.random.default_rng(0)
    layer = np.concatenate([np.full(tokens, -1), np.sort(rng.integers(0, layers, features)), np.full(5, layers)])
    n = len(layer)
    kind = np.where(layer < 0, EMBEDDING, np.where(layer == layers, LOGIT, FEATURE))
    below = np.searchsorted(layer, layer)
    targets = np.sort(np.concatenate([rng.integers(tokens, n - 5, edges - 5_000), rng.integers(n - 5, n, 5_000)]))
    pairs = np.unique(targets * n + (rng.random(len(targets)) * below[targets]).astype(np.int64))
    targets, source = pairs // n, pairs % n
    position = np.where(kind == EMBEDDING, np.arange(n), rng.integers(0, tokens, n))
    position[kind == LOGIT] = tokens - 1
    position = position[np.lexsort((position, layer))]
    names = [f" tok{place}" for place in range(tokens)]
    return AttributionGraph.from_columns(
        prompt="".join(names),
        tokens=names,
        token_ids=np.arange(tokens),
        n_layers=layers,
        kind=kind,
        layer=layer,
        position=position,
        index=np.arange(n),
        activation=np.where(kind == FEATURE, rng.gamma(2.0, 2.0, n), np.nan),
        probability=np.where(kind == LOGIT, 0.19, np.nan),
        node_token=[f" w{row}" if kind[row] in (EMBEDDING, LOGIT) else "" for row in range(n)],
        indptr=np.concatenate([[0], np.cumsum(np.bincount(targets, minlength=n))]),
        source=source,
        weight=rng.standard_t(3, len(source)),
        bias=np.zeros(n),
        preactivation=np.full(n, np.nan),
        provenance={"model": "random"},
    )


def test_a_million_edges_arrive_as_the_strongest_and_say_so(new_page: NewPage, tmp_path: Path, pictures: Path) -> None:
    graph = large_graph(50_000, 1_000_000)
    assert graph.n_nodes > 50_000
    assert graph.n_edges > 990_000
    start = time.perf_counter()
    sent = wire(graph)
    assert time.perf_counter() - start < 10
    assert len(sent) <= 700_000
    page, watch = new_page(viewport={"width": 1400, "height": 1000})
    page.goto(graph.to_html(tmp_path / "large.html").as_uri())
    view = View(page.locator(".ctw-graph")).wait()
    expect(view.root.locator(".ctw-footer")).to_contain_text("holds the strongest 5,000 nodes and ")
    assert view.count("nodes").endswith(f"of {graph.n_nodes:,}")
    assert view.count("edges").endswith(f"of {graph.n_edges:,}")
    view.hover_some_node()
    view.slide("nodes", 0.7)
    page.screenshot(path=pictures / "large.png", full_page=True)
    watch.check()


def measured(session: CDPSession) -> dict[str, float]:
    """What the page holds after a collection."""
    session.send("HeapProfiler.enable")
    for _ in range(2):
        session.send("HeapProfiler.collectGarbage")
    metrics = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
    return {name: metrics[name] for name in ("JSEventListeners", "Nodes", "JSHeapUsedSize")}


RENDER = """
async ({ code, columns, times }) => {
  window.widget ??= (await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })))).default;
  const bytes = Uint8Array.from(atob(columns), character => character.charCodeAt(0));
  for (let i = 0; i < times; i++) {
    const state = { _columns: new DataView(bytes.buffer), node_threshold: 0.8, edge_threshold: 0.98 };
    const listeners = new Map();
    const model = {
      get: name => state[name], set: (name, value) => { state[name] = value; }, save_changes() {}, send() {},
      on: (name, run) => listeners.set(run, name), off: (_, run) => listeners.delete(run),
    };
    const [life, el] = [new AbortController(), document.createElement("div")];
    document.body.append(el);
    const { initialize, render } = widget();
    initialize({ model, signal: life.signal });
    render({ model, el, signal: life.signal });
    await new Promise(done => setTimeout(done, 120));
    if (!el.querySelector(".ctw-token")) throw new Error("nothing was drawn");
    el.querySelector(".ctw-row").click();
    await new Promise(done => requestAnimationFrame(done));
    life.abort();
    el.remove();
    if (listeners.size > 0) throw new Error(`${listeners.size} listeners of the model are left`);
  }
}
"""


def test_fifty_views_leave_nothing_behind(new_page: NewPage) -> None:
    page, watch = new_page()
    page.goto("about:blank")
    page.add_style_tag(content=static_text("graph.css"))
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    columns = base64.b64encode(wire(layered_graph(features=800, edges=8_000, tokens=30))).decode()
    argument = {"code": static_text("graph.js"), "columns": columns}
    page.evaluate(RENDER, {**argument, "times": 5})
    before = measured(session)
    page.evaluate(RENDER, {**argument, "times": 50})
    after = measured(session)
    print(before, after)
    assert after["JSEventListeners"] <= before["JSEventListeners"]
    assert after["Nodes"] <= before["Nodes"] + 50
    assert after["JSHeapUsedSize"] - before["JSHeapUsedSize"] < 2_000_000
    watch.check()
