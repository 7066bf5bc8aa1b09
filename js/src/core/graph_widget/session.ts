/**
 * State of one graph widget, shared by all its views. What Python sees too is bound to traits (`traits.ts`); everything
 * else is derived from it here or belongs to a single view (`ui/`).
 */

import { computed, type ReadonlySignal, signal } from "@preact/signals-core";
import { labelOf } from "../graph/describe";
import { type Graph, idOf, rowOf, rowsOf, type Scores } from "../graph/graph";
import { strongestPaths } from "../graph/paths";
import { type Pruned, prune } from "../graph/prune";
import { type Box, type BoxEdge, boxEdges, boxesOf, subgraphScores } from "../graph/subgraph";
import { type Folds, foldTokens } from "../plot/folding";
import { Edits } from "./edits";
import type { Synced } from "./traits";

const MOST_PATHS = 8;

export class Session {
  readonly selectedRow: ReadonlySignal<number | null>;
  readonly hoveredRow: ReadonlySignal<number | null>;
  /** Pinned nodes and members of supernodes. */
  readonly pinnedRows: ReadonlySignal<readonly number[]>;
  readonly unmatchedRows: ReadonlySignal<ReadonlySet<number>>;
  /** Of the ends of paths, those that the data hold. */
  readonly pathRows: ReadonlySignal<readonly number[]>;
  readonly paths: ReadonlySignal<ReturnType<typeof strongestPaths>>;
  /** The path that the pointer rests on, by its place in the list. */
  readonly pointedPath = signal<number | null>(null);
  /** Nodes of the suggestion or of the box that the pointer rests on. */
  readonly previewed = signal<readonly number[]>([]);
  readonly isAsking = signal(false);
  readonly boxes: ReadonlySignal<readonly Box[]>;
  readonly boxEdges: ReadonlySignal<readonly BoxEdge[]>;
  /** Scores of the pinned nodes, all others counting as error. */
  readonly subgraphScores: ReadonlySignal<Scores>;
  /** Keys of the boxes that the next grouping takes. */
  readonly marked = signal<ReadonlySet<string>>(new Set());
  readonly edits: Edits;
  readonly pruned: ReadonlySignal<Pruned>;
  /** Tokens and (as -2 - layer) empty layers that somebody unfolded. */
  readonly open = signal<ReadonlySet<number>>(new Set());
  readonly folds: ReadonlySignal<Folds>;
  /** Nodes on the plot: those that pruning keeps and no fold hides, and those that somebody asked for. */
  readonly visible: ReadonlySignal<Uint8Array>;
  /** Whether the pointer is in a list: what it hovers then is marked in the plot but does not replace the list. */
  readonly hoversList = signal(false);
  /** The node that the panel describes. */
  readonly described: ReadonlySignal<number | null>;

