/**
 * State of one graph widget, shared by all its views. Synced state is bound to traits; everything else is derived
 * from it here or belongs to a single view (`ui/`).
 */

import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals-core";
import { type Labels, labelOf } from "./describe";
import { asNodeId, type Graph, idOf, keyOf, type NodeId, rowOf } from "./graph";
import { type Pruned, prune } from "./prune";
import type { ThemeSetting } from "./theme";

/** Signals that are traits in Python. */
export interface Synced {
  readonly selected: Signal<NodeId | null>;
  readonly hovered: Signal<NodeId | null>;
  readonly pinned: Signal<readonly NodeId[]>;
  readonly labels: Signal<Labels>;
  readonly nodeThreshold: Signal<number>;
  readonly edgeThreshold: Signal<number>;
  readonly theme: Signal<ThemeSetting>;
}

/** Readers of traits: whatever comes over the wire or out of a saved notebook becomes a valid value. */
export const readTrait = {
  node: asNodeId,
  nodes: (value: unknown): readonly NodeId[] =>
    Array.isArray(value) ? value.map(asNodeId).filter((id) => id !== null) : [],
  labels: (value: unknown): Labels =>
    Object.fromEntries(Object.entries(value ?? {}).filter((entry) => typeof entry[1] === "string")) as Labels,
  share: (value: unknown): number => (typeof value === "number" ? Math.min(1, Math.max(0, value)) : 1),
  theme: (value: unknown): ThemeSetting => (value === "light" || value === "dark" ? value : "auto"),
};

export class Session {
  readonly selectedRow: ReadonlySignal<number | null>;
  readonly hoveredRow: ReadonlySignal<number | null>;
  readonly pinnedRows: ReadonlySignal<readonly number[]>;
  readonly pruned: ReadonlySignal<Pruned>;
  /** Nodes on the plot: those that pruning keeps, and those that somebody asked for. */
  readonly visible: ReadonlySignal<Uint8Array>;
  /** Whether the pointer is in a list: what it hovers then is marked in the plot but does not replace the list. */
  readonly hoversList = signal(false);
  /** The node that the panel describes. */
  readonly described: ReadonlySignal<number | null>;

  constructor(
    readonly graph: Graph,
    readonly synced: Synced,
  ) {
    this.selectedRow = computed(() => rowOf(graph, synced.selected.value));
    this.hoveredRow = computed(() => rowOf(graph, synced.hovered.value));
    this.pinnedRows = computed(() => synced.pinned.value.map((id) => rowOf(graph, id)).filter((row) => row !== null));
    this.pruned = computed(() => prune(graph, synced.nodeThreshold.value, synced.edgeThreshold.value));
    const wanted = computed(() =>
      [...new Set([this.selectedRow.value ?? -1, ...this.pinnedRows.value])]
        .filter((row) => row >= 0 && !this.pruned.value.node[row])
        .join(),
    );
    this.visible = computed(() => {
      const visible = this.pruned.value.node.slice();
      for (const row of wanted.value.split(",").filter(Boolean)) visible[Number(row)] = 1;
      return visible;
    });
    this.described = computed(() =>
      this.hoversList.value ? this.selectedRow.value : (this.hoveredRow.value ?? this.selectedRow.value),
    );
  }

  label(row: number): string {
    return labelOf(this.graph, row, this.synced.labels.value);
  }

  select(row: number | null): void {
    this.synced.selected.value = row === null ? null : idOf(this.graph, row);
  }

  hover(row: number | null): void {
    if (row !== this.hoveredRow.peek()) this.synced.hovered.value = row === null ? null : idOf(this.graph, row);
  }

  isPinned(row: number): boolean {
    return this.pinnedRows.value.includes(row);
  }

  togglePin(row: number): void {
    const id = idOf(this.graph, row);
    const others = this.synced.pinned.value.filter((pin) => keyOf(pin) !== keyOf(id));
    this.synced.pinned.value = others.length < this.synced.pinned.value.length ? others : [...others, id];
  }
}
