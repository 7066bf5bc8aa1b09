/**
 * Reader of the column codec (`ct_widgets/columns.py`): safetensors bytes into typed arrays and JSON facts.
 *
 * The bytes may come from a file that somebody else wrote, so no length or offset in them is believed before it is checked.
 */

import { decodeFloat16 } from "./float16";

export type Column =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array;

export interface Columns {
  readonly arrays: ReadonlyMap<string, { readonly data: Column; readonly shape: readonly number[] }>;
  readonly metadata: ReadonlyMap<string, unknown>;
}

export class ColumnsError extends Error {
  override name = "ColumnsError";
}

export function check(isRight: unknown, otherwise: string): asserts isRight {
  if (!isRight) throw new ColumnsError(otherwise);
}

interface Entry {
  dtype: string;
  shape: number[];
  begin: number;
  end: number;
}

/** What the bytes of each dtype are read as; F16 and 64-bit integers then become floats. */
const TYPES = {
  BOOL: Uint8Array,
  U8: Uint8Array,
  I8: Int8Array,
  U16: Uint16Array,
  I16: Int16Array,
  F16: Uint16Array,
  U32: Uint32Array,
  I32: Int32Array,
  F32: Float32Array,
  I64: BigInt64Array,
  U64: BigUint64Array,
  F64: Float64Array,
};

/** Decode `bytes`. 64-bit integers become float64 columns, exact up to 2^53; larger ones are an error. */
export function decodeColumns(bytes: DataView | Uint8Array): Columns {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  check(view.byteLength >= 8, `${view.byteLength} bytes are too short for columns`);
  const length = Number(view.getBigUint64(0, true));
  check(length <= view.byteLength - 8, "the header is longer than the data: truncated?");
  const text = new TextDecoder().decode(new Uint8Array(view.buffer, view.byteOffset + 8, length));
  const header = asRecord(parse(text, "the header"), "header");
  const bodyStart = 8 + length;
  const bodyLength = view.byteLength - bodyStart;
  const arrays = new Map<string, { data: Column; shape: number[] }>();
  const metadata = new Map<string, unknown>();
  for (const [name, value] of Object.entries(header)) {
    if (name === "__metadata__") {
      for (const [key, fact] of Object.entries(asRecord(value, "metadata")))
        metadata.set(key, parse(String(fact), `metadata "${key}"`));
      continue;
    }
    const entry = checkEntry(name, value, bodyLength);
    // A copy: typed arrays need aligned offsets, which neither a comm message nor a foreign file promises.
    const from = view.byteOffset + bodyStart + entry.begin;
    const raw = view.buffer.slice(from, from + entry.end - entry.begin) as ArrayBuffer;
    arrays.set(name, { data: toColumn(name, entry.dtype, raw), shape: entry.shape });
  }
  return { arrays, metadata };
}

function parse(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ColumnsError(`${what} is not JSON: are these columns?`);
  }
}

function asRecord(value: unknown, what: string): Record<string, unknown> {
  check(typeof value === "object" && value !== null && !Array.isArray(value), `the ${what} is not an object`);
  return value as Record<string, unknown>;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function checkEntry(name: string, value: unknown, bodyLength: number): Entry {
  const { dtype, shape, data_offsets: offsets } = asRecord(value, `entry of column "${name}"`);
  const width = Object.hasOwn(TYPES, dtype as string) && TYPES[dtype as keyof typeof TYPES].BYTES_PER_ELEMENT;
  const column = `column "${name}"`;
  check(width, `${column} has unknown dtype ${dtype}`);
  check(Array.isArray(shape) && shape.every(isCount), `${column} has a wrong shape`);
  check(Array.isArray(offsets) && offsets.length === 2 && offsets.every(isCount), `${column} has wrong offsets`);
  const [begin, end] = offsets as [number, number];
  check(begin <= end && end <= bodyLength, `${column} lies outside the data: truncated?`);
  const size = (shape as number[]).reduce((product, axis) => product * axis, width);
  check(size === end - begin, `${column} has ${end - begin} bytes, its shape needs ${size}`);
  return { dtype: dtype as string, shape: shape as number[], begin, end };
}

function toColumn(name: string, dtype: string, raw: ArrayBuffer): Column {
  const data = new TYPES[dtype as keyof typeof TYPES](raw);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return narrow(name, data);
  return dtype === "F16" ? decodeFloat16(data as Uint16Array) : data;
}

function narrow(name: string, big: BigInt64Array | BigUint64Array): Float64Array {
  const out = new Float64Array(big.length);
  for (let i = 0; i < big.length; i++) {
    out[i] = Number(big[i]);
    if (!Number.isSafeInteger(out[i])) throw new ColumnsError(`column "${name}" holds an integer above 2^53`);
  }
  return out;
}
