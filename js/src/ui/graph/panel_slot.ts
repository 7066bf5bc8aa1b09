/**
 * The extension point of the side panel: other widgets under the facts and connections of the node in focus.
 *
 * In Python `GraphWidget(graph, panels=[examples])` takes any anywidget. Its view is mounted here once per view of the
 * graph and told which node is in focus if its `initialize` returns an object with `showNode` (anywidget's exports):
 *
 *     initialize({ model, signal }) {
 *       return { showNode: (node) => { ...; return node[0] === "feature"; } };   // PanelExports
 *     }
 *
 * `node` is `[kind, layer, position, index]`. It comes when the focus has rested for a moment, not at every move of the
 * pointer; an answer of `false` hides the panel for this node. A widget without `showNode` is simply there. In an
 * exported page, where there is no host of widgets, nothing is mounted.
 */

import type { Host } from "@anywidget/types";
import { signal } from "@preact/signals-core";
import { idOf, type NodeId } from "../../core/graph/graph";
import type { Session } from "../../core/graph_widget/session";
import { live } from "../../core/lifetime";
import { h } from "../parts/dom";

export interface PanelExports {
  /** Show what there is to say of `node`; false if that is nothing. */
  showNode?(node: NodeId): unknown;
}

/** What finds the widget of a reference. */
export type PanelHost = Pick<Host, "getWidget">;

/** How long the pointer rests on a node before panels hear of it. */
const REST_MS = 120;

export function createSlots(session: Session, host: PanelHost | undefined, abort: AbortSignal): HTMLElement {
  const rested = signal<number | null>(null);
  live(abort, () => {
    const row = session.described.value;
    if (row === session.selectedRow.value) {
      // Before anything is painted: the kernel looks for a card meanwhile.
      rested.value = row;
      return undefined;
    }
    const wait = setTimeout(() => (rested.value = row), REST_MS);
    return () => clearTimeout(wait);
  });
  const slots = h("div", { class: "ctw-slots" });
  live(abort, () => {
    const life = new AbortController();
    const mounted = host ? session.synced.panels.value : [];
    session.report("");
    slots.replaceChildren(
      ...mounted.map((ref) => {
        const slot = h("section", { class: "ctw-slot", hidden: true });
        const show = (exports: PanelExports): void =>
          live(life.signal, () => {
            const row = rested.value;
            slot.hidden = row === null || exports.showNode?.(idOf(session.graph, row)) === false;
          });
        host!
          .getWidget<PanelExports | undefined>(ref)
          .then(async (widget) => {
            await widget.render({ el: slot, signal: life.signal });
            show(widget.exports ?? {});
          })
          .catch((error) => {
            slot.replaceChildren(h("p", { class: "ctw-muted" }, `This panel cannot be shown. ${error}`));
            if (!life.signal.aborted) session.report(`panel: ${error}`);
            show({});
          });
        return slot;
      }),
    );
    return () => life.abort();
  });
  return slots;
}
