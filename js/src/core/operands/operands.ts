/**
 * Operand plots as the browser holds them: what `ct_widgets/widgets/operand_payload.py` packed, checked and unpacked.
 *
 * Axes: r row of the sheet, a, b operands (a plot has b columns and a rows, flattened), n number token.
 */

import { type Column, type Columns, ColumnsError, check } from "../columns";
import { KINDS as NODE_KINDS, type NodeId } from "../graph/graph";

/** Kinds of families in the order of the sheet, and how they are called. */
export const FAMILIES = {
  sum: "sum",
  lookup: "lookup table",
  add: "add function",
  active: "mostly active",
  other: "other",
} as const;
export type FamilyKind = keyof typeof FAMILIES;
export const FAMILY_KINDS = Object.keys(FAMILIES) as readonly FamilyKind[];

/** One plot: a byte per cell, which stands for `peak` times its share; see `shareOf`. */
export interface Field {
  readonly bytes: Uint8Array;
  readonly peak: number;
  readonly signed: boolean;
}

/** Weights of the number tokens, each from -1 to 1 times the peak. */
export interface Weights {
  readonly shares: Float32Array;
  readonly peak: number;
}

export interface Link {
  readonly node: NodeId;
  readonly weight: number;
  /** The row of the feature's own plot; null if it has none here. */
  readonly row: number | null;
}

export interface Family {
  readonly kind: FamilyKind;
  readonly name: string;
  /** Share of the plot's variance that the family explains. */
  readonly explained: number;
}

export interface Operands {
  readonly n: number;
  /** The first rows make the sheet; the others one finds by walking the graph. */
  readonly nShown: number;
  readonly template: string;
  readonly a: readonly number[];
  readonly b: readonly number[];
  readonly position: number;
  readonly tokens: readonly string[];
  readonly layer: Int16Array;
  readonly index: Float64Array;
  readonly influence: Float32Array;
  readonly families: readonly Family[];
  readonly labels: readonly string[];
  readonly after: readonly Field[];
  /** Without the intervention; null where there was none. */
  readonly before: readonly Field[] | null;
  readonly numbers: readonly number[];
  readonly output: readonly Weights[];
  readonly embedding: readonly Weights[];
  /** Why there are no weights. */
  readonly noWeights: string;
  /** Null without a graph. */
  readonly links: readonly { readonly inputs: readonly Link[]; readonly outputs: readonly Link[] }[] | null;
  /** Text of embeddings and logits, by the parts of their ids joined with "/". */
  readonly tokenOf: Readonly<Record<string, string>>;
  readonly elsewhere: number;
  readonly leftOut: number;
}

const ZERO = 128;
const STEPS = 127;

/** What a byte of a field stands for, as part of the peak: 0 to 1, or -1 to 1 of one with a sign. */
export function shareOf(byte: number, signed: boolean): number {
  return signed ? (byte - ZERO) / STEPS : byte / 255;
}

export function valueAt(field: Field, cell: number): number {
  return field.peak * shareOf(field.bytes[cell]!, field.signed);
}

/** Unpack pairs (gap, value) into `cells` bytes; throws for pairs that lead outside. */
export function unpack(pairs: Uint8Array, cells: number, signed: boolean): Uint8Array {
  const bytes = new Uint8Array(cells);
  if (signed) bytes.fill(ZERO);
  let cell = 0;
  for (let i = 0; i + 1 < pairs.length; i += 2) {
    cell += pairs[i]!;
    const value = pairs[i + 1]!;
    if (value === 0) continue;
    if (cell >= cells) throw new ColumnsError("a plot has values outside of its cells");
    bytes[cell] = value;
  }
  return bytes;
}

/** What changed from `before` to `after`. */
export function difference(after: Field, before: Field): Field {
  const change = Float32Array.from(after.bytes, (_, cell) => valueAt(after, cell) - valueAt(before, cell));
  let peak = 0;
  for (const value of change) peak = Math.max(peak, Math.abs(value));
  const bytes = Uint8Array.from(change, (value) => ZERO + Math.round(peak > 0 ? (value / peak) * STEPS : 0));
  return { bytes, peak, signed: true };
}

/** "L2/517". */
export function rowName({ layer, index }: Operands, row: number): string {
  return `L${layer[row]}/${index[row]}`;
}

export function nodeOf({ layer, index, position }: Operands, row: number): NodeId {
  return ["feature", layer[row]!, position, index[row]!];
}

/** Reads the parts of a message, each checked. */
class Message {
  constructor(readonly columns: Columns) {}

  fact(name: string): unknown {
    return this.columns.metadata.get(name);
  }

