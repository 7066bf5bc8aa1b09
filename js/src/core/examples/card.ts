/**
 * What a card shows of a feature: the values that `ct_widgets/features/card.py` made, checked, since they may come out
 * of a notebook that somebody else saved.
 */

import { asList, asNumber, asNumberOrNull, asObject, asText, type Values } from "../read_trait";

/** A stretch of text that reads on: one token, or those that share a character, with the activation of each. */
export interface Piece {
  readonly text: string;
  readonly activations: readonly number[];
}

export interface Example {
  readonly pieces: readonly Piece[];
  /** The piece that the example is about. */
  readonly peak: number;
  /** Of the peak in its row of text, and the number of the text in the corpus. */
  readonly position: number;
  readonly text: number;
}

export interface Section {
  /** Part of the active contexts by rank, or null for the top examples. */
  readonly share: readonly [from: number, to: number] | null;
  readonly low: number;
  readonly high: number;
  readonly examples: readonly Example[];
}

export type Scored = readonly (readonly [token: string, value: number])[];

export interface Histogram {
  readonly counts: readonly number[];
  /** One more than counts; null where a bin is open. */
  readonly edges: readonly (number | null)[];
}

/** What a corpus said. */
export interface Statistics {
  readonly count: number;
  readonly tokens: number;
  readonly density: number;
  readonly maximum: number;
  readonly histogram: Histogram;
  readonly sections: readonly Section[];
}

export interface Card {
  readonly feature: string;
  readonly position: number | null;
  readonly label: { readonly text: string; readonly origin: string; readonly model: string | null } | null;
  readonly guess: { readonly text: string; readonly reason: string } | null;
  readonly promotes: Scored;
  readonly suppresses: Scored;
  readonly drives: Scored;
  /** Whether tokens are words that a space would part. */
  readonly spaced: boolean;
  readonly statistics: Statistics | null;
  /** Activation on the prompt at hand. */
  readonly activation: number | null;
  /** What is missing, and what to do about it. */
  readonly missing: string;
}

/** A card of whatever comes; null if it is none. */
export function readCard(value: unknown): Card | null {
  const card = asObject(value);
  if (asText(card["feature"]) === "") return null;
  const label = asObject(card["label"]);
  const guess = asObject(card["guess"]);
  return {
    feature: asText(card["feature"]),
    position: asNumberOrNull(card["position"]),
    label: asText(label["text"])
      ? { text: asText(label["text"]), origin: asText(label["origin"]), model: asText(label["model"]) || null }
      : null,
    guess: asText(guess["text"]) ? { text: asText(guess["text"]), reason: asText(guess["reason"]) } : null,
    promotes: readScored(card["promotes"]),
    suppresses: readScored(card["suppresses"]),
    drives: readScored(card["drives"]),
    spaced: card["spaced"] === true,
    statistics: "density" in card ? readStatistics(card) : null,
    activation: asNumberOrNull(card["activation"]),
    missing: asText(card["missing"]),
  };
}

function readStatistics(card: Values): Statistics {
  const histogram = asObject(card["histogram"]);
  const counts = asList(histogram["counts"]).map(asNumber);
  return {
    count: asNumber(card["count"]),
    tokens: asNumber(card["tokens"]),
    density: asNumber(card["density"]),
    maximum: asNumber(card["maximum"]),
    histogram: {
      counts,
      edges: Array.from({ length: counts.length + 1 }, (_, i) => asNumberOrNull(asList(histogram["edges"])[i])),
    },
    sections: asList(card["sections"]).map(readSection),
  };
}

function readSection(value: unknown): Section {
  const section = asObject(value);
  const share = asList(section["share"]);
  return {
    share: share.length === 2 ? [asNumber(share[0]), asNumber(share[1])] : null,
    low: asNumber(section["low"]),
    high: asNumber(section["high"]),
    examples: asList(section["examples"])
      .map(readExample)
      .filter(({ pieces }) => pieces.length > 0),
  };
}

export function readExample(value: unknown): Example {
  const example = asObject(value);
  const pieces = asList(example["pieces"]).map((piece) => ({
    text: asText(asList(piece)[0]),
    activations: asList(asList(piece)[1]).map(asNumber),
  }));
  return {
    pieces,
    peak: Math.max(0, Math.min(pieces.length - 1, Math.round(asNumber(example["peak"])))),
    position: asNumber(example["position"]),
    text: asNumber(example["text"]),
  };
}

function readScored(value: unknown): Scored {
  return asList(value).map((pair) => [asText(asList(pair)[0]), asNumber(asList(pair)[1])] as const);
}

/** The largest activation among a piece's tokens. */
export function activationOf(piece: Piece): number {
  return Math.max(0, ...piece.activations);
}

/** Which bar of a histogram a value falls into, as a place from 0 to the number of bars; the nearest end outside. */
export function placeInBins({ edges, counts }: Histogram, value: number): number {
  for (let bin = 0; bin < counts.length; bin++) {
    const [low, high] = [edges[bin] ?? Number.NEGATIVE_INFINITY, edges[bin + 1] ?? Number.POSITIVE_INFINITY];
    if (value >= high) continue;
    if (value < low) return bin;
    return bin + (Number.isFinite(high - low) ? (value - low) / (high - low) : 0.5);
  }
  return counts.length;
}

/** "0–25 % of contexts", the part of those where the feature is active that a section stands for. */
export function sectionName({ share }: Section): string {
  if (share === null) return "top";
  return `${Math.round(share[0] * 100)}–${Math.round(share[1] * 100)} % of contexts`;
}
