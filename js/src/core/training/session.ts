/** State of a training view: what Python says of the run, what it was asked to do, and where the hand points. */

import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals-core";
import type { Card } from "../examples/card";
import type { ThemeSetting } from "../theme";
import { type Chart, type Command, choices, type Run } from "./training";

export interface TrainingTraits {
  readonly run: Signal<Run>;
  readonly charts: Signal<readonly Chart[]>;
  readonly cards: Signal<readonly Card[]>;
  readonly command: Signal<Command>;
  readonly theme: Signal<ThemeSetting>;
}

export class TrainingSession {
  /** Where all charts are read, in tokens; null for their ends. */
  readonly cursor: Signal<number | null> = signal(null);
  readonly choices: ReadonlySignal<readonly Command[]>;
  /** The largest number of tokens on the common axis. */
  readonly extent: ReadonlySignal<number>;

  constructor(readonly synced: TrainingTraits) {
    this.choices = computed(() => choices(synced.run.value, synced.command.value));
    this.extent = computed(() => Math.max(1, synced.run.value.total, synced.run.value.tokens));
  }

  ask(command: Command): void {
    this.synced.command.value = command;
  }

  /** Move the cursor by `steps` hundredths of the axis, from the newest values on if it is nowhere. */
  step(steps: number): void {
    const extent = this.extent.value;
    const from = this.cursor.value ?? this.synced.run.value.tokens;
    this.cursor.value = Math.min(extent, Math.max(0, from + (steps * extent) / 100));
  }
}
