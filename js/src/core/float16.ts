/** Half-precision floats as float32, by table: 2 x 64 entries instead of arithmetic per value, and no Float16Array needed. */

const mantissaBase = new Float32Array(64); // value of bit 10.. for each (sign, exponent)
const mantissaStep = new Float32Array(64);
for (let index = 0; index < 64; index++) {
  const sign = index & 32 ? -1 : 1;
  const exponent = index & 31;
  // Exponent 0 holds the subnormals: no implicit leading one, and the step of exponent 1.
  const step = 2 ** (Math.max(exponent, 1) - 25);
  mantissaBase[index] = exponent === 0 ? 0 * sign : sign * step * 1024;
  mantissaStep[index] = sign * step;
}

/** Decode IEEE 754 binary16 bit patterns. Exponent 31 means infinity (mantissa 0) or NaN. */
export function decodeFloat16(bits: Uint16Array): Float32Array<ArrayBuffer> {
  const out = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) {
    const half = bits[i]!;
    const index = half >> 10;
    const mantissa = half & 1023;
    if ((index & 31) === 31) out[i] = mantissa ? Number.NaN : index & 32 ? -Infinity : Infinity;
    else out[i] = mantissaBase[index]! + mantissaStep[index]! * mantissa;
  }
  return out;
}
