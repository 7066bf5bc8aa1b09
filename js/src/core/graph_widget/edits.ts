/** Edits with undo: what a person does to pins, supernodes, labels, places and snapshots, and back again. */

import { batch, computed, type ReadonlySignal, type Signal, signal } from "@preact/signals-core";
import type { Labels } from "../graph/describe";
import { featureName, type Graph, idOf, keyOf, type NodeId } from "../graph/graph";
import type { Box, Supernode } from "../graph/subgraph";
import type { Places } from "../plot/box_layout";

/** The subgraph as it was when it was kept under a name. */
export interface Snapshot {
  readonly pinned: readonly NodeId[];
  readonly supernodes: readonly Supernode[];
  readonly places: Places;
}

export type Snapshots = Readonly<Record<string, Snapshot>>;

/** The signals that edits change; undo restores them. */
export interface Edited {
  readonly pinned: Signal<readonly NodeId[]>;
  readonly supernodes: Signal<readonly Supernode[]>;
  readonly labels: Signal<Labels>;
  readonly places: Signal<Places>;
  readonly snapshots: Signal<Snapshots>;
}

type Name = keyof Edited;
/** What one edit changed, with the values before and after. */
type Edit = { readonly [K in Name]?: readonly [before: Edited[K]["value"], after: Edited[K]["value"]] };
type Changes = { readonly [K in Name]?: Edited[K]["value"] };

const MOST_EDITS = 200;

export class Edits {
  readonly #done = signal<readonly Edit[]>([]);
  readonly #undone = signal<readonly Edit[]>([]);
  readonly canUndo: ReadonlySignal<boolean> = computed(() => this.#done.value.length > 0);
  readonly canRedo: ReadonlySignal<boolean> = computed(() => this.#undone.value.length > 0);

  constructor(
    readonly graph: Graph,
    readonly state: Edited,
  ) {}

  /** Pin a node, or unpin it and take it out of its supernodes. */
  togglePin(row: number): void {
    const key = keyOf(idOf(this.graph, row));
    const pinned = this.state.pinned.peek();
    const others = pinned.filter((pin) => keyOf(pin) !== key);
    const supernodes = without(this.state.supernodes.peek(), new Set([key]));
    const isIn = others.length < pinned.length || supernodes !== this.state.supernodes.peek();
    this.#apply(isIn ? { pinned: others, supernodes } : { pinned: [...pinned, idOf(this.graph, row)] });
  }

  /** Make one supernode of `boxes`; returns its place in the list, or null if there is nothing to group. */
  group(boxes: readonly Box[]): number | null {
    const before = this.state.supernodes.peek();
    const groups = boxes.filter((box) => box.group !== null).map((box) => before[box.group!]!);
    const single = boxes.filter((box) => box.group === null).map((box) => idOf(this.graph, box.rows[0]!));
    const members = unique([...groups.flatMap(([, ids]) => ids), ...single]);
    if (members.length < 2 || boxes.length < 2) return null;
    const rest = without(before, new Set(members.map(keyOf)));
    const named = boxes.map(({ name }) => name).filter(Boolean);
    const name = groups[0]?.[0] || named[0] || unusedName(rest);
    return this.form(name, members);
  }

  /** Make a supernode of `members`, taking them out of others; returns its place in the list. */
  form(name: string, members: readonly NodeId[]): number {
    const rest = without(this.state.supernodes.peek(), new Set(members.map(keyOf)));
    this.#apply({
      supernodes: [...rest, [name, members]],
      pinned: unique([...this.state.pinned.peek(), ...members]),
    });
    return rest.length;
  }

