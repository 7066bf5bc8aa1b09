import { describe, expect, it } from "vitest";
import { ColumnsError, decodeColumns } from "../src/core/columns";
import { decodeFloat16 } from "../src/core/float16";
import { encodeColumns } from "./sample";

const ARRAYS = {
  kind: Uint8Array.of(1, 2, 3),
  weight: Float32Array.of(0.5, -2),
  index: BigInt64Array.of(-1n, 2n ** 40n),
};

describe("decodeColumns", () => {
  it("gives back columns and facts, at any alignment", () => {
    const bytes = encodeColumns(ARRAYS, { prompt: "<b>\u202e", n: 3 });
    for (let shift = 0; shift < 8; shift++) {
      const moved = new Uint8Array(bytes.length + shift).subarray(shift);
      moved.set(bytes);
      const { arrays, metadata } = decodeColumns(new DataView(moved.buffer, shift, bytes.length));
      expect([...arrays.get("kind")!.data]).toEqual([1, 2, 3]);
      expect([...arrays.get("weight")!.data]).toEqual([0.5, -2]);
      expect([...arrays.get("index")!.data]).toEqual([-1, 2 ** 40]);
      expect(metadata.get("prompt")).toBe("<b>\u202e");
      expect(metadata.get("n")).toBe(3);
    }
  });

  it("refuses every truncation", () => {
    const bytes = encodeColumns(ARRAYS, { prompt: "x" });
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeColumns(bytes.subarray(0, length)), `${length} bytes`).toThrow(ColumnsError);
    }
  });

  it.each([
    ["an offset beyond the data", { dtype: "U8", shape: [9], data_offsets: [0, 9_000] }],
    ["an end before the start", { dtype: "U8", shape: [0], data_offsets: [2, 1] }],
    ["a shape that needs more", { dtype: "F32", shape: [2 ** 40], data_offsets: [0, 3] }],
    ["a negative shape", { dtype: "U8", shape: [-3], data_offsets: [0, 3] }],
    ["an unknown dtype", { dtype: "F8_E4M3", shape: [3], data_offsets: [0, 3] }],
    ["no offsets", { dtype: "U8", shape: [3] }],
    ["no entry", null],
  ])("refuses %s", (_, entry) => {
    const bytes = encodeColumns(ARRAYS, {}, (header) => {
      header.kind = entry;
    });
    expect(() => decodeColumns(bytes)).toThrow(ColumnsError);
  });

  it("refuses integers that a number cannot hold, and facts that are not JSON", () => {
    expect(() => decodeColumns(encodeColumns({ index: BigInt64Array.of(2n ** 60n) }, {}))).toThrow("2^53");
    const spoiled = encodeColumns({}, {}, (header) => {
      header.__metadata__ = { prompt: "{" };
    });
    expect(() => decodeColumns(spoiled)).toThrow(ColumnsError);
  });
});

describe("decodeFloat16", () => {
  it("knows every kind of value", () => {
    const bits = Uint16Array.of(0x0000, 0x8000, 0x3c00, 0xc000, 0x0001, 0x03ff, 0x0400, 0x7bff, 0x7c00, 0xfc00, 0x7e00);
    const values = [0, -0, 1, -2, 2 ** -24, 1023 * 2 ** -24, 2 ** -14, 65504, Infinity, -Infinity, Number.NaN];
    expect([...decodeFloat16(bits)]).toEqual(values);
  });
});
