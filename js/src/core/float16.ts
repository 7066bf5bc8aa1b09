/** Half-precision floats as float32, without Float16Array, which not every browser has. */

/** Decode IEEE 754 binary16 bit patterns. Exponent 31 means infinity (mantissa 0) or NaN. */
export function decodeFloat16(bits: Uint16Array): Float32Array<ArrayBuffer> {
  // Shifted into the places of a float32 all exponents are 112 too small; one product mends that, subnormals too.
  const wide = new Int32Array(bits.length);
  for (let i = 0; i < bits.length; i++) wide[i] = ((bits[i]! & 0x8000) << 16) | ((bits[i]! & 0x7fff) << 13);
  const out = new Float32Array(wide.buffer);
  for (let i = 0; i < bits.length; i++) {
    const isNumber = (bits[i]! & 0x7c00) !== 0x7c00;
    out[i] = isNumber ? out[i]! * 2 ** 112 : bits[i]! & 1023 ? Number.NaN : out[i]! * Number.POSITIVE_INFINITY;
  }
  return out;
}
