/** A graph over panels: tabs open one of them at a time, which follows the node in focus. */

import type { Host } from "@anywidget/types";
import { asNodeId } from "../../core/graph/graph";
import { atEnd, live } from "../../core/lifetime";
import { asText, asTheme } from "../../core/read_trait";
import { bindTrait, reportError, type TraitStore } from "../../core/traits";
import type { PanelExports } from "../graph/panel_slot";
import { h, on } from "../parts/dom";
import { take } from "../parts/keys";
import { followTheme } from "../parts/theme";

/** Fill `el` until `abort`; `store` holds the traits of CircuitExplorer, `graph` those of its graph's view. */
export async function mountExplorer(
  el: HTMLElement,
  store: TraitStore,
  graph: TraitStore,
  host: Host,
  abort: AbortSignal,
): Promise<void> {
  const root = h("div", { class: "ctw ctw-explorer" });
  el.append(root);
  atEnd(abort, () => root.remove());
  followTheme(root, bindTrait(graph, "theme", asTheme, abort), abort);
  const place = h("div");
  root.append(place, createPanels(store, graph, host, abort));
  const widget = await host.getWidget(asText(store.get("view")));
  await widget.render({ el: place, signal: abort });
}

function createPanels(store: TraitStore, graph: TraitStore, host: Host, abort: AbortSignal): HTMLElement {
  const opened = bindTrait(store, "panel", asText, abort);
  const shown = bindTrait(store, "shown", asText, abort);
  const missing = bindTrait(store, "_missing", asText, abort);
  const kinds = store.get("_panels") as readonly { readonly name: string; readonly title: string }[];
  const place = h("section", { class: "ctw-panel-place", role: "tabpanel" });
  const tabs = kinds.map(({ name, title }) => {
    const tab = h("button", { type: "button", role: "tab", class: "ctw-tab" }, title);
    on(tab, "click", () => (opened.value = opened.peek() === name ? "" : name), abort);
    live(abort, () => {
      const isOpen = opened.value === name;
      tab.setAttribute("aria-selected", String(isOpen));
      // One stop of the Tab key for all of them; arrow keys go from one to the next.
      tab.tabIndex = isOpen || (opened.value === "" && name === kinds[0]?.name) ? 0 : -1;
    });
    return tab;
  });
  const list = h("div", { class: "ctw-tabs", role: "tablist", "aria-label": "panels" }, ...tabs);
  const key = (event: KeyboardEvent): void => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step === undefined) return;
    const next = tabs[(tabs.indexOf(event.target as HTMLButtonElement) + step + tabs.length) % tabs.length]!;
    next.focus();
    next.click();
    take(event);
  };
  on(list, "keydown", key, abort);
  live(abort, () => {
    const life = new AbortController();
    place.hidden = opened.value === "";
    place.setAttribute("aria-label", kinds.find(({ name }) => name === opened.value)?.title ?? "");
    place.replaceChildren();
    if (missing.value) place.append(h("p", { class: "ctw-muted ctw-missing" }, missing.value));
    else if (shown.value) void mountPanel(place, shown.value, { store, graph, host }, life.signal);
    return () => life.abort();
  });
  return h("div", { class: "ctw-panels" }, list, place);
}

/** Show the widget of a reference, and tell it which node is selected. */
async function mountPanel(
  place: HTMLElement,
  reference: string,
  { store, graph, host }: { store: TraitStore; graph: TraitStore; host: Host },
  abort: AbortSignal,
): Promise<void> {
  const slot = h("div");
  place.append(slot);
  try {
    const widget = await host.getWidget<PanelExports | undefined>(reference);
    if (abort.aborted) return;
    await widget.render({ el: slot, signal: abort });
    const tell = (): void => {
      const node = asNodeId(graph.get("selected"));
      if (node) widget.exports?.showNode?.(node);
    };
    graph.watch("selected", tell, abort);
    tell();
    reportError(store, "");
  } catch (error) {
    if (abort.aborted) return;
    slot.replaceChildren(h("p", { class: "ctw-muted ctw-missing" }, `This panel cannot be shown. ${error}`));
    reportError(store, `panel: ${error}`);
  }
}
