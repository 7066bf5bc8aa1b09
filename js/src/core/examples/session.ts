/**
 * State of one examples widget, shared by all its views: which feature is wanted, and which cards have come.
 *
 * A wish travels as traits, of which the host sends only the last while the kernel is busy; the answer is a trait too.
 * An answer to an older wish is kept for later, but not shown.
 */

import { computed, type ReadonlySignal, type Signal } from "@preact/signals-core";
import type { ThemeSetting } from "../theme";
import type { Card } from "./card";

export interface SyncedExamples {
  readonly feature: ReadonlySignal<string>;
  readonly position: ReadonlySignal<number | null>;
  readonly label: Signal<string | null>;
  readonly card: ReadonlySignal<Card | null>;
  readonly compact: ReadonlySignal<boolean>;
  readonly theme: Signal<ThemeSetting>;
}

const MOST_KEPT = 200;

export class ExamplesSession {
  /** The card of the feature that is wanted, as soon as it is there. */
  readonly shown: ReadonlySignal<Card | null>;
  readonly #kept = new Map<string, Card>();

  constructor(readonly synced: SyncedExamples) {
    this.shown = computed(() => {
      const card = synced.card.value;
      if (card) this.#keep(card);
      return this.#kept.get(keyOf(synced.feature.value, synced.position.value)) ?? null;
    });
  }

  #keep(card: Card): void {
    const key = keyOf(card.feature, card.position);
    this.#kept.delete(key);
    this.#kept.set(key, card);
    const oldest = this.#kept.keys().next().value;
    if (this.#kept.size > MOST_KEPT && oldest !== undefined) this.#kept.delete(oldest);
  }
}

function keyOf(feature: string, position: number | null): string {
  return `${feature}@${position ?? ""}`;
}
