/** Colours of operand plots: a plot's bytes as pixels: one look-up table per plot, one pass over its cells. */

import { mix, type Palette, type RGB } from "../palette";
import { type Field, shareOf } from "./operands";

/** Colours of the 256 levels, as little-endian RGBA. */
export type Ramp = Uint32Array;

const LEVELS = 256;
const MIDDLE = 128;

function pack([red, green, blue]: RGB): number {
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/** From nothing, which is the surface, to full activation. */
export function activationRamp({ surface, activation }: Palette): Ramp {
  return Uint32Array.from({ length: LEVELS }, (_, level) => pack(mix(surface, activation, level / (LEVELS - 1))));
}

/** From negative through the surface, at level 128, to positive. */
export function signRamp({ surface, positive, negative }: Palette): Ramp {
  return Uint32Array.from({ length: LEVELS }, (_, level) =>
    pack(mix(surface, level < MIDDLE ? negative : positive, Math.abs(level - MIDDLE) / (LEVELS - 1 - MIDDLE))),
  );
}

/** The level of a share of the scale, from 0 to 1 or with a sign from -1 to 1. */
export function levelOf(share: number, signed: boolean): number {
  const inside = Math.min(1, Math.max(signed ? -1 : 0, share));
  return signed ? MIDDLE + Math.round(inside * (LEVELS - 1 - MIDDLE)) : Math.round(inside * (LEVELS - 1));
}

/** Paint `field` on a scale that ends at `top` into `pixels` [a, b], a from the bottom up. */
export function paintField(field: Field, top: number, ramp: Ramp, columns: number, pixels: Uint32Array): void {
  const { bytes, peak, signed } = field;
  const scale = top > 0 ? peak / top : 0;
  const colours = Uint32Array.from(ramp, (_, byte) => ramp[levelOf(scale * shareOf(byte, signed), signed)]!);
  const rows = bytes.length / columns;
  for (let row = 0, from = 0; row < rows; row++) {
    let to = (rows - 1 - row) * columns;
    for (const end = from + columns; from < end; from++) pixels[to++] = colours[bytes[from]!]!;
  }
}

/** Paint `shares` from -1 to 1, in reading order. */
export function paintShares(shares: Float32Array, ramp: Ramp, pixels: Uint32Array): void {
  for (let i = 0; i < shares.length; i++) pixels[i] = ramp[levelOf(shares[i]!, true)]!;
}
