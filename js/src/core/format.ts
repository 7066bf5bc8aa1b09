/** Numbers and names as people read them: U+2212 for minus, 2 to 3 significant digits, no leading zero for shares. */

export const MINUS = "\u2212";
const counts = new Intl.NumberFormat("en-US");

/** A number to `digits` significant digits: 3.21, 0.047, −12.3, 1.2e5. */
export function formatNumber(value: number, digits = 3): string {
  if (Number.isNaN(value)) return "n/a";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : `${MINUS}∞`;
  if (value === 0) return "0";
  // Rounded first: 999.9 to three digits is 1000, which has four places and no exponent.
  const size = Number(Math.abs(value).toPrecision(digits));
  const text =
    size >= 1e5 || size < 1e-4
      ? size.toExponential(digits - 2).replace("e+", "e")
      : size >= 10 ** digits
        ? size.toFixed(0)
        : size.toPrecision(digits);
  return (value < 0 ? MINUS : "") + text.replace("e-", `e${MINUS}`);
}

/** A probability, score or threshold between 0 and 1 to two decimals: .61, 1, .00; close to an end but not there: <.01, >.99. */
export function formatUnit(value: number): string {
  if (!Number.isFinite(value)) return "n/a";
  if (value > 0 && value < 0.005) return "<.01";
  if (value >= 0.995 && value < 1) return ">.99";
  const text = Math.abs(value).toFixed(2);
  return (value < 0 ? MINUS : "") + (text.startsWith("0") ? text.slice(1) : text === "1.00" ? "1" : text);
}

/** A share as a percentage: 41 %, 3.2 %, < 0.1 %. */
export function formatShare(value: number): string {
  if (!Number.isFinite(value)) return "n/a";
  const percent = Math.abs(value) * 100;
  const sign = value < 0 ? MINUS : "";
  if (percent === 0) return "0 %";
  if (percent < 0.1) return "< 0.1 %";
  return `${sign}${percent < 10 ? percent.toFixed(1) : percent.toFixed(0)} %`;
}

/** How often something happens, as a percentage to two digits however rare: 3.2 %, 0.042 %. */
export function formatDensity(value: number): string {
  return value > 0 && value < 0.001 ? `${formatNumber(value * 100, 2)} %` : formatShare(value);
}

/** A count with thousands separators: 90,312. */
export function formatCount(value: number): string {
  return counts.format(value);
}

// Control characters, and marks that reorder the text around them: shown as their code points, so that a token
// can neither hide nor change the reading of its neighbours.
const INVISIBLE = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

/** A token as visible text: spaces as "␣" where they matter, line breaks as "⏎", controls as "U+202E"; at most `limit` characters. */
export function visibleToken(token: string, limit = 40): string {
  const cut = token.length > limit;
  // Not through the middle of a character that takes two code units.
  let text = cut ? token.slice(0, limit).replace(/[\uD800-\uDBFF]$/, "") : token;
  text = text.replace(/\r\n|\n|\r/g, "⏎").replace(/\t/g, "⇥");
  text = text.replace(INVISIBLE, (mark) => `U+${mark.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}`);
  // A leading space is part of most tokens and only noise when shown; a token of spaces would be nothing at all.
  text = text.trim() === "" ? text.replace(/ /g, "␣") : text.trim();
  if (text === "") text = "∅";
  return cut ? `${text}…` : text;
}

/** How many there are of what: 1 node, 1,204 nodes, 2 boxes. */
export function formatCounted(value: number, one: string, many = `${one}s`): string {
  return `${formatCount(value)} ${value === 1 ? one : many}`;
}

/** A size between 0 and about 1 to two significant digits without the leading zero: .12, .0047, 1.3. */
export function formatFraction(value: number): string {
  return formatNumber(value, 2).replace(/^(\u2212?)0\./, "$1.");
}

/** A weight with its sign always shown, without the leading zero: +.41, −1.2. */
export function formatWeight(value: number): string {
  return value > 0 ? `+${formatFraction(value)}` : formatFraction(value);
}
