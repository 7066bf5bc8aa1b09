/** The colours that canvases draw with: theme.css holds the values, this reads them and mixes between them. */

export type RGB = readonly [red: number, green: number, blue: number];

export interface Palette {
  readonly surface: RGB;
  readonly raised: RGB;
  readonly ink: RGB;
  readonly muted: RGB;
  readonly hairline: RGB;
  readonly accent: RGB;
  readonly positive: RGB;
  readonly negative: RGB;
  readonly activation: RGB;
}

export const PALETTE_NAMES = [
  "surface",
  "raised",
  "ink",
  "muted",
  "hairline",
  "accent",
  "positive",
  "negative",
  "activation",
] as const satisfies readonly (keyof Palette)[];

/** Parse `#rrggbb`, as theme.css writes all its colours. */
export function parseColor(text: string): RGB {
  const number = Number.parseInt(text.trim().slice(1), 16);
  return [number >> 16, (number >> 8) & 255, number & 255];
}

/** The palette from a reader of custom properties, such as `(name) => style.getPropertyValue(name)`. */
export function readPalette(read: (property: string) => string): Palette {
  return Object.fromEntries(
    PALETTE_NAMES.map((name) => [name, parseColor(read(`--ctw-${name}`))]),
  ) as unknown as Palette;
}

/** The colour `share` of the way from `from` to `to`. */
export function mix(from: RGB, to: RGB, share: number): RGB {
  const part = Math.min(1, Math.max(0, share));
  return [0, 1, 2].map((channel) =>
    Math.round(from[channel]! + (to[channel]! - from[channel]!) * part),
  ) as unknown as RGB;
}

export function css(color: RGB, alpha = 1): string {
  // With commas, as programs read it that know SVG but not the newer style sheets.
  return alpha >= 1 ? `rgb(${color})` : `rgba(${color},${alpha})`;
}

/** WCAG contrast ratio of two opaque colours, 1 to 21. */
export function contrast(first: RGB, second: RGB): number {
  const [high, low] = [luminance(first), luminance(second)].sort((a, b) => b - a) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

function luminance(color: RGB): number {
  const [red, green, blue] = color.map((channel) => {
    const value = channel / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
