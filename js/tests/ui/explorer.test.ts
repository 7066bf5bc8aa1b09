// @vitest-environment happy-dom
import type { Host } from "@anywidget/types";
import { expect, it, vi } from "vitest";
import type { TraitStore } from "../../src/core/traits";
import { pageStore } from "../../src/host/page";
import { mountExplorer } from "../../src/ui/explorer/view";
import { press } from "./support";

const PANELS = ["feature", "operands"].map((name) => ({ name, title: name.toUpperCase() }));

async function mounted(state: Record<string, unknown> = {}) {
  const showNode = vi.fn();
  const host = {
    getWidget: async (ref: string) => {
      if (ref === "broken") throw new Error("no such widget");
      return { exports: { showNode }, render: async ({ el }: { el: HTMLElement }) => el.append(`widget ${ref}`) };
    },
  } as unknown as Host;
  const store = pageStore(
    new Map(
      Object.entries({ view: "graph", panel: "", shown: "", _missing: "", _panels: PANELS, error: "", ...state }),
    ),
  );
  const graph: TraitStore = pageStore(new Map<string, unknown>([["theme", "light"]]));
  const place = document.createElement("div");
  document.body.append(place);
  const controller = new AbortController();
  await mountExplorer(place, store, graph, host, controller.signal);
  const tabs = [...place.querySelectorAll<HTMLButtonElement>('[role="tab"]')];
  return { place, store, graph, tabs, controller, showNode };
}

it("opens a panel by its tab and closes it by the same", async () => {
  const { store, tabs } = await mounted();
  tabs[1]!.click();
  expect([store.get("panel"), tabs.map((tab) => tab.getAttribute("aria-selected"))]).toEqual([
    "operands",
    ["false", "true"],
  ]);
  tabs[1]!.click();
  expect(store.get("panel")).toBe("");
});

it("goes from tab to tab with arrow keys, one of them reached by Tab", async () => {
  const { store, tabs } = await mounted({ panel: "feature" });
  expect(tabs.map(({ tabIndex }) => tabIndex)).toEqual([0, -1]);
  tabs[0]!.focus();
  expect(press(tabs[0]!, "ArrowRight").defaultPrevented).toBe(true);
  expect([store.get("panel"), document.activeElement, tabs.map(({ tabIndex }) => tabIndex)]).toEqual([
    "operands",
    tabs[1],
    [-1, 0],
  ]);
});

it("shows the widget of the panel and tells it the selected node", async () => {
  const { place, graph, showNode } = await mounted({ panel: "feature", shown: "card" });
  await vi.waitFor(() => expect(place.querySelector('[role="tabpanel"]')!.textContent).toBe("widget card"));
  graph.set("selected", ["feature", 0, 0, 1]);
  expect(showNode.mock.calls).toEqual([[["feature", 0, 0, 1]]]);
});

it("says in the panel and to Python why it cannot be shown, until one can", async () => {
  const { place, store } = await mounted({ panel: "feature", shown: "broken" });
  await vi.waitFor(() => expect(store.get("error")).toBe("panel: Error: no such widget"));
  expect(place.querySelector('[role="tabpanel"]')!.textContent).toBe(
    "This panel cannot be shown. Error: no such widget",
  );
  store.set("shown", "card");
  await vi.waitFor(() => expect(store.get("error")).toBe(""));
});

it("says what is missing instead of a panel", async () => {
  const { place } = await mounted({ panel: "operands", _missing: "<b>no numbers</b>" });
  expect(place.querySelector('[role="tabpanel"]')!.textContent).toBe("<b>no numbers</b>");
});

it("goes with its view", async () => {
  const { place, store, tabs, controller } = await mounted();
  controller.abort();
  tabs[0]!.click();
  expect([place.childElementCount, store.get("panel")]).toEqual([0, ""]);
});
