/** Token text in running examples: nothing invisible, nothing that reorders its neighbours. */

// As in `format.ts`; here spaces between words stay, since they carry the text.
const INVISIBLE = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

/** A piece of running text with white space and controls made visible; a single space beside a word stays one. */
export function visibleText(text: string): string {
  const shown = text
    .replace(/\r\n|\n|\r/g, "⏎")
    .replace(/\t/g, "⇥")
    .replace(INVISIBLE, (mark) => `U+${mark.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}`);
  if (shown === "") return "∅";
  if (shown.trim() === "") return shown.replace(/\s/gu, "␣");
  return shown.replace(/[^\S ]/gu, "␣").replace(/ {2,}/g, (run) => "␣".repeat(run.length));
}

/** How strong the tint of an activation is, from 0 to 1: its part of the feature's maximum. */
export function tint(activation: number, maximum: number): number {
  if (!(activation > 0) || !(maximum > 0)) return 0;
  return Math.min(1, activation / maximum);
}
