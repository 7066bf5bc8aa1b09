/**
 * Traits as signals, the way between a hand and Python: a slider sets a signal of its session, `bindTrait` writes it to
 * the trait (`host/anywidget.ts` sends it), and what Python sets comes back as the signal's value in every view.
 */

import { type Signal, signal } from "@preact/signals-core";
import { live } from "./lifetime";

/** Where traits live: an anywidget model in a notebook, a plain object in an exported page (`host/`). */
export interface TraitStore {
  get(name: string): unknown;
  /** Set and send; a host may merge what follows quickly. */
  set(name: string, value: unknown): void;
  watch(name: string, changed: () => void, abort: AbortSignal): void;
}

/** A signal that follows the trait `name` and that the trait follows. `read` makes a valid value of whatever comes. */
export function bindTrait<T>(
  store: TraitStore,
  name: string,
  read: (value: unknown) => T,
  abort: AbortSignal,
): Signal<T> {
  const bound = signal(read(store.get(name)));
  let known = JSON.stringify(bound.value);
  const pull = (): void => {
    const value = read(store.get(name));
    const text = JSON.stringify(value);
    if (text === known) return;
    known = text;
    bound.value = value;
  };
  store.watch(name, pull, abort);
  live(abort, () => {
    const text = JSON.stringify(bound.value);
    if (text === known) return;
    known = text;
    store.set(name, bound.value);
  });
  return bound;
}

/** Tell Python what could not be shown, by the trait `error` of a widget that has one; "" takes it back. */
export function reportError(store: TraitStore, message: string): void {
  const told = store.get("error");
  if (told !== undefined && told !== message) store.set("error", message);
}

/** What `open` gives; or why it cannot, which the trait `error` then says too. */
export function openOrReport<T>(store: TraitStore, open: () => T): T | Error {
  try {
    return open();
  } catch (error) {
    const reason = error instanceof Error ? error : new Error(String(error));
    reportError(store, reason.message);
    return reason;
  }
}
