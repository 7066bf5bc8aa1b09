/** The search line under the header: words in, nodes out, all by keys. */

import { signal } from "@preact/signals-core";
import { formatCount } from "../../core/format";
import { search } from "../../core/graph/search";
import type { Session } from "../../core/graph_widget/session";
import { live } from "../../core/lifetime";
import { h, on } from "../parts/dom";
import { linkRows, rowList, strengthRow } from "./connection_list";

export interface Search {
  readonly element: HTMLElement;
  toggle(): void;
  open(): void;
}

/** `leave` takes the focus when the search is done. */
export function createSearch(session: Session, leave: () => void, abort: AbortSignal): Search {
  const input = h("input", {
    type: "text",
    class: "ctw-query",
    "aria-label": "Search nodes",
    placeholder: "token, label, L2, L2/517, feature, >0.01",
    maxlength: 200,
  });
  const note = h("span", { class: "ctw-muted", "aria-live": "polite" });
  const results = h("div", { class: "ctw-results" });
  const element = h("div", { class: "ctw-strip ctw-search", role: "search", hidden: true }, input, note, results);
  linkRows(results, session, abort);
  const query = signal("");
  live(abort, () => {
    const found = search(session.graph, session.synced.labels.value, query.value);
    note.textContent = query.value.trim() === "" ? "" : `${formatCount(found.length)} found`;
    results.replaceChildren(rowList(results, found.length, (place) => strengthRow(session, found[place]!)));
    results.scrollTop = 0;
  });
  const toggle = (): void => {
    element.hidden = !element.hidden;
    if (element.hidden) leave();
    else open();
  };
  const open = (): void => {
    element.hidden = false;
    input.focus();
    input.select();
  };
  const key = (event: KeyboardEvent): void => {
    event.stopPropagation();
    const first = results.querySelector<HTMLElement>("[data-row]");
    if (event.key === "ArrowDown") first?.focus();
    else if (event.key === "Escape") toggle();
    else if (event.key === "Enter" && first) {
      session.select(Number(first.dataset["row"]));
      leave();
    } else return;
    event.preventDefault();
  };
  on(input, "keydown", key, abort);
  on(
    input,
    "input",
    () => {
      query.value = input.value;
    },
    abort,
  );
  return { element, toggle, open };
}