  constructor(
    readonly graph: Graph,
    readonly synced: Synced,
    /** Asks Python for suggestions; null where there is none to ask. */
    readonly ask: (() => void) | null = null,
    /** Tells Python what cannot be shown; "" takes it back. */
    readonly report: (message: string) => void = () => {},
  ) {
    this.selectedRow = computed(() => rowOf(graph, synced.selected.value));
    this.hoveredRow = computed(() => rowOf(graph, synced.hovered.value));
    this.edits = new Edits(graph, synced);
    this.pinnedRows = computed(() => {
      const ids = [...synced.pinned.value, ...synced.supernodes.value.flatMap(([, members]) => members)];
      return [...new Set(rowsOf(graph, ids))];
    });
    this.pathRows = computed(() => rowsOf(graph, synced.pathEnds.value).slice(0, 2));
    this.paths = computed(() => {
      const [from, to = from] = this.pathRows.value;
      return from === undefined || to === undefined
        ? { paths: [], total: 0 }
        : strongestPaths(graph, from, to, MOST_PATHS);
    });
    this.unmatchedRows = computed(() => new Set(rowsOf(graph, synced.unmatched.value)));
    this.boxes = computed(() => boxesOf(graph, synced.pinned.value, synced.supernodes.value, synced.labels.value));
    this.boxEdges = computed(() => boxEdges(graph, this.boxes.value));
    this.subgraphScores = computed(() => subgraphScores(graph, this.pinnedRows.value));
    this.pruned = computed(() => prune(graph, synced.nodeThreshold.value, synced.edgeThreshold.value));
    const fold = (wanted: readonly number[]): Folds =>
      foldTokens(graph, this.pruned.value.node, this.pruned.value.edge, new Set([...this.open.value, ...wanted]));
    const folded = computed(() => fold([]));
    const ofPaths = computed(() => [...this.pathRows.value, ...this.paths.value.paths.flatMap(({ rows }) => rows)]);
    // As text, since a computed value passes on only what differs from before, and equal lists are not the same one: folds,
    // layout and bitmap stay as they are while the selection moves among nodes that are on the plot anyway.
    const wanted = computed(() =>
      [...new Set([this.selectedRow.value ?? -1, ...this.pinnedRows.value, ...ofPaths.value])]
        .filter((row) => row >= 0 && (!this.pruned.value.node[row] || folded.value[graph.position[row]!]))
        .join(),
    );
    const wantedRows = computed(() => wanted.value.split(",").filter(Boolean).map(Number));
    this.folds = computed(() => fold(wantedRows.value.map((row) => graph.position[row]!)));
    this.visible = computed(() => {
      const folds = this.folds.value;
      const visible = this.pruned.value.node.map((kept, row) => (folds[graph.position[row]!] ? 0 : kept));
      for (const row of wantedRows.value) visible[row] = 1;
      return visible;
    });
    this.described = computed(() =>
      this.hoversList.value ? this.selectedRow.value : (this.hoveredRow.value ?? this.selectedRow.value),
    );
  }

  /** Unfold the tokens or layers in `places`; without any, unfold everything, or fold all again. */
  unfold(places?: readonly number[]): void {
    const { tokens, nLayers } = this.graph;
    const all = Array.from({ length: nLayers + tokens.length }, (_, i) => i - 1 - nLayers);
    this.open.value = new Set(places ? [...this.open.peek(), ...places] : this.open.peek().size > 0 ? [] : all);
  }

  /** Begin paths at `row`, end them there, or give them up where they began. */
  toggleEnd(row: number): void {
    const [first, second] = this.pathRows.peek();
    const rows = second !== undefined || first === undefined ? [row] : first === row ? [] : [first, row];
    this.synced.pathEnds.value = rows.map((end) => idOf(this.graph, end));
  }

  /** Ask for suggestions, which come as a value of the trait. */
  suggest(): void {
    this.synced.suggestions.value = null;
    this.isAsking.value = true;
    this.ask?.();
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
    this.edits.togglePin(row);
  }

  toggleMark(box: Box): void {
    const marked = new Set(this.marked.peek());
    if (!marked.delete(box.key)) marked.add(box.key);
    this.marked.value = marked;
  }

  markedBoxes(): Box[] {
    return this.boxes.peek().filter(({ key }) => this.marked.peek().has(key));
  }

  /** Group the marked boxes, or all single ones where less than two are marked; returns the key of the new box. */
  group(): string | null {
    const marked = this.markedBoxes();
    const single = this.boxes.peek().filter(({ group }) => group === null);
    const made = this.edits.group(marked.length > 1 ? marked : single);
    if (made === null) return null;
    this.marked.value = new Set();
    return this.boxes.value.find(({ group }) => group === made)?.key ?? null;
  }

  /** Dissolve the marked supernodes, or the one of the selected node. */
  ungroup(): void {
    const row = this.selectedRow.peek();
    const marked = this.markedBoxes();
    const ofSelected = this.boxes.peek().filter(({ rows }) => row !== null && rows.includes(row));
    this.edits.ungroup((marked.length > 0 ? marked : ofSelected).filter(({ group }) => group !== null));
    this.marked.value = new Set();
  }
}
