/** Traits as signals: what a person does in a view reaches Python, and what Python sets reaches every view. */

import { effect, type Signal, signal } from "../core/signals";

/** Where traits live: an anywidget model in a notebook, a plain object in an exported page. */
export interface TraitStore {
  get(name: string): unknown;
  /** Set and send; a host may merge what follows quickly. */
  set(name: string, value: unknown): void;
  watch(name: string, changed: () => void, abort: AbortSignal): void;
}

/** Run `run` when `abort` comes. */
export function atEnd(abort: AbortSignal, run: () => void): void {
  abort.addEventListener("abort", run, { once: true });
}

/** Run `body` now and whenever a signal it reads changes, until `abort`; what it returns runs before the next time. */
export function live(abort: AbortSignal, body: Parameters<typeof effect>[0]): void {
  if (!abort.aborted) atEnd(abort, effect(body));
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
