"""Views of graphs made and let go in one page, and what the page holds afterwards."""

from __future__ import annotations

from playwright.sync_api import CDPSession

RENDER = """
async ({ code, columns, times }) => {
  window.widget ??= (await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })))).default;
  const bytes = Uint8Array.from(atob(columns), character => character.charCodeAt(0));
  const frame = () => new Promise(done => requestAnimationFrame(done));
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
    for (let frames = 0; !el.querySelector(".ctw-token"); frames++) {
      if (frames > 300) throw new Error("nothing was drawn");
      await frame();
    }
    await frame();
    el.querySelector(".ctw-row").click();
    await frame();
    life.abort();
    el.remove();
    if (listeners.size > 0) throw new Error(`${listeners.size} listeners of the model are left`);
  }
}
"""
"""Makes a view of the graph `columns` with the widget `code`, uses it and lets it go, `times` times."""


def measured(session: CDPSession) -> dict[str, float]:
    """What the page holds after a collection."""
    session.send("HeapProfiler.enable")
    for _ in range(2):
        session.send("HeapProfiler.collectGarbage")
    metrics = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
    return {name: metrics[name] for name in ("JSEventListeners", "Nodes", "JSHeapUsedSize")}
