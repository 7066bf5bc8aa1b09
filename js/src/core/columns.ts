/**
 * Reader of the column codec (`ct_widgets/columns.py`): safetensors bytes into typed arrays and JSON facts.
 *
 * The bytes may come from a file that somebody else wrote: whatever is not as it should be ends in a ColumnsError.
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
  readonly dtype: keyof typeof TYPES;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [begin: number, end: number];
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
  try {
    // A copy: typed arrays need aligned offsets, which a comm message does not promise; and nothing outside is read.
    return read(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer);
  } catch (error) {
    throw new ColumnsError(`The data are damaged: ${error}.`);
  }
}

function read(buffer: ArrayBuffer): Columns {
  const start = 8 + Number(new DataView(buffer).getBigUint64(0, true));
  const { __metadata__: facts, ...entries } = JSON.parse(
    new TextDecoder().decode(new Uint8Array(buffer, 8, start - 8)),
  ) as { __metadata__?: Record<string, string> } & Record<string, Entry>;
  const arrays = new Map<string, { data: Column; shape: readonly number[] }>();
  for (const [name, { dtype, shape, data_offsets: offsets }] of Object.entries(entries as Record<string, Entry>)) {
    const [begin, end] = offsets;
    const data = new TYPES[dtype](buffer.slice(start + begin, start + end));
    const size = shape.reduce((product, axis) => product * axis, 1);
    check(data.byteLength === end - begin && data.length === size, `column "${name}" is cut off`);
    arrays.set(name, { data: toColumn(name, dtype, data), shape });
  }
  const metadata = new Map(Object.entries(facts ?? {}).map(([key, text]) => [key, JSON.parse(text) as unknown]));
  return { arrays, metadata };
}

function toColumn(name: string, dtype: string, data: Column | BigInt64Array | BigUint64Array): Column {
  if (dtype === "F16") return decodeFloat16(data as Uint16Array);
  if (!(data instanceof BigInt64Array || data instanceof BigUint64Array)) return data;
  const narrowed = Float64Array.from(data as BigInt64Array, Number);
  check(narrowed.every(Number.isSafeInteger), `column "${name}" holds an integer above 2^53`);
  return narrowed;
}
