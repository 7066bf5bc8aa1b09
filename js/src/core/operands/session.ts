/** State of one operand widget, shared by all its views: what is a trait in Python, and what follows from it. */

import { batch, computed, type ReadonlySignal, type Signal, signal } from "@preact/signals-core";
import { formatNumber, visibleToken } from "../format";
import type { NodeId } from "../graph/graph";
import { asList } from "../read_trait";
import type { ThemeSetting } from "../theme";
import {
  difference,
  FAMILY_KINDS,
  type FamilyKind,
  type Field,
  type Link,
  nodeOf,
  type Operands,
  rowName,
  valueAt,
} from "./operands";
import { type Cell, cellIndex, type Overlay, type Sort, sheetRows, stepCell } from "./sheet";

export const MOMENTS = ["after", "before", "difference"] as const;
export type Moment = (typeof MOMENTS)[number];
export const SCALES = ["shared", "own"] as const;
export type Scale = (typeof SCALES)[number];

/** Signals that are traits in Python. */
export interface SyncedOperands {
  readonly selected: Signal<NodeId | null>;
  readonly enlarged: Signal<boolean>;
  readonly hovered: Signal<Cell | null>;
  readonly scale: Signal<Scale>;
  readonly overlay: Signal<Overlay>;
  readonly k: Signal<number>;
  readonly sort: Signal<Sort>;
  readonly families: Signal<readonly FamilyKind[]>;
  readonly shows: Signal<Moment>;
  readonly theme: Signal<ThemeSetting>;
}

export const asCellOrNull = (value: unknown): Cell | null =>
  Array.isArray(value) && value.length === 2 && value.every(Number.isSafeInteger) ? (value as unknown as Cell) : null;

export const asFamilies = (value: unknown): readonly FamilyKind[] =>
  FAMILY_KINDS.filter((kind) => asList(value).includes(kind));

export class OperandSession {
  /** The row of the selected feature; null for nodes without a plot. */
  readonly selectedRow: ReadonlySignal<number | null>;
  /** The row that is shown large, or null for the sheet. */
  readonly enlargedRow: ReadonlySignal<number | null>;
  readonly fields: ReadonlySignal<readonly Field[]>;
  /** Whether the plots have a sign. */
  readonly signed: ReadonlySignal<boolean>;
  /** The end of the shared scale. */
  readonly top: ReadonlySignal<number>;
  /** Rows of the sheet in order. */
  readonly rows: ReadonlySignal<readonly number[]>;
  /** The plot under the pointer or with the focus. */
  readonly pointed = signal<number | null>(null);

  constructor(
    readonly operands: Operands,
    readonly synced: SyncedOperands,
  ) {
    const rowOf = new Map(Array.from({ length: operands.n }, (_, row) => [String(nodeOf(operands, row)), row]));
    this.selectedRow = computed(() => rowOf.get(String(synced.selected.value)) ?? null);
    this.enlargedRow = computed(() => (synced.enlarged.value ? this.selectedRow.value : null));
    const { after, before } = operands;
    const changes = computed(() => after.map((field, row) => difference(field, before![row]!)));
    this.fields = computed(() =>
      before === null || synced.shows.value === "after"
        ? after
        : synced.shows.value === "before"
          ? before
          : changes.value,
    );
    this.signed = computed(() => this.fields.value[0]?.signed === true);
    this.top = computed(() => this.fields.value.reduce((top, { peak }) => Math.max(top, peak), 0));
    this.rows = computed(() => sheetRows(operands, this.fields.value, synced.sort.value, synced.families.value));
  }

  /** The end of a row's scale. */
  topOf(row: number): number {
    return this.synced.scale.value === "own" ? this.fields.value[row]!.peak : this.top.value;
  }

  /** The value of a row at the hovered cell; null without one. */
  valueOf(row: number): number | null {
    const cell = this.synced.hovered.value;
    const index = cell === null ? -1 : cellIndex(this.operands, cell);
    return index < 0 ? null : valueAt(this.fields.value[row]!, index);
  }

  open(row: number): void {
    batch(() => {
      this.synced.selected.value = nodeOf(this.operands, row);
      this.synced.enlarged.value = true;
      this.pointed.value = row;
    });
  }

  close(): void {
    this.synced.enlarged.value = false;
  }

  hover(cell: Cell | null): void {
    if (String(cell) !== String(this.synced.hovered.peek())) this.synced.hovered.value = cell;
  }

  moveCell(up: number, right: number): void {
    this.hover(stepCell(this.operands, this.synced.hovered.peek(), up, right));
  }

  toggleFamily(kind: FamilyKind): void {
    const shown = this.synced.families.peek();
    const next = shown.includes(kind) ? shown.filter((other) => other !== kind) : [...shown, kind];
    this.synced.families.value = FAMILY_KINDS.filter((one) => next.includes(one));
  }

  /** The strongest input or output of the enlarged feature that has a plot. */
  walk(direction: "inputs" | "outputs"): void {
    const row = this.enlargedRow.peek();
    const next = row === null ? null : this.operands.links?.[row]?.[direction].find((link) => link.row !== null)?.row;
    if (next !== null && next !== undefined) this.open(next);
  }

  /** Name, family, and how well it fits: for a plot's own text and for screen readers. */
  speak(row: number): string {
    const { name, explained } = this.operands.families[row]!;
    const peak = this.fields.value[row]!.peak;
    const facts = [`${rowName(this.operands, row)}, ${name}`, `explained ${formatNumber(explained, 2)}`];
    return [...facts, `peak ${formatNumber(peak)}`].join(", ");
  }

  /** What a node at the end of a link is called. */
  linkName({ node, row }: Link): string {
    if (row !== null) return rowName(this.operands, row);
    const [kind, layer, , index] = node;
    if (kind === "feature") return `L${layer}/${index}`;
    if (kind === "error") return `error L${layer}`;
    return `“${visibleToken(this.operands.tokenOf[node.join("/")] ?? `#${index}`, 16)}”`;
  }

  /** The token that a position stands for. */
  token(position: number): string {
    return visibleToken(this.operands.tokens[position] ?? "?", 16);
  }
}
