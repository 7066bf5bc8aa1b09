/**
 * State of one perturbation widget, shared by all its views. A slider's value goes through `set` into `strengths`, a
 * trait; Python runs the model and answers in the trait `_answer`. Meanwhile the graph predicts from the strengths alone.
 */

import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals-core";
import type { Graph } from "../graph/graph";
import { type BoxEdge, boxEdges } from "../graph/subgraph";
import type { ThemeSetting } from "../theme";
import type { Grid } from "./grid";
import { type Answer, type Curve, type PerturbationBox, type Prediction, predict, scalesOf } from "./perturbation";
import { History, type Strengths, snap, withStrength } from "./strength";

/** Signals that are traits in Python. */
export interface PerturbationSynced {
  readonly strengths: Signal<Strengths>;
  readonly active: Signal<string | null>;
  readonly method: Signal<string>;
  readonly lastLayer: Signal<number | null>;
  readonly freezeAttention: Signal<boolean | null>;
  readonly theme: Signal<ThemeSetting>;
  readonly answer: ReadonlySignal<Answer | null>;
  readonly curve: ReadonlySignal<Curve | null>;
  readonly error: ReadonlySignal<string>;
}

export class PerturbationSession {
  readonly edges: readonly BoxEdge[];
  /** What the model says of the strengths; in an exported page what it said when the page was written. */
  readonly answer: ReadonlySignal<Answer | null>;
  readonly curve: ReadonlySignal<Curve | null>;
  /** What the graph says of the strengths as they are now; the answer may be one step behind. */
  readonly prediction: ReadonlySignal<Prediction>;
  readonly canUndo = signal(false);
  readonly #history = new History();
  #before: Strengths | null = null;

  constructor(
    readonly graph: Graph,
    readonly boxes: readonly PerturbationBox[],
    readonly synced: PerturbationSynced,
    readonly grid: Grid | null,
  ) {
    this.edges = boxEdges(graph, boxes);
    this.answer = grid ? computed(() => grid.answer(synced.strengths.value)) : synced.answer;
    this.curve = grid ? computed(() => grid.curve(synced.active.value, synced.strengths.value)) : synced.curve;
    this.prediction = computed(() => {
      const answer = this.answer.value;
      const clampedTo = answer?.method === "constrained" ? answer.layers[1] : -1;
      return predict(graph, scalesOf(boxes, synced.strengths.value), clampedTo);
    });
  }

  strength(name: string): number {
    return this.synced.strengths.value[name] ?? 1;
  }

  /** Begin a change that is undone as one, such as a drag. */
  begin(name: string): void {
    this.#before ??= this.synced.strengths.peek();
    if (this.synced.active.peek() !== name) this.synced.active.value = name;
  }

  /** Move one slider; what it snaps to is what counts. */
  set(name: string, value: number): void {
    const moved = withStrength(this.synced.strengths.peek(), name, this.grid ? value : snap(value));
    const next = this.grid ? this.grid.allow(moved, name) : moved;
    if (JSON.stringify(next) !== JSON.stringify(this.synced.strengths.peek())) this.synced.strengths.value = next;
  }

  /** End a change. A slider at 1 is as if it had not been touched. */
  end(): void {
    const strengths = this.synced.strengths.peek();
    const moved = Object.fromEntries(Object.entries(strengths).filter(([, value]) => value !== 1));
    if (Object.keys(moved).length < Object.keys(strengths).length) this.synced.strengths.value = moved;
    if (this.#before) this.#history.keep(this.#before, moved);
    this.#before = null;
    this.canUndo.value = this.#history.length > 0;
  }

  /** A change at once. */
  change(name: string, value: number): void {
    this.begin(name);
    this.set(name, value);
    this.end();
  }

  resetAll(): void {
    this.#history.keep(this.synced.strengths.peek(), {});
    this.synced.strengths.value = {};
    this.canUndo.value = this.#history.length > 0;
  }

  undo(): void {
    const before = this.#history.undo();
    if (before) this.synced.strengths.value = before;
    this.canUndo.value = this.#history.length > 0;
  }
}