  array(name: string, length: number): Column {
    const data = this.columns.arrays.get(name)?.data;
    check(data, `column "${name}" is missing`);
    check(data.length === length, `column "${name}" has ${data.length} of ${length} values`);
    return data;
  }

  numbers(name: string): readonly number[] {
    const value = this.fact(name);
    check(Array.isArray(value) && value.every(Number.isSafeInteger), `"${name}" is not a list of whole numbers`);
    return value;
  }

  texts(name: string): readonly string[] {
    const value = this.fact(name);
    check(Array.isArray(value) && value.every((text) => typeof text === "string"), `"${name}" is not a list of texts`);
    return value;
  }

  count(name: string): number {
    const value = this.fact(name);
    check(Number.isSafeInteger(value) && (value as number) >= 0, `"${name}" is not a count`);
    return value as number;
  }

  /** `n` plots of so many cells. */
  fields(prefix: string, n: number, cells: number): Field[] {
    const bytes = this.columns.arrays.get(`${prefix}bytes`)?.data;
    check(bytes instanceof Uint8Array, "the plots are missing");
    const signed = this.fact("signed") === true;
    const start = this.array(`${prefix}start`, n + 1);
    return Array.from(this.array(`${prefix}peak`, n), (peak, row) => ({
      bytes: unpack(bytes.subarray(start[row], start[row + 1]), cells, signed),
      peak,
      signed,
    }));
  }

  /** Weights of so many number tokens for each of `n` rows. */
  weights(name: string, n: number, tokens: number): Weights[] {
    if (tokens === 0) return [];
    const shares = this.array(name, n * tokens);
    return Array.from(this.array(`${name}_peak`, n), (peak, row) => ({
      shares: Float32Array.from(shares.subarray(row * tokens, (row + 1) * tokens)),
      peak,
    }));
  }
}

/** Check `columns` and unpack them; throws ColumnsError, since the bytes may be anybody's. */
export function readOperands(columns: Columns): Operands {
  const message = new Message(columns);
  const n = columns.arrays.get("layer")?.data.length ?? 0;
  const [a, b, numbers] = [message.numbers("a"), message.numbers("b"), message.numbers("numbers")];
  check(a.length > 0 && b.length > 0, "there are no operands");
  const cells = a.length * b.length;
  const families = message.fact("families");
  check(Array.isArray(families) && families.length === n, "families are missing");
  const operands = {
    n,
    nShown: Math.min(n, message.count("n_shown")),
    template: String(message.fact("template")),
    a,
    b,
    position: message.count("position"),
    tokens: message.texts("tokens"),
    layer: Int16Array.from(message.array("layer", n)),
    index: Float64Array.from(message.array("index", n)),
    influence: Float32Array.from(message.array("influence", n)),
    families: families.map(readFamily),
    labels: message.texts("labels"),
    after: message.fields("", n, cells),
    before: columns.arrays.has("before_bytes") ? message.fields("before_", n, cells) : null,
    numbers,
    output: message.weights("output", n, numbers.length),
    embedding: message.weights("embedding", n, numbers.length),
    noWeights: String(message.fact("no_weights") ?? ""),
    tokenOf: (message.fact("token_of") ?? {}) as Record<string, string>,
    elsewhere: message.count("elsewhere"),
    leftOut: message.count("left_out"),
    links: null,
  };
  return columns.arrays.has("link_start") ? { ...operands, links: readLinks(operands, message) } : operands;
}

function readFamily(value: unknown): Family {
  const [kind, name, explained] = Array.isArray(value) ? value : [];
  return {
    kind: FAMILY_KINDS.includes(kind) ? kind : "other",
    name: String(name),
    explained: typeof explained === "number" ? explained : 0,
  };
}

function readLinks(operands: Operands, message: Message): Operands["links"] {
  const start = message.array("link_start", 2 * operands.n + 1);
  const total = start[2 * operands.n]!;
  const [kind, layer, position, index, weight] = ["kind", "layer", "position", "index", "weight"].map((name) =>
    message.array(`link_${name}`, total),
  ) as [Column, Column, Column, Column, Column];
  const rowOf = new Map(Array.from({ length: operands.n }, (_, row) => [String(nodeOf(operands, row)), row]));
  const every = Array.from(kind, (code, i): Link => {
    const node: NodeId = [NODE_KINDS[code] ?? "other", layer[i]!, position[i]!, index[i]!];
    return { node, weight: weight[i]!, row: rowOf.get(String(node)) ?? null };
  });
  return Array.from({ length: operands.n }, (_, row) => ({
    inputs: every.slice(start[2 * row], start[2 * row + 1]),
    outputs: every.slice(start[2 * row + 1], start[2 * row + 2]),
  }));
}
