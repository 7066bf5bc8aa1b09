/** An exported page: its traits are read once from a JSON script element, then kept in memory. */

import { atEnd } from "../core/lifetime";
import type { TraitStore } from "../core/traits";

/** Traits as a page holds them; binary ones are base64 text under `buffers`. */
export interface Saved {
  readonly state: Record<string, unknown>;
  readonly buffers?: Record<string, string>;
}

/** What `show` needs, in place of a host of widgets. */
type Show = (place: HTMLElement, traits: Map<string, unknown>, abort: AbortSignal) => unknown;

/** Show what the page carries in its element "ctw-view"; or say by `fail` why that cannot be shown. */
export function startPage(show: Show, fail: (place: HTMLElement, error: unknown, abort: AbortSignal) => void): void {
  const { signal } = new AbortController();
  const place = document.getElementById("ctw-view")!;
  try {
    show(place, readPageState("ctw-state"), signal);
  } catch (error) {
    fail(place, error, signal);
  }
}

/** The state that `page_html` wrote into the element `id`. */
export function readPageState(id: string): Map<string, unknown> {
  const text = document.getElementById(id)?.textContent;
  if (!text) throw new Error(`this page has no element "${id}" with its data: export it again`);
  return traitsOf(JSON.parse(text));
}

export function traitsOf({ state, buffers = {} }: Saved): Map<string, unknown> {
  const traits = new Map(Object.entries(state));
  for (const [name, base64] of Object.entries(buffers)) {
    traits.set(
      name,
      Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)),
    );
  }
  return traits;
}

export function pageStore(traits: Map<string, unknown>): TraitStore {
  const watchers = new Map<string, Set<() => void>>();
  return {
    get: (name) => traits.get(name),
    set: (name, value) => {
      traits.set(name, value);
      for (const changed of watchers.get(name) ?? []) changed();
    },
    watch: (name, changed, abort) => {
      const set = watchers.get(name) ?? new Set();
      watchers.set(name, set.add(changed));
      atEnd(abort, () => set.delete(changed));
    },
  };
}
