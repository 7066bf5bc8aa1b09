/**
 * One step of a walk through global weights: the values that `ct_widgets/global_weights/walk.py` made, checked, since
 * they may come out of a notebook that somebody else saved.
 */

import { type Card, type Example, list, maybe, number, object, readCard, readExample, text } from "./feature_card";

export type Ranking = "twera" | "era" | "virtual";

export const RANKINGS: readonly Ranking[] = ["twera", "era", "virtual"];

export interface Neighbour {
  readonly feature: string;
  readonly label: string;
  /** Whether the label is a guess. */
  readonly guessed: boolean;
  /** Each measure, or null where the corpus says nothing. */
  readonly measures: Readonly<Record<Ranking, number | null>>;
  /** How much of its usual activation the source has where the target is active, or null. */
  readonly together: number | null;
  readonly interference: boolean;
  readonly example: Example | null;
  readonly maximum: number;
  /** Whether tokens are words that a space would part. */
  readonly spaced: boolean;
}

export interface Side {
  readonly rows: readonly Neighbour[];
  /** Connections that there are, of which `rows` are the strongest. */
  readonly kept: number;
  readonly missing: string;
}

export interface Step {
  readonly feature: string;
  readonly by: Ranking;
  readonly card: Card | null;
  readonly inputs: Side;
  readonly outputs: Side;
}

export const readRanking = (value: unknown): Ranking => RANKINGS.find((known) => known === value) ?? "virtual";

/** A step of whatever comes; null if it is none. */
export function readStep(value: unknown): Step | null {
  const step = object(value);
  if (text(step["feature"]) === "") return null;
  return {
    feature: text(step["feature"]),
    by: readRanking(step["by"]),
    card: readCard(step["card"]),
    inputs: readSide(step["inputs"]),
    outputs: readSide(step["outputs"]),
  };
}

function readSide(value: unknown): Side {
  const side = object(value);
  return { rows: list(side["rows"]).map(readNeighbour), kept: number(side["kept"]), missing: text(side["missing"]) };
}

function readNeighbour(value: unknown): Neighbour {
  const row = object(value);
  const example = row["example"] ? readExample(row["example"]) : null;
  return {
    feature: text(row["feature"]),
    label: text(row["label"]),
    guessed: row["guessed"] === true,
    measures: { twera: maybe(row["twera"]), era: maybe(row["era"]), virtual: maybe(row["virtual"]) },
    together: maybe(row["together"]),
    interference: row["interference"] === true,
    example: example && example.pieces.length > 0 ? example : null,
    maximum: number(row["maximum"]),
    spaced: row["spaced"] === true,
  };
}
