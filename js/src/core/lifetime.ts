/** How long things last: everything that a view starts ends with the AbortSignal that its host gave it. */

import { effect } from "@preact/signals-core";

/** Run `run` when `abort` comes. */
export function atEnd(abort: AbortSignal, run: () => void): void {
  abort.addEventListener("abort", run, { once: true });
}

/** Run `body` now and whenever a signal it reads changes, until `abort`; what it returns runs before the next time. */
export function live(abort: AbortSignal, body: Parameters<typeof effect>[0]): void {
  if (!abort.aborted) atEnd(abort, effect(body));
}
