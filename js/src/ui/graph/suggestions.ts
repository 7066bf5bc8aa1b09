/** Supernodes that Python suggests: shown as guesses, to accept or reject one by one. */

import { formatCounted, visibleToken } from "../../core/format";
import { rowsOf } from "../../core/graph/graph";
import type { Session } from "../../core/graph_widget/session";
import { live } from "../../core/lifetime";
import { h, muted, on, pressable, strip } from "../parts/dom";

export function createSuggestions(session: Session, abort: AbortSignal): HTMLElement {
  const { edits, graph, synced } = session;
  const { element, note, list } = strip("suggestions", "", abort, () => {
    session.isAsking.value = false;
    synced.suggestions.value = null;
  });
  const placeOf = (event: Event): number =>
    Number((event.target as Element).closest<HTMLElement>("[data-place]")?.dataset["place"] ?? -1);
  const preview = (event: Event): void => {
    const nodes = synced.suggestions.peek()?.[placeOf(event)]?.nodes ?? [];
    session.previewed.value = rowsOf(graph, nodes);
  };
  for (const type of ["pointerover", "focusin", "pointerleave", "focusout"] as const) on(list, type, preview, abort);
  const press = (event: Event): void => {
    const { action } = (event.target as HTMLElement).dataset;
    const suggestions = synced.suggestions.peek() ?? [];
    const place = placeOf(event);
    if (!action) return;
    if (action === "accept") edits.form(suggestions[place]!.name, suggestions[place]!.nodes);
    synced.suggestions.value = suggestions.filter((_, other) => other !== place);
    session.previewed.value = [];
  };
  on(list, "click", press, abort);
  live(abort, () => {
    const suggestions = synced.suggestions.value;
    element.hidden = suggestions === null && !session.isAsking.value;
    const left = suggestions?.length ? formatCounted(suggestions.length, "suggestion") : "no suggestions";
    note.textContent = suggestions ? `${left}: guesses, for you to judge` : "asking Python …";
    list.replaceChildren(
      ...(suggestions ?? []).map(({ name, nodes, reason }, place) => {
        const facts = muted(`${formatCounted(nodes.length, "node")}; ${visibleToken(reason, 200)}`);
        const line = h("span", { class: "ctw-grow" }, h("b", {}, visibleToken(name, 60)), " ", facts);
        return h(
          "li",
          { class: "ctw-path", "data-place": place },
          line,
          pressable({ "data-action": "accept" }, "Accept"),
          pressable({ "data-action": "reject" }, "Reject"),
        );
      }),
    );
  });
  return element;
}