  /** Dissolve supernodes; their nodes stay pinned. */
  ungroup(boxes: readonly Box[]): void {
    const gone = new Set(boxes.map(({ group }) => group));
    const before = this.state.supernodes.peek();
    const members = before.filter((_, group) => gone.has(group)).flatMap(([, ids]) => ids);
    if (members.length === 0) return;
    this.#apply({
      supernodes: before.filter((_, group) => !gone.has(group)),
      pinned: unique([...this.state.pinned.peek(), ...members]),
    });
  }

  /** Name a supernode, or label a single node. */
  rename(box: Box, name: string): void {
    if (box.group === null) this.label(box.rows[0]!, name);
    else if (name.trim() !== "") {
      const supernodes = this.state.supernodes.peek();
      this.#apply({ supernodes: supernodes.map((old, group) => (group === box.group ? [name.trim(), old[1]] : old)) });
    }
  }

  /** Label a node, a feature wherever it is active unless this node has a label of its own; "" takes the label away. */
  label(row: number, text: string): void {
    const labels = this.state.labels.peek();
    const own = JSON.stringify(idOf(this.graph, row));
    const key = own in labels ? own : (featureName(this.graph, row) ?? own);
    const { [key]: _, ...others } = labels;
    this.#apply({ labels: text.trim() === "" ? others : { ...others, [key]: text.trim() } });
  }

  place(box: Box, x: number, y: number): void {
    this.#apply({ places: { ...this.state.places.peek(), [box.key]: [x, y] } });
  }

  /** Back to the automatic layout. */
  tidy(): void {
    this.#apply({ places: {} });
  }

  saveSnapshot(name: string): void {
    const { pinned, supernodes, places, snapshots } = this.state;
    const now = { pinned: pinned.peek(), supernodes: supernodes.peek(), places: places.peek() };
    this.#apply({ snapshots: { ...snapshots.peek(), [name]: now } });
  }

  restoreSnapshot(name: string): void {
    this.#apply({ ...this.state.snapshots.peek()[name] });
  }

  deleteSnapshot(name: string): void {
    const { [name]: _, ...others } = this.state.snapshots.peek();
    this.#apply({ snapshots: others });
  }

  undo(): void {
    this.#step(this.#done, this.#undone, 0);
  }

  redo(): void {
    this.#step(this.#undone, this.#done, 1);
  }

  #apply(changes: Changes): void {
    const edit: Record<string, readonly [unknown, unknown]> = {};
    for (const [name, after] of Object.entries(changes)) {
      const before = this.state[name as Name].peek();
      if (JSON.stringify(before) !== JSON.stringify(after)) edit[name] = [before, after];
    }
    if (Object.keys(edit).length === 0) return;
    this.#done.value = [...this.#done.peek(), edit as Edit].slice(-MOST_EDITS);
    this.#undone.value = [];
    this.#restore(edit as Edit, 1);
  }

  #step(from: Signal<readonly Edit[]>, to: Signal<readonly Edit[]>, side: 0 | 1): void {
    const edit = from.peek().at(-1);
    if (!edit) return;
    from.value = from.peek().slice(0, -1);
    to.value = [...to.peek(), edit];
    this.#restore(edit, side);
  }

  #restore(edit: Edit, side: 0 | 1): void {
    batch(() => {
      for (const [name, values] of Object.entries(edit)) {
        (this.state[name as Name] as Signal<unknown>).value = values[side];
      }
    });
  }
}

/** The supernodes without the nodes in `keys`; empty ones go. The same array if nothing changes. */
function without(supernodes: readonly Supernode[], keys: ReadonlySet<string>): readonly Supernode[] {
  if (!supernodes.some(([, members]) => members.some((id) => keys.has(keyOf(id))))) return supernodes;
  return supernodes
    .map(([name, members]): Supernode => [name, members.filter((id) => !keys.has(keyOf(id)))])
    .filter(([, members]) => members.length > 0);
}

function unique(ids: readonly NodeId[]): NodeId[] {
  return [...new Map(ids.map((id) => [keyOf(id), id])).values()];
}

function unusedName(supernodes: readonly Supernode[]): string {
  const used = new Set(supernodes.map(([name]) => name));
  let place = 1;
  while (used.has(`group ${place}`)) place++;
  return `group ${place}`;
}
